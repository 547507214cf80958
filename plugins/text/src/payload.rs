//! Encoder `payload`: the payload, a line each.

use heka_plugin_api::{ByteWriter, Context, Encoder, Faults, Message, OptionType, PluginError, Schema, now};
use heka_scalar::timestamp::{TimeWriter, Zone};
use serde::Deserialize;

/// Writes the payload of each message, as a line.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether a newline follows each payload.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    append_newline: bool,
    /// Whether a time stands before each payload.
    #[serde(default)]
    #[schema(default = "false")]
    prefix_timestamp: bool,
    /// How that time is written: strftime, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us` or `epoch_ns`.
    #[serde(default = "default_timestamp_format")]
    #[schema(default = "[%Y/%b/%d:%H:%M:%S %z] ")]
    timestamp_format: String,
    /// Whether it is the message's time or that of writing.
    #[serde(default)]
    #[schema(default = "message")]
    timestamp_from: TimestampFrom,
    /// Zone of that time: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
}

/// Which time is written.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum TimestampFrom {
    /// The message's.
    #[default]
    Message,
    /// That of writing.
    Now,
}

fn default_timestamp_format() -> String {
    "[%Y/%b/%d:%H:%M:%S %z] ".to_owned()
}

/// Writes payloads.
pub struct PayloadEncoder {
    append_newline: bool,
    prefix: Option<TimeWriter>,
    timestamp_from: TimestampFrom,
}

impl Encoder for PayloadEncoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        match Zone::find(&config.timezone) {
            Err(reason) => faults.add("timezone", reason),
            Ok(zone) => {
                if let Err(reason) = TimeWriter::new(&config.timestamp_format, &zone) {
                    faults.add("timestamp_format", reason);
                }
            }
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let zone = Zone::find(&config.timezone).map_err(PluginError::Config)?;
        let writer = TimeWriter::new(&config.timestamp_format, &zone).map_err(PluginError::Config)?;
        Ok(PayloadEncoder {
            append_newline: config.append_newline,
            prefix: config.prefix_timestamp.then_some(writer),
            timestamp_from: config.timestamp_from,
        })
    }

    fn encode_message(
        &mut self,
        message: &Message<'_>,
        bytes: &mut ByteWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        if let Some(writer) = &mut self.prefix {
            let from_message = self.timestamp_from == TimestampFrom::Message;
            bytes.put(writer.write(if from_message { message.timestamp() } else { now() }));
        }
        bytes.put(message.payload());
        if self.append_newline {
            bytes.put_byte(b'\n');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{EncoderTest, message};

    fn encoded(toml: &str, payload: &[u8]) -> Vec<u8> {
        let message = message(|message| {
            message.timestamp(971_211_336_000_000_000).payload(payload);
        });
        EncoderTest::<PayloadEncoder>::open(toml).unwrap().encode(&message).unwrap()
    }

    #[test]
    fn payloads_become_lines() {
        assert_eq!(encoded("", b"hello"), b"hello\n");
        assert_eq!(encoded("", b""), b"\n");
        assert_eq!(encoded("append_newline = false", b"a\0\xff"), b"a\0\xff");
    }

    #[test]
    fn a_time_stands_before_if_asked_for() {
        assert_eq!(encoded("prefix_timestamp = true", b"x"), b"[2000/Oct/10:20:55:36 +0000] x\n");
        let berlin = "prefix_timestamp = true\ntimezone = 'Europe/Berlin'\ntimestamp_format = '%H:%M '";
        assert_eq!(encoded(berlin, b"x"), b"22:55 x\n");
        let now = "prefix_timestamp = true\ntimestamp_from = 'now'\ntimestamp_format = '%Y '";
        let year: i32 = String::from_utf8(encoded(now, b"x")).unwrap()[..4].parse().unwrap();
        assert!(year >= 2024);
    }

    #[test]
    fn bad_formats_and_zones_are_faults() {
        let faults = |toml: &str| EncoderTest::<PayloadEncoder>::faults(toml);
        assert!(faults("timestamp_format = '%K'")[0].starts_with("timestamp_format: "));
        assert!(faults("timezone = 'Mars'")[0].starts_with("timezone: no time zone `Mars`"));
        assert!(faults("timestamp_from = 'then'")[0].contains("unknown variant `then`"));
    }
}
