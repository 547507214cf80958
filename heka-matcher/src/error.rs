//! What is wrong with a matcher's text, and where.

use std::fmt;

/// Characters shown before and after the place in a long line.
const EXCERPT_BEFORE_MAX: usize = 70;
const EXCERPT_AFTER_MAX: usize = 40;

/// Tells why a matcher's text does not parse, and at which place.
///
/// Displayed as three lines: the reason, the text's line, and a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatcherError {
    message: String,
    offset: usize,
    line: usize,
    column: usize,
    excerpt: String,
    caret: usize,
}

impl MatcherError {
    /// Makes the error for the place `offset` bytes into `text`, at most its length.
    pub(super) fn new(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[line_start..].split('\n').next().unwrap_or_default();
        let place = before[line_start..].chars().count();
        let (excerpt, caret) = excerpt(line_text, place);
        MatcherError {
            message: message.into(),
            offset,
            line: before.matches('\n').count() + 1,
            column: place + 1,
            excerpt,
            caret,
        }
    }

    /// Returns the reason alone, on one line, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the place as bytes from the start of the text.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the line of the place, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the place in its line in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

/// Cuts a long line around the place; returns it with the place's new position.
fn excerpt(line: &str, place: usize) -> (String, usize) {
    let skipped = place.saturating_sub(EXCERPT_BEFORE_MAX);
    let shown_max = place - skipped + EXCERPT_AFTER_MAX;
    let mut shown = String::new();
    if skipped > 0 {
        shown.push('…');
    }
    let mut rest = line.chars().skip(skipped);
    // A control character, a tab for one, would put the caret under another place.
    shown.extend(rest.by_ref().take(shown_max).map(|c| if c.is_control() { ' ' } else { c }));
    if rest.next().is_some() {
        shown.push('…');
    }
    (shown, place - skipped + usize::from(skipped > 0))
}

impl fmt::Display for MatcherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{:3$}^", self.message, self.excerpt, "", self.caret)
    }
}

impl std::error::Error for MatcherError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_reason_text_and_caret() {
        let error = MatcherError::new("TRUE &&\n\tTyp == 'ü'", 9, "unknown variable `Typ`");
        assert_eq!(error.to_string(), "unknown variable `Typ`\n Typ == 'ü'\n ^");
        assert_eq!((error.line(), error.column(), error.offset()), (2, 2, 9));
    }

    #[test]
    fn column_counts_characters() {
        let error = MatcherError::new("'üü' x", 7, "no");
        assert_eq!((error.column(), error.offset()), (6, 7));
    }

    #[test]
    fn long_line_is_cut_around_the_place() {
        let text = format!("{}x{}", "a".repeat(1000), "b".repeat(1000));
        let shown = MatcherError::new(&text, 1000, "no").to_string();
        let lines: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
        assert_eq!(lines[1].len(), 1 + EXCERPT_BEFORE_MAX + EXCERPT_AFTER_MAX + 1);
        assert_eq!(lines[1][lines[2].len() - 1], 'x');
    }
}
