//! The contract.
pub mod abi;
mod builder;
mod config;
mod context;
mod copy;
mod decoder;
mod edit;
mod encoder;
mod error;
#[doc(hidden)]
pub mod export;
mod filter;
mod input;
mod life;
mod logging;
mod message;
mod origin;
mod output;
mod owned;
mod schema;
mod shell;
#[cfg(feature = "testing")]
pub mod testing;
pub mod units;

pub use builder::{MessageBuilder, MessageWriter, Text, TextValue};
pub use config::{Fault, Faults};
pub use context::{Acknowledger, Context, Counter, StopSignal, now};
pub use decoder::{Decoder, Frame};
pub use edit::{MessageMut, OutputMark};
pub use encoder::{ByteWriter, Encoder};
pub use error::PluginError;
pub use filter::{Filter, FilterBatch, Verdict};
pub use heka_plugin_api_derive::{OptionType, Schema};
pub use input::{Datagram, Input, Read, Reader, Stream};
pub use message::{Field, Fields, Message, Value, ValueType};
pub use origin::{Origin, random_uuid};
pub use output::{Delivered, Delivery, Output};
pub use owned::OwnedMessage;
pub use schema::{ByteSize, Interval, OptionSchema, OptionType, Schema};
