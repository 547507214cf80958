//! Decoder `logfmt`: `key=value key="quoted value" flag`.

use heka_plugin_api::{
    Context, Decoder, Faults, Frame, MessageBuilder, MessageWriter, OptionType, PluginError, Schema, Text,
    TextValue,
};
use heka_scalar::quote;
use heka_scalar::timestamp::{TimeReader, Zone};
use heka_scalar::{number, severity};
use serde::Deserialize;
use std::ops::Range;

/// Makes fields of `key=value` pairs; the time, the level and the message go to the header.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether values without quotes that look like numbers, `true` or `false` become such: `auto`, or `text` for never.
    #[serde(default)]
    #[schema(default = "auto")]
    types: Types,
    /// Keys whose value is the message's time; the first one that can be read counts.
    #[serde(default = "default_timestamp_keys")]
    #[schema(default = "[\"ts\", \"time\", \"timestamp\"]")]
    timestamp_keys: Vec<String>,
    /// Format of that time: strftime, `auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us` or `epoch_ns`.
    #[serde(default = "default_timestamp_format")]
    #[schema(default = "auto")]
    timestamp_format: String,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "default_timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Keys whose value is the severity.
    #[serde(default = "default_severity_keys")]
    #[schema(default = "[\"level\", \"lvl\"]")]
    severity_keys: Vec<String>,
    /// Keys whose value is the payload; without one it is the line as it was read.
    #[serde(default = "default_payload_keys")]
    #[schema(default = "[\"msg\"]")]
    payload_keys: Vec<String>,
}

/// Whether values have types.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum Types {
    /// As they look.
    #[default]
    Auto,
    /// All are text.
    Text,
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn default_timestamp_keys() -> Vec<String> {
    owned(&["ts", "time", "timestamp"])
}

fn default_severity_keys() -> Vec<String> {
    owned(&["level", "lvl"])
}

fn default_payload_keys() -> Vec<String> {
    owned(&["msg"])
}

fn default_timestamp_format() -> String {
    "auto".to_owned()
}

fn default_timezone() -> String {
    "UTC".to_owned()
}

/// Reads logfmt.
pub struct LogfmtDecoder {
    types: Types,
    timestamp_keys: Vec<String>,
    severity_keys: Vec<String>,
    payload_keys: Vec<String>,
    time: TimeReader,
    unescaped: Vec<u8>,
}

impl Decoder for LogfmtDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        TimeReader::check(&config.timestamp_format, &config.timezone, faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let zone = Zone::find(&config.timezone).map_err(PluginError::Config)?;
        Ok(LogfmtDecoder {
            types: config.types,
            timestamp_keys: config.timestamp_keys,
            severity_keys: config.severity_keys,
            payload_keys: config.payload_keys,
            time: TimeReader::new(&config.timestamp_format, zone).map_err(PluginError::Config)?,
            unescaped: Vec::new(),
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
        let (mut at, mut pairs, mut is_timed) = (0, 0, false);
        while let Some(pair) = next_pair(line, at)? {
            self.add(&pair, line, text, &mut message, &mut is_timed);
            at = pair.end;
            pairs += 1;
        }
        if pairs == 0 {
            return Err(PluginError::message("the line is empty"));
        }
        message.finish()
    }
}

/// One `key=value` of a line.
struct Pair {
    key: Range<usize>,
    value: PairValue,
    /// Where the next one may begin.
    end: usize,
}

#[derive(Clone)]
enum PairValue {
    /// A key alone.
    Flag,
    Bare(Range<usize>),
    Quoted {
        inside: Range<usize>,
        has_escapes: bool,
    },
}

impl LogfmtDecoder {
    fn add(
        &mut self,
        pair: &Pair,
        line: &[u8],
        text: Text,
        message: &mut MessageBuilder<'_>,
        is_timed: &mut bool,
    ) {
        let (key, name) = (&line[pair.key.clone()], text.slice(pair.key.clone()));
        let (value, value_text) = match &pair.value {
            PairValue::Flag => {
                message.field_text(name, Text::default(), TextValue::Bool(true));
                return;
            }
            PairValue::Quoted { inside, has_escapes: true } => {
                unescape(&line[inside.clone()], &mut self.unescaped);
                (&self.unescaped[..], message.text(&self.unescaped))
            }
            PairValue::Quoted { inside: range, .. } | PairValue::Bare(range) => {
                (&line[range.clone()], text.slice(range.clone()))
            }
        };
        let is_one_of = |keys: &[String]| keys.iter().any(|known| known.as_bytes() == key);
        if is_one_of(&self.payload_keys) {
            message.payload_text(value_text);
            return;
        }
        if !*is_timed
            && is_one_of(&self.timestamp_keys)
            && let Some(ns) = self.time.read(value)
        {
            message.timestamp(ns);
            *is_timed = true;
            return;
        }
        if is_one_of(&self.severity_keys)
            && let Some(severity) = severity::find(value)
        {
            message.severity(severity);
            return;
        }
        let is_typed = self.types == Types::Auto && matches!(pair.value, PairValue::Bare(_));
        match is_typed.then(|| typed(value)).flatten() {
            Some(typed) => message.field_text(name, Text::default(), typed),
            None => message.field_text(name, Text::default(), TextValue::String(value_text)),
        };
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

/// Finds the pair at `at` or behind the spaces there; `None` at the end.
#[inline]
fn next_pair(line: &[u8], at: usize) -> Result<Option<Pair>, PluginError> {
    let Some(spaces) = line[at..].iter().position(|byte| *byte > b' ') else { return Ok(None) };
    let start = at + spaces;
    let rest = &line[start..];
    let len = rest.iter().position(|byte| matches!(byte, 0..=b' ' | b'=' | b'"')).unwrap_or(rest.len());
    let (key, end) = (start..start + len, start + len);
    if len == 0 || rest.get(len) == Some(&b'"') {
        return Err(misplaced(line, end));
    }
    if rest.get(len) != Some(&b'=') {
        return Ok(Some(Pair { key, value: PairValue::Flag, end }));
    }
    let value_at = end + 1;
    if line.get(value_at) == Some(&b'"') {
        let (value, end) = quoted(line, value_at)?;
        return Ok(Some(Pair { key, value, end }));
    }
    let value_len = line[value_at..].iter().position(|byte| *byte <= b' ').unwrap_or(line.len() - value_at);
    let end = value_at + value_len;
    Ok(Some(Pair { key, value: PairValue::Bare(value_at..end), end }))
}

/// Finds the end of the quoted value whose opening quote is at `at`.
#[inline]
fn quoted(line: &[u8], at: usize) -> Result<(PairValue, usize), PluginError> {
    let start = at + 1;
    let (mut end, mut has_escapes) = (start, false);
    while let Some(found) = memchr::memchr2(b'"', b'\\', line.get(end..).unwrap_or_default()) {
        end += found;
        if line[end] == b'"' {
            return Ok((PairValue::Quoted { inside: start..end, has_escapes }, end + 1));
        }
        has_escapes = true;
        end += 2;
    }
    Err(PluginError::Message(format!(
        "no `\"` ends the value that begins at column {}: `{}`",
        at + 1,
        quote(&line[at..])
    )))
}

#[cold]
fn misplaced(line: &[u8], at: usize) -> PluginError {
    let byte = quote(&line[at..at + 1]);
    PluginError::Message(format!(
        "`{byte}` at column {} where a key is expected: `{}`",
        at + 1,
        quote(&line[at..])
    ))
}

/// Takes the escapes out of a quoted value, as JSON has them; unknown ones stay.
fn unescape(text: &[u8], unescaped: &mut Vec<u8>) {
    unescaped.clear();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        unescaped.extend_from_slice(&rest[..at]);
        let Some(letter) = rest.get(at + 1) else {
            rest = &rest[at..];
            break;
        };
        let (made, len) = match letter {
            b'n' => ('\n', 2),
            b't' => ('\t', 2),
            b'r' => ('\r', 2),
            b'"' | b'\\' | b'/' => (char::from(*letter), 2),
            b'u' => match code_point(&rest[at + 2..]) {
                Some(letter) => (letter, 6),
                None => ('\\', 1),
            },
            _ => ('\\', 1),
        };
        unescaped.extend_from_slice(made.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + len..];
    }
    unescaped.extend_from_slice(rest);
}

fn code_point(text: &[u8]) -> Option<char> {
    let digits = std::str::from_utf8(text.get(..4)?).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?)
}

#[cfg(test)]
mod tests;
