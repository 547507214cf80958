//! A line of CEF, cut into its parts: `CEF:0|vendor|product|version|signature|name|severity|key=value key=value`.
//!
//! In the header `\|` is a bar; in values `\=` is an equals sign; in both `\\` is a backslash, and `\n` and `\r` are
//! line breaks. A value goes up to the next ` key=`, so it may hold spaces.
//!
//! Source: "Implementing ArcSight Common Event Format", version 25; and what the Python library `cef` writes, which
//! puts a backslash before a real line break.

use memchr::memmem;
use std::borrow::Cow;

const MARK: &[u8] = b"CEF:";
/// Version, vendor, product, version of the product, signature, name, severity.
const HEADER_LEN: usize = 7;

/// A line, its parts still escaped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CefLine<'l> {
    /// What stands before `CEF:`, such as the time and host of syslog.
    pub prefix: &'l [u8],
    header: [&'l [u8]; HEADER_LEN],
    extension: &'l [u8],
}

impl<'l> CefLine<'l> {
    /// Cuts a line; line breaks and NULs at its end are no part of it.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(line: &'l [u8]) -> Result<CefLine<'l>, &'static str> {
        let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |at| at + 1);
        let line = &line[..end];
        let start = find_mark(line).ok_or("no `CEF:` with a version begins it")?;
        let mut rest = &line[start + MARK.len()..];
        let mut header: [&[u8]; HEADER_LEN] = [b""; HEADER_LEN];
        let (last, others) = header.split_last_mut().ok_or("no header")?;
        for part in others {
            let bar = find_bar(rest).ok_or("the header ends before its severity")?;
            *part = rest[..bar].trim_ascii();
            rest = &rest[bar + 1..];
        }
        // Some devices leave out the last bar when nothing follows.
        let bar = find_bar(rest).unwrap_or(rest.len());
        *last = rest[..bar].trim_ascii();
        let extension = rest.get(bar + 1..).unwrap_or_default();
        Ok(CefLine { prefix: &line[..start], header, extension })
    }

    /// Returns the parts of the header: version, vendor, product, its version, signature, name, severity.
    pub fn header(&self) -> &[&'l [u8]; HEADER_LEN] {
        &self.header
    }

    /// Returns the severity's number, 0 to 10, also where a word stands for it.
    pub fn severity(&self) -> Option<u8> {
        let [.., severity] = self.header;
        let words = [(&b"unknown"[..], 0), (b"low", 0), (b"medium", 4), (b"high", 7), (b"very-high", 9)];
        let word = words.iter().find(|(word, _)| severity.eq_ignore_ascii_case(word));
        let number = || std::str::from_utf8(severity).ok()?.parse().ok().filter(|number| *number <= 10);
        word.map(|(_, number)| *number).or_else(number)
    }

    /// Returns the extension's keys and values in order.
    pub fn pairs(&self) -> Pairs<'l> {
        let start = next_key(self.extension, 0).map_or(self.extension.len(), |(key, _)| key);
        Pairs { rest: &self.extension[start..] }
    }
}

/// Finds `CEF:` and a digit, at the beginning or behind a space.
fn find_mark(line: &[u8]) -> Option<usize> {
    let is_mark = |at: &usize| {
        let is_begin = *at == 0 || line[at - 1].is_ascii_whitespace();
        is_begin && line.get(at + MARK.len()).is_some_and(u8::is_ascii_digit)
    };
    memmem::find_iter(line, MARK).find(is_mark)
}

/// Finds a bar without a backslash before it.
fn find_bar(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'|', b'\\', text.get(at..)?)?;
        if text[at] == b'|' {
            return Some(at);
        }
        at += 2;
    }
}

/// The pairs of an extension.
#[derive(Clone, Debug)]
pub struct Pairs<'l> {
    /// Begins with a key.
    rest: &'l [u8],
}

impl<'l> Iterator for Pairs<'l> {
    type Item = (&'l [u8], &'l [u8]);

    fn next(&mut self) -> Option<(&'l [u8], &'l [u8])> {
        let (key, equals) = next_key(self.rest, 0)?;
        let next = next_key(self.rest, equals + 1);
        let end = next.map_or(self.rest.len(), |(next, _)| next);
        let pair = (&self.rest[key..equals], self.rest[equals + 1..end].trim_ascii_end());
        self.rest = &self.rest[end..];
        Some(pair)
    }
}

/// Finds `key=` from `start` on, at the beginning of the text or behind white space; returns where key and sign are.
fn next_key(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut at = start;
    loop {
        at += memchr::memchr2(b'=', b'\\', text.get(at..)?)?;
        if text[at] == b'\\' {
            at += 2;
            continue;
        }
        let len = text[start..at].iter().rev().take_while(|byte| is_key(**byte)).count();
        let key = at - len;
        let is_begin = key == 0 || key > start && text[key - 1].is_ascii_whitespace();
        if len > 0 && is_begin {
            return Some((key, at));
        }
        at += 1;
    }
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']')
}

/// Takes the backslashes off a part of the header or a value; other ones than those of the format stay.
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', text) else { return Cow::Borrowed(text) };
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut at = Some(first);
    while let Some(backslash) = at {
        plain.extend_from_slice(&rest[..backslash]);
        let next = rest.get(backslash + 1);
        match next {
            Some(&escaped) if matches!(escaped, b'|' | b'\\' | b'=' | b'\n' | b'\r') => plain.push(escaped),
            Some(b'n') => plain.push(b'\n'),
            Some(b'r') => plain.push(b'\r'),
            Some(&other) => plain.extend_from_slice(&[b'\\', other]),
            None => plain.push(b'\\'),
        }
        rest = rest.get(backslash + 2..).unwrap_or_default();
        at = memchr::memchr(b'\\', rest);
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests;
