//! What stories are told with: a Gancho in a process of its own, a store to set it up, a sender that signs as the
//! platform does, and endpoints that misbehave on request. Everything is real HTTP on loopback.

pub mod place;
pub mod process;
pub mod scene;
pub mod sender;
pub mod receiver;
