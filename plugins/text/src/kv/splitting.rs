//! Cuts a line into keys and values.

use heka_plugin_api::PluginError;
use heka_scalar::quote;
use memchr::memmem::Finder;
use std::ops::Range;

/// How lines are cut.
pub struct Splitting {
    key_separator: Finder<'static>,
    pair_separator: Finder<'static>,
    /// Whether pairs lie between runs of white space.
    is_spaced: bool,
    quotes: Vec<u8>,
    behind: Option<Finder<'static>>,
    trim_keys: Vec<u8>,
    trim_values: Vec<u8>,
}

/// One pair of a line.
pub struct Part {
    pub key: Range<usize>,
    pub value: Value,
    /// Where the next one may begin.
    pub end: usize,
}

/// A value, without its quotes.
pub enum Value {
    /// The key stands alone.
    None,
    Bare(Range<usize>),
    Quoted(Range<usize>),
    /// Quoted, with backslashes.
    Escaped(Range<usize>),
}

impl Splitting {
    pub fn new(
        key_separator: &str,
        pair_separator: &str,
        quotes: &str,
        behind: &str,
        trim: [&str; 2],
    ) -> Splitting {
        let finder = |text: &str| Finder::new(text).into_owned();
        Splitting {
            key_separator: finder(key_separator),
            pair_separator: finder(pair_separator),
            is_spaced: pair_separator.bytes().all(|byte| byte.is_ascii_whitespace()),
            quotes: quotes.into(),
            behind: (!behind.is_empty()).then(|| finder(behind)),
            trim_keys: trim[0].into(),
            trim_values: trim[1].into(),
        }
    }

    /// Returns where the pairs begin.
    pub fn start(&self, line: &[u8]) -> Result<usize, PluginError> {
        let Some(behind) = &self.behind else { return Ok(0) };
        let at = behind.find(line).ok_or_else(|| {
            PluginError::Message(format!("no `{}` in `{}`", quote(behind.needle()), quote(line)))
        })?;
        Ok(at + behind.needle().len())
    }

    /// Finds the pair at `at`, or behind the separators there; `None` at the end.
    #[inline]
    pub fn next(&self, line: &[u8], at: usize) -> Result<Option<Part>, PluginError> {
        let start = self.skip(line, at);
        if start == line.len() {
            return Ok(None);
        }
        let end = self.pair_end(line, start);
        let Some(key_len) = self.key_separator.find(&line[start..end]) else {
            return Ok(Some(Part { key: self.key(line, start..end)?, value: Value::None, end }));
        };
        let key = self.key(line, start..start + key_len)?;
        let value_at = start + key_len + self.key_separator.needle().len();
        if let Some(quote) = line.get(value_at).filter(|byte| self.quotes.contains(byte)) {
            return self.quoted(line, key, value_at, *quote).map(Some);
        }
        let value = trimmed(line, value_at..end, &self.trim_values);
        Ok(Some(Part { key, value: Value::Bare(value), end }))
    }

    /// Skips separators, and white space around keys.
    fn skip(&self, line: &[u8], mut at: usize) -> usize {
        loop {
            let before = at;
            if !self.is_spaced && line[at..].starts_with(self.pair_separator.needle()) {
                at += self.pair_separator.needle().len();
            } else {
                at += line[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            }
            if at == before {
                return at;
            }
        }
    }

    /// Finds the end of the pair that begins at `start`, as long as it has no quotes.
    fn pair_end(&self, line: &[u8], start: usize) -> usize {
        let rest = &line[start..];
        let len = match self.is_spaced {
            true => rest.iter().position(u8::is_ascii_whitespace),
            false => self.pair_separator.find(rest),
        };
        start + len.unwrap_or(rest.len())
    }

    fn key(&self, line: &[u8], range: Range<usize>) -> Result<Range<usize>, PluginError> {
        let key = trimmed(line, trimmed(line, range.clone(), b" \t\r\n"), &self.trim_keys);
        if key.is_empty() {
            return Err(PluginError::Message(format!(
                "no key at column {}: `{}`",
                range.start + 1,
                quote(&line[range.start..])
            )));
        }
        Ok(key)
    }

    /// Reads the quoted value whose opening quote is at `at`.
    fn quoted(&self, line: &[u8], key: Range<usize>, at: usize, mark: u8) -> Result<Part, PluginError> {
        let (mut end, mut has_escapes) = (at + 1, false);
        while let Some(found) = memchr::memchr2(mark, b'\\', line.get(end..).unwrap_or_default()) {
            end += found;
            if line[end] == mark {
                let inside = at + 1..end;
                let value = if has_escapes { Value::Escaped(inside) } else { Value::Quoted(inside) };
                return Ok(Part { key, value, end: self.behind_quote(line, end + 1)? });
            }
            has_escapes = true;
            end += 2;
        }
        Err(PluginError::Message(format!(
            "no `{}` ends the value that begins at column {}: `{}`",
            char::from(mark),
            at + 1,
            quote(&line[at..])
        )))
    }

    /// Checks that a pair ends behind its closing quote.
    fn behind_quote(&self, line: &[u8], at: usize) -> Result<usize, PluginError> {
        let rest = &line[at..];
        let is_end = rest.first().is_none_or(u8::is_ascii_whitespace)
            || rest.starts_with(self.pair_separator.needle());
        match is_end {
            true => Ok(at),
            false => Err(PluginError::Message(format!(
                "text behind the closing quote at column {at}: `{}`",
                quote(rest)
            ))),
        }
    }
}

#[cold]
pub fn lone_key(splitting: &Splitting, line: &[u8], key: Range<usize>) -> PluginError {
    PluginError::Message(format!(
        "no `{}` behind the key at column {}: `{}`",
        quote(splitting.key_separator.needle()),
        key.start + 1,
        quote(&line[key])
    ))
}

/// Cuts characters off both ends.
fn trimmed(line: &[u8], range: Range<usize>, characters: &[u8]) -> Range<usize> {
    let is_kept = |byte: &u8| !characters.contains(byte);
    let text = &line[range.clone()];
    match (text.iter().position(is_kept), text.iter().rposition(is_kept)) {
        (Some(first), Some(last)) => range.start + first..range.start + last + 1,
        _ => range.start..range.start,
    }
}
