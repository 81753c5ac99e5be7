//! Stories over the real binary, real HTTP and both stores.

mod crash;
mod newcomer;
mod oracles;
