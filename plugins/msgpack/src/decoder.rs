//! Decoder `msgpack`: MessagePack maps → messages.

use crate::extent::value_len;
use heka_object::{ObjectOptions, ObjectReader};
use heka_plugin_api::{
    Context, Counter, Decoder, Faults, Frame, MessageBuilder, MessageWriter, PluginError, Schema,
};
use rmp_serde::decode::Error;
use serde::Deserialize;

/// Greatest nesting that the options may allow.
const DEPTH_MAX: usize = 120;

/// Reads MessagePack maps, one or several in a frame.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Key of the time: a timestamp, an RFC 3339 text, or seconds, milli-, micro- or nanoseconds since the epoch.
    #[serde(default)]
    #[schema(default = "timestamp")]
    timestamp_key: Option<String>,
    /// What joins the keys of nested maps into a field's name.
    #[serde(default = "default_flatten_separator")]
    #[schema(default = ".")]
    flatten_separator: String,
    /// How deep maps and arrays may be nested, at most 120.
    #[serde(default = "default_depth_max")]
    #[schema(default = "64", unit = "levels")]
    depth_max: usize,
}

fn default_flatten_separator() -> String {
    ".".to_owned()
}

fn default_depth_max() -> usize {
    64
}

/// Reads MessagePack maps.
pub struct MsgpackDecoder {
    objects: ObjectReader,
    broken: Counter,
    odd_timestamps: Counter,
}

impl Decoder for MsgpackDecoder {
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
        let objects = ObjectReader::new(ObjectOptions {
            timestamp_key: config.timestamp_key.filter(|key| key != "timestamp"),
            separator: config.flatten_separator,
            depth_max: config.depth_max,
        });
        let (broken, odd_timestamps) = (context.counter("broken"), context.counter("odd_timestamps"));
        Ok(MsgpackDecoder { objects, broken, odd_timestamps })
    }

    /// Broken maps don't keep the good ones from passing, up to one that does not end.
    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let mut rest = frame.bytes();
        let (mut good, mut broken, mut first_reason) = (0, 0, None);
        loop {
            let left = rest.len();
            let mut builder = messages.message();
            match self.read(&mut rest, &mut builder).and_then(|()| builder.finish()) {
                Ok(()) => good += 1,
                Err(PluginError::Message(reason)) => {
                    broken += 1;
                    first_reason.get_or_insert(reason);
                }
                Err(error) => return Err(error),
            }
            if rest.is_empty() || rest.len() == left {
                break;
            }
        }
        match first_reason {
            // The host counts this frame as failed.
            Some(reason) if good == 0 => Err(PluginError::Message(reason)),
            _ => {
                self.broken.add(broken);
                Ok(())
            }
        }
    }
}

impl MsgpackDecoder {
    /// Reads one map off the front of `rest`.
    fn read(&mut self, rest: &mut &[u8], builder: &mut MessageBuilder<'_>) -> Result<(), PluginError> {
        let Some((map, behind)) = value_len(rest).and_then(|len| rest.split_at_checked(len)) else {
            return Err(PluginError::message("not a MessagePack map: ends in the middle"));
        };
        *rest = behind;
        let text = builder.text(map);
        let mut source = rmp_serde::Deserializer::from_read_ref(map);
        let read = self.objects.read(&mut source, map, text, builder);
        let found = read
            .map_err(|error| PluginError::message(format!("not a MessagePack map: {}", readable(&error))))?;
        if found.odd_timestamp {
            self.odd_timestamps.add(1);
        }
        Ok(())
    }
}

/// Says a failure in words that need no knowledge of the library.
fn readable(error: &Error) -> String {
    match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "ends in the middle".to_owned(),
        Error::DepthLimitExceeded => "nested too deep".to_owned(),
        Error::Uncategorized(text) | Error::Syntax(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
