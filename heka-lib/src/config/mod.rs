//! Configuration: TOML or JSON files become plain structs, or all their faults at once.
//!
//! [`load`] (or [`from_toml_str`]) reads files into a [`Document`], a tree in which every key and value
//! knows its place; [`Config::from_document`] checks it and makes typed structs of it. What belongs to
//! plugins stays a [`Node`], which serializes into the MessagePack that the plugin gets, and finds the place
//! of a key that the plugin complains about.

mod admin;
mod chain;
mod decoder;
mod document;
mod faults;
mod host;
mod input;
mod instance;
mod json_document;
mod load;
mod model;
mod output;
mod position;
mod reference;
mod section;
mod seed;
mod toml_document;
mod wiring;

#[cfg(test)]
mod tests;

pub use admin::{AdminConfig, AdminListen, AdminSocket, Token, TokenSource};
pub use chain::{ChainConfig, DEFAULT_CHAIN};
pub use decoder::{DecoderSettings, ThenConfig};
pub use document::{Document, Entry, NESTING_MAX, Node, NodeValue};
pub use faults::{Fault, Faults, nearest};
pub use heka_plugin_api::units::{UnitError, format_bytes, format_duration, parse_bytes, parse_duration};
pub use host::{HostConfig, PluginOwner};
pub use input::{FrameOverflow, InputConfig, InputSettings, OnDecodeError, SplitterConfig, SplitterKind};
pub use instance::{
    DecoderConfig, EmitTo, EncoderConfig, FilterConfig, FilterSettings, InstanceConfig, OnPanic, PluginName,
};
pub use load::{Environment, from_json_str, from_toml_str, load};
pub use model::{Config, ConfigOptions};
pub use output::{Durability, OutputConfig, OutputSettings, QueueConfig, QueueKind, RetryConfig, WhenFull};
pub use position::{Located, Position};
