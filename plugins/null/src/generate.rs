//! Input `generate`: makes messages of a given size, number and rate.

use heka_plugin_api::{
    Context, Faults, Input, PluginError, Read, Reader, Schema, StopSignal, Text, TextValue,
};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Messages made in one call; as many as fit into a batch.
const CALL_MESSAGES: u64 = 256;
/// Length of the text fields.
const TEXT_BYTES: usize = 10;

/// Makes messages, for benchmarks and for trying things.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many messages to make; 0 goes on for ever.
    #[serde(default)]
    #[schema(default = "0", unit = "messages")]
    count: u64,
    /// How many to make in a second; 0 for as many as the pipeline takes.
    #[serde(default)]
    #[schema(default = "0", unit = "messages/s")]
    rate: u64,
    /// Length of the payload.
    #[serde(default = "default_payload_bytes")]
    #[schema(default = "100", unit = "bytes")]
    payload_bytes: usize,
    /// How many fields each message has: in turn a text, an integer and a double.
    #[serde(default)]
    #[schema(default = "0", unit = "fields")]
    fields: usize,
}

fn default_payload_bytes() -> usize {
    100
}

/// Makes messages.
pub struct GenerateInput {
    config: Config,
    letters: Vec<u8>,
    names: Vec<String>,
    made: u64,
    started: Option<Instant>,
    stop: StopSignal,
}

impl Input for GenerateInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.payload_bytes > 1 << 20 {
            faults.add("payload_bytes", "at most 1048576");
        }
        if config.fields > 1_000 {
            faults.add("fields", "at most 1000");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let letters = (b'a'..=b'z').cycle().take(config.payload_bytes.max(TEXT_BYTES + 16)).collect();
        let names = (1..=config.fields).map(|number| format!("field_{number}")).collect();
        Ok(GenerateInput { config, letters, names, made: 0, started: None, stop: context.stop_signal() })
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        _: &mut Context,
    ) -> Result<Read, PluginError> {
        let left = if self.config.count == 0 { u64::MAX } else { self.config.count - self.made };
        if left == 0 || self.stop.is_raised() {
            return Ok(Read::End);
        }
        let due = self.due(timeout).min(left).min(CALL_MESSAGES);
        if due == 0 {
            return Ok(Read::Idle);
        }
        let mut messages = reader.messages();
        for _ in 0..due {
            let number = self.made;
            self.made += 1;
            let mut message = messages.message();
            let letters = message.text(&self.letters);
            message.payload_text(letters.slice(0..self.config.payload_bytes));
            for (index, name) in self.names.iter().enumerate() {
                let name = message.text(name.as_bytes());
                message.field_text(name, Text::default(), value(index, number, letters));
            }
            message.finish()?;
        }
        Ok(Read::Some)
    }
}

impl GenerateInput {
    /// How many messages the rate allows now, after waiting for the next one at most `timeout`.
    fn due(&mut self, timeout: Duration) -> u64 {
        if self.config.rate == 0 {
            return u64::MAX;
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        let next_at = Duration::from_nanos(
            (u128::from(self.made) * 1_000_000_000 / u128::from(self.config.rate)) as u64,
        );
        if let Some(wait) = next_at.checked_sub(started.elapsed()) {
            std::thread::sleep(wait.min(timeout));
        }
        let allowed = started.elapsed().as_nanos() * u128::from(self.config.rate) / 1_000_000_000 + 1;
        (allowed as u64).saturating_sub(self.made)
    }
}

/// Value of field `index` of message `number`: in turn a piece of the letters, the number, half the number.
fn value(index: usize, number: u64, letters: Text) -> TextValue {
    match index % 3 {
        0 => TextValue::String(letters.slice((number % 16) as usize..(number % 16) as usize + TEXT_BYTES)),
        1 => TextValue::Integer(number as i64),
        _ => TextValue::Double(number as f64 / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::Value;
    use heka_plugin_api::testing::InputTest;

    fn made(toml: &str) -> Vec<heka_plugin_api::OwnedMessage> {
        let mut input = InputTest::<GenerateInput>::open(toml).unwrap();
        input.start().unwrap();
        input.read_until(|_, _, read| read == Read::End).unwrap().1
    }

    #[test]
    fn count_size_and_fields_are_as_asked() {
        let messages = made("count = 300\npayload_bytes = 7\nfields = 4");
        assert_eq!(messages.len(), 300);
        let last = messages[299].view();
        assert_eq!((last.payload(), last.message_type()), (&b"abcdefg"[..], &b"test"[..]));
        let values: Vec<_> = last.fields().map(|field| field.value(0).unwrap()).collect();
        let letters = Value::String(b"lmnopqrstu");
        assert_eq!(values, [letters, Value::Integer(299), Value::Double(149.5), letters]);
    }

    #[test]
    fn the_rate_is_kept() {
        let started = Instant::now();
        assert_eq!(made("count = 21\nrate = 200").len(), 21);
        assert!(started.elapsed() >= Duration::from_millis(95));
    }

    #[test]
    fn limits_are_faults() {
        let faults = InputTest::<GenerateInput>::faults("payload_bytes = 1048577\nfields = 1001");
        assert_eq!(faults, ["payload_bytes: at most 1048576", "fields: at most 1000"]);
    }
}
