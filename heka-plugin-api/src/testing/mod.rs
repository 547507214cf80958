//! Runs one plugin without a host, through the same tables of functions that a host calls.
//!
//! ```
//! use heka_plugin_api::testing::{FilterTest, message};
//! # use heka_plugin_api::{Context, Filter, MessageMut, PluginError, Schema, Verdict};
//! # /// Passes everything.
//! # #[derive(serde::Deserialize, Schema)]
//! # struct Options {}
//! # struct Nothing;
//! # impl Filter for Nothing {
//! #     type Config = Options;
//! #     fn open(_: Options, _: &mut Context) -> Result<Self, PluginError> { Ok(Nothing) }
//! #     fn process_message(&mut self, _: &mut MessageMut<'_>, _: &mut Context) -> Result<Verdict, PluginError> {
//! #         Ok(Verdict::Pass)
//! #     }
//! # }
//! let mut filter = FilterTest::<Nothing>::open("").unwrap();
//! let seen = filter.process(&[message(|m| { m.payload("hello"); })]);
//! assert_eq!(seen.passed[0].view().payload(), b"hello");
//! ```

mod batch;
mod host;
mod kinds;

pub use batch::BATCH_LEN_MAX;
pub use host::TestHost;
pub use kinds::{DecoderTest, EncoderTest, FilterTest, InputTest, OutputTest, Processed, TestStream};

use crate::builder::MessageBuilder;
use crate::owned::OwnedMessage;

/// Builds a message for a test.
///
/// # Panics
/// If it can't be built.
pub fn message(build: impl FnOnce(&mut MessageBuilder<'_>)) -> OwnedMessage {
    OwnedMessage::build(build).unwrap_or_else(|error| panic!("a test's message: {error}"))
}
