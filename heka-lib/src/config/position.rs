//! Where in a configuration file something stands.

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Names one place in a configuration file; prints as `file:line:column`.
///
/// Lines and columns count from 1, columns in characters. Positions order by file name, then line, then
/// column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The file, as it was named to the loader.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Carries a value together with the place that it was written at.
///
/// Two are equal when their values are: moving a line in a file changes no configuration.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub position: Position,
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Turns byte offsets of one text into positions.
///
/// Remembers the last answer, so that offsets asked for in rising order cost one pass over the text in all,
/// even when the text is a single long line.
pub(super) struct PositionFinder<'t> {
    file: Arc<Path>,
    text: &'t str,
    line_starts: Vec<usize>,
    last: Cell<Last>,
}

/// The last answer: how many lines were before it, its offset, and how many characters of its line.
#[derive(Clone, Copy, Default)]
struct Last {
    line: usize,
    offset: usize,
    column: usize,
}

impl<'t> PositionFinder<'t> {
    pub(super) fn new(file: Arc<Path>, text: &'t str) -> Self {
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes());
        let line_starts = std::iter::once(0).chain(breaks.map(|at| at + 1)).collect();
        PositionFinder { file, text, line_starts, last: Cell::default() }
    }

    /// Finds the position of a byte offset; one past the end or inside a character is moved back.
    pub(super) fn find(&self, offset: usize) -> Position {
        let offset = floor_char_boundary(self.text, offset);
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let mut from = self.last.get();
        if from.line != line || from.offset > offset {
            from = Last { line, offset: self.line_starts[line], column: 0 };
        }
        let column = from.column + self.text[from.offset..offset].chars().count();
        self.last.set(Last { line, offset, column });
        let from_one = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Position { file: self.file.clone(), line: from_one(line), column: from_one(column) }
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_offsets_may_come_in_any_order() {
        let text = "a = 1\nbü = 2\n";
        let finder = PositionFinder::new(Path::new("heka.toml").into(), text);
        let check = |offset: usize, expected: &str| assert_eq!(finder.find(offset).to_string(), expected);
        check(12, "heka.toml:2:6");
        check(0, "heka.toml:1:1");
        check(5, "heka.toml:1:6");
        check(6, "heka.toml:2:1");
        check(8, "heka.toml:2:2");
        check(9, "heka.toml:2:3");
        check(1_000, "heka.toml:3:1");
    }
}
