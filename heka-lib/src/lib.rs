//! The router.
pub mod config;
pub mod plugin;
pub mod splitter;

mod arena;
mod batch;
mod build;
mod dead_letter;
mod instance;
mod limited_log;
mod outlet;
mod router;
mod routes;
mod stage;
mod stats;
mod stop;
mod token;

pub use heka_matcher as matcher;
pub use router::{InjectError, Router, RouterOptions};
pub use stats::{ChainCounts, InjectionCounts, InputCounts, OutputCounts, RouterStats};
