//! Cuts a line into values.
//!
//! Source: RFC 4180; a value may also have escapes, and quotes end where a delimiter or the line's end follows.

use heka_plugin_api::PluginError;
use heka_scalar::quote;
use std::ops::Range;

/// Reads one line after the other.
pub struct RowReader {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    trim: bool,
    cells: Vec<Cell>,
    /// Values whose quotes or escapes were taken out, one behind the other.
    changed: Vec<u8>,
}

/// One value of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    /// Where it is: in the line, or, if it was changed, among the changed ones.
    pub range: Range<usize>,
    pub is_quoted: bool,
    pub is_changed: bool,
}

impl RowReader {
    pub fn new(delimiter: u8, quote: Option<u8>, escape: Option<u8>, trim: bool) -> RowReader {
        RowReader { delimiter, quote, escape, trim, cells: Vec::new(), changed: Vec::new() }
    }

    /// The values of the line that was read last.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Returns a value of that line.
    #[inline]
    pub fn value<'l>(&'l self, line: &'l [u8], cell: &Cell) -> &'l [u8] {
        let source = if cell.is_changed { &self.changed } else { line };
        &source[cell.range.clone()]
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`PluginError::Message`] if a quote is not closed, or text follows a closed one.
    #[inline]
    pub fn read(&mut self, line: &[u8]) -> Result<(), PluginError> {
        self.cells.clear();
        self.changed.clear();
        let mut at = 0;
        loop {
            let start = at + if self.trim { spaces(&line[at..]) } else { 0 };
            let end = match self.quote {
                Some(quote) if line.get(start) == Some(&quote) => self.quoted(line, start, quote)?,
                _ => self.bare(line, at),
            };
            if end == line.len() {
                return Ok(());
            }
            at = end + 1;
        }
    }

    /// Reads the value without quotes at `at`; returns where its delimiter is.
    #[inline]
    fn bare(&mut self, line: &[u8], at: usize) -> usize {
        let rest = &line[at..];
        let Some(escape) = self.escape else {
            let len = memchr::memchr(self.delimiter, rest).unwrap_or(rest.len());
            self.push(line, at..at + len);
            return at + len;
        };
        let (from, mut end, mut copied) = (self.changed.len(), at, at);
        while let Some(found) = memchr::memchr2(self.delimiter, escape, &line[end..]) {
            end += found;
            if line[end] == self.delimiter {
                break;
            }
            self.changed.extend_from_slice(&line[copied..end]);
            copied = end + 1;
            end = (end + 2).min(line.len());
        }
        if end == line.len() || line[end] != self.delimiter {
            end = line.len();
        }
        if copied == at {
            self.push(line, at..end);
        } else {
            self.changed.extend_from_slice(&line[copied.min(end)..end]);
            self.cells.push(Cell { range: from..self.changed.len(), is_quoted: false, is_changed: true });
        }
        end
    }

    fn push(&mut self, line: &[u8], mut range: Range<usize>) {
        if self.trim {
            range.start += spaces(&line[range.clone()]);
            range.end -=
                line[range.clone()].iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
        }
        self.cells.push(Cell { range, is_quoted: false, is_changed: false });
    }

    /// Reads the value whose opening quote is at `at`; returns where its delimiter is.
    fn quoted(&mut self, line: &[u8], at: usize, mark: u8) -> Result<usize, PluginError> {
        let escape = self.escape.unwrap_or(mark);
        let (from, mut copied, mut end) = (self.changed.len(), at + 1, at + 1);
        loop {
            let Some(found) = memchr::memchr2(mark, escape, line.get(end..).unwrap_or_default()) else {
                return Err(unclosed(line, at, mark));
            };
            end += found;
            let is_doubled = line[end] == mark && line.get(end + 1) == Some(&mark);
            let is_escape = line[end] != mark && end + 1 < line.len();
            if !is_doubled && !is_escape {
                break;
            }
            self.changed.extend_from_slice(&line[copied..end]);
            (copied, end) = (end + 1, end + 2);
        }
        if line[end] != mark {
            return Err(unclosed(line, at, mark));
        }
        if copied == at + 1 {
            self.cells.push(Cell { range: copied..end, is_quoted: true, is_changed: false });
        } else {
            self.changed.extend_from_slice(&line[copied..end]);
            self.cells.push(Cell { range: from..self.changed.len(), is_quoted: true, is_changed: true });
        }
        let behind = end + 1 + if self.trim { spaces(&line[end + 1..]) } else { 0 };
        match line.get(behind) {
            Some(byte) if *byte != self.delimiter => Err(PluginError::Message(format!(
                "text behind the closing quote at column {}: `{}`",
                end + 1,
                quote(&line[behind..])
            ))),
            _ => Ok(behind),
        }
    }
}

#[cold]
fn unclosed(line: &[u8], at: usize, mark: u8) -> PluginError {
    PluginError::Message(format!(
        "no `{}` closes the value that begins at column {}; values with newlines need a splitter that keeps them together: `{}`",
        char::from(mark),
        at + 1,
        quote(&line[at..])
    ))
}

fn spaces(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}
