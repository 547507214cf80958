//! A message as text for people.
//!
//! ```text
//! 2012-10-29T18:11:22.123456789Z counter logger=myapp severity=6 pid=31134 hostname=vm uuid=…
//!   | the payload, line by line
//!   status: 200
//!   path: "/index.html"
//!   request_time: 0.25 (s)
//!   tags: ["a", "b"]
//!
//! ```
//!
//! Control characters and what is not UTF-8 are escaped, so that no message can play with the terminal.

use heka_object::{Clock, put_double, put_integer, uuid_text};
use heka_plugin_api::{Field, Message, Value};
use std::io::Write;

/// Appends a message, several lines and an empty one.
pub(super) fn put_text(message: &Message<'_>, clock: &mut Clock, out: &mut Vec<u8>) {
    out.extend_from_slice(&clock.text(message.timestamp()));
    out.push(b' ');
    put_word(message.message_type(), out);
    put_named(b"logger", message.logger(), out);
    out.extend_from_slice(b" severity=");
    put_integer(message.severity().into(), out);
    if message.pid() != 0 {
        out.extend_from_slice(b" pid=");
        put_integer(message.pid().into(), out);
    }
    put_named(b"hostname", message.hostname(), out);
    put_named(b"env_version", message.env_version(), out);
    if message.uuid() != [0; 16] {
        put_named(b"uuid", &uuid_text(message.uuid()), out);
    }
    out.push(b'\n');
    put_payload(message.payload(), out);
    message.fields().for_each(|field| put_field(&field, out));
    out.push(b'\n');
}

fn put_named(name: &[u8], text: &[u8], out: &mut Vec<u8>) {
    if !text.is_empty() {
        out.push(b' ');
        out.extend_from_slice(name);
        out.push(b'=');
        put_word(text, out);
    }
}

/// Appends text as it is where that is one word, and in quotation marks otherwise; `-` for none.
fn put_word(text: &[u8], out: &mut Vec<u8>) {
    let is_word = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if text.is_empty() {
        out.push(b'-');
    } else if text.iter().all(is_word) && text != b"-" {
        out.extend_from_slice(text);
    } else {
        put_quoted(text, out);
    }
}

fn put_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    put_escaped(text, true, out);
    out.push(b'"');
}

fn put_payload(payload: &[u8], out: &mut Vec<u8>) {
    if payload.is_empty() {
        return;
    }
    for line in payload.strip_suffix(b"\n").unwrap_or(payload).split(|&byte| byte == b'\n') {
        out.extend_from_slice(b"  | ");
        put_escaped(line, false, out);
        out.push(b'\n');
    }
}

/// Appends text with control characters and broken UTF-8 escaped; with `quoted` also `"` and `\`.
fn put_escaped(text: &[u8], quoted: bool, out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !(quoted && matches!(byte, b'"' | b'\\'));
    if text.iter().all(is_plain) {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' if quoted => out.extend_from_slice(&[b'\\', char as u8]),
                '\t' if !quoted => out.push(b'\t'),
                _ if char.is_control() => put_display(char.escape_default(), out),
                _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|byte| put_display(format_args!("\\x{byte:02x}"), out));
    }
}

fn put_field(field: &Field<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"  ");
    put_word(field.name(), out);
    out.extend_from_slice(b": ");
    match field.value(0) {
        Some(value) if field.len() == 1 => put_value(&value, out),
        _ => {
            for (index, value) in field.values().enumerate() {
                out.extend_from_slice(if index == 0 { b"[" } else { b", " });
                put_value(&value, out);
            }
            out.push(b']');
        }
    }
    if !field.representation().is_empty() {
        out.extend_from_slice(b" (");
        put_escaped(field.representation(), false, out);
        out.push(b')');
    }
    out.push(b'\n');
}

fn put_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => put_quoted(text, out),
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"0x");
            bytes.iter().for_each(|byte| put_display(format_args!("{byte:02x}"), out));
        }
        Value::Integer(number) => put_integer(*number, out),
        Value::Double(number) if number.is_finite() => put_double(*number, out),
        Value::Double(number) => put_display(number, out),
        Value::Bool(value) => put_display(value, out),
    }
}

fn put_display(what: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to a vector can't fail.
    let _ = write!(out, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::{MessageBuilder, OwnedMessage};
    use proptest::prelude::*;

    fn shown(build: impl FnOnce(&mut MessageBuilder<'_>)) -> String {
        let message = OwnedMessage::build(build).unwrap();
        let mut out = Vec::new();
        put_text(&message.view(), &mut Clock::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_is_a_header_line_its_payload_and_its_fields() {
        let text = shown(|builder| {
            builder.uuid([0x11; 16]).timestamp(1_351_534_282_123_456_789).severity(6).pid(31_134);
            builder.message_type("counter").logger("my app").hostname("vm").env_version("0.8");
            builder.payload("one\n\ttwo\x1b[1m\n").field("status", 200).field("path", "/\"x\"\n");
            builder.field_as("request_time", "s", 0.25).field("whole", 1.0).field("ok", true);
            builder.field_values("tags", "", ["a", "ü"].map(Value::from)).field("odd name", f64::NAN);
            builder.field("raw", Value::Bytes(&[0, 255])).field("broken", &b"a\xffb"[..]);
        });
        let expected = r#"2012-10-29T18:11:22.123456789Z counter logger="my app" severity=6 pid=31134 hostname=vm env_version=0.8 uuid=11111111-1111-1111-1111-111111111111
  | one
  | 	two\u{1b}[1m
  status: 200
  path: "/\"x\"\n"
  request_time: 0.25 (s)
  whole: 1.0
  ok: true
  tags: ["a", "ü"]
  "odd name": NaN
  raw: 0x00ff
  broken: "a\xffb"

"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let text = shown(|builder| _ = builder.uuid([0; 16]));
        assert_eq!(text, "1970-01-01T00:00:00.000000000Z - severity=7\n\n");
    }

    proptest! {
        #[test]
        fn no_control_character_gets_through(texts: [Vec<u8>; 4]) {
            let [message_type, payload, name, value] = &texts;
            let text = shown(|builder| {
                builder.message_type(message_type).payload(payload).field_as(name, value, Value::String(value));
            });
            prop_assert!(!text.chars().any(|char| char.is_control() && char != '\n' && char != '\t'));
        }
    }
}
