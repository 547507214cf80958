//! Statsd lines: `name:value|type`, then `|@rate` and `|#tag:value,tag` where they are given.
//!
//! A packet has any number of lines. A line may have several values, each with its type (`a:1|c:2|ms`) or with one type
//! behind them all (`a:1:2:3|ms`). Types: `c` and `m` (counter), `g` (gauge; `+` or `-` in front changes it), `ms`
//! (timer), `h` and `d` (histogram), `s` (set). What newer clients add (`|c:container`, `|e:…`, `|card:…`, `|T1656581400`)
//! is skipped.
//!
//! Source: statsd 0.9.0, `stats.js` and `lib/helpers.js`; DogStatsD's datagram format, versions 1.0 to 1.3.

use crate::metric::{Kind, Number, Value};
use crate::number::parse_number;
use memchr::{memchr, memchr2, memmem};

/// Takes what a packet holds.
pub trait LineSink {
    /// One value; `tags` as they are written, without the `#`.
    fn metric(&mut self, name: &[u8], tags: &[u8], value: Value<'_>);
    /// One integer of a line without tags and rate: most of all lines.
    fn integer(&mut self, name: &[u8], kind: Kind, value: i64);
    /// An event or a service check of a DogStatsD client.
    fn notice(&mut self, line: &[u8]);
    /// A line, or one of its values, that is not a metric.
    fn malformed(&mut self, line: &[u8], reason: &'static str);
}

/// Reads all lines of a packet.
pub fn parse_packet(packet: &[u8], sink: &mut impl LineSink) {
    let mut rest = packet;
    while !rest.is_empty() {
        if let Some(len) = plain_line(rest, sink) {
            rest = &rest[len..];
            continue;
        }
        let len = memchr(b'\n', rest).unwrap_or(rest.len());
        parse_line(&rest[..len], sink);
        rest = rest.get(len + 1..).unwrap_or_default();
    }
}

/// Reads a line such as `name:17|c`; returns its length with the newline, or `None` if it is another one.
#[inline(always)]
fn plain_line(rest: &[u8], sink: &mut impl LineSink) -> Option<usize> {
    let colon = memchr2(b':', b'\n', rest)?;
    if rest[colon] == b'\n' || colon == 0 {
        return None;
    }
    let (mut at, mut value) = (colon + 1, 0_i64);
    let bar = loop {
        let byte = *rest.get(at)?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break byte;
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        at += 1;
    };
    let digits = at - colon - 1;
    if bar != b'|' || digits == 0 || digits > 18 {
        return None;
    }
    let (kind, end) = match *rest.get(at + 1)? {
        b'c' => (Kind::Counter, at + 2),
        b'g' => (Kind::Gauge, at + 2),
        b'h' | b'd' => (Kind::Histogram, at + 2),
        b'm' if rest.get(at + 2) == Some(&b's') => (Kind::Timer, at + 3),
        _ => return None,
    };
    if rest.get(end).is_some_and(|byte| *byte != b'\n') {
        return None;
    }
    sink.integer(&rest[..colon], kind, value);
    Some((end + 1).min(rest.len()))
}

/// Reads any line.
fn parse_line(line: &[u8], sink: &mut impl LineSink) {
    let line = line.trim_ascii_end();
    if line.is_empty() {
        return;
    }
    if line.starts_with(b"_e{") || line.starts_with(b"_sc|") {
        return sink.notice(line);
    }
    let Some(colon) = memchr(b':', line) else {
        return sink.malformed(line, "there is no `:` behind the name");
    };
    let (name, mut values) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() {
        return sink.malformed(line, "the name is empty");
    }
    let tags = tags(values);
    loop {
        let found = match Values::cut(values) {
            Ok(found) => found,
            Err(reason) => return sink.malformed(line, reason),
        };
        for text in found.texts.split(|byte| *byte == b':') {
            match value(text, found.kind, found.rate) {
                Ok(value) => sink.metric(name, tags, value),
                Err(reason) => sink.malformed(line, reason),
            }
        }
        match found.rest {
            Some(rest) => values = rest,
            None => return,
        }
    }
}

/// Returns the tags of a line, which hold for all its values.
fn tags(values: &[u8]) -> &[u8] {
    let Some(start) = memmem::find(values, b"|#") else { return &[] };
    let tags = &values[start + 2..];
    &tags[..memchr(b'|', tags).unwrap_or(tags.len())]
}

/// The values of a line that share one type, and what is behind them.
struct Values<'a> {
    /// With `:` between them.
    texts: &'a [u8],
    /// The type.
    kind: &'a [u8],
    rate: f64,
    rest: Option<&'a [u8]>,
}

impl Values<'_> {
    fn cut(text: &[u8]) -> Result<Values<'_>, &'static str> {
        let bar = memchr(b'|', text).ok_or("there is no `|` and type behind the value")?;
        let texts = &text[..bar];
        let mut end = section_end(text, bar + 1);
        let kind = text[bar + 1..end].trim_ascii();
        let mut rate = 1.0;
        while text.get(end) == Some(&b'|') {
            let start = end + 1;
            end = match text.get(start) {
                Some(b'@') => {
                    let end = section_end(text, start);
                    rate = parse_rate(&text[start + 1..end])?;
                    end
                }
                Some(b'#' | b'c' | b'e' | b'T') => {
                    memchr(b'|', &text[start..]).map_or(text.len(), |at| start + at)
                }
                _ => return Err("what is behind the type is neither `@rate` nor `#tags`"),
            };
        }
        Ok(Values { texts, kind, rate, rest: text.get(end + 1..) })
    }
}

fn section_end(text: &[u8], start: usize) -> usize {
    memchr2(b'|', b':', &text[start..]).map_or(text.len(), |at| start + at)
}

/// Reads a sample rate.
pub fn parse_rate(text: &[u8]) -> Result<f64, &'static str> {
    let rate = parse_number(text).map(Number::as_f64).filter(|rate| *rate > 0.0 && (1.0 / rate).is_finite());
    rate.ok_or("the rate is not a number above 0")
}

fn value<'a>(text: &'a [u8], kind: &[u8], rate: f64) -> Result<Value<'a>, &'static str> {
    if kind == b"s" {
        // Nothing is a member too, the same as `0`.
        return Ok(Value::Member(if text.is_empty() { b"0" } else { text }));
    }
    let number = || parse_number(text).ok_or("the value is not a number");
    let finite = |number: Number| {
        if number.as_f64().is_finite() { Ok(number) } else { Err("the value is beyond all numbers") }
    };
    Ok(match kind {
        b"c" | b"m" => Value::Count(finite(number()?.scaled(rate))?),
        b"g" if matches!(text.trim_ascii_start().first(), Some(b'+' | b'-')) => Value::Change(number()?),
        b"g" => Value::Level(number()?),
        b"ms" => {
            let value = number()?.as_f64();
            if value < 0.0 {
                return Err("a time is not negative");
            }
            Value::Time { value, weight: 1.0 / rate }
        }
        b"h" | b"d" => Value::Sample { value: number()?.as_f64(), weight: 1.0 / rate },
        _ => return Err("the type is none of c, g, ms, h, d, s, m"),
    })
}

#[cfg(test)]
mod tests;
