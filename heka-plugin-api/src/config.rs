//! Turns a plugin's config section, which arrives as MessagePack, into the author's struct.

use serde::de::DeserializeOwned;

/// A fault of one option: the path of its key, such as `columns[2].name`, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Path of the key; empty for the section as a whole.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// Collects the faults that a plugin's `check` finds in its options.
#[derive(Default, Debug)]
pub struct Faults {
    faults: Vec<Fault>,
}

impl Faults {
    /// Adds a fault of the option at `key`, a path such as `columns[2].name`.
    pub fn add(&mut self, key: impl Into<String>, reason: impl Into<String>) {
        self.faults.push(Fault { key: key.into(), reason: reason.into() });
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns the faults in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }
}

/// Parses a MessagePack map into a config struct.
pub(crate) fn parse<C: DeserializeOwned>(section: &[u8]) -> Result<C, Fault> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(section);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let key = error.path().to_string();
        Fault { key: if key == "." { String::new() } else { key }, reason: readable(&error.into_inner()) }
    })
}

/// Says a failure of `rmp_serde` in the words of a config.
fn readable(error: &rmp_serde::decode::Error) -> String {
    use rmp_serde::decode::Error;
    match error {
        Error::TypeMismatch(marker) => format!("has the wrong type: found {}", marker_name(*marker)),
        Error::Uncategorized(text) | Error::Syntax(text) => text.clone(),
        other => other.to_string(),
    }
}

fn marker_name(marker: rmp::Marker) -> &'static str {
    use rmp::Marker::*;
    match marker {
        Null => "nothing",
        True | False => "a bool",
        F32 | F64 => "a number with decimals",
        FixStr(_) | Str8 | Str16 | Str32 => "a string",
        FixArray(_) | Array16 | Array32 => "an array",
        FixMap(_) | Map16 | Map32 => "a table",
        FixPos(_) | FixNeg(_) | U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 => "an integer",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteSize, Interval};
    use serde::{Deserialize, Serialize};

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Append,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Column {
        name: String,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Config {
        size: Option<ByteSize>,
        every: Option<Interval>,
        mode: Option<Mode>,
        #[serde(default)]
        columns: Vec<Column>,
        depth: Option<u8>,
    }

    fn fault(section: &impl Serialize) -> String {
        let bytes = rmp_serde::to_vec_named(section).unwrap();
        let fault = parse::<Config>(&bytes).unwrap_err();
        format!("{}: {}", fault.key, fault.reason)
    }

    #[derive(Serialize)]
    struct One<T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<T>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<T>,
    }

    #[test]
    fn sizes_durations_and_enums_are_read() {
        let section = serde_json_like(&[("size", "64 KiB"), ("every", "1 ms"), ("mode", "append")]);
        let config = parse::<Config>(&section).unwrap();
        assert_eq!(config.size, Some(ByteSize(65_536)));
        assert_eq!(config.every.unwrap().0.as_micros(), 1_000);
        assert_eq!(config.mode, Some(Mode::Append));
    }

    fn serde_json_like(pairs: &[(&str, &str)]) -> Vec<u8> {
        let map: std::collections::BTreeMap<_, _> = pairs.iter().copied().collect();
        rmp_serde::to_vec_named(&map).unwrap()
    }

    #[test]
    fn faults_name_their_key() {
        assert_eq!(fault(&One { size: Some("64 XB"), mode: None }).split(": ").next(), Some("size"));
        assert!(fault(&One { size: None, mode: Some("apend") }).contains("unknown variant `apend`"));
        let text = fault(&std::collections::BTreeMap::from([("contians", 1)]));
        assert!(text.contains("unknown field `contians`"), "{text}");
        let columns = std::collections::BTreeMap::from([("columns", vec![Vec::from([1, 2])])]);
        assert!(fault(&columns).starts_with("columns[0]"), "{}", fault(&columns));
    }
}
