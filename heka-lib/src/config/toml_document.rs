//! Reads TOML into the tree.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Entry, NESTING_MAX, Node, NodeValue};
use super::faults::Faults;
use super::position::{Position, PositionFinder};

/// What the parser calls a key or table that is written twice; the one fault after which its tree is sound.
const DUPLICATE_KEY: &str = "duplicate key";

/// Parses one TOML text and adds all its faults; gives no tree when the text is not TOML.
///
/// After a duplicate key there is still a tree, so that its other faults can be found as well.
pub(super) fn parse(file: &Arc<Path>, text: &str, faults: &mut Faults) -> Option<Node> {
    let finder = PositionFinder::new(file.clone(), text);
    if let Some(offset) = deep_key(text) {
        faults.add(&finder.find(offset), format!("keys nested deeper than {NESTING_MAX} levels"));
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut readable = true;
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        readable &= error.message() == DUPLICATE_KEY;
        faults.add(&finder.find(span.start), describe(error.message(), text, span));
    }
    let reader = Reader { finder, faults };
    readable.then(|| {
        let root = Position { file: file.clone(), line: 1, column: 1 };
        reader.into_root(table.into_inner(), root)
    })
}

fn describe(message: &str, text: &str, span: Range<usize>) -> String {
    match (message, text.get(span)) {
        (DUPLICATE_KEY, Some(key)) => {
            format!("`{}` is defined a second time", key.trim_matches(['"', '\'']))
        }
        (message, _) => format!("not TOML: {message}"),
    }
}

/// Finds a dotted key that makes the tree deeper than the limit.
///
/// The parser bounds how deep brackets nest, but not dots, and dropping its tree recurses once per level.
fn deep_key(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut open, mut outside, mut dots, mut at) = (Vec::new(), 0_usize, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'#' => at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at) - 1,
            b'"' | b'\'' => at = string_end(bytes, at) - 1,
            b'.' if outside + dots >= NESTING_MAX => return Some(at),
            b'.' => dots += 1,
            b'[' | b'{' => {
                open.push(dots);
                outside += std::mem::take(&mut dots);
            }
            b']' | b'}' => {
                dots = open.pop().unwrap_or(0);
                outside -= dots.min(outside);
            }
            b',' | b'\n' => dots = 0,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Finds the offset after the string that begins at `start`; one that doesn't end on its line ends with it.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let several_lines = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if several_lines { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !several_lines => return at,
            byte if byte == quote && !several_lines => return at + 1,
            byte if byte == quote && bytes[at..].starts_with(&[quote; 3]) => {
                let extra = bytes[at + 3..].iter().take(2).take_while(|&&byte| byte == quote).count();
                return at + 3 + extra;
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Turns the parser's tree into ours.
struct Reader<'t, 'f> {
    finder: PositionFinder<'t>,
    faults: &'f mut Faults,
}

impl Reader<'_, '_> {
    fn into_root(mut self, table: DeTable<'_>, position: Position) -> Node {
        let entries = self.entries(table, 0);
        Node { value: NodeValue::Table(entries), position }
    }

    fn entries(&mut self, table: DeTable<'_>, depth: usize) -> Vec<Entry> {
        let mut pairs: Vec<_> = table.into_iter().collect();
        // The parser's map is in alphabetic order; ours is in the order of the file.
        pairs.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (Spanned<_>, _)| {
            let key_position = self.finder.find(key.span().start);
            Entry { key_position, value: self.node(value, depth), key: String::from(key.into_inner()) }
        };
        pairs.into_iter().map(entry).collect()
    }

    fn node(&mut self, spanned: Spanned<DeValue<'_>>, depth: usize) -> Node {
        let position = self.finder.find(spanned.span().start);
        let value = match spanned.into_inner() {
            DeValue::Array(_) | DeValue::Table(_) if depth == NESTING_MAX => {
                self.faults.add(&position, format!("nested deeper than {NESTING_MAX} levels"));
                NodeValue::Nil
            }
            DeValue::Array(items) => {
                NodeValue::Array(items.into_iter().map(|item| self.node(item, depth + 1)).collect())
            }
            DeValue::Table(table) => NodeValue::Table(self.entries(table, depth + 1)),
            DeValue::String(text) => NodeValue::String(text.into_owned()),
            DeValue::Boolean(value) => NodeValue::Bool(value),
            DeValue::Datetime(value) => NodeValue::String(value.to_string()),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                self.number(parsed.ok().map(NodeValue::Integer), number.as_str(), &position)
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse().ok().map(NodeValue::Float);
                self.number(parsed, number.as_str(), &position)
            }
        };
        Node { value, position }
    }

    fn number(&mut self, parsed: Option<NodeValue>, text: &str, position: &Position) -> NodeValue {
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
        (parse(&Path::new("heka.toml").into(), text, &mut faults), faults)
    }

    #[test]
    fn keys_keep_the_order_of_the_file_and_their_places() {
        let (root, faults) = read("b = 1\n[x.z]\na = \"ü\"\nc.d = [ 1979-05-27 ]\n[x.'y']\n");
        let root = root.unwrap();
        assert!(faults.is_empty(), "{faults}");
        let keys: Vec<_> = root.entries().iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["b", "x"]);
        let x = root.get("x").unwrap();
        let shown: Vec<_> = x
            .entries()
            .iter()
            .map(|e| format!("{} {} {}", e.key, e.key_position, e.value.position))
            .collect();
        assert_eq!(shown, ["z heka.toml:2:4 heka.toml:2:1", "y heka.toml:5:4 heka.toml:5:1"]);
        assert_eq!(x.at_path("z.c.d[0]").as_str(), Some("1979-05-27"));
        assert_eq!(x.at_path("z.c.d[0]").position.to_string(), "heka.toml:4:9");
    }

    #[test]
    fn faults_of_the_text_are_all_reported_with_their_places() {
        let check = |text: &str, readable: bool, expected: &str| {
            let (root, faults) = read(text);
            assert_eq!(faults.to_string(), expected, "{text}");
            assert_eq!(root.is_some(), readable, "{text}");
        };
        check("", true, "no faults");
        check("a = 1\na = 2\n", true, "heka.toml:2:1: `a` is defined a second time");
        check("[a.b]\n[a.c]\n[a.b]\n", true, "heka.toml:3:4: `b` is defined a second time");
        check("a = { b = 1, \"b\" = 2 }\n", true, "heka.toml:1:14: `b` is defined a second time");
        check(
            "a = 99999999999999999999\n",
            true,
            "heka.toml:1:5: number `99999999999999999999` does not fit into 64 bits",
        );
        check(
            "a = \nb = [1\n",
            false,
            concat!(
                "heka.toml:1:5: not TOML: string values must be quoted, expected literal string\n",
                "heka.toml:2:7: not TOML: unclosed array, expected `]`"
            ),
        );
        check("a b = 1\n", false, "heka.toml:1:3: not TOML: key with no value, expected `=`");
    }

    #[test]
    fn nesting_is_limited_whichever_way_it_is_written() {
        let is_deep = |text: &str| {
            let (root, faults) = read(text);
            let deep = faults.to_string();
            assert!(root.is_none() || !faults.is_empty(), "{}", &text[..40]);
            assert!(deep.contains("nested deeper than 64") || deep.contains("recursion"), "{deep}");
        };
        is_deep(&format!("{} = 1", vec!["a"; 100_000].join(".")));
        is_deep(&format!("[{}]", vec!["a"; 100_000].join(".")));
        is_deep(&format!("a = {}{}", "{ a.a.a.a.a = ".repeat(50), "1"));
        is_deep(&format!("a = {}1{}", "[".repeat(70), "]".repeat(70)));
        is_deep(&format!("a = {}", "[".repeat(100_000)));
        is_deep(&format!("a = {}", "{a=".repeat(100_000)));
        let fine = |text: &str| assert_eq!(read(text).1.to_string(), "no faults");
        fine(&format!("a = {}1{}", "[".repeat(60), "]".repeat(60)));
        fine(&format!("a = '''\n{}\n''' # {}", ".".repeat(100), ".".repeat(100)));
        fine(&format!("a = \"\\\"{}\"\nb = '{}'", ".".repeat(100), ".".repeat(100)));
        fine(&format!("a = [{}\n]", "1.5, 2.5,\n".repeat(100)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let (root, faults) = read(&text);
            prop_assert!(root.is_some() || !faults.is_empty());
        }

        #[test]
        fn anything_that_looks_like_toml_is_read_or_refused(
            parts in prop::collection::vec(prop::sample::select(vec![
                "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", " ", "a", "b", "a.b", "'", "\"", "\"\"\"", "'''",
                "1", "1.5", "true", "#", "\\", "[a]\n", "[a.b]\n", "[[a]]\n", "[[a.b]]\n", "a = 1\n", "a.b = {}\n",
                "b = []\n", "\r\n", "ü", "\u{feff}",
            ]), 0..40)
        ) {
            let (root, faults) = read(&parts.concat());
            prop_assert!(root.is_some() || !faults.is_empty());
        }
    }
}
