//! Which lines make one message: by patterns for single lines, and by what is known of stack traces.

use std::fmt;
use std::str::FromStr;

use regex_automata::meta;
use regex_automata::util::syntax;

use super::pattern::with_place;
use super::trace::{Preset, TraceState};

/// Patterns for single lines; each sees a line without its line break, and no more than its first 4 KiB.
#[derive(Clone, Debug, Default)]
pub struct LinePatterns {
    /// A line that begins a message.
    pub start: Option<String>,
    /// A line that belongs to the one before, unless it matches `start`.
    pub continuation: Option<String>,
    /// A line that the next one belongs to, whatever that looks like.
    pub goes_on: Option<String>,
}

/// Patterns and presets, compiled.
///
/// In this order: a line behind one that `goes_on` joins; one that matches `start` begins a message; one that matches
/// `continuation`, or goes on with a trace, joins; any other line joins where `start` alone was given, and else begins.
pub(super) struct Multiline {
    start: Option<meta::Regex>,
    continuation: Option<meta::Regex>,
    goes_on: Option<meta::Regex>,
    presets: Vec<Preset>,
    others_join: bool,
    patterns: LinePatterns,
}

/// What the lines of the group so far amount to.
#[derive(Default)]
pub(super) struct MultilineState {
    traces: [TraceState; Preset::COUNT],
    goes_on: bool,
}

impl Multiline {
    pub(super) fn new(patterns: &LinePatterns, presets: &[String]) -> Result<Multiline, String> {
        let presets = presets.iter().map(|name| Preset::from_str(name)).collect::<Result<Vec<_>, _>>()?;
        let LinePatterns { start, continuation, goes_on } = patterns;
        if start.is_none() && continuation.is_none() && goes_on.is_none() && presets.is_empty() {
            return Err("needs `start`, `continuation`, `goes_on` or `preset`".to_owned());
        }
        Ok(Multiline {
            start: compiled("start", start.as_deref())?,
            continuation: compiled("continuation", continuation.as_deref())?,
            goes_on: compiled("goes_on", goes_on.as_deref())?,
            others_join: start.is_some() && continuation.is_none() && presets.is_empty(),
            presets,
            patterns: patterns.clone(),
        })
    }

    pub(super) fn first(&self, state: &mut MultilineState, line: &[u8]) {
        state.goes_on = matches(self.goes_on.as_ref(), line);
        for (preset, trace) in self.presets.iter().zip(&mut state.traces) {
            *trace = preset.first(line);
        }
    }

    pub(super) fn joins(&self, state: &mut MultilineState, line: &[u8]) -> bool {
        let joins = self.belongs(state, line);
        if joins {
            state.goes_on = matches(self.goes_on.as_ref(), line);
            for (preset, trace) in self.presets.iter().zip(&mut state.traces) {
                *trace = preset.next(*trace, line).unwrap_or_else(|| preset.first(line));
            }
        }
        joins
    }

    fn belongs(&self, state: &MultilineState, line: &[u8]) -> bool {
        if state.goes_on {
            return true;
        }
        if matches(self.start.as_ref(), line) {
            return false;
        }
        self.others_join || matches(self.continuation.as_ref(), line) || {
            let mut traces = self.presets.iter().zip(&state.traces);
            traces.any(|(preset, trace)| preset.next(*trace, line).is_some())
        }
    }
}

impl fmt::Debug for Multiline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiline").field("patterns", &self.patterns).field("presets", &self.presets).finish()
    }
}

fn matches(pattern: Option<&meta::Regex>, line: &[u8]) -> bool {
    pattern.is_some_and(|pattern| pattern.is_match(line))
}

fn compiled(key: &str, text: Option<&str>) -> Result<Option<meta::Regex>, String> {
    let Some(text) = text else { return Ok(None) };
    let syntax = syntax::Config::new().utf8(false);
    let hir = syntax::parse_with(text, &syntax)
        .map_err(|error| format!("{key} `{text}`: not a regular expression: {}", with_place(&error)))?;
    let config = meta::Config::new().utf8_empty(false);
    let built = meta::Builder::new().configure(config).build_from_hir(&hir);
    built.map(Some).map_err(|error| format!("{key} `{text}`: failed to compile it: {error}"))
}
