//! A configuration as a tree, the same for every file format, each part with its place in the file.

use std::path::PathBuf;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::faults::Faults;
use super::position::Position;

/// Deeper trees are refused, so that nothing that walks one can exhaust the stack.
pub const NESTING_MAX: usize = 64;

/// Holds a whole configuration, merged from all its files and in today's shape.
#[derive(Clone, Debug)]
pub struct Document {
    /// What was loaded: the file, the directory, or the name that an embedder gave.
    pub name: PathBuf,
    /// The top-level table.
    pub root: Node,
    /// What is wrong but did not hinder reading on: duplicate keys, references to the environment, …
    ///
    /// [`Config::from_document`](super::Config::from_document) reports them together with what it finds.
    pub faults: Faults,
}

/// One value with its place.
///
/// Two nodes are equal when their values are, wherever they stand. Serializes as its value alone, so that
/// `rmp_serde::to_vec_named(&node)` makes the MessagePack that a plugin gets.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: NodeValue,
    /// Where the value begins; for a table with a header of its own, where the header begins.
    pub position: Position,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The values that a configuration can hold.
///
/// Dates and times of TOML are strings as they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeValue {
    /// JSON's `null`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A number without a fraction.
    Integer(i64),
    /// A number with a fraction or exponent.
    Float(f64),
    /// A text.
    String(String),
    /// Values in order.
    Array(Vec<Node>),
    /// Keys with values, in the order of the file, no key twice.
    Table(Vec<Entry>),
}

/// One key of a table with its value.
///
/// Two entries are equal when keys and values are.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key, unquoted.
    pub key: String,
    /// Where the key is; in `[a.b]` each of the two has its own place.
    pub key_position: Position,
    /// The value.
    pub value: Node,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Node {
    /// Makes a string.
    pub fn string(text: impl Into<String>, position: &Position) -> Self {
        Node { value: NodeValue::String(text.into()), position: position.clone() }
    }

    /// Makes a table.
    pub fn table(entries: Vec<Entry>, position: &Position) -> Self {
        Node { value: NodeValue::Table(entries), position: position.clone() }
    }

    /// The entries of a table; none for any other value.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            NodeValue::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a table's key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a table's key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// What kind of value this is, with its article, for messages: `a string`, `an integer`.
    pub fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Nil => "null",
            NodeValue::Bool(_) => "a boolean",
            NodeValue::Integer(_) => "an integer",
            NodeValue::Float(_) => "a float",
            NodeValue::String(_) => "a string",
            NodeValue::Array(_) => "an array",
            NodeValue::Table(_) => "a table",
        }
    }

    /// Finds what a path such as `a.b[2].c` leads to, or the nearest ancestor of it that exists.
    ///
    /// For a plugin's report on its own options: the path is what `serde_path_to_error` prints. Keys that
    /// contain dots or brackets are found as well.
    pub fn at_path(&self, path: &str) -> &Node {
        self.walk(path).0
    }

    /// Finds where the last existing key of a path is written; the node's own position when there is none.
    ///
    /// For reports on a key itself, for example one that the plugin doesn't know.
    pub fn key_position_at(&self, path: &str) -> &Position {
        self.walk(path).1
    }

    fn walk<'n>(&'n self, path: &str) -> (&'n Node, &'n Position) {
        let (mut node, mut key_position, mut rest) = (self, &self.position, path);
        while !rest.is_empty() {
            let Some((next, position, tail)) = node.step(rest) else { break };
            (node, key_position, rest) = (next, position, tail);
        }
        (node, key_position)
    }

    /// Goes one key or index down: gives the child, its key's place, and the rest of the path.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(&'n Node, &'n Position, &'p str)> {
        match &self.value {
            NodeValue::Array(items) => {
                let (index, tail) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some((item, &item.position, tail.strip_prefix('.').unwrap_or(tail)))
            }
            NodeValue::Table(entries) => {
                let (entry, tail) = entries
                    .iter()
                    .filter_map(|entry| Some((entry, tail_after_key(path, &entry.key)?)))
                    .max_by_key(|(entry, _)| entry.key.len())?;
                Some((&entry.value, &entry.key_position, tail))
            }
            _ => None,
        }
    }

    /// Tells whether a string with exactly this text is anywhere in the tree.
    pub fn mentions(&self, text: &str) -> bool {
        match &self.value {
            NodeValue::String(own) => own == text,
            NodeValue::Array(items) => items.iter().any(|item| item.mentions(text)),
            NodeValue::Table(entries) => entries.iter().any(|entry| entry.value.mentions(text)),
            _ => false,
        }
    }
}

fn tail_after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let tail = path.strip_prefix(key)?;
    match tail.as_bytes().first() {
        None | Some(b'[') => Some(tail),
        Some(b'.') => Some(&tail[1..]),
        Some(_) => None,
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            NodeValue::Nil => serializer.serialize_unit(),
            NodeValue::Bool(value) => serializer.serialize_bool(*value),
            NodeValue::Integer(value) => serializer.serialize_i64(*value),
            NodeValue::Float(value) => serializer.serialize_f64(*value),
            NodeValue::String(value) => serializer.serialize_str(value),
            NodeValue::Array(items) => {
                let mut array = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| array.serialize_element(item))?;
                array.end()
            }
            NodeValue::Table(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|entry| map.serialize_entry(&entry.key, &entry.value))?;
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::config::from_toml_str;

    const TEXT: &str = "a.b = [1, 2, { c = 'x' }]\n'k.l' = { m = 1 }\nk = 2\n";

    #[test]
    fn paths_lead_to_the_value_or_its_nearest_ancestor() {
        let document = from_toml_str("t", TEXT).unwrap();
        let check = |path: &str, value: &str, key: &str| {
            assert_eq!(document.root.at_path(path).position.to_string(), value, "{path}");
            assert_eq!(document.root.key_position_at(path).to_string(), key, "{path}");
        };
        check("a.b[2].c", "t:1:20", "t:1:16");
        check("a.b[2].d", "t:1:14", "t:1:14");
        check("a.b[1]", "t:1:11", "t:1:11");
        check("a.b[7].x", "t:1:7", "t:1:3");
        check("a.b[x", "t:1:7", "t:1:3");
        check("a.x", "t:1:1", "t:1:1");
        check("k.l.m", "t:2:15", "t:2:11");
        check("k", "t:3:5", "t:3:1");
        check("kk", "t:1:1", "t:1:1");
        check("", "t:1:1", "t:1:1");
    }

    #[test]
    fn a_node_becomes_the_messagepack_of_its_value() {
        #[derive(Deserialize, Debug, PartialEq)]
        struct Options {
            paths: Vec<String>,
            ratio: f64,
            count: u8,
            on: bool,
            since: String,
            nested: std::collections::BTreeMap<String, i64>,
        }
        let text = "paths = ['a']\nratio = 0.5\ncount = 0x10\non = true\nsince = 2026-01-02\nnested.x = -1\n";
        let document = from_toml_str("t", text).unwrap();
        let bytes = rmp_serde::to_vec_named(&document.root).unwrap();
        let options: Options = rmp_serde::from_slice(&bytes).unwrap();
        let expected = Options {
            paths: vec!["a".to_owned()],
            ratio: 0.5,
            count: 16,
            on: true,
            since: "2026-01-02".to_owned(),
            nested: [("x".to_owned(), -1)].into(),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn moving_a_value_in_the_file_changes_nothing() {
        let one = from_toml_str("t", "a = [1]\n").unwrap();
        let two = from_toml_str("u", "\n\na = [ 1 ]\n").unwrap();
        assert_eq!(one.root, two.root);
    }
}
