//! Pairs of keys and values, and where they go in a message.

use heka_plugin_api::{MessageBuilder, OptionType, Text, TextValue};
use heka_scalar::timestamp::TimeReader;
use heka_scalar::{number, severity};
use serde::Deserialize;

/// Whether values have types.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
pub enum Types {
    /// As they look.
    #[default]
    Auto,
    /// All are text.
    Text,
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The keys of the time, unless others are named.
pub fn timestamp_keys() -> Vec<String> {
    owned(&["ts", "time", "timestamp"])
}

/// The keys of the severity, unless others are named.
pub fn severity_keys() -> Vec<String> {
    owned(&["level", "lvl"])
}

/// The keys of the payload, unless others are named.
pub fn payload_keys() -> Vec<String> {
    owned(&["msg"])
}

/// One pair of a line.
pub struct Pair<'l> {
    /// The key as the line has it.
    pub key: &'l [u8],
    /// The field's name, inside the message already.
    pub name: Text,
    /// The value without quotes and escapes.
    pub value: &'l [u8],
    /// The same, inside the message already.
    pub text: Text,
    /// Whether it had no quotes.
    pub is_bare: bool,
}

/// What is done with pairs.
pub struct Pairs {
    pub types: Types,
    pub timestamp_keys: Vec<String>,
    pub severity_keys: Vec<String>,
    pub payload_keys: Vec<String>,
    pub time: TimeReader,
}

impl Pairs {
    /// Puts a pair into a message. The first time that can be read counts; times and severities that can't be read
    /// become fields.
    #[inline]
    pub fn put(&mut self, pair: &Pair<'_>, message: &mut MessageBuilder<'_>, is_timed: &mut bool) {
        let is_one_of = |keys: &[String]| keys.iter().any(|known| known.as_bytes() == pair.key);
        if is_one_of(&self.payload_keys) {
            message.payload_text(pair.text);
            return;
        }
        if !*is_timed
            && is_one_of(&self.timestamp_keys)
            && let Some(ns) = self.time.read(pair.value)
        {
            message.timestamp(ns);
            *is_timed = true;
            return;
        }
        if is_one_of(&self.severity_keys)
            && let Some(severity) = severity::find(pair.value)
        {
            message.severity(severity);
            return;
        }
        let is_typed = self.types == Types::Auto && pair.is_bare;
        let value = is_typed.then(|| typed(pair.value)).flatten().unwrap_or(TextValue::String(pair.text));
        message.field_text(pair.name, Text::default(), value);
    }
}

/// Reads a value that looks like a number, `true` or `false`.
#[inline]
fn typed(value: &[u8]) -> Option<TextValue> {
    match value.first()? {
        b'0'..=b'9' | b'-' | b'+' | b'.' => number::integer(value)
            .map(TextValue::Integer)
            .or_else(|| number::double(value).map(TextValue::Double)),
        b't' | b'f' => match value {
            b"true" => Some(TextValue::Bool(true)),
            b"false" => Some(TextValue::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}
