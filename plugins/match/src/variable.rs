//! Values of a message, kept while the message changes.

use heka_plugin_api::{Message, Part, PartError, PartValue, Value};
use std::ops::Range;

/// A part of a message; of a process without id it has no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable(Part);

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
    pub fn parse(text: &str) -> Result<Variable, PartError> {
        Part::parse(text).map(Variable)
    }

    /// Returns the value, its bytes behind what `buffer` holds; `None` where the message has none.
    pub fn render(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> Option<Rendered> {
        Some(match self.value(message)?.value() {
            Value::String(bytes) => Rendered::Text(append(bytes, buffer)),
            Value::Bytes(bytes) => Rendered::Bytes(append(bytes, buffer)),
            Value::Integer(value) => Rendered::Integer(value),
            Value::Double(value) => Rendered::Double(value),
            Value::Bool(value) => Rendered::Bool(value),
        })
    }

    /// Appends the value as text; tells whether the message has one.
    pub fn write(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> bool {
        self.value(message).map(|value| value.write_text(buffer)).is_some()
    }

    fn value<'a>(&self, message: &Message<'a>) -> Option<PartValue<'a>> {
        if self.0 == Part::Pid && message.pid() == 0 { None } else { self.0.value(message) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::message;

    fn check(variable: &str, expected: Value<'_>, as_text: &[u8]) {
        let message = message(|message| {
            message.message_type("access").severity(3).pid(42).uuid([0x11; 16]);
            message.field("status", 503).field("time", 0.25).field("ok", false);
            message.field("image", Value::Bytes(b"\xff\0"));
        });
        let variable = Variable::parse(variable).unwrap();
        let mut buffer = b"before".to_vec();
        let rendered = variable.render(&message.view(), &mut buffer).unwrap();
        assert_eq!(rendered.value(&buffer), expected, "{variable:?}");
        let mut buffer = b"before ".to_vec();
        assert!(variable.write(&message.view(), &mut buffer));
        assert_eq!(buffer, [b"before ", as_text].concat(), "{variable:?}");
    }

    #[test]
    fn values_keep_their_type_or_become_text() {
        let uuid = "11111111-1111-1111-1111-111111111111";
        check("Type", Value::String(b"access"), b"access");
        check("Uuid", Value::from(uuid), uuid.as_bytes());
        check("Pid", Value::Integer(42), b"42");
        check("Fields[status]", Value::Integer(503), b"503");
        check("Fields[time]", Value::Double(0.25), b"0.25");
        check("Fields[ok]", Value::Bool(false), b"false");
        check("Fields[image]", Value::Bytes(b"\xff\0"), b"\xff\0");
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
}
