//! Stories over the real binary, real HTTP and both stores.

mod load;
mod misbehaving;
mod story;

mod answering;
mod bucket;
mod checkers;
mod crash;
mod crowding;
mod delivering;
mod disk;
mod doors;
mod files;
mod incoming;
mod newcomer;
mod numbers;
mod oracles;
mod platforms;
mod reference;
mod registering;
mod simulate;
mod storage;
mod trigger;
mod vendors;
