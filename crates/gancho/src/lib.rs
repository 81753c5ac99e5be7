//! Gancho as one process: configuration, wiring, commands. Start with [`app`], the wiring in start order.

pub mod app;
pub mod front;
pub mod listener;
pub mod proxies;
pub mod descriptors;
pub mod operations;
pub mod maintenance;
pub mod telemetry;
pub mod config;
pub mod settings;
pub mod words;
pub mod cli;
pub mod reference;
pub mod commands;
pub mod bench;
