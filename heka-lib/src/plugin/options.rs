//! Checks a plugin's section of a configuration against what its metadata says about its options.

use std::time::Duration;

use crate::config::{Entry, Faults, Node, NodeValue, nearest, parse_bytes, parse_duration};

use super::metadata::{OptionMetadata, PluginMetadata};

/// Checks a section without running code of the plugin: unknown and missing options, values of a wrong type.
///
/// `host_keys` are the host's own keys of such a section: they are no faults, and a mistyped key may have been
/// meant to be one. `who` begins each fault: ``input `web` ``. What only the plugin can know, such as limits, is
/// left to its own check. Returns whether all was right.
pub fn check_options(
    section: &Node,
    plugin: &PluginMetadata,
    host_keys: &[&str],
    who: &str,
    faults: &mut Faults,
) -> bool {
    let before = faults.len();
    if !matches!(section.value, NodeValue::Table(_)) {
        faults.add(&section.position, format!("{who} is {}; expected a table", section.kind()));
        return false;
    }
    for entry in section.entries() {
        match plugin.options.iter().find(|option| option.name == entry.key) {
            Some(option) => check_value(option, &entry.value, who, faults),
            None if host_keys.contains(&entry.key.as_str()) => {}
            None => add_unknown(entry, plugin, host_keys, who, faults),
        }
    }
    let is_missing =
        |option: &&OptionMetadata| option.default.is_none() && section.get(&option.name).is_none();
    for option in plugin.options.iter().filter(is_missing) {
        let (name, expected) = (&option.name, expected(&option.type_name));
        faults.add(&section.position, format!("{who}: `{name}` is missing; expected {expected}"));
    }
    faults.len() == before
}

fn add_unknown(entry: &Entry, plugin: &PluginMetadata, host_keys: &[&str], who: &str, faults: &mut Faults) {
    let own = plugin.options.iter().map(|option| option.name.as_str());
    let known = own.chain(host_keys.iter().copied());
    let hint = match nearest(&entry.key, known.clone()) {
        Some(near) => format!("did you mean `{near}`"),
        None => format!("known: {}", known.collect::<Vec<_>>().join(", ")),
    };
    faults.add(&entry.key_position, format!("{who}: unknown key `{}`; {hint}", entry.key));
}

fn check_value(option: &OptionMetadata, node: &Node, who: &str, faults: &mut Faults) {
    if let Err(why) = fits(&option.type_name, node) {
        faults.add(&node.position, format!("{who}: `{}`{why}", option.name));
    }
}

/// Tells whether a value is of a type; if not, how the sentence about it goes on.
fn fits(type_name: &str, node: &Node) -> Result<(), String> {
    use NodeValue::{Array, Bool, Float, Integer, String, Table};
    let is_right = match (type_name, &node.value) {
        ("string", String(_))
        | ("integer", Integer(_))
        | ("number", Integer(_) | Float(_))
        | ("bool", Bool(_))
        | ("array", Array(_))
        | ("table", Table(_)) => true,
        ("size", Integer(bytes)) => *bytes >= 0,
        ("size", String(text)) => return parse_bytes(text).map(drop).map_err(|error| format!(": {error}")),
        ("duration", Integer(seconds)) => *seconds >= 0,
        ("duration", Float(seconds)) => Duration::try_from_secs_f64(*seconds).is_ok(),
        ("duration", String(text)) => {
            return parse_duration(text).map(drop).map_err(|error| format!(": {error}"));
        }
        ("string" | "integer" | "number" | "bool" | "array" | "table" | "size" | "duration", _) => false,
        (other, value) => match (words(other), value) {
            (Some(words), String(word)) => return is_one_of(word, words),
            (Some(_), _) => false,
            // `any`, and what a newer plugin may have: its own check will tell.
            (None, _) => true,
        },
    };
    if is_right { Ok(()) } else { Err(format!(" is {}; expected {}", written(node), expected(type_name))) }
}

/// The words of a type `one of: a, b`.
fn words(type_name: &str) -> Option<impl Iterator<Item = &str> + Clone> {
    type_name.strip_prefix("one of:").map(|words| words.split(',').map(str::trim))
}

fn is_one_of<'w>(word: &str, mut words: impl Iterator<Item = &'w str> + Clone) -> Result<(), String> {
    let all = words.clone();
    if words.any(|known| known == word) {
        return Ok(());
    }
    Err(match nearest(word, all.clone()) {
        Some(near) => format!(" is `{word}`; did you mean `{near}`"),
        None => format!(" is `{word}`; expected one of {}", quoted(all)),
    })
}

fn quoted<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The value if it is a number of the right kind that doesn't fit, else what kind of value it is.
fn written(node: &Node) -> String {
    match &node.value {
        NodeValue::Integer(number) if *number < 0 => number.to_string(),
        NodeValue::Float(number) if !number.is_finite() || *number < 0.0 => number.to_string(),
        _ => node.kind().to_owned(),
    }
}

/// A type with its article, as a user would write a value of it.
fn expected(type_name: &str) -> String {
    match type_name {
        "string" => "a string".to_owned(),
        "integer" => "an integer".to_owned(),
        "number" => "a number".to_owned(),
        "bool" => "true or false".to_owned(),
        "size" => "a size: bytes as a number, or text such as `64 KiB`".to_owned(),
        "duration" => "a duration: seconds as a number, or text such as `10 s`".to_owned(),
        "array" => "an array".to_owned(),
        "table" => "a table".to_owned(),
        other => words(other).map_or("a value".to_owned(), |words| format!("one of {}", quoted(words))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_toml_str;
    use crate::plugin::Kind;

    fn plugin() -> PluginMetadata {
        let option = |name: &str, type_name: &str, default: Option<&str>| OptionMetadata {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            default: default.map(str::to_owned),
            ..OptionMetadata::default()
        };
        let types = ["string", "integer", "number", "bool", "size", "duration", "array", "table", "any"];
        let mut options = vec![option("paths", "array", None)];
        options.extend(types.map(|name| option(name, name, Some(""))));
        options.push(option("mode", "one of: append, truncate", Some("append")));
        options.push(option("later", "colour", Some("")));
        PluginMetadata { kind: Kind::Input, name: "file".to_owned(), doc: String::new(), options }
    }

    /// Checks the faults of a section whose first line is `paths = []`.
    fn check(toml: &str, expected: &[&str]) {
        check_all(&format!("paths = []\n{toml}"), expected);
    }

    fn check_all(toml: &str, expected: &[&str]) {
        let document = from_toml_str("x.toml", toml).unwrap();
        let mut faults = Faults::new();
        let fine =
            check_options(&document.root, &plugin(), &["decoder", "plugin"], "input `web`", &mut faults);
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected, "{toml}");
        assert_eq!(fine, expected.is_empty(), "{toml}");
    }

    #[test]
    fn values_of_the_right_type_are_fine() {
        check("string = 'a'\ninteger = -1\nnumber = 1\nbool = true\nsize = '64 KiB'\nduration = 0.5", &[]);
        check(
            "size = 0\nduration = '1 ms'\nnumber = 1.5\narray = [1]\ntable = {}\nany = 1\nmode = 'append'",
            &[],
        );
        check("duration = 10\nany = {}\nlater = []\ndecoder = 1\nplugin = 'file'", &[]);
    }

    #[test]
    fn values_of_another_type_are_faults() {
        let wrong = |toml: &str, expected: &str| check(toml, &[&format!("x.toml:2:{expected}")]);
        wrong("string = 1", "10: input `web`: `string` is an integer; expected a string");
        wrong("integer = 1.5", "11: input `web`: `integer` is a float; expected an integer");
        wrong("number = '1'", "10: input `web`: `number` is a string; expected a number");
        wrong("bool = 1", "8: input `web`: `bool` is an integer; expected true or false");
        wrong("array = 'a'", "9: input `web`: `array` is a string; expected an array");
        wrong("table = []", "9: input `web`: `table` is an array; expected a table");
        wrong(
            "size = -1",
            "8: input `web`: `size` is -1; expected a size: bytes as a number, or text such as `64 KiB`",
        );
        let not_a_size = "`x` is not a size; write bytes as a number, or for example `64 KiB`";
        wrong("size = 'x'", &format!("8: input `web`: `size`: {not_a_size}"));
        let expected = "expected a duration: seconds as a number, or text such as `10 s`";
        wrong("duration = true", &format!("12: input `web`: `duration` is a boolean; {expected}"));
        wrong("duration = nan", &format!("12: input `web`: `duration` is NaN; {expected}"));
        wrong("mode = 'apend'", "8: input `web`: `mode` is `apend`; did you mean `append`");
        wrong("mode = 'rw'", "8: input `web`: `mode` is `rw`; expected one of `append`, `truncate`");
        wrong("mode = 1", "8: input `web`: `mode` is an integer; expected one of `append`, `truncate`");
    }

    #[test]
    fn unknown_and_missing_keys_are_faults_with_the_nearest_name() {
        check("moed = 'append'", &["x.toml:2:1: input `web`: unknown key `moed`; did you mean `mode`"]);
        check("decodr = 'x'", &["x.toml:2:1: input `web`: unknown key `decodr`; did you mean `decoder`"]);
        let known = "known: paths, string, integer, number, bool, size, duration, array, table, any, mode, later, \
                     decoder, plugin";
        check("xyzzy_q = 1", &[&format!("x.toml:2:1: input `web`: unknown key `xyzzy_q`; {known}")]);
        let unknown = "x.toml:1:1: input `web`: unknown key `path`; did you mean `paths`";
        check_all("path = 1", &[unknown, "x.toml:1:1: input `web`: `paths` is missing; expected an array"]);
    }
}
