//! The contract between the Heka router and its plugins.
//!
//! A plugin is a type with one of the traits [`Input`], [`Decoder`], [`Filter`], [`Encoder`], [`Output`], exported by
//! [`export_plugin!`] from a crate of type `cdylib`. The router finds the plugin file in its plugin directories and
//! runs an instance for each section of a config that names the plugin.
//!
//! ```
//! //! Keeps the messages whose payload contains a given text.
//! use heka_plugin_api::{Context, Faults, Filter, MessageMut, PluginError, Schema, Verdict, export_plugin};
//! use serde::Deserialize;
//!
//! export_plugin! { filter "grep" => GrepFilter }
//!
//! /// Keeps the messages whose payload contains a given text.
//! #[derive(Deserialize, Schema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// Text to look for; must not be empty.
//!     contains: String,
//! }
//!
//! struct GrepFilter {
//!     contains: Vec<u8>,
//! }
//!
//! impl Filter for GrepFilter {
//!     type Config = Config;
//!
//!     fn check(config: &Config, faults: &mut Faults) {
//!         if config.contains.is_empty() {
//!             faults.add("contains", "must not be empty");
//!         }
//!     }
//!
//!     fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
//!         Ok(GrepFilter { contains: config.contains.into_bytes() })
//!     }
//!
//!     fn process_message(&mut self, message: &mut MessageMut<'_>, _: &mut Context) -> Result<Verdict, PluginError> {
//!         let found = message.payload().windows(self.contains.len()).any(|part| part == self.contains);
//!         Ok(if found { Verdict::Pass } else { Verdict::Drop })
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! * **Messages** are flat records in the host's memory. [`Message`] reads one, [`MessageMut`] changes a copy of it,
//!   [`MessageBuilder`] writes a new one in place; [`OwnedMessage`] has memory of its own, where speed doesn't matter.
//! * **The life of an instance**: `check` (pure, all faults at once), `open` (memory only), `start` (sockets and
//!   files, or taken over at a reload), then its one call for each message, frame or batch, `tick`, and the end by
//!   `Drop`.
//! * **[`PluginError`]** tells the host what to do: refuse to start, dead-letter one message, try again later, stop.
//!   A panic costs one message: the instance is made anew.
//! * A plugin never prints (it uses the `log` crate, whose lines the host takes), never exits, installs no signal
//!   handler and leaves the working directory alone.
//!
//! With the feature `testing`, the module `testing` runs a plugin without a host.

pub mod abi;
mod builder;
mod cause;
mod config;
mod context;
mod copy;
mod decoder;
mod edit;
mod encoder;
mod error;
#[doc(hidden)]
pub mod export;
mod fault;
mod filter;
mod input;
mod life;
mod logging;
mod message;
mod origin;
mod output;
mod owned;
mod part;
mod prefetch;
mod schema;
mod shell;
mod template;
#[cfg(feature = "testing")]
pub mod testing;
pub mod units;
mod writer;

pub use builder::{MessageBuilder, Text, TextValue};
pub use cause::cause;
pub use config::{Fault, Faults};
pub use context::{Acknowledger, Context, Counter, StopSignal, now};
pub use decoder::{Decoder, Frame};
pub use edit::{Marks, MessageMut, OutputMark};
pub use encoder::{ByteWriter, Encoder};
pub use error::PluginError;
pub use fault::fault_point;
pub use filter::{Filter, FilterBatch, Verdict};
pub use heka_plugin_api_derive::{OptionType, Schema};
pub use input::{Datagram, Input, Read, Reader, Stream};
pub use message::{Field, Fields, Message, Value, ValueType};
pub use origin::{Origin, random_uuid};
pub use output::{Delivered, Delivery, Output};
pub use owned::OwnedMessage;
pub use part::{Part, PartError, PartValue};
pub use schema::{ByteSize, Interval, OptionSchema, OptionType, Schema};
pub use template::{Piece, Template, TemplateError};
pub use writer::MessageWriter;
