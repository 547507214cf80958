//! Reads JSON, with comments, into the tree.

use std::path::Path;
use std::sync::Arc;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::document::{Entry, NESTING_MAX, Node, NodeValue};
use super::faults::Faults;
use super::position::{Position, PositionFinder};

/// JSON as its standard has it, and comments and trailing commas, which old configurations are full of.
const PARSE_OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Parses one JSON text and adds all its faults; gives no tree when the text is not one JSON object.
pub(super) fn parse(file: &Arc<Path>, text: &str, faults: &mut Faults) -> Option<Node> {
    let finder = PositionFinder::new(file.clone(), text);
    let value = match parse_to_ast(text, &CollectOptions::default(), &PARSE_OPTIONS) {
        Ok(parsed) => parsed.value,
        Err(error) => {
            let why = lowercase_first(&error.kind().to_string());
            faults.add(&finder.find(error.range().start), format!("not JSON: {why}"));
            return None;
        }
    };
    match value {
        Some(Value::Object(object)) => Some(Reader { finder, faults }.node(Value::Object(object), 0)),
        other => {
            let start = other.map_or(0, |value| value.range().start);
            faults.add(&finder.find(start), "a configuration in JSON must be one object, `{ … }`");
            None
        }
    }
}

fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Turns the parser's tree into ours.
struct Reader<'t, 'f> {
    finder: PositionFinder<'t>,
    faults: &'f mut Faults,
}

impl Reader<'_, '_> {
    fn node(&mut self, value: Value<'_>, depth: usize) -> Node {
        let position = self.finder.find(value.range().start);
        let value = match value {
            Value::Array(_) | Value::Object(_) if depth == NESTING_MAX => {
                self.faults.add(&position, format!("nested deeper than {NESTING_MAX} levels"));
                NodeValue::Nil
            }
            Value::Array(array) => {
                NodeValue::Array(array.elements.into_iter().map(|item| self.node(item, depth + 1)).collect())
            }
            Value::Object(object) => NodeValue::Table(self.entries(object, depth + 1)),
            Value::StringLit(text) => NodeValue::String(text.value.into_owned()),
            Value::BooleanLit(value) => NodeValue::Bool(value.value),
            Value::NumberLit(number) => self.number(number.value, &position),
            Value::NullKeyword(_) => NodeValue::Nil,
        };
        Node { value, position }
    }

    fn entries(&mut self, object: Object<'_>, depth: usize) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
        let mut seen = std::collections::HashMap::new();
        for property in object.properties {
            let key_position = self.finder.find(property.range.start);
            let key = property.name.into_string();
            let value = self.node(property.value, depth);
            if let Some(first) = seen.insert(key.clone(), key_position.clone()) {
                let text = format!("`{key}` is defined a second time; first at {first}");
                self.faults.add(&key_position, text);
                continue;
            }
            entries.push(Entry { key, key_position, value });
        }
        entries
    }

    fn number(&mut self, text: &str, position: &Position) -> NodeValue {
        let is_integer = !text.contains(['.', 'e', 'E']);
        let parsed = match is_integer {
            true => text.parse().ok().map(NodeValue::Integer),
            false => text.parse().ok().filter(|value: &f64| value.is_finite()).map(NodeValue::Float),
        };
        parsed.unwrap_or_else(|| {
            self.faults.add(position, format!("number `{text}` does not fit into 64 bits"));
            NodeValue::Nil
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Option<Node>, Faults) {
        let mut faults = Faults::new();
        (parse(&Path::new("heka.json").into(), text, &mut faults), faults)
    }

    #[test]
    fn values_and_their_places_are_read() {
        let text = "{ // note\n \"a\": [1, -2.5, \"ü\", true, null,],\n \"b\": {\"c\": 1e3}, }";
        let (root, faults) = read(text);
        assert!(faults.is_empty(), "{faults}");
        let root = root.unwrap();
        let check = |path: &str, place: &str, value: NodeValue| {
            let node = root.at_path(path);
            assert_eq!((node.position.to_string(), &node.value), (format!("heka.json:{place}"), &value));
        };
        check("a[0]", "2:8", NodeValue::Integer(1));
        check("a[1]", "2:11", NodeValue::Float(-2.5));
        check("a[2]", "2:17", NodeValue::String("ü".to_owned()));
        check("a[3]", "2:22", NodeValue::Bool(true));
        check("a[4]", "2:28", NodeValue::Nil);
        check("b.c", "3:13", NodeValue::Float(1000.0));
        assert_eq!(root.key_position_at("b.c").to_string(), "heka.json:3:8");
    }

    #[test]
    fn faults_of_the_text_are_reported_with_their_places() {
        let check = |text: &str, readable: bool, expected: &str| {
            let (root, faults) = read(text);
            assert_eq!(faults.to_string(), expected, "{text}");
            assert_eq!(root.is_some(), readable, "{text}");
        };
        check("{}", true, "no faults");
        check("", false, "heka.json:1:1: a configuration in JSON must be one object, `{ … }`");
        check(" [1]", false, "heka.json:1:2: a configuration in JSON must be one object, `{ … }`");
        check("{\n\"a\": 1 \"b\": 2}", false, "heka.json:2:7: not JSON: expected comma");
        check("{\"a\": 'x'}", false, "heka.json:1:7: not JSON: single-quoted strings are not allowed");
        check(
            "{\"a\"",
            false,
            "heka.json:1:5: not JSON: expected colon after the string or word in object property",
        );
        check(
            "{\"a\":1,\n \"a\":2}",
            true,
            "heka.json:2:2: `a` is defined a second time; first at heka.json:1:2",
        );
        check(
            "{\"a\":99999999999999999999}",
            true,
            "heka.json:1:6: number `99999999999999999999` does not fit into 64 bits",
        );
    }

    #[test]
    fn nesting_is_limited() {
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(read(&deep(63)).1.to_string(), "no faults");
        assert_eq!(read(&deep(64)).1.to_string(), "heka.json:1:69: nested deeper than 64 levels");
        let expected = "not JSON: maximum nesting depth exceeded";
        assert!(read(&deep(10_000)).1.to_string().ends_with(expected));
        assert!(read(&"{\"a\":".repeat(100_000)).1.to_string().ends_with(expected));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let (root, faults) = read(&text);
            prop_assert!(root.is_some() || !faults.is_empty());
        }

        #[test]
        fn anything_that_looks_like_json_is_read_or_refused(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"a\"", "\"", "\\u12", "\\ud800", "1", "-", "1.5e", "true", "null",
                "//", "/*", "*/", "\n", "'", "ü", "x",
            ]), 0..40)
        ) {
            let (root, faults) = read(&format!("{{{}", parts.concat()));
            prop_assert!(root.is_some() || !faults.is_empty());
        }
    }
}
