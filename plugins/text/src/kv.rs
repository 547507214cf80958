//! Decoder `kv`: pairs of keys and values with separators of one's own.

mod splitting;

use crate::logfmt::unescape;
use crate::pair::{Pair, Pairs, Types};
use heka_plugin_api::{
    Context, Decoder, Faults, Frame, MessageBuilder, MessageWriter, OptionType, PluginError, Schema, Text,
    TextValue,
};
use heka_scalar::timestamp::TimeReader;
use serde::Deserialize;
use splitting::{Splitting, Value};

/// Makes fields of keys and values, with separators, quotes and prefixes of one's own.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Text between a key and its value.
    #[serde(default = "default_key_separator")]
    #[schema(default = "=")]
    key_separator: String,
    /// Text between pairs; where it is white space, any run of white space is one.
    #[serde(default = "default_pair_separator")]
    #[schema(default = " ")]
    pair_separator: String,
    /// Characters that may stand around a value; in it, a backslash escapes.
    #[serde(default = "default_quotes")]
    #[schema(default = "\"")]
    quotes: String,
    /// Text behind which the pairs begin, or none for the line's beginning.
    #[serde(default)]
    #[schema(default = "")]
    behind: String,
    /// Characters that are cut off both ends of keys.
    #[serde(default)]
    #[schema(default = "")]
    trim_keys: String,
    /// Characters that are cut off both ends of values without quotes.
    #[serde(default)]
    #[schema(default = "")]
    trim_values: String,
    /// Text that is put before the name of every field.
    #[serde(default)]
    #[schema(default = "")]
    prefix: String,
    /// What becomes of a word without a separator: `flag` makes a field that is true, `ignore` none, `refuse` refuses the line.
    #[serde(default)]
    #[schema(default = "flag")]
    lone_keys: LoneKeys,
    /// Keys that become fields; all where there are none.
    #[serde(default)]
    #[schema(default = "[]")]
    include: Vec<String>,
    /// Keys that don't.
    #[serde(default)]
    #[schema(default = "[]")]
    exclude: Vec<String>,
    /// Whether values without quotes that look like numbers, `true` or `false` become such: `auto`, or `text` for never.
    #[serde(default)]
    #[schema(default = "auto")]
    types: Types,
    /// Keys whose value is the message's time; the first one that can be read counts.
    #[serde(default = "crate::pair::timestamp_keys")]
    #[schema(default = "[\"ts\", \"time\", \"timestamp\"]")]
    timestamp_keys: Vec<String>,
    /// Format of that time: strftime, `auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us` or `epoch_ns`.
    #[serde(default = "crate::defaults::timestamp_format")]
    #[schema(default = "auto")]
    timestamp_format: String,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Keys whose value is the severity.
    #[serde(default = "crate::pair::severity_keys")]
    #[schema(default = "[\"level\", \"lvl\"]")]
    severity_keys: Vec<String>,
    /// Keys whose value is the payload; without one it is the line as it was read.
    #[serde(default = "crate::pair::payload_keys")]
    #[schema(default = "[\"msg\"]")]
    payload_keys: Vec<String>,
}

/// What becomes of a word without a separator.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum LoneKeys {
    /// A field that is true.
    #[default]
    Flag,
    /// Nothing.
    Ignore,
    /// The line is refused.
    Refuse,
}

fn default_key_separator() -> String {
    "=".to_owned()
}

fn default_pair_separator() -> String {
    " ".to_owned()
}

fn default_quotes() -> String {
    "\"".to_owned()
}

/// Reads pairs of keys and values.
pub struct KvDecoder {
    splitting: Splitting,
    prefix: Vec<u8>,
    lone_keys: LoneKeys,
    include: Vec<String>,
    exclude: Vec<String>,
    pairs: Pairs,
    unescaped: Vec<u8>,
    name: Vec<u8>,
}

impl Decoder for KvDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        for (option, text) in
            [("key_separator", &config.key_separator), ("pair_separator", &config.pair_separator)]
        {
            if text.is_empty() {
                faults.add(option, "must not be empty");
            }
        }
        if !config.key_separator.is_empty() && config.key_separator.trim() == config.pair_separator.trim() {
            faults
                .add("key_separator", "is the same as `pair_separator`; nothing would tell keys from values");
        }
        for (option, text) in [
            ("quotes", &config.quotes),
            ("trim_keys", &config.trim_keys),
            ("trim_values", &config.trim_values),
        ] {
            if !text.is_ascii() {
                faults.add(option, format!("`{text}` has characters beyond ASCII"));
            }
        }
        TimeReader::check(&config.timestamp_format, &config.timezone, faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let splitting = Splitting::new(
            &config.key_separator,
            &config.pair_separator,
            &config.quotes,
            &config.behind,
            [&config.trim_keys, &config.trim_values],
        );
        Ok(KvDecoder {
            splitting,
            prefix: config.prefix.into_bytes(),
            lone_keys: config.lone_keys,
            include: config.include,
            exclude: config.exclude,
            pairs: Pairs {
                types: config.types,
                timestamp_keys: config.timestamp_keys,
                severity_keys: config.severity_keys,
                payload_keys: config.payload_keys,
                time: TimeReader::open(&config.timestamp_format, &config.timezone)?,
            },
            unescaped: Vec::new(),
            name: Vec::new(),
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = frame.bytes();
        let mut message = messages.message();
        let text = message.text(line);
        message.payload_text(text);
        let (mut at, mut pairs, mut is_timed) = (self.splitting.start(line)?, 0, false);
        while let Some(part) = self.splitting.next(line, at)? {
            at = part.end;
            let key = &line[part.key.clone()];
            if matches!(part.value, Value::None) && self.lone_keys == LoneKeys::Refuse {
                return Err(splitting::lone_key(&self.splitting, line, part.key));
            }
            pairs += 1;
            if !self.is_wanted(key) {
                continue;
            }
            let name = self.name(&mut message, key, text.slice(part.key.clone()));
            let (value, value_text, is_bare) = match part.value {
                Value::None => {
                    if self.lone_keys == LoneKeys::Flag {
                        message.field_text(name, Text::default(), TextValue::Bool(true));
                    }
                    continue;
                }
                Value::Bare(range) => (&line[range.clone()], text.slice(range), true),
                Value::Quoted(range) => (&line[range.clone()], text.slice(range), false),
                Value::Escaped(range) => {
                    unescape(&line[range], &mut self.unescaped);
                    (&self.unescaped[..], message.text(&self.unescaped), false)
                }
            };
            let pair = Pair { key, name, value, text: value_text, is_bare };
            self.pairs.put(&pair, &mut message, &mut is_timed);
        }
        if pairs == 0 {
            return Err(PluginError::message("the line has no key"));
        }
        message.finish()
    }
}

impl KvDecoder {
    fn is_wanted(&self, key: &[u8]) -> bool {
        let is_in = |keys: &[String]| keys.iter().any(|known| known.as_bytes() == key);
        (self.include.is_empty() || is_in(&self.include)) && !is_in(&self.exclude)
    }

    /// Returns a field's name, with the prefix if there is one.
    fn name(&mut self, message: &mut MessageBuilder<'_>, key: &[u8], text: Text) -> Text {
        if self.prefix.is_empty() {
            return text;
        }
        self.name.clone_from(&self.prefix);
        self.name.extend_from_slice(key);
        message.text(&self.name)
    }
}

#[cfg(test)]
mod tests;
