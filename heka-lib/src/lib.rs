//! The Heka router: an embeddable pipeline for logs and metrics.
//!
//! ```no_run
//! use heka_lib::config::{Config, from_toml_str};
//! use heka_lib::plugin::Registry;
//! use heka_lib::{Router, RouterOptions};
//! use heka_plugin_api::OwnedMessage;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let document = from_toml_str("heka.toml", &std::fs::read_to_string("heka.toml")?)?;
//! let config = Config::from_document(&document)?;
//! let mut registry = Registry::new();
//! registry.add_directory("/usr/lib/heka/plugins".as_ref());
//!
//! let router = Router::start(&config, &registry, &RouterOptions::default())?;
//! let message = OwnedMessage::build(|message| {
//!     message.message_type("greeting").payload("hello").field("count", 1);
//! })?;
//! router.inject(&message.view())?;
//! println!("{}", router.stop());
//! # Ok(())
//! # }
//! ```
//!
//! An input, its splitter, its decoder and the router's matchers are one thread, unless its config asks for
//! `decode_threads`; each chain with filters is one; each output is one. Bounded channels of batches connect them, so that a full output slows the inputs that feed it.
//! The library sets up no logger, handles no signal, never exits and reads no environment.
//!
//! * [`config`]: files or texts become a [`Config`](config::Config), or all their faults with line and column.
//! * [`plugin`]: plugins come from directories of plugin files, or are registered by value.
//! * [`Router`]: start, inject, look at the counts, reload, stop.
//! * [`matcher`] and [`splitter`] can be used on their own.

pub mod config;
pub mod plugin;
pub mod splitter;

mod accounting;
mod arena;
mod batch;
mod build;
mod control;
mod dead_letter;
mod dead_letter_store;
mod health;
mod instance;
mod limited_log;
mod outlet;
mod queue;
mod reload;
mod router;
mod routes;
mod stage;
mod state_dir;
mod stats;
mod stop;
mod token;

pub use accounting::{Accounting, Equation, Term};
pub use health::{InstanceHealth, State};
pub use heka_matcher as matcher;
pub use reload::{Change, Reloaded};
pub use router::{InjectError, Router, RouterOptions};
pub use stats::{ChainCounts, InjectionCounts, InputCounts, OutputCounts, RouterStats};
