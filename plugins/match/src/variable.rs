//! Parts of a message by their names.

use heka_plugin_api::{Message, Value};
use std::io::Write;
use std::ops::Range;

const KNOWN: &str =
    "Type, Logger, Payload, EnvVersion, Hostname, Uuid, Timestamp, Severity, Pid, Fields[name]";

/// A header, named as in a matcher or as in JSON (`EnvVersion`, `env_version`), or the first value of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Variable {
    Type,
    Logger,
    Payload,
    EnvVersion,
    Hostname,
    Uuid,
    Timestamp,
    Severity,
    Pid,
    Field(String),
}

/// A value whose bytes, if it has any, are in a buffer.
#[derive(Clone, PartialEq, Debug)]
pub enum Rendered {
    Text(Range<usize>),
    Bytes(Range<usize>),
    Integer(i64),
    Double(f64),
    Bool(bool),
}

impl Variable {
    pub fn parse(text: &str) -> Result<Variable, String> {
        if let Some(name) = text.strip_prefix("Fields[").and_then(|rest| rest.strip_suffix(']')) {
            return Ok(Variable::Field(name.to_owned()));
        }
        match text {
            "Type" | "type" => Ok(Variable::Type),
            "Logger" | "logger" => Ok(Variable::Logger),
            "Payload" | "payload" => Ok(Variable::Payload),
            "EnvVersion" | "env_version" => Ok(Variable::EnvVersion),
            "Hostname" | "hostname" => Ok(Variable::Hostname),
            "Uuid" | "uuid" => Ok(Variable::Uuid),
            "Timestamp" | "timestamp" => Ok(Variable::Timestamp),
            "Severity" | "severity" => Ok(Variable::Severity),
            "Pid" | "pid" => Ok(Variable::Pid),
            _ => Err(format!("no variable `{text}`; known: {KNOWN}")),
        }
    }

    /// Returns the value, its bytes behind what `buffer` holds; `None` where the message has none.
    pub fn render(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> Option<Rendered> {
        match self {
            Variable::Type => text(message.message_type(), buffer),
            Variable::Logger => text(message.logger(), buffer),
            Variable::Payload => text(message.payload(), buffer),
            Variable::EnvVersion => text(message.env_version(), buffer),
            Variable::Hostname => text(message.hostname(), buffer),
            Variable::Uuid => Some(Rendered::Text(append_uuid(message.uuid(), buffer))),
            Variable::Timestamp => Some(Rendered::Integer(message.timestamp())),
            Variable::Severity => Some(Rendered::Integer(message.severity().into())),
            Variable::Pid => (message.pid() != 0).then(|| Rendered::Integer(message.pid().into())),
            Variable::Field(name) => Some(match message.value(name)? {
                Value::String(bytes) => Rendered::Text(append(bytes, buffer)),
                Value::Bytes(bytes) => Rendered::Bytes(append(bytes, buffer)),
                Value::Integer(value) => Rendered::Integer(value),
                Value::Double(value) => Rendered::Double(value),
                Value::Bool(value) => Rendered::Bool(value),
            }),
        }
    }

    /// Appends the value as text; tells whether the message has one.
    pub fn write(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> bool {
        let Some(rendered) = self.render(message, buffer) else { return false };
        // Writing to a vector doesn't fail.
        let _ = match rendered {
            Rendered::Text(_) | Rendered::Bytes(_) => Ok(()),
            Rendered::Integer(value) => write!(buffer, "{value}"),
            Rendered::Double(value) => write!(buffer, "{value}"),
            Rendered::Bool(value) => write!(buffer, "{value}"),
        };
        true
    }
}

impl Rendered {
    /// Returns the value, its bytes from the buffer that it was rendered into.
    pub fn value<'b>(&self, buffer: &'b [u8]) -> Value<'b> {
        match self {
            Rendered::Text(range) => Value::String(&buffer[range.clone()]),
            Rendered::Bytes(range) => Value::Bytes(&buffer[range.clone()]),
            Rendered::Integer(value) => Value::Integer(*value),
            Rendered::Double(value) => Value::Double(*value),
            Rendered::Bool(value) => Value::Bool(*value),
        }
    }
}

/// Appends bytes; returns where they are.
pub fn append(bytes: &[u8], buffer: &mut Vec<u8>) -> Range<usize> {
    let start = buffer.len();
    buffer.extend_from_slice(bytes);
    start..buffer.len()
}

fn text(bytes: &[u8], buffer: &mut Vec<u8>) -> Option<Rendered> {
    (!bytes.is_empty()).then(|| Rendered::Text(append(bytes, buffer)))
}

/// Appends the canonical text, such as `0f8fad5b-d9cb-469f-a165-70867728950e`.
fn append_uuid(uuid: [u8; 16], buffer: &mut Vec<u8>) -> Range<usize> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let start = buffer.len();
    for (index, byte) in uuid.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            buffer.push(b'-');
        }
        buffer.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    start..buffer.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;
    use heka_plugin_api::testing::message;

    fn sample() -> OwnedMessage {
        message(|message| {
            message.message_type("access").logger("web").payload("GET /").hostname("a1").env_version("0.8");
            message.severity(3).pid(42).timestamp(1_700_000_000_123_456_789);
            message.uuid([
                0x0f, 0x8f, 0xad, 0x5b, 0xd9, 0xcb, 0x46, 0x9f, 0xa1, 0x65, 0x70, 0x86, 0x77, 0x28, 0x95,
                0x0e,
            ]);
            message
                .field("status", 503)
                .field("time", 0.25)
                .field("ok", false)
                .field("path", "/x")
                .field("path", "/y");
            message.field("image", Value::Bytes(b"\xff\0"));
        })
    }

    fn check(variable: &str, expected: Value<'_>, as_text: &[u8]) {
        let variable = Variable::parse(variable).unwrap();
        let mut buffer = b"before".to_vec();
        let rendered = variable.render(&sample().view(), &mut buffer).unwrap();
        assert_eq!(rendered.value(&buffer), expected, "{variable:?}");
        let mut buffer = b"before ".to_vec();
        assert!(variable.write(&sample().view(), &mut buffer));
        assert_eq!(buffer, [b"before ", as_text].concat(), "{variable:?}");
    }

    fn check_text(variable: &str, expected: &str) {
        check(variable, Value::String(expected.as_bytes()), expected.as_bytes());
    }

    #[test]
    fn headers_have_their_values() {
        check_text("Type", "access");
        check_text("type", "access");
        check_text("Logger", "web");
        check_text("Payload", "GET /");
        check_text("Hostname", "a1");
        check_text("env_version", "0.8");
        check_text("Uuid", "0f8fad5b-d9cb-469f-a165-70867728950e");
        check("Timestamp", Value::Integer(1_700_000_000_123_456_789), b"1700000000123456789");
        check("Severity", Value::Integer(3), b"3");
        check("Pid", Value::Integer(42), b"42");
    }

    #[test]
    fn fields_have_their_first_value() {
        check("Fields[status]", Value::Integer(503), b"503");
        check("Fields[time]", Value::Double(0.25), b"0.25");
        check("Fields[ok]", Value::Bool(false), b"false");
        check("Fields[image]", Value::Bytes(b"\xff\0"), b"\xff\0");
        check_text("Fields[path]", "/x");
    }

    #[test]
    fn what_is_absent_has_none() {
        let empty = message(|_| {});
        for variable in ["Payload", "EnvVersion", "Pid", "Fields[x]", "Fields[]"] {
            let mut buffer = Vec::new();
            assert!(!Variable::parse(variable).unwrap().write(&empty.view(), &mut buffer), "{variable}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["", "Typ", "TYPE", "Fields", "Fields[x"] {
            assert_eq!(Variable::parse(text), Err(format!("no variable `{text}`; known: {KNOWN}")));
        }
    }
}
