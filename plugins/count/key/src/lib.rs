//! Keys of messages: the part that an option `by` names, as text.

use heka_plugin_api::{Message, Part};

/// Longest key in bytes; longer ones are cut, so that the table of keys is bounded in bytes too.
pub const KEY_BYTES_MAX: usize = 512;

const KNOWN: &str = "Type, Logger, Payload, EnvVersion, Hostname, Severity, Pid, Fields[name]";

/// A part of a message that many messages share: neither the UUID nor the time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable(Part);

impl Variable {
    /// Reads a name.
    ///
    /// # Errors
    /// If nothing is called so, or it is the UUID or the time.
    pub fn parse(text: &str) -> Result<Variable, String> {
        match Part::parse(text) {
            Ok(part) if !matches!(part, Part::Uuid | Part::Timestamp) => Ok(Variable(part)),
            Err(error) if text.starts_with("Fields[") && text.ends_with(']') => Err(error.to_string()),
            _ => Err(format!("no variable `{text}`; known: {KNOWN}")),
        }
    }

    /// Appends the value as text; nothing where the message has none.
    pub fn write(&self, message: &Message<'_>, key: &mut Vec<u8>) {
        let Some(value) = self.0.value(message) else { return };
        match value.value().as_bytes() {
            Some(text) => key.extend_from_slice(&text[..text.len().min(KEY_BYTES_MAX)]),
            None => value.write_text(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::message;

    fn check(variable: &str, expected: &str) {
        let message = message(|message| {
            message.message_type("access").severity(3).field("status", 503).field("time", 0.25);
            message.field("path", "/x").field("path", "/y").field("long", &"ü".repeat(300));
        });
        let mut key = Vec::new();
        Variable::parse(variable).unwrap().write(&message.view(), &mut key);
        assert_eq!(String::from_utf8(key).unwrap(), expected, "{variable}");
    }

    #[test]
    fn headers_and_fields_are_written_as_text() {
        check("Type", "access");
        check("type", "access");
        check("Logger", "");
        check("Severity", "3");
        check("Pid", "0");
        check("Fields[status]", "503");
        check("Fields[time]", "0.25");
        check("Fields[path]", "/x");
        check("Fields[path][1]", "/y");
        check("Fields[missing]", "");
    }

    #[test]
    fn long_keys_are_cut() {
        check("Fields[long]", &"ü".repeat(256));
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["", "Typ", "TYPE", "Fields", "Fields[x", "Uuid", "timestamp"] {
            assert_eq!(Variable::parse(text), Err(format!("no variable `{text}`; known: {KNOWN}")));
        }
        assert!(Variable::parse("Fields[x][y]").unwrap_err().starts_with("`Fields[x][y]` is not a field; "));
    }
}
