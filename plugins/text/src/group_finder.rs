//! Finds the groups of a regular expression in lines.
//!
//! Most lines are read without trying anything twice: the *first path* takes at each choice what the expression
//! prefers, and where it leads to the end, it is the match that the expression stands for. Where it doesn't, the
//! `regex` crate decides, in time linear in the line's length.

mod class_run;
mod compile;
mod walk;

use compile::compile;
use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use std::ops::Range;
use walk::FirstPath;

/// A regular expression and where its groups were in the line that came last.
pub struct GroupFinder {
    regex: Regex,
    locations: CaptureLocations,
    first_path: Option<FirstPath>,
    spans: Vec<Option<(usize, usize)>>,
}

impl GroupFinder {
    /// Compiles an expression; without `is_unicode`, classes such as `\w` are those of ASCII, and `.` is any byte
    /// but a newline.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn new(pattern: &str, is_unicode: bool) -> Result<GroupFinder, String> {
        let regex =
            RegexBuilder::new(pattern).unicode(is_unicode).build().map_err(|error| one_line(&error))?;
        let first_path = compile(pattern, is_unicode);
        let (locations, spans) = (regex.capture_locations(), vec![None; regex.captures_len()]);
        Ok(GroupFinder { regex, locations, first_path, spans })
    }

    /// Returns the indices and names of the groups that have one.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.regex.capture_names().enumerate().filter_map(|(index, name)| Some((index, name?)))
    }

    /// Looks for the leftmost match; [`span`](GroupFinder::span) then tells where the groups are.
    #[inline]
    pub fn find(&mut self, line: &[u8]) -> bool {
        let is_found = self.first_path.as_mut().is_some_and(|path| path.walk(line, &mut self.spans));
        is_found || self.find_slowly(line)
    }

    fn find_slowly(&mut self, line: &[u8]) -> bool {
        if self.regex.captures_read(&mut self.locations, line).is_none() {
            return false;
        }
        for (index, span) in self.spans.iter_mut().enumerate() {
            *span = self.locations.get(index);
        }
        true
    }

    /// Returns where a group is, if it took part in the match.
    #[inline]
    pub fn span(&self, group: usize) -> Option<Range<usize>> {
        self.spans.get(group).copied().flatten().map(|(start, end)| start..end)
    }
}

/// Says a regex's fault in one line: its last line tells what is wrong.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim();
    match reason.strip_prefix("error: ") {
        // The caret stands four columns to the right of what it points to.
        Some(reason) => match text.lines().find_map(|line| line.find('^')).and_then(|at| at.checked_sub(3)) {
            Some(column) => format!("column {column}: {reason}"),
            None => reason.to_owned(),
        },
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
