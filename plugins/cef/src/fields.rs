//! The parts of a CEF line as fields of a message.

use crate::line::{CefLine, unescape};
use heka_plugin_api::Value;
use std::borrow::Cow;

/// Names of the header's parts.
const HEADER: [&str; 7] =
    ["cef_version", "device_vendor", "device_product", "device_version", "signature", "name", "cef_severity"];

/// Keys whose meaning their sender says in a key with `Label` behind it.
const LABELLED: [&str; 24] = [
    "cs1",
    "cs2",
    "cs3",
    "cs4",
    "cs5",
    "cs6",
    "cn1",
    "cn2",
    "cn3",
    "cfp1",
    "cfp2",
    "cfp3",
    "cfp4",
    "c6a1",
    "c6a2",
    "c6a3",
    "c6a4",
    "flexString1",
    "flexString2",
    "flexNumber1",
    "flexNumber2",
    "flexDate1",
    "deviceCustomDate1",
    "deviceCustomDate2",
];

/// Keys that the format defines as integers.
const INTEGERS: [&str; 18] = [
    "cn1",
    "cn2",
    "cn3",
    "cnt",
    "destinationTranslatedPort",
    "dpid",
    "dpt",
    "dvcpid",
    "flexNumber1",
    "flexNumber2",
    "fsize",
    "in",
    "oldFileSize",
    "out",
    "sourceTranslatedPort",
    "spid",
    "spt",
    "type",
];

/// Keys that the format defines as numbers with a fraction.
const DOUBLES: [&str; 8] = ["cfp1", "cfp2", "cfp3", "cfp4", "dlat", "dlong", "slat", "slong"];

/// How parts become fields.
pub struct FieldOptions {
    /// What their names begin with.
    pub prefix: String,
    /// Whether labels become the names of the values that they belong to.
    pub use_labels: bool,
}

impl FieldOptions {
    /// Hands each part of a line to `add`, the header's first: name and value.
    ///
    /// Empty parts of the header are left out; values that aren't what the format says stay text.
    pub fn read(&self, line: &CefLine<'_>, mut add: impl FnMut(&[u8], Value<'_>)) {
        let mut name_bytes = Vec::new();
        let mut add = |name: &[u8], value: Value<'_>| {
            name_bytes.clear();
            name_bytes.extend_from_slice(self.prefix.as_bytes());
            name_bytes.extend_from_slice(name);
            add(&name_bytes, value);
        };
        for (name, part) in HEADER.iter().zip(line.header()) {
            if !part.is_empty() {
                let is_number = matches!(*name, "cef_version" | "cef_severity");
                add(name.as_bytes(), value(&unescape(part), is_number, false));
            }
        }
        let labels = Labels::find(line, self.use_labels);
        for (key, raw) in line.pairs() {
            if let Some(name) = labels.name(key) {
                add(&name, value(&unescape(raw), is_in(&INTEGERS, key), is_in(&DOUBLES, key)));
            }
        }
    }
}

fn is_in(keys: &[&str], key: &[u8]) -> bool {
    keys.iter().any(|known| known.as_bytes() == key)
}

/// The value as the type that it should have, or else as text.
fn value(text: &[u8], is_integer: bool, is_double: bool) -> Value<'_> {
    let digits = std::str::from_utf8(text).unwrap_or_default();
    let integer = || digits.parse().ok().filter(|_| is_integer).map(Value::Integer);
    let double = || digits.parse().ok().filter(|_| is_double).map(Value::Double);
    integer().or_else(double).unwrap_or(Value::String(text))
}

/// The labels of a line, by the keys that they belong to.
#[derive(Default)]
struct Labels<'l> {
    labels: [&'l [u8]; LABELLED.len()],
    has_value: [bool; LABELLED.len()],
}

impl<'l> Labels<'l> {
    fn find(line: &CefLine<'l>, use_labels: bool) -> Labels<'l> {
        let mut found = Labels::default();
        if use_labels {
            for (key, value) in line.pairs() {
                match (key.strip_suffix(b"Label").and_then(labelled), labelled(key)) {
                    (Some(index), _) => found.labels[index] = value,
                    (None, Some(index)) => found.has_value[index] = true,
                    (None, None) => {}
                }
            }
        }
        found
    }

    /// Returns the name of a key's field; `None` for a label that names another one.
    fn name<'k>(&self, key: &'k [u8]) -> Option<Cow<'k, [u8]>>
    where
        'l: 'k,
    {
        if let Some(index) = key.strip_suffix(b"Label").and_then(labelled) {
            let names_another = self.has_value[index] && !self.labels[index].is_empty();
            return (!names_another).then_some(Cow::Borrowed(key));
        }
        match labelled(key).map(|index| self.labels[index]) {
            Some(label) if !label.is_empty() => Some(unescape(label)),
            _ => Some(Cow::Borrowed(key)),
        }
    }
}

fn labelled(key: &[u8]) -> Option<usize> {
    LABELLED.iter().position(|known| known.as_bytes() == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &str, use_labels: bool, extension: &str, expected: &[(&str, Value<'_>)]) {
        let line = format!("CEF:0|ven|prod||sig|na\\|me|7|{extension}");
        let line = CefLine::parse(line.as_bytes()).unwrap();
        let mut fields = Vec::new();
        FieldOptions { prefix: prefix.to_owned(), use_labels }.read(&line, |name, value| {
            fields.push(format!("{} {value:?}", String::from_utf8_lossy(name)));
        });
        let expected: Vec<String> =
            expected.iter().map(|(name, value)| format!("{name} {value:?}")).collect();
        assert_eq!(fields[6..], expected, "{extension}");
        let header =
            ["cef_version 0", "device_vendor \"ven\"", "device_product \"prod\"", "signature \"sig\""];
        let header: Vec<String> = header.iter().map(|field| format!("{prefix}{field}")).collect();
        assert_eq!(fields[..4], header);
        assert_eq!(fields[4..6], [format!("{prefix}name \"na|me\""), format!("{prefix}cef_severity 7")]);
    }

    #[test]
    fn labels_name_their_values() {
        let pair = "cs1Label=requestClientApplication cs1=Mozilla 5.0";
        check("", true, pair, &[("requestClientApplication", Value::from("Mozilla 5.0"))]);
        let both = [("cs1Label", "requestClientApplication".into()), ("cs1", "Mozilla 5.0".into())];
        check("", false, pair, &both);
        check("", true, "cs2=a cs2Label=x\\=y", &[("x=y", "a".into())]);
        check("", true, "cs3Label=alone", &[("cs3Label", "alone".into())]);
        check("", true, "cs3Label= cs3=v", &[("cs3Label", "".into()), ("cs3", "v".into())]);
        check("cef.", true, "cn1Label=count cn1=5", &[("cef.count", 5_i64.into())]);
        check("", true, "otherLabel=a other=b", &[("otherLabel", "a".into()), ("other", "b".into())]);
    }

    #[test]
    fn numbers_are_numbers_where_the_format_says_so() {
        check(
            "",
            true,
            "spt=80 dpt=x cnt=9223372036854775808",
            &[("spt", 80_i64.into()), ("dpt", "x".into()), ("cnt", "9223372036854775808".into())],
        );
        check(
            "",
            true,
            "cfp1=1.5 slat=-3 suser=12",
            &[("cfp1", 1.5.into()), ("slat", (-3.0).into()), ("suser", "12".into())],
        );
    }
}
