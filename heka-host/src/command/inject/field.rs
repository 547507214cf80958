//! A field on the command line: `name=value`.

use heka_plugin_api::Value;
use std::str::FromStr;

/// A field's name and its only value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldArgument {
    pub(super) name: String,
    pub(super) value: FieldValue,
}

/// A value, of the type that its text reads as.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldValue {
    Text(String),
    Integer(i64),
    Double(f64),
    Bool(bool),
}

impl FieldValue {
    fn parse(text: &str) -> FieldValue {
        // Rust reads `inf` and `nan` as numbers too; a `+` is rather a telephone number's.
        let is_numeric = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '.'))
            && text.ends_with(|last: char| last.is_ascii_digit() || last == '.');
        match text {
            "true" => FieldValue::Bool(true),
            "false" => FieldValue::Bool(false),
            _ if !is_numeric => FieldValue::Text(text.to_owned()),
            _ => match (text.parse(), text.parse::<f64>()) {
                (Ok(integer), _) => FieldValue::Integer(integer),
                (_, Ok(double)) if double.is_finite() => FieldValue::Double(double),
                _ => FieldValue::Text(text.to_owned()),
            },
        }
    }

    /// Returns the value for a message.
    pub(super) fn view(&self) -> Value<'_> {
        match self {
            FieldValue::Text(text) => text.into(),
            FieldValue::Integer(value) => Value::Integer(*value),
            FieldValue::Double(value) => Value::Double(*value),
            FieldValue::Bool(value) => Value::Bool(*value),
        }
    }
}

impl FromStr for FieldArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<FieldArgument, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err("write NAME=VALUE, or NAME:=VALUE for text".to_owned());
        };
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => (name, FieldValue::Text(value.to_owned())),
            None => (name, FieldValue::parse(value)),
        };
        if name.is_empty() {
            return Err("the name before the `=` is missing".to_owned());
        }
        Ok(FieldArgument { name: name.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::FieldValue::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_have_the_type_that_they_read_as() {
        let text = |text: &str| Text(text.to_owned());
        let cases = [
            ("n=1", "n", Integer(1)),
            ("n=-9223372036854775808", "n", Integer(i64::MIN)),
            ("n=9223372036854775808", "n", Double(9_223_372_036_854_775_808.0)),
            ("n=0.25", "n", Double(0.25)),
            ("n=-1e3", "n", Double(-1000.0)),
            ("n=.5", "n", Double(0.5)),
            ("n=true", "n", Bool(true)),
            ("n=false", "n", Bool(false)),
            ("n=True", "n", text("True")),
            ("n=", "n", text("")),
            ("n=-", "n", text("-")),
            ("n=nan", "n", text("nan")),
            ("n=inf", "n", text("inf")),
            ("n=-inf", "n", text("-inf")),
            ("n=1e999", "n", text("1e999")),
            ("n=+49", "n", text("+49")),
            ("n=10.0.0.1", "n", text("10.0.0.1")),
            ("n=a=b", "n", text("a=b")),
            ("n:=1", "n", text("1")),
            ("n:=true", "n", text("true")),
            ("a:b=1", "a:b", Integer(1)),
        ];
        for (argument, name, value) in cases {
            let expected = FieldArgument { name: name.to_owned(), value };
            assert_eq!(argument.parse(), Ok(expected), "{argument}");
        }
    }

    #[test]
    fn what_is_no_field_says_why() {
        for (argument, why) in [
            ("n", "write NAME=VALUE, or NAME:=VALUE for text"),
            ("=1", "the name before the `=` is missing"),
            (":=1", "the name before the `=` is missing"),
        ] {
            assert_eq!(argument.parse::<FieldArgument>(), Err(why.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text: String) {
            let _ = text.parse::<FieldArgument>();
        }

        #[test]
        fn numbers_are_read_back(integer: i64, double in -1e300..1e300) {
            prop_assert_eq!(FieldValue::parse(&integer.to_string()), Integer(integer));
            prop_assert_eq!(FieldValue::parse(&format!("{double:?}")), Double(double));
        }
    }
}
