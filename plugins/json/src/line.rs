//! A message → one line of JSON.
//!
//! Keys in this order: `uuid`, `timestamp` (RFC 3339 with nanoseconds, UTC), `type`, `logger`, `severity`,
//! `payload`, `env_version`, `pid`, `hostname`, `fields`. Empty texts, a process id of 0 and an empty `fields` are
//! left out. Bytes are base64 text; the values of fields with the same name share one array.

mod shape;

use heka_object::{
    ByteSink, Clock, DuplicateNames, fill_uuid, is_all_plain, put_base64, put_double, put_integer,
    put_string, put_string_between,
};
use heka_plugin_api::{Field, Message, Value};
use shape::{Shape, Shapes};

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

impl LineOptions {
    #[inline]
    fn shows(&self, name: &[u8]) -> bool {
        let is_named = |names: &[String]| names.iter().any(|other| other.as_bytes() == name);
        self.only_fields.as_ref().is_none_or(|names| is_named(names)) && !is_named(&self.exclude_fields)
    }
}

/// Writes lines; keeps the text of the last second and the names of fields between them.
#[derive(Default)]
pub struct LineWriter {
    options: LineOptions,
    clock: Clock,
    shapes: Shapes,
}

impl LineWriter {
    /// Makes a writer.
    pub fn new(options: LineOptions) -> LineWriter {
        LineWriter { options, ..LineWriter::default() }
    }

    /// Appends a message as a JSON object, without a newline.
    #[inline]
    pub fn put(&mut self, message: &Message<'_>, out: &mut impl ByteSink) {
        // In place: bytes that were just stored one by one are slow to load as one piece.
        out.put_with(HEAD.len(), |place| {
            let Some(head) = place.first_chunk_mut::<{ HEAD.len() }>() else { return };
            *head = HEAD;
            if let Some(uuid) = head[9..].first_chunk_mut() {
                fill_uuid(message.uuid(), uuid);
            }
            if let Some(time) = head[60..].first_chunk_mut() {
                self.clock.fill(message.timestamp(), time);
            }
        });
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
        match self.shapes.shape(message, &self.options) {
            Some(shape) if !shape.has_duplicates => put_known_fields(message, shape, out),
            None if !DuplicateNames::exist(message) => self.put_fields(message, out),
            _ => self.put_merged_fields(message, out),
        }
        out.put(b"}");
    }

    #[cold]
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

    fn is_shown(&self, field: &Field<'_>) -> bool {
        self.options.shows(field.name())
    }
}

/// Everything before the type; UUID and time are put in their places.
const HEAD: [u8; 91] =
    *b"{\"uuid\":\"                                    \",\"timestamp\":\"                              \"";

/// Writes fields whose names are those of a shape, each at most once.
#[inline]
fn put_known_fields(message: &Message<'_>, shape: &Shape, out: &mut impl ByteSink) {
    for (field, key) in message.fields().zip(shape.keys()) {
        if key.len == 0 {
            continue;
        }
        match field.value(0) {
            Some(Value::String(text)) if field.len() == 1 && is_all_plain(text) => {
                out.put_block(&key.text, key.len);
                out.put_all([text, b"\""]);
            }
            Some(Value::Integer(number)) if field.len() == 1 => {
                // Without the quotation mark.
                out.put_block(&key.text, key.len - 1);
                put_integer(number, out);
            }
            value => {
                out.put_block(&key.text, key.len - 1);
                match value {
                    Some(value) if field.len() == 1 => put_value(value, out),
                    _ => put_array(field.values(), out),
                }
            }
        }
    }
    if shape.has_shown {
        out.put(b"}");
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
