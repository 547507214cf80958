//! Decoder `json`: JSON objects → messages.

use crate::object::{DEPTH_MAX, JsonReader};
use heka_object::ObjectOptions;
use heka_plugin_api::{Context, Counter, Decoder, Faults, Frame, MessageWriter, PluginError, Schema};
use serde::Deserialize;

/// Reads JSON objects: the Metlog envelope, what the `json` encoder writes, and any other.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Key of the time, an RFC 3339 text or seconds, milli-, micro- or nanoseconds since the epoch.
    #[serde(default)]
    #[schema(default = "timestamp")]
    timestamp_key: Option<String>,
    /// What joins the keys of nested objects into a field's name.
    #[serde(default = "default_flatten_separator")]
    #[schema(default = ".")]
    flatten_separator: String,
    /// How deep objects and arrays may be nested, at most 120.
    #[serde(default = "default_depth_max")]
    #[schema(default = "64", unit = "levels")]
    depth_max: usize,
    /// Keep the text of an object that is no envelope and has no `payload` as payload.
    #[serde(default = "default_keep_payload")]
    #[schema(default = "true")]
    keep_payload: bool,
}

fn default_flatten_separator() -> String {
    ".".to_owned()
}

fn default_depth_max() -> usize {
    64
}

fn default_keep_payload() -> bool {
    true
}

/// Reads JSON objects.
pub struct JsonDecoder {
    reader: JsonReader,
    odd_timestamps: Counter,
}

impl Decoder for JsonDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.timestamp_key.as_ref().is_some_and(String::is_empty) {
            faults.add("timestamp_key", "must not be empty");
        }
        if !(1..=DEPTH_MAX).contains(&config.depth_max) {
            faults.add("depth_max", format!("from 1 to {DEPTH_MAX}"));
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let options = ObjectOptions {
            timestamp_key: config.timestamp_key.filter(|key| key != "timestamp"),
            separator: config.flatten_separator,
            depth_max: config.depth_max,
        };
        Ok(JsonDecoder {
            reader: JsonReader::new(options, config.keep_payload),
            odd_timestamps: context.counter("odd_timestamps"),
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let mut builder = messages.message();
        let found = self.reader.read(frame.bytes(), &mut builder)?;
        builder.finish()?;
        if found.odd_timestamp {
            self.odd_timestamps.add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
