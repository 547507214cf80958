//! Makes splitters of what a config says about them.

use crate::config::{self, Faults, FrameOverflow, InputConfig, Node, NodeValue, SplitterKind};
use crate::splitter::{
    ByteOrder, DelimiterAt, FrameLimit, GroupLimits, LengthPrefix, LinePatterns, LongFrames, SplitterConfig,
};
use heka_plugin_api::units::parse_duration;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a group of lines may be waited for.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// How many lines a group may have.
const LINES: RangeInclusive<usize> = 1..=1_000_000;

/// Options that each kind knows.
const OPTIONS: [(SplitterKind, &[&str]); 10] = [
    (SplitterKind::Line, &["keep_empty"]),
    (SplitterKind::Token, &["token", "keep_delimiter", "keep_empty"]),
    (SplitterKind::Regex, &["delimiter", "delimiter_at", "keep_empty"]),
    (SplitterKind::Heka, &[]),
    (SplitterKind::Length, &["width", "order", "counts_itself"]),
    (
        SplitterKind::Multiline,
        &["start", "continuation", "goes_on", "preset", "timeout", "lines_max", "keep_empty"],
    ),
    (SplitterKind::Cri, &["timeout", "lines_max"]),
    (SplitterKind::Docker, &["timeout", "lines_max"]),
    (SplitterKind::JournalExport, &[]),
    (SplitterKind::None, &[]),
];

/// Makes an input's splitter; `None` when its config names none, or a wrong one, which is then a fault.
pub(super) fn splitter(input: &InputConfig, bytes_max: usize, faults: &mut Faults) -> Option<SplitterConfig> {
    let limit = limit(input, bytes_max, faults)?;
    let Some(given) = &input.settings.splitter else { return Some(SplitterConfig::line().with_limit(limit)) };
    let mut reader = OptionReader {
        who: format!("input `{}`: splitter `{}`", input.name, given.kind.name()),
        given,
        faults,
    };
    reader.check_keys();
    let keep_empty = reader.flag("keep_empty");
    let made = match given.kind {
        SplitterKind::Line => Ok(SplitterConfig::line()),
        SplitterKind::Token => {
            let keep = reader.flag("keep_delimiter");
            SplitterConfig::token(reader.required("token")?.as_bytes(), keep)
        }
        SplitterKind::Regex => {
            let at = reader.parsed::<DelimiterAt>("delimiter_at")?;
            SplitterConfig::regex(&reader.required("delimiter")?, at)
        }
        SplitterKind::Heka => Ok(SplitterConfig::heka()),
        SplitterKind::Length => reader.length(),
        SplitterKind::Multiline => reader.multiline()?,
        SplitterKind::Cri => Ok(SplitterConfig::cri(reader.group_limits()?)),
        SplitterKind::Docker => Ok(SplitterConfig::docker(reader.group_limits()?)),
        SplitterKind::JournalExport => Ok(SplitterConfig::journal_export()),
        SplitterKind::None => Ok(SplitterConfig::none()),
    };
    match made {
        Ok(splitter) => Some(splitter.with_limit(limit).with_keep_empty(keep_empty)),
        Err(reason) => {
            reader.fault(reason);
            None
        }
    }
}

fn limit(input: &InputConfig, bytes_max: usize, faults: &mut Faults) -> Option<FrameLimit> {
    let policy = match input.settings.frame_overflow {
        FrameOverflow::Reject => LongFrames::Reject,
        FrameOverflow::Truncate => LongFrames::Truncate,
        FrameOverflow::DeadLetter => LongFrames::DeadLetter,
    };
    let wanted = input.settings.frame_bytes_max.unwrap_or(bytes_max);
    match FrameLimit::new(wanted, policy) {
        Ok(limit) => Some(limit),
        Err(reason) => {
            faults.add(&input.position, format!("input `{}`: frame_bytes_max: {reason}", input.name));
            None
        }
    }
}

/// Reads the options of one splitter.
struct OptionReader<'r> {
    who: String,
    given: &'r config::SplitterConfig,
    faults: &'r mut Faults,
}

impl OptionReader<'_> {
    fn fault(&mut self, reason: impl std::fmt::Display) {
        let text = format!("{}: {reason}", self.who);
        let (text, place) = text.split_once('\n').unwrap_or((&text, ""));
        self.faults.add_with_excerpt(&self.given.position, text, place);
    }

    fn check_keys(&mut self) {
        let known =
            OPTIONS.iter().find(|(kind, _)| *kind == self.given.kind).map_or(&[][..], |(_, keys)| keys);
        for entry in self.given.options.entries() {
            if !known.contains(&entry.key.as_str()) {
                let names = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let text = format!("{}: unknown option `{}`; known: {names}", self.who, entry.key);
                self.faults.add(&entry.key_position, text);
            }
        }
    }

    fn wrong(&mut self, key: &str, node: &Node, expected: &str) {
        let text = format!("{}: `{key}`: expected {expected}, found {}", self.who, node.kind());
        self.faults.add(&node.position, text);
    }

    fn flag(&mut self, key: &str) -> bool {
        let Some(node) = self.given.options.get(key) else { return false };
        if let NodeValue::Bool(value) = node.value {
            return value;
        }
        self.wrong(key, node, "a bool");
        false
    }

    fn required(&mut self, key: &str) -> Option<String> {
        let Some(node) = self.given.options.get(key) else {
            self.fault(format!("needs `{key}`"));
            return None;
        };
        let text = node.as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(key, node, "a string");
        }
        text
    }

    /// Reads an optional word; `None` only if it is wrong.
    fn parsed<T: std::str::FromStr<Err = String> + Default>(&mut self, key: &str) -> Option<T> {
        if self.given.options.get(key).is_none() {
            return Some(T::default());
        }
        match self.required(key)?.parse() {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fault(reason);
                None
            }
        }
    }

    /// Reads an optional text; `None` only if it is wrong.
    fn text(&mut self, key: &str) -> Option<Option<String>> {
        match self.given.options.get(key) {
            None => Some(None),
            Some(_) => self.required(key).map(Some),
        }
    }

    /// `None` only if an option is of the wrong type.
    fn multiline(&mut self) -> Option<Result<SplitterConfig, String>> {
        let [start, continuation, goes_on] = ["start", "continuation", "goes_on"].map(|key| self.text(key));
        let (presets, limits) = (self.presets(), self.group_limits());
        let patterns = LinePatterns { start: start?, continuation: continuation?, goes_on: goes_on? };
        Some(SplitterConfig::multiline(&patterns, &presets?, limits?))
    }

    fn presets(&mut self) -> Option<Vec<String>> {
        let Some(node) = self.given.options.get("preset") else { return Some(Vec::new()) };
        let items = match &node.value {
            NodeValue::Array(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let names: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        if names.is_none() {
            self.wrong("preset", node, "a string or an array of strings");
        }
        names
    }

    fn group_limits(&mut self) -> Option<GroupLimits> {
        let default = GroupLimits::default();
        let (timeout, lines_max) = (self.timeout(default.timeout), self.lines_max(default.lines_max));
        Some(GroupLimits { timeout: timeout?, lines_max: lines_max? })
    }

    fn timeout(&mut self, default: Duration) -> Option<Duration> {
        let Some(node) = self.given.options.get("timeout") else { return Some(default) };
        let timeout = match &node.value {
            NodeValue::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            NodeValue::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            NodeValue::String(text) => parse_duration(text).ok(),
            _ => None,
        };
        let timeout = timeout.filter(|timeout| TIMEOUTS.contains(timeout));
        if timeout.is_none() {
            self.wrong("timeout", node, "a duration from 1 ms to 1 h");
        }
        timeout
    }

    fn lines_max(&mut self, default: usize) -> Option<usize> {
        let Some(node) = self.given.options.get("lines_max") else { return Some(default) };
        let lines = match &node.value {
            NodeValue::Integer(lines) => usize::try_from(*lines).ok().filter(|lines| LINES.contains(lines)),
            _ => None,
        };
        if lines.is_none() {
            self.wrong("lines_max", node, "an integer from 1 to 1000000");
        }
        lines
    }

    fn length(&mut self) -> Result<SplitterConfig, String> {
        let width = match self.given.options.get("width").map(|node| &node.value) {
            None => 4,
            Some(NodeValue::Integer(width)) => usize::try_from(*width).unwrap_or(0),
            Some(_) => 0,
        };
        let order = match self.given.options.get("order").map(|node| node.as_str()) {
            None | Some(Some("big")) => ByteOrder::Big,
            Some(Some("little")) => ByteOrder::Little,
            Some(_) => return Err("`order` is \"big\" or \"little\"".to_owned()),
        };
        let counts_itself = self.flag("counts_itself");
        SplitterConfig::length(LengthPrefix { width, order, counts_itself })
    }
}
