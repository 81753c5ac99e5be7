//! Stories over the real binary, real HTTP and both stores.

mod story;

mod crash;
mod delivering;
mod incoming;
mod newcomer;
mod oracles;
mod storage;
