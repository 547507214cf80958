//! Decoder `logfmt`: `key=value key="quoted value" flag`.

use crate::pair::{Pair, Pairs, Types};
use heka_plugin_api::{Context, Decoder, Faults, Frame, MessageWriter, PluginError, Schema, Text, TextValue};
use heka_scalar::quote;
use heka_scalar::timestamp::TimeReader;
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

/// Reads logfmt.
pub struct LogfmtDecoder {
    pairs: Pairs,
    unescaped: Vec<u8>,
}

impl Decoder for LogfmtDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        TimeReader::check(&config.timestamp_format, &config.timezone, faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(LogfmtDecoder {
            pairs: Pairs {
                types: config.types,
                timestamp_keys: config.timestamp_keys,
                severity_keys: config.severity_keys,
                payload_keys: config.payload_keys,
                time: TimeReader::open(&config.timestamp_format, &config.timezone)?,
            },
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
            let name = text.slice(pair.key.clone());
            let (value, value_text, is_bare) = match &pair.value {
                PairValue::Flag => {
                    message.field_text(name, Text::default(), TextValue::Bool(true));
                    (at, pairs) = (pair.end, pairs + 1);
                    continue;
                }
                PairValue::Quoted { inside, has_escapes: true } => {
                    unescape(&line[inside.clone()], &mut self.unescaped);
                    (&self.unescaped[..], message.text(&self.unescaped), false)
                }
                PairValue::Quoted { inside, .. } => {
                    (&line[inside.clone()], text.slice(inside.clone()), false)
                }
                PairValue::Bare(range) => (&line[range.clone()], text.slice(range.clone()), true),
            };
            let found = Pair { key: &line[pair.key.clone()], name, value, text: value_text, is_bare };
            self.pairs.put(&found, &mut message, &mut is_timed);
            at = pair.end;
            pairs += 1;
        }
        if pairs == 0 {
            return Err(PluginError::message("the line is empty"));
        }
        message.finish()
    }
}

/// Where one `key=value` of a line is.
struct Place {
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

/// Finds the pair at `at` or behind the spaces there; `None` at the end.
#[inline]
fn next_pair(line: &[u8], at: usize) -> Result<Option<Place>, PluginError> {
    let Some(spaces) = line[at..].iter().position(|byte| *byte > b' ') else { return Ok(None) };
    let start = at + spaces;
    let rest = &line[start..];
    let len = rest.iter().position(|byte| matches!(byte, 0..=b' ' | b'=' | b'"')).unwrap_or(rest.len());
    let (key, end) = (start..start + len, start + len);
    if len == 0 || rest.get(len) == Some(&b'"') {
        return Err(misplaced(line, end));
    }
    if rest.get(len) != Some(&b'=') {
        return Ok(Some(Place { key, value: PairValue::Flag, end }));
    }
    let value_at = end + 1;
    if line.get(value_at) == Some(&b'"') {
        let (value, end) = quoted(line, value_at)?;
        return Ok(Some(Place { key, value, end }));
    }
    let value_len = line[value_at..].iter().position(|byte| *byte <= b' ').unwrap_or(line.len() - value_at);
    let end = value_at + value_len;
    Ok(Some(Place { key, value: PairValue::Bare(value_at..end), end }))
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
pub fn unescape(text: &[u8], unescaped: &mut Vec<u8>) {
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
