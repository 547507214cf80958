//! `<34>1 2003-10-11T22:14:15.003Z host app 123 ID [id name="value"] text`.
//!
//! Source: RFC 5424, 6.

use super::{APP_NAME, MSG_ID, Target};
use heka_plugin_api::{PluginError, Text, TextValue};
use heka_scalar::quote;
use heka_scalar::timestamp::{Zone, rfc3339};
use std::ops::Range;

/// Tells whether a version stands behind the priority: a number of at most three digits and a space.
pub fn has_version(rest: &[u8]) -> bool {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=3).contains(&digits) && rest[0] != b'0' && rest.get(digits) == Some(&b' ')
}

/// Reads what stands behind the priority.
pub fn read(
    target: &mut Target<'_, '_, '_>,
    start: usize,
    zone: &Zone,
    scratch: &mut Vec<u8>,
) -> Result<(), PluginError> {
    let line = target.line;
    if !has_version(&line[start..]) {
        return Err(misfit(line, start, "a version such as `1 `"));
    }
    let mut words = Words { line, at: start };
    words.next();
    let (time_at, time) = (words.at, words.next());
    if !is_nil(&line[time.clone()]) {
        let ns = rfc3339(&line[time], zone)
            .ok_or_else(|| misfit(line, time_at, "a time such as `2003-10-11T22:14:15Z`"))?;
        target.message.timestamp(ns);
    }
    let [host, app, process, id] = std::array::from_fn(|_| words.next());
    if id.is_empty() {
        return Err(misfit(line, id.start, "host, application, process and message id"));
    }
    if !is_nil(&line[host.clone()]) {
        target.hostname(host);
    }
    if !is_nil(&line[app.clone()]) {
        target.named(APP_NAME, app);
    }
    if !is_nil(&line[process.clone()]) {
        target.process(process);
    }
    if !is_nil(&line[id.clone()]) {
        target.named(MSG_ID, id);
    }
    let mut end = structured_data(target, words.at, scratch)?;
    match line.get(end) {
        None => return Ok(()),
        Some(b' ') => end += 1,
        Some(_) => return Err(misfit(line, end, "a space behind the structured data")),
    }
    if line[end..].starts_with(b"\xef\xbb\xbf") {
        end += 3;
    }
    target.payload(end..line.len());
    Ok(())
}

fn is_nil(word: &[u8]) -> bool {
    word == b"-"
}

/// The words of a line, one space apart.
struct Words<'l> {
    line: &'l [u8],
    at: usize,
}

impl Words<'_> {
    /// Takes the next word; empty at the end.
    fn next(&mut self) -> Range<usize> {
        let start = self.at.min(self.line.len());
        let len = self.line[start..].iter().position(|byte| *byte == b' ').unwrap_or(self.line.len() - start);
        self.at = start + len + 1;
        start..start + len
    }
}

/// Reads `-` or `[id name="value" …][…]` at `at`; returns where it ends.
fn structured_data(
    target: &mut Target<'_, '_, '_>,
    at: usize,
    scratch: &mut Vec<u8>,
) -> Result<usize, PluginError> {
    let line = target.line;
    match line.get(at) {
        Some(b'-') => return Ok(at + 1),
        Some(b'[') => {}
        _ => return Err(misfit(line, at.min(line.len()), "structured data or `-`")),
    }
    let mut at = at;
    while line.get(at) == Some(&b'[') {
        at = element(target, at + 1, scratch)?;
    }
    Ok(at)
}

/// Reads an element behind its `[`; returns where it ends.
fn element(
    target: &mut Target<'_, '_, '_>,
    start: usize,
    scratch: &mut Vec<u8>,
) -> Result<usize, PluginError> {
    let line = target.line;
    let id = name(line, start, b"the id of an element")?;
    let mut at = id.end;
    if line.get(at) == Some(&b']') {
        target.message.field_text(target.text.slice(id), Text::default(), TextValue::Bool(true));
        return Ok(at + 1);
    }
    loop {
        match line.get(at) {
            Some(b']') => return Ok(at + 1),
            Some(b' ') => at += 1,
            _ => return Err(misfit(line, at, "a space or `]`")),
        }
        // Some senders put a space before the bracket.
        if line.get(at) == Some(&b']') {
            continue;
        }
        let key = name(line, at, b"the name of a parameter")?;
        if line.get(key.end..key.end + 2) != Some(b"=\"") {
            return Err(misfit(line, key.end, "`=\"`"));
        }
        at = parameter(target, &id, &key, scratch)?;
    }
}

fn name(line: &[u8], start: usize, expected: &[u8]) -> Result<Range<usize>, PluginError> {
    let rest = line.get(start..).unwrap_or_default();
    let len = rest.iter().position(|byte| matches!(byte, b' ' | b'=' | b']' | b'"')).unwrap_or(rest.len());
    match len {
        0 => Err(misfit(line, start.min(line.len()), &String::from_utf8_lossy(expected))),
        len => Ok(start..start + len),
    }
}

/// Adds the parameter with this name, as a field `id.name`; returns where its value ends.
fn parameter(
    target: &mut Target<'_, '_, '_>,
    id: &Range<usize>,
    key: &Range<usize>,
    scratch: &mut Vec<u8>,
) -> Result<usize, PluginError> {
    let line = target.line;
    let start = key.end + 2;
    let (mut end, mut has_escapes) = (start, false);
    loop {
        let found = memchr::memchr2(b'"', b'\\', line.get(end..).unwrap_or_default());
        let Some(found) = found else { return Err(misfit(line, start - 1, "a value that ends with `\"`")) };
        end += found;
        if line[end] == b'"' {
            break;
        }
        has_escapes = true;
        end += 2;
    }
    scratch.clear();
    scratch.extend_from_slice(&line[id.clone()]);
    scratch.push(b'.');
    scratch.extend_from_slice(&line[key.clone()]);
    let name = target.message.text(scratch);
    let value = match has_escapes {
        false => target.text.slice(start..end),
        true => {
            unescape(&line[start..end], scratch);
            target.message.text(scratch)
        }
    };
    target.message.field_text(name, Text::default(), TextValue::String(value));
    Ok(end + 1)
}

/// Takes the backslashes before `"`, `\` and `]` out; others stay.
fn unescape(text: &[u8], unescaped: &mut Vec<u8>) {
    unescaped.clear();
    let mut at = 0;
    while at < text.len() {
        at += usize::from(text[at] == b'\\' && matches!(text.get(at + 1), Some(b'"' | b'\\' | b']')));
        unescaped.push(text[at]);
        at += 1;
    }
}

#[cold]
fn misfit(line: &[u8], at: usize, expected: &str) -> PluginError {
    PluginError::Message(format!(
        "column {}: `{}` where {expected} is expected",
        at + 1,
        quote(&line[at.min(line.len())..])
    ))
}
