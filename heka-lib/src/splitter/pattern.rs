//! A delimiter's regular expression, compiled once and shared by all streams that are cut at it.

use std::fmt;
use std::str::FromStr;

use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{MatchKind, meta};

/// A delimiter that may be longer counts as this long: what bounds the buffer and the wait for its end.
const DELIMITER_BYTES_MAX: usize = 2048;

/// Memory that a compiled delimiter may take; `\n(\d{4}-\d\d-\d\d)` takes 0.1 MiB, because `\d` is Unicode.
const TABLE_BYTES_MAX: usize = 8 << 20;

/// Says to which frame a delimiter's capture group belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DelimiterAt {
    /// The delimiter ends a frame, which keeps everything up to the end of the capture.
    #[default]
    End,
    /// The delimiter begins a frame, which keeps everything from the beginning of the capture.
    Start,
}

impl FromStr for DelimiterAt {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "end" => Ok(DelimiterAt::End),
            "start" => Ok(DelimiterAt::Start),
            _ => Err(format!("no place `{name}` for a delimiter; known: end, start")),
        }
    }
}

/// A compiled delimiter.
///
/// The table finds where a delimiter ends, byte by byte, so that it can stop at the end of a read and go on
/// in the next; `regex` then looks at these few bytes again for the beginning and the capture.
pub(super) struct Pattern {
    pub(super) table: dense::DFA<Vec<u32>>,
    pub(super) regex: meta::Regex,
    pub(super) at: DelimiterAt,
    /// Longest delimiter in bytes.
    pub(super) bytes_max: usize,
    /// Length of every delimiter, if all have the same and nothing of it is captured.
    pub(super) bytes_fixed: Option<usize>,
    /// Whether the bytes around a delimiter matter (`^`, `$`, `\b`).
    pub(super) looks_around: bool,
    text: String,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// If `text` is no regular expression, can match nothing, has several groups or needs too big a table.
    pub(super) fn new(text: &str, at: DelimiterAt) -> Result<Self, String> {
        let syntax = syntax::Config::new().utf8(false);
        let hir = syntax::parse_with(text, &syntax).map_err(|error| {
            format!("delimiter `{text}`: not a regular expression: {}", with_place(&error))
        })?;
        let properties = hir.properties();
        let groups = properties.explicit_captures_len();
        if groups > 1 {
            return Err(format!(
                "delimiter `{text}`: has {groups} capture groups; write all but one as `(?:…)`"
            ));
        }
        let Some(bytes_min) = properties.minimum_len().filter(|min| *min > 0) else {
            return Err(format!(
                "delimiter `{text}`: can match between any two bytes; make it match at least one"
            ));
        };
        let bytes_max = properties.maximum_len().unwrap_or(usize::MAX);
        let regex = meta::Builder::new()
            .configure(meta::Config::new().utf8_empty(false))
            .build_from_hir(&hir)
            .map_err(|error| format!("delimiter `{text}`: failed to compile it: {error}"))?;
        Ok(Pattern {
            table: table(text, syntax)?,
            regex,
            at,
            bytes_max: bytes_max.min(DELIMITER_BYTES_MAX),
            bytes_fixed: (groups == 0 && bytes_min == bytes_max).then_some(bytes_min),
            looks_around: !properties.look_set().is_empty(),
            text: text.to_owned(),
        })
    }
}

fn table(text: &str, syntax: syntax::Config) -> Result<dense::DFA<Vec<u32>>, String> {
    let config = dense::Config::new()
        .match_kind(MatchKind::LeftmostFirst)
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(TABLE_BYTES_MAX))
        .determinize_size_limit(Some(TABLE_BYTES_MAX));
    dense::Builder::new()
        .configure(config)
        .syntax(syntax)
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(TABLE_BYTES_MAX)))
        .build(text)
        .map_err(|error| {
            let advice = "use ASCII classes such as `(?-u:\\d)` and `(?-u:\\b)`, and smaller repetitions";
            format!("delimiter `{text}`: failed to compile it: {error}; {advice}")
        })
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("text", &self.text).field("at", &self.at).finish_non_exhaustive()
    }
}

/// Says why in one line, and shows the place in the lines behind it.
pub(super) fn with_place(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let mut lines: Vec<&str> = text.lines().filter(|line| *line != "regex parse error:").collect();
    let why = lines.pop().unwrap_or_default();
    let why = why.strip_prefix("error: ").unwrap_or(why);
    [&[why], lines.as_slice()].concat().join("\n")
}
