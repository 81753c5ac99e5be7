//! The store's suite: every test runs on SQLite and on PostgreSQL, with a clock that moves only when told to.

mod access;
mod arriving;
mod auditing;
mod blocks;
mod claiming;
mod clocks;
mod conversing;
mod damage;
mod delivering;
mod engine;
mod failing;
mod filing;
mod listing;
mod nodes;
mod opening;
mod ordering;
mod pacing;
mod proxy;
mod replaying;
mod retaining;
mod scene;
mod sending;
mod telling;
mod unanswered;
mod watching;
