//! Reads the lines of a compiled log format.

use super::field::Kind;
use super::format::{LineFormat, Step};
use heka_plugin_api::{MessageBuilder, MessageWriter, PluginError, Text, TextValue};
use heka_scalar::number;
use heka_scalar::timestamp::{ClfReader, SECOND_NS, TimeReader, Zone, epoch, rfc3339};
use std::ops::Range;

/// Bytes that are looked through before the library's search is called: it pays for longer fields only.
const NEAR_BYTES: usize = 16;

/// Reads lines, one message each.
pub struct LineReader {
    format: LineFormat,
    keep_payload: bool,
    clf: ClfReader,
    strftimes: Vec<TimeReader>,
    zone: Zone,
}

impl LineReader {
    /// Makes a reader; with `keep_payload` the line becomes the payload. `zone` is for times that don't say theirs.
    ///
    /// # Errors
    /// [`PluginError::Config`] if a time's format can't be read.
    pub fn new(format: LineFormat, keep_payload: bool, zone: Zone) -> Result<LineReader, PluginError> {
        let reader = |format: &String| TimeReader::new(format, zone.clone()).map_err(PluginError::Config);
        let strftimes = format.strftimes.iter().map(reader).collect::<Result<_, _>>()?;
        Ok(LineReader { format, keep_payload, clf: ClfReader::default(), strftimes, zone })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`PluginError::Message`] if it doesn't fit the format, with the field and the column.
    #[inline]
    pub fn read(&mut self, frame: &[u8], messages: &mut MessageWriter<'_>) -> Result<(), PluginError> {
        let line = frame.strip_suffix(b"\r").unwrap_or(frame);
        if !is_start(line, &self.format.start) {
            return Err(self.format.unstarted(line));
        }
        let mut message = messages.message();
        let mut target = Target {
            text: message.text(frame),
            names: message.text(&self.format.names),
            message: &mut message,
        };
        if self.keep_payload {
            target.message.payload_text(target.text);
        }
        let mut at = self.format.start.len();
        for (index, step) in self.format.steps.iter().enumerate() {
            let Some(len) = field_len(&line[at..], step) else {
                return Err(self.format.unended(index, line, at));
            };
            let range = at..at + len;
            at = range.end + step.end.len();
            let value = &line[range.clone()];
            if value.is_empty() || value == b"-" {
                continue;
            }
            if self.format.clock == Some(index) {
                let ns = time(value, step.kind, &mut self.clf, &mut self.strftimes, &self.zone);
                let Some(ns) = ns else {
                    return Err(self.format.misread(index, range.start, value, "a time"));
                };
                target.message.timestamp(ns);
            }
            if let Err(expected) = target.field(step, value, range.clone()) {
                return Err(self.format.misread(index, range.start, value, expected));
            }
        }
        if at != line.len() {
            return Err(self.format.left_over(line, at));
        }
        message.finish()
    }
}

/// A message whose texts are parts of one line.
struct Target<'m, 'w> {
    message: &'m mut MessageBuilder<'w>,
    text: Text,
    names: Text,
}

impl Target<'_, '_> {
    /// Adds what a step has read; says what was expected where it is something else.
    #[inline(always)]
    fn field(&mut self, step: &Step, value: &[u8], range: Range<usize>) -> Result<(), &'static str> {
        // Each arm adds its own: a value that is put together first costs a stalled load.
        match step.kind {
            Kind::Text | Kind::ClfTime | Kind::Rfc3339Time | Kind::StrftimeTime(_) => {
                self.text(&step.name, range)
            }
            Kind::Integer | Kind::EpochMsTime | Kind::EpochUsTime => {
                self.push(&step.name, TextValue::Integer(number::integer(value).ok_or("a whole number")?));
            }
            Kind::Double | Kind::EpochTime => {
                self.push(&step.name, TextValue::Double(number::double(value).ok_or("a number")?));
            }
            Kind::DoubleOrList => match number::double(value) {
                Some(number) => self.push(&step.name, TextValue::Double(number)),
                None => self.text(&step.name, range),
            },
            Kind::IntegerOrList => match number::integer(value) {
                Some(number) => self.push(&step.name, TextValue::Integer(number)),
                None => self.text(&step.name, range),
            },
            Kind::Request => self.request(step, value, range),
            Kind::PathAndQuery => self.path_and_query(step, value, range),
        }
        Ok(())
    }

    /// Adds a part of the line.
    #[inline(always)]
    fn text(&mut self, name: &Range<usize>, part: Range<usize>) {
        self.push(name, TextValue::String(self.text.slice(part)));
    }

    #[inline(always)]
    fn push(&mut self, name: &Range<usize>, value: TextValue) {
        self.message.field_text(self.names.slice(name.clone()), Text::default(), value);
    }

    /// Adds a request line and, if it is one, its parts.
    #[inline]
    fn request(&mut self, step: &Step, value: &[u8], range: Range<usize>) {
        self.text(&step.name, range.clone());
        let Some([method, path, protocol]) = request_parts(value) else { return };
        for (name, part) in step.parts.iter().zip([method, path, protocol]) {
            self.text(name, range.start + part.start..range.start + part.end);
        }
    }

    fn path_and_query(&mut self, step: &Step, value: &[u8], range: Range<usize>) {
        let len = memchr::memchr(b'?', value).unwrap_or(value.len());
        self.text(&step.name, range.start..range.start + len);
        if len + 1 < value.len() {
            self.text(&step.parts[0], range.start + len + 1..range.end);
        }
    }
}

/// Splits `GET /path HTTP/1.1`; `None` if it isn't that: a method of capital letters, a path, a version of HTTP.
#[inline]
fn request_parts(request: &[u8]) -> Option<[Range<usize>; 3]> {
    let method_len = request.iter().position(|byte| !matches!(byte, b'A'..=b'Z' | b'_' | b'-'))?;
    // The version is looked for from the end: it is short, and paths may contain spaces.
    let protocol = request.iter().rposition(|byte| *byte == b' ')? + 1;
    if method_len == 0 || request[method_len] != b' ' || protocol < method_len + 3 {
        return None;
    }
    let is_http = request[protocol..].starts_with(b"HTTP/");
    is_http.then(|| [0..method_len, method_len + 1..protocol - 1, protocol..request.len()])
}

#[inline(always)]
fn time(
    value: &[u8],
    kind: Kind,
    clf: &mut ClfReader,
    strftimes: &mut [TimeReader],
    zone: &Zone,
) -> Option<i64> {
    match kind {
        Kind::ClfTime => clf.read(value),
        Kind::Rfc3339Time => rfc3339(value, zone),
        Kind::EpochTime => epoch(value, SECOND_NS),
        Kind::EpochMsTime => number::integer(value)?.checked_mul(1_000_000),
        Kind::EpochUsTime => number::integer(value)?.checked_mul(1_000),
        Kind::StrftimeTime(index) => strftimes.get_mut(index)?.read(value),
        _ => None,
    }
}

/// Finds how long the field at the beginning of `rest` is.
#[inline(always)]
fn field_len(rest: &[u8], step: &Step) -> Option<usize> {
    let Some(&first) = step.end.first() else { return Some(rest.len()) };
    if step.is_quoted {
        return quoted_len(rest, step);
    }
    let (mut from, mut left) = (0, step.ends_inside);
    loop {
        let at = from + find(&rest[from..], first)?;
        if step.end.len() == 1 || ends_at(&rest[at..], step) {
            if left == 0 {
                return Some(at);
            }
            left -= 1;
        }
        from = at + 1;
    }
}

/// Finds the first quote that isn't escaped; what the format has behind it must follow.
#[inline(always)]
fn quoted_len(rest: &[u8], step: &Step) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + find(&rest[from..], b'"')?;
        if at == 0 || rest[at - 1] != b'\\' || !is_escaped(&rest[..at]) {
            return ends_at(&rest[at..], step).then_some(at);
        }
        from = at + 1;
    }
}

/// Tells whether a text begins with what ends the field.
#[inline(always)]
fn ends_at(text: &[u8], step: &Step) -> bool {
    match text.first_chunk::<8>() {
        Some(near) if step.end.len() <= 8 => u64::from_le_bytes(*near) & step.end_word.1 == step.end_word.0,
        _ => is_start(text, &step.end),
    }
}

/// As `starts_with`, for a few bytes: without a call.
fn is_start(text: &[u8], start: &[u8]) -> bool {
    text.len() >= start.len() && text.iter().zip(start).all(|(one, other)| one == other)
}

/// Tells whether what follows `before` is escaped: an odd number of backslashes stands before it.
#[cold]
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Finds a byte; short distances without a call.
#[inline(always)]
fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    const LOW: u128 = u128::from_ne_bytes([1; NEAR_BYTES]);
    const HIGH: u128 = u128::from_ne_bytes([0x80; NEAR_BYTES]);
    let Some((near, far)) = bytes.split_first_chunk::<NEAR_BYTES>() else {
        return bytes.iter().position(|byte| *byte == wanted);
    };
    // The lowest bit set marks the first byte that is zero, which is the one wanted.
    let different = u128::from_le_bytes(*near) ^ (LOW * u128::from(wanted));
    let zeros = different.wrapping_sub(LOW) & !different & HIGH;
    if zeros != 0 {
        return Some(zeros.trailing_zeros() as usize / 8);
    }
    memchr::memchr(wanted, far).map(|at| at + NEAR_BYTES)
}
