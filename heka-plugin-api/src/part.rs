//! Parts of a message by their names: `Type`, `env_version`, `Fields[status]`, `Fields[path][1][0]`.

use crate::message::{Message, Value};
use std::fmt;
use std::io::Write;

/// The names, for errors.
const KNOWN: &str =
    "Type, Logger, Payload, EnvVersion, Hostname, Uuid, Timestamp, Severity, Pid, Fields[name]";

/// A part of a message, as an option names it.
///
/// Names of headers are written as in a matcher or as in JSON (`EnvVersion`, `env_version`).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Part {
    /// The type.
    Type,
    /// The logger.
    Logger,
    /// The payload.
    Payload,
    /// The version of the envelope.
    EnvVersion,
    /// The machine's name.
    Hostname,
    /// The UUID, as text.
    Uuid,
    /// The time, in nanoseconds since 1970-01-01 UTC.
    Timestamp,
    /// The severity's number.
    Severity,
    /// The process id.
    Pid,
    /// One value of a field: `Fields[name]`, `Fields[name][field]` or `Fields[name][field][element]`.
    Field {
        /// The field's name.
        name: String,
        /// Its number, from 0, among the fields with this name.
        field_index: usize,
        /// The number of the value in it, from 0.
        array_index: usize,
    },
}

/// Says why a text names no part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartError {
    text: String,
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for PartError {}

impl Part {
    /// Reads a name.
    ///
    /// # Errors
    /// If nothing is called so, or an index of a field is not a number.
    pub fn parse(text: &str) -> Result<Part, PartError> {
        if let Some(keys) = text.strip_prefix("Fields[").and_then(|rest| rest.strip_suffix(']')) {
            return field(keys).ok_or_else(|| PartError {
                text: format!(
                    "`{text}` is not a field; write `Fields[name]`, `Fields[name][1]` or `Fields[name][1][2]`"
                ),
            });
        }
        Ok(match text {
            "Type" | "type" => Part::Type,
            "Logger" | "logger" => Part::Logger,
            "Payload" | "payload" => Part::Payload,
            "EnvVersion" | "env_version" => Part::EnvVersion,
            "Hostname" | "hostname" => Part::Hostname,
            "Uuid" | "uuid" => Part::Uuid,
            "Timestamp" | "timestamp" => Part::Timestamp,
            "Severity" | "severity" => Part::Severity,
            "Pid" | "pid" => Part::Pid,
            _ => return Err(PartError { text: format!("no variable `{text}`; known: {KNOWN}") }),
        })
    }

    /// Returns the value; `None` for a text of the header that is empty and for a field that the message has not.
    #[inline(always)]
    pub fn value<'a>(&self, message: &Message<'a>) -> Option<PartValue<'a>> {
        let value = match self {
            Part::Type => text(message.message_type())?,
            Part::Logger => text(message.logger())?,
            Part::Payload => text(message.payload())?,
            Part::EnvVersion => text(message.env_version())?,
            Part::Hostname => text(message.hostname())?,
            Part::Uuid => return Some(PartValue::Uuid(uuid_text(message.uuid()))),
            Part::Timestamp => Value::Integer(message.timestamp()),
            Part::Severity => Value::Integer(message.severity().into()),
            Part::Pid => Value::Integer(message.pid().into()),
            Part::Field { name, field_index, array_index } => {
                message.field_at(name.as_bytes(), *field_index)?.value(*array_index)?
            }
        };
        Some(PartValue::Value(value))
    }
}

/// Reads what stands between `Fields[` and the last `]`.
fn field(keys: &str) -> Option<Part> {
    let mut keys = keys.split("][");
    let name = keys.next()?.to_owned();
    let mut index = || keys.next().map_or(Some(0), |key| key.parse().ok());
    let (field_index, array_index) = (index()?, index()?);
    keys.next().is_none().then_some(Part::Field { name, field_index, array_index })
}

#[inline]
fn text(bytes: &[u8]) -> Option<Value<'_>> {
    (!bytes.is_empty()).then_some(Value::String(bytes))
}

/// Returns the canonical text, such as `0f8fad5b-d9cb-469f-a165-70867728950e`.
///
/// Never inlined, so that [`Part::value`] can be.
#[inline(never)]
fn uuid_text(uuid: [u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; 36];
    for (byte, place) in uuid.into_iter().zip(PLACES) {
        text[place] = DIGITS[usize::from(byte >> 4)];
        text[place + 1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// The value of a part.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum PartValue<'a> {
    /// A value in the message.
    Value(Value<'a>),
    /// The text of the UUID, which is not in the message.
    Uuid([u8; 36]),
}

impl PartValue<'_> {
    /// Returns the value, the UUID as text.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        match self {
            PartValue::Value(value) => *value,
            PartValue::Uuid(text) => Value::String(text),
        }
    }

    /// Appends the value as text: numbers in decimals, `true` or `false`, the bytes of bytes.
    pub fn write_text(&self, text: &mut Vec<u8>) {
        // Writing to a vector doesn't fail.
        let _ = match self.value() {
            Value::String(bytes) | Value::Bytes(bytes) => text.write_all(bytes),
            Value::Integer(number) => write!(text, "{number}"),
            Value::Double(number) => write!(text, "{number}"),
            Value::Bool(truth) => write!(text, "{truth}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owned::OwnedMessage;
    use crate::testing::message;
    use proptest::prelude::*;

    fn sample() -> OwnedMessage {
        message(|message| {
            message.message_type("access").logger("web").payload("GET /").hostname("a1").env_version("0.8");
            message.severity(3).pid(42).timestamp(1_700_000_000_123_456_789);
            message.uuid(*b"\x0f\x8f\xad\x5b\xd9\xcb\x46\x9f\xa1\x65\x70\x86\x77\x28\x95\x0e");
            message.field("status", 503).field("time", 0.25).field("ok", false);
            message.field("path", "/x").field("path", "/y").field("a[b", "odd").field("empty", "");
            message.field_values("n", "", [1i64, 2].map(Value::Integer));
            message.field("image", Value::Bytes(b"\xff\0"));
        })
    }

    fn check(name: &str, expected: Value<'_>, as_text: &[u8]) {
        let message = sample();
        let value = Part::parse(name).unwrap().value(&message.view()).unwrap();
        assert_eq!(value.value(), expected, "{name}");
        let mut text = b"before ".to_vec();
        value.write_text(&mut text);
        assert_eq!(text, [b"before ", as_text].concat(), "{name}");
    }

    fn check_text(name: &str, expected: &str) {
        check(name, Value::from(expected), expected.as_bytes());
    }

    #[test]
    fn headers_have_their_values() {
        check_text("Type", "access");
        check_text("type", "access");
        check_text("Logger", "web");
        check_text("Payload", "GET /");
        check_text("Hostname", "a1");
        check_text("EnvVersion", "0.8");
        check_text("env_version", "0.8");
        check_text("Uuid", "0f8fad5b-d9cb-469f-a165-70867728950e");
        check("Timestamp", Value::Integer(1_700_000_000_123_456_789), b"1700000000123456789");
        check("severity", Value::Integer(3), b"3");
        check("Pid", Value::Integer(42), b"42");
    }

    #[test]
    fn fields_have_the_value_that_is_named() {
        check("Fields[status]", Value::Integer(503), b"503");
        check("Fields[time]", Value::Double(0.25), b"0.25");
        check("Fields[ok]", Value::Bool(false), b"false");
        check("Fields[image]", Value::Bytes(b"\xff\0"), b"\xff\0");
        check_text("Fields[path]", "/x");
        check_text("Fields[path][1]", "/y");
        check_text("Fields[a[b]", "odd");
        check_text("Fields[empty]", "");
        check("Fields[n][0][1]", Value::Integer(2), b"2");
    }

    #[test]
    fn what_is_absent_has_none() {
        let (sample, empty) = (sample(), message(|_| {}));
        let check = |message: &OwnedMessage, name: &str| {
            assert_eq!(Part::parse(name).unwrap().value(&message.view()), None, "{name}");
        };
        ["Payload", "EnvVersion", "Fields[x]", "Fields[]"].iter().for_each(|name| check(&empty, name));
        ["Fields[path][2]", "Fields[path][0][1]", "Fields[n][0][2]"]
            .iter()
            .for_each(|name| check(&sample, name));
        assert!(Part::Pid.value(&empty.view()).is_some());
    }

    #[test]
    fn other_names_are_refused() {
        let told = |name: &str| Part::parse(name).unwrap_err().to_string();
        for name in ["", "Typ", "TYPE", "Fields", "Fields[x", "fields[x]", "Type "] {
            assert_eq!(told(name), format!("no variable `{name}`; known: {KNOWN}"));
        }
        for name in ["Fields[x][y]", "Fields[x][]", "Fields[x][-1]", "Fields[x][0][0][0]"] {
            let known = "`Fields[name]`, `Fields[name][1]` or `Fields[name][1][2]`";
            assert_eq!(told(name), format!("`{name}` is not a field; write {known}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(name in "([a-zA-Z_\\[\\]0-9é]|Fields\\[|\\]\\[){0,12}") {
            let message = sample();
            if let Some(value) = Part::parse(&name).ok().and_then(|part| part.value(&message.view())) {
                value.write_text(&mut Vec::new());
            }
        }

        #[test]
        fn any_field_is_found(name in "[^\\]]*", indices in any::<(u8, u8)>()) {
            let text = format!("Fields[{name}][{}][{}]", indices.0, indices.1);
            let (field_index, array_index) = (indices.0.into(), indices.1.into());
            prop_assert_eq!(Part::parse(&text), Ok(Part::Field { name, field_index, array_index }));
        }
    }
}
