//! Stack traces, line by line: what goes on with one, and what begins something else.
//!
//! Each language is a small machine. It sees the lines of a group in order and says of the next one whether it goes on
//! with what the lines before amount to; a line that no machine wants begins another group.

mod go;
mod java;
mod python;
mod ruby;

use std::str::FromStr;

/// A language whose traces are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Preset {
    Java,
    Python,
    Go,
    Ruby,
}

/// What the lines so far amount to; what the names stand for is each language's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum TraceState {
    /// Nothing of a trace, or the line above one.
    #[default]
    Plain,
    /// The line that says what happened.
    Exception,
    /// Within the trace.
    Trace,
    /// Behind the end of one, where a chained one may follow.
    Chain,
    /// Within a group of exceptions, drawn with bars.
    Group,
}

const NAMES: [(&str, Preset); Preset::COUNT] =
    [("java", Preset::Java), ("python", Preset::Python), ("go", Preset::Go), ("ruby", Preset::Ruby)];

impl Preset {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    /// What a group amounts to whose first line this is.
    pub(super) fn first(self, line: &[u8]) -> TraceState {
        match self {
            Preset::Java => java::first(line),
            Preset::Python => python::first(line),
            Preset::Go => go::first(line),
            Preset::Ruby => ruby::first(line),
        }
    }

    /// What a group amounts to with another line; `None` if the line is not part of it.
    pub(super) fn next(self, state: TraceState, line: &[u8]) -> Option<TraceState> {
        match self {
            Preset::Java => java::next(state, line),
            Preset::Python => python::next(state, line),
            Preset::Go => go::next(state, line),
            Preset::Ruby => ruby::next(state, line),
        }
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, preset)| *preset).ok_or_else(|| {
            let known = NAMES.map(|(name, _)| name).join(", ");
            format!("no preset `{name}`; known: {known}")
        })
    }
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fn contains(line: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(line, text).is_some()
}

/// The line without a number at its front; `None` if there is none.
fn behind_number(line: &[u8]) -> Option<&[u8]> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| &line[digits..])
}
