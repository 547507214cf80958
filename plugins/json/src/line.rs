//! A message → one line of JSON.
//!
//! Keys in this order: `uuid`, `timestamp` (RFC 3339 with nanoseconds, UTC), `type`, `logger`, `severity`,
//! `payload`, `env_version`, `pid`, `hostname`, `fields`. Empty texts, a process id of 0 and an empty `fields` are
//! left out. Bytes are base64 text; the values of fields with the same name share one array.

use heka_object::{
    ByteSink, Clock, DuplicateNames, put_base64, put_double, put_integer, put_string, put_string_between,
    uuid_text,
};
use heka_plugin_api::{Field, Message, Value};

/// What a line shows of a message.
pub struct LineOptions {
    /// The payload.
    pub payload: bool,
    /// Only these fields; all if `None`.
    pub only_fields: Option<Vec<String>>,
    /// Not these fields.
    pub exclude_fields: Vec<String>,
}

impl Default for LineOptions {
    fn default() -> LineOptions {
        LineOptions { payload: true, only_fields: None, exclude_fields: Vec::new() }
    }
}

/// Writes lines; keeps the text of the last second between them.
#[derive(Default)]
pub struct LineWriter {
    options: LineOptions,
    clock: Clock,
}

impl LineWriter {
    /// Makes a writer.
    pub fn new(options: LineOptions) -> LineWriter {
        LineWriter { options, clock: Clock::default() }
    }

    /// Appends a message as a JSON object, without a newline.
    #[inline]
    pub fn put(&mut self, message: &Message<'_>, out: &mut impl ByteSink) {
        // Through one array: a call for each piece costs more than the pieces.
        let mut head = *b"{\"uuid\":\"                                    \",\"timestamp\":\"                              \"";
        head[9..45].copy_from_slice(&uuid_text(message.uuid()));
        head[60..90].copy_from_slice(self.clock.text(message.timestamp()));
        out.put(&head);
        put_text(b",\"type\":", message.message_type(), out);
        put_text(b",\"logger\":", message.logger(), out);
        out.put(b",\"severity\":");
        put_integer(message.severity().into(), out);
        if self.options.payload {
            put_text(b",\"payload\":", message.payload(), out);
        }
        put_text(b",\"env_version\":", message.env_version(), out);
        if message.pid() != 0 {
            out.put(b",\"pid\":");
            put_integer(message.pid().into(), out);
        }
        put_text(b",\"hostname\":", message.hostname(), out);
        if DuplicateNames::exist(message) {
            self.put_merged_fields(message, out);
        } else {
            self.put_fields(message, out);
        }
        out.put(b"}");
    }

    #[inline]
    fn put_fields(&self, message: &Message<'_>, out: &mut impl ByteSink) {
        let mut opening: &[u8] = b",\"fields\":{";
        for field in message.fields() {
            if !self.is_shown(&field) {
                continue;
            }
            put_string_between(opening, field.name(), b":", out);
            match field.value(0) {
                Some(value) if field.len() == 1 => put_value(value, out),
                _ => put_array(field.values(), out),
            }
            opening = b",";
        }
        if opening.len() == 1 {
            out.put(b"}");
        }
    }

    #[cold]
    fn put_merged_fields(&self, message: &Message<'_>, out: &mut impl ByteSink) {
        let mut opening: &[u8] = b",\"fields\":{";
        for (index, field) in message.fields().enumerate() {
            if !self.is_shown(&field) || DuplicateNames::is_repeated(message, &field, index) {
                continue;
            }
            put_string_between(opening, field.name(), b":", out);
            let same = message.fields().filter(|other| other.name() == field.name());
            let mut values = same.flat_map(|field| field.values()).peekable();
            match (values.next(), values.peek()) {
                (Some(only), None) => put_value(only, out),
                (first, _) => put_array(first.into_iter().chain(values), out),
            }
            opening = b",";
        }
        if opening.len() == 1 {
            out.put(b"}");
        }
    }

    #[inline]
    fn is_shown(&self, field: &Field<'_>) -> bool {
        let LineOptions { only_fields, exclude_fields, .. } = &self.options;
        let is_named = |names: &[String]| names.iter().any(|name| name.as_bytes() == field.name());
        only_fields.as_ref().is_none_or(|names| is_named(names)) && !is_named(exclude_fields)
    }
}

#[inline]
fn put_text(key: &[u8], text: &[u8], out: &mut impl ByteSink) {
    if !text.is_empty() {
        put_string_between(key, text, b"", out);
    }
}

fn put_array<'v>(values: impl Iterator<Item = Value<'v>>, out: &mut impl ByteSink) {
    out.put(b"[");
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.put(b",");
        }
        put_value(value, out);
    }
    out.put(b"]");
}

#[inline]
fn put_value(value: Value<'_>, out: &mut impl ByteSink) {
    match value {
        Value::String(text) => put_string(text, out),
        Value::Bytes(bytes) => put_base64(bytes, out),
        Value::Integer(number) => put_integer(number, out),
        Value::Double(number) => put_double(number, out),
        Value::Bool(value) => out.put(if value { b"true" } else { b"false" }),
    }
}

#[cfg(test)]
mod tests;
