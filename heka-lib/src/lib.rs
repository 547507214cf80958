//! The router.
pub mod config;
pub mod plugin;
pub mod splitter;

mod arena;
mod batch;
mod instance;
mod limited_log;
mod stats;
mod stop;
mod token;
