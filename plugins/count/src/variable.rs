//! The part of a message that `by` names.

use heka_plugin_api::{Message, Value};
use std::io::Write;

/// Longest key in bytes; longer ones are cut, so that the table of keys is bounded in bytes too.
pub const KEY_BYTES_MAX: usize = 512;

const KNOWN: &str = "Type, Logger, Payload, EnvVersion, Hostname, Severity, Pid, Fields[name]";

/// A header, named as in a matcher or as in JSON (`EnvVersion`, `env_version`), or the first value of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Variable {
    Type,
    Logger,
    Payload,
    EnvVersion,
    Hostname,
    Severity,
    Pid,
    Field(String),
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
            "Severity" | "severity" => Ok(Variable::Severity),
            "Pid" | "pid" => Ok(Variable::Pid),
            _ => Err(format!("no variable `{text}`; known: {KNOWN}")),
        }
    }

    /// Appends the value as text; nothing where the message has none.
    pub fn write(&self, message: &Message<'_>, key: &mut Vec<u8>) {
        let value = match self {
            Variable::Type => Value::String(message.message_type()),
            Variable::Logger => Value::String(message.logger()),
            Variable::Payload => Value::String(message.payload()),
            Variable::EnvVersion => Value::String(message.env_version()),
            Variable::Hostname => Value::String(message.hostname()),
            Variable::Severity => Value::Integer(message.severity().into()),
            Variable::Pid => Value::Integer(message.pid().into()),
            Variable::Field(name) => match message.value(name) {
                Some(value) => value,
                None => return,
            },
        };
        // Writing to a vector doesn't fail.
        let _ = match value {
            Value::String(text) | Value::Bytes(text) => key.write_all(&text[..text.len().min(KEY_BYTES_MAX)]),
            Value::Integer(number) => write!(key, "{number}"),
            Value::Double(number) => write!(key, "{number}"),
            Value::Bool(truth) => write!(key, "{truth}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::message;

    fn check(variable: &str, expected: &str) {
        let message = message(|message| {
            message.message_type("access").logger("web").payload("GET /").hostname("a1").env_version("0.8");
            message.severity(3).pid(42).field("status", 503).field("time", 0.25).field("ok", false);
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
        check("Logger", "web");
        check("Payload", "GET /");
        check("Hostname", "a1");
        check("EnvVersion", "0.8");
        check("env_version", "0.8");
        check("Severity", "3");
        check("Pid", "42");
        check("Fields[status]", "503");
        check("Fields[time]", "0.25");
        check("Fields[ok]", "false");
        check("Fields[path]", "/x");
        check("Fields[missing]", "");
    }

    #[test]
    fn long_keys_are_cut() {
        check("Fields[long]", &"ü".repeat(256));
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["", "Typ", "TYPE", "Fields", "Fields[x", "Uuid"] {
            assert_eq!(Variable::parse(text), Err(format!("no variable `{text}`; known: {KNOWN}")));
        }
    }
}
