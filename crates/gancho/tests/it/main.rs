//! Stories over the real binary, real HTTP and both stores.

mod crash;
mod incoming;
mod newcomer;
mod oracles;
