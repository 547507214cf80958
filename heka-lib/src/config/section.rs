//! Takes typed values out of one table and collects what is wrong with them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::{Node, NodeValue};
use super::faults::{Faults, suggestion};
use super::position::Located;
use heka_plugin_api::units::{format_bytes, format_duration, parse_bytes, parse_duration};

/// Longer names are refused: they appear in file names, metrics and errors.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// Reads one table; each method takes one key, and what no method asked for is left over.
///
/// A missing key and a faulty one both give `None`; the fault is then already noted.
pub(super) struct Section<'n, 'f> {
    /// Whose table this is, as faults begin: ``output `all` ``.
    pub(super) who: String,
    node: &'n Node,
    /// Where what is wrong is collected.
    pub(super) faults: &'f mut Faults,
    known: Vec<&'static str>,
}

impl<'n, 'f> Section<'n, 'f> {
    pub(super) fn new(who: String, node: &'n Node, faults: &'f mut Faults) -> Self {
        if !matches!(node.value, NodeValue::Table(_)) {
            faults.add(&node.position, format!("{who} is {}; expected a table", node.kind()));
        }
        Section { who, node, faults, known: Vec::new() }
    }

    /// Takes a key's value as it is.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'n Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.node.get(key)
    }

    /// Tells whether the table has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// Takes the table under a key.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Section<'n, '_>> {
        let node = self.value(key)?;
        Some(Section::new(format!("{}: `{key}`", self.who), node, self.faults))
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<Located<String>> {
        let node = self.value(key)?;
        let text =
            node.as_str().map(|text| Located { value: text.to_owned(), position: node.position.clone() });
        self.require(key, node, text, "a string")
    }

    pub(super) fn bool(&mut self, key: &'static str) -> Option<bool> {
        let node = self.value(key)?;
        let value = if let NodeValue::Bool(value) = node.value { Some(value) } else { None };
        self.require(key, node, value, "true or false")
    }

    pub(super) fn integer<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + PartialOrd + std::fmt::Display + TryFrom<i64>,
    {
        let node = self.value(key)?;
        let expected = format!("an integer from {} to {}", range.start(), range.end());
        let NodeValue::Integer(written) = node.value else {
            return self.require(key, node, None, &expected);
        };
        let value = T::try_from(written).ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.refuse(key, node, &written.to_string(), &expected);
        }
        value
    }

    /// Takes a size: an integer of bytes, or a string with a unit.
    pub(super) fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let node = self.value(key)?;
        let expected =
            format!("a size from {} to {}", format_bytes(*range.start()), format_bytes(*range.end()));
        let bytes = match &node.value {
            NodeValue::Integer(bytes) => u64::try_from(*bytes).ok(),
            NodeValue::String(text) => match parse_bytes(text) {
                Ok(bytes) => Some(bytes),
                Err(error) => return self.fail(key, node, &error.to_string()),
            },
            _ => return self.require(key, node, None, &expected),
        };
        let shown = written(node);
        let fitting = bytes.filter(|bytes| range.contains(bytes));
        if fitting.is_none() {
            self.refuse(key, node, &shown, &expected);
        }
        fitting
    }

    /// Takes a duration: a number of seconds, or a string with a unit.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let node = self.value(key)?;
        let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
        let expected = format!("a duration from {least} to {most}");
        let duration = match &node.value {
            NodeValue::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            NodeValue::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            NodeValue::String(text) => match parse_duration(text) {
                Ok(duration) => Some(duration),
                Err(error) => return self.fail(key, node, &error.to_string()),
            },
            _ => return self.require(key, node, None, &expected),
        };
        let shown = written(node);
        let fitting = duration.filter(|duration| range.contains(duration));
        if fitting.is_none() {
            self.refuse(key, node, &shown, &expected);
        }
        fitting
    }

    /// Takes one word of a fixed set, with what it stands for.
    pub(super) fn keyword<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let written = self.string(key)?;
        let value = words.iter().find(|(word, _)| *word == written.value).map(|(_, value)| *value);
        if value.is_none() {
            let suggestion = suggestion(&written.value, words.iter().map(|(word, _)| *word));
            let text = format!("{}: unknown `{key}` `{}`; {suggestion}", self.who, written.value);
            self.faults.add(&written.position, text);
        }
        value
    }

    /// Takes an array of strings; one string stands for an array of one when `single` says so.
    ///
    /// The same string twice is a fault.
    pub(super) fn strings(&mut self, key: &'static str, single: bool) -> Vec<Located<String>> {
        let Some(node) = self.value(key) else { return Vec::new() };
        let expected = if single { "a string or an array of strings" } else { "an array of strings" };
        let items = match &node.value {
            NodeValue::Array(items) => items.as_slice(),
            NodeValue::String(_) if single => std::slice::from_ref(node),
            _ => return self.require(key, node, None, expected).unwrap_or_default(),
        };
        let mut strings: Vec<Located<String>> = Vec::with_capacity(items.len());
        for item in items {
            match item.as_str() {
                Some(text) if strings.iter().any(|other| other.value == text) => {
                    let text = format!("{}: `{key}` names `{text}` twice", self.who);
                    self.faults.add(&item.position, text);
                }
                Some(text) => {
                    strings.push(Located { value: text.to_owned(), position: item.position.clone() });
                }
                None => {
                    let text = format!("{}: `{key}` contains {}; expected {expected}", self.who, item.kind());
                    self.faults.add(&item.position, text);
                }
            }
        }
        strings
    }

    /// Ends the reading of a table whose keys are all known here: any other one is a fault.
    pub(super) fn finish(self) {
        for entry in self.node.entries() {
            if !self.known.contains(&entry.key.as_str()) {
                let suggestion = suggestion(&entry.key, self.known.iter().copied());
                let text = format!("{}: unknown key `{}`; {suggestion}", self.who, entry.key);
                self.faults.add(&entry.key_position, text);
            }
        }
    }

    /// Ends the reading of a table whose other keys are someone else's: gives those, and the names of ours.
    pub(super) fn rest(self) -> (Node, Vec<&'static str>) {
        let is_left = |key: &str| !self.known.contains(&key);
        let entries = self.node.entries().iter().filter(|entry| is_left(&entry.key)).cloned().collect();
        (Node::table(entries, &self.node.position), self.known)
    }

    /// Notes a fault about a key's value.
    pub(super) fn fail<T>(&mut self, key: &str, node: &Node, why: &str) -> Option<T> {
        self.faults.add(&node.position, format!("{}: `{key}`: {why}", self.who));
        None
    }

    fn require<T>(&mut self, key: &str, node: &Node, value: Option<T>, expected: &str) -> Option<T> {
        if value.is_none() {
            self.refuse(key, node, node.kind(), expected);
        }
        value
    }

    fn refuse(&mut self, key: &str, node: &Node, is: &str, expected: &str) {
        self.faults.add(&node.position, format!("{}: `{key}` is {is}; expected {expected}", self.who));
    }
}

fn written(node: &Node) -> String {
    match &node.value {
        NodeValue::String(text) => format!("`{text}`"),
        NodeValue::Integer(number) => number.to_string(),
        NodeValue::Float(number) => number.to_string(),
        _ => node.kind().to_owned(),
    }
}

/// Says what is wrong with the name of an instance or chain.
pub(super) fn name_fault(name: &str) -> Option<String> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let others = chars.all(|other| other.is_ascii_alphanumeric() || "_.:-".contains(other));
    if name.len() > NAME_CHARS_MAX {
        return Some(format!("names have at most {NAME_CHARS_MAX} characters"));
    }
    (!first || !others).then(|| {
        "names begin with a letter or `_`, and go on with letters, digits, `_`, `.`, `:` and `-`".to_owned()
    })
}
