//! An entry of the journal → a message.

use crate::export;
use heka_plugin_api::{MessageBuilder, Value};

/// What else than the message is known of an entry.
#[derive(Default)]
pub struct Marks<'e> {
    /// Its cursor, by which the journal finds it again.
    pub cursor: &'e [u8],
}

/// Which fields become the message's.
pub struct FieldChoice {
    names: Vec<String>,
}

impl FieldChoice {
    /// Those with these names; without any, all that the journal doesn't add for its own purposes.
    pub fn new(names: Vec<String>) -> FieldChoice {
        FieldChoice { names }
    }

    fn takes(&self, name: &[u8]) -> bool {
        match self.names.is_empty() {
            true => !name.starts_with(b"__"),
            false => self.names.iter().any(|wanted| wanted.as_bytes() == name),
        }
    }
}

/// Writes an entry's fields to a message.
///
/// # Errors
/// If it is no entry.
pub fn write<'e>(
    entry: &'e [u8],
    choice: &FieldChoice,
    message: &mut MessageBuilder<'_>,
) -> Result<Marks<'e>, &'static str> {
    let (mut marks, mut count) = (Marks::default(), 0);
    for field in export::fields(entry) {
        let (name, value) = field?;
        count += 1;
        if name == b"__CURSOR" {
            marks.cursor = value;
        }
        if !is_header(name, value, message) && choice.takes(name) {
            let value = match std::str::from_utf8(value) {
                Ok(_) => Value::String(value),
                Err(_) => Value::Bytes(value),
            };
            message.field(name, value);
        }
    }
    if count == 0 { Err("an empty entry") } else { Ok(marks) }
}

/// Takes what belongs to the header; a value that doesn't fit stays a field.
fn is_header(name: &[u8], value: &[u8], message: &mut MessageBuilder<'_>) -> bool {
    match name {
        b"MESSAGE" => _ = message.payload(value),
        b"SYSLOG_IDENTIFIER" => _ = message.logger(value),
        b"_HOSTNAME" => _ = message.hostname(value),
        b"PRIORITY" => match number(value) {
            Some(severity @ 0..=7) => _ = message.severity(severity as i32),
            _ => return false,
        },
        b"_PID" => match number(value).and_then(|pid| i32::try_from(pid).ok()) {
            Some(pid) => _ = message.pid(pid),
            None => return false,
        },
        b"__REALTIME_TIMESTAMP" => match number(value).and_then(|us| us.checked_mul(1_000)) {
            Some(ns) => _ = message.timestamp(ns),
            None => return false,
        },
        _ => return false,
    }
    true
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
