//! Protobuf bytes → message.

use super::{Cursor, ProtobufFault};
use heka_plugin_api::{MessageBuilder, Text, TextValue};
use std::ops::Range;

/// What a message brought along; what it did not is for the host's defaults.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Present {
    /// A UUID of 16 bytes.
    pub uuid: bool,
    /// A time.
    pub timestamp: bool,
    /// A type that is not empty.
    pub message_type: bool,
    /// A logger that is not empty.
    pub logger: bool,
    /// A hostname that is not empty.
    pub hostname: bool,
}

impl Present {
    /// Tells whether no default takes anything's place: then the bytes say all that the message does.
    pub fn is_complete(self) -> bool {
        self.uuid && self.timestamp && self.message_type && self.logger && self.hostname
    }
}

/// Reads messages; keeps its scratch memory between them.
#[derive(Default)]
pub struct MessageReader {
    values: Vec<TextValue>,
}

impl MessageReader {
    /// Reads `body`, one whole message, into `builder`.
    ///
    /// Copies the bytes once; returns them, for [`MessageBuilder::raw_text`], and what was there. A field without
    /// values of its value type is left out, since a message can't hold it.
    ///
    /// # Errors
    /// If the bytes are not protobuf; `builder` is then half filled and must not be finished.
    #[inline]
    pub fn read(
        &mut self,
        body: &[u8],
        builder: &mut MessageBuilder<'_>,
    ) -> Result<(Text, Present), ProtobufFault> {
        let text = builder.text(body);
        let mut present = Present::default();
        let mut cursor = Cursor::new(body);
        while !cursor.is_at_end() {
            match cursor.tag()? {
                0x52 => {
                    let range = cursor.range()?;
                    self.field(cursor.part(range), text, builder)?;
                }
                0x0a => {
                    if let Ok(uuid) = cursor.bytes()?.try_into() {
                        builder.uuid(uuid);
                        present.uuid = true;
                    }
                }
                0x10 => {
                    builder.timestamp(cursor.varint()? as i64);
                    present.timestamp = true;
                }
                0x1a => {
                    present.message_type =
                        set(text.slice(cursor.range()?), builder, MessageBuilder::message_type_text)
                }
                0x22 => {
                    present.logger = set(text.slice(cursor.range()?), builder, MessageBuilder::logger_text)
                }
                // An int32 is its lower half: a negative one is written with all 64 bits.
                0x28 => _ = builder.severity(cursor.varint()? as i32),
                0x32 => _ = builder.payload_text(text.slice(cursor.range()?)),
                0x3a => _ = builder.env_version_text(text.slice(cursor.range()?)),
                0x40 => _ = builder.pid(cursor.varint()? as i32),
                0x4a => {
                    present.hostname =
                        set(text.slice(cursor.range()?), builder, MessageBuilder::hostname_text)
                }
                tag => cursor.skip(tag)?,
            }
        }
        Ok((text, present))
    }

    /// Reads a field. Its parts stay plain numbers to the end, which keeps them in registers.
    #[inline]
    fn field(
        &mut self,
        mut cursor: Cursor<'_>,
        text: Text,
        builder: &mut MessageBuilder<'_>,
    ) -> Result<(), ProtobufFault> {
        let (mut name, mut representation, mut value_type) = (0..0, 0..0, u64::from(STRING));
        let mut first = Part::default();
        self.values.clear();
        while !cursor.is_at_end() {
            let part = match cursor.tag()? {
                0x0a => {
                    name = cursor.range()?;
                    continue;
                }
                0x10 => {
                    value_type = cursor.varint()?;
                    continue;
                }
                0x1a => {
                    representation = cursor.range()?;
                    continue;
                }
                0x22 => Part::of_range(STRING, cursor.range()?),
                0x2a => Part::of_range(BYTES, cursor.range()?),
                0x30 => Part { value_type: INTEGER, start: cursor.varint()?, end: 0 },
                0x39 => Part { value_type: DOUBLE, start: cursor.fixed64()?, end: 0 },
                0x40 => Part { value_type: BOOL, start: cursor.varint()?, end: 0 },
                tag @ (0x32 | 0x3a | 0x42) => {
                    let range = cursor.range()?;
                    let mut list = cursor.part(range);
                    if list.is_at_end() {
                        continue;
                    }
                    let part = packed_part(tag, &mut list)?;
                    if !list.is_at_end() {
                        first = self.packed(first, part, tag, list, text)?;
                        continue;
                    }
                    part
                }
                tag => {
                    cursor.skip(tag)?;
                    continue;
                }
            };
            first = if first.value_type == NONE { part } else { self.add(first, part, text) };
        }
        let (name, representation) = (text.slice(name), text.slice(representation));
        if self.values.is_empty() {
            if u64::from(first.value_type) == value_type {
                builder.field_text(name, representation, first.value(text));
            }
        } else {
            self.values.retain(|value| is_of_type(value, value_type));
            builder.field_text_values(name, representation, &self.values);
        }
        Ok(())
    }

    /// Keeps a value behind the first one, which it returns.
    #[inline(never)]
    fn add(&mut self, first: Part, part: Part, text: Text) -> Part {
        if self.values.is_empty() {
            self.values.push(first.value(text));
        }
        self.values.push(part.value(text));
        first
    }

    /// Keeps what a packed list holds behind its first value, `part`; returns the first of all.
    #[inline(never)]
    fn packed(
        &mut self,
        first: Part,
        part: Part,
        tag: u64,
        mut list: Cursor<'_>,
        text: Text,
    ) -> Result<Part, ProtobufFault> {
        let first = if first.value_type == NONE { part } else { self.add(first, part, text) };
        while !list.is_at_end() {
            let part = packed_part(tag, &mut list)?;
            self.add(first, part, text);
        }
        Ok(first)
    }
}

const STRING: u32 = 0;
const BYTES: u32 = 1;
const INTEGER: u32 = 2;
const DOUBLE: u32 = 3;
const BOOL: u32 = 4;
const NONE: u32 = u32::MAX;

/// A value: where its bytes are, or its bits in `start`.
#[derive(Clone, Copy)]
struct Part {
    value_type: u32,
    start: u64,
    end: u64,
}

impl Default for Part {
    fn default() -> Part {
        Part { value_type: NONE, start: 0, end: 0 }
    }
}

impl Part {
    #[inline]
    fn of_range(value_type: u32, range: Range<usize>) -> Part {
        Part { value_type, start: range.start as u64, end: range.end as u64 }
    }

    #[inline]
    fn value(self, text: Text) -> TextValue {
        let bytes = || text.slice(self.start as usize..self.end as usize);
        match self.value_type {
            STRING => TextValue::String(bytes()),
            INTEGER => TextValue::Integer(self.start as i64),
            DOUBLE => TextValue::Double(f64::from_bits(self.start)),
            BOOL => TextValue::Bool(self.start != 0),
            _ => TextValue::Bytes(bytes()),
        }
    }
}

#[inline]
fn packed_part(tag: u64, list: &mut Cursor<'_>) -> Result<Part, ProtobufFault> {
    let (value_type, start) = match tag {
        0x32 => (INTEGER, list.varint()?),
        0x3a => (DOUBLE, list.fixed64()?),
        _ => (BOOL, list.varint()?),
    };
    Ok(Part { value_type, start, end: 0 })
}

/// Sets one of the texts that have a default; tells whether it is there.
#[inline]
fn set<'b, 'w>(
    text: Text,
    builder: &'b mut MessageBuilder<'w>,
    set: impl FnOnce(&'b mut MessageBuilder<'w>, Text) -> &'b mut MessageBuilder<'w>,
) -> bool {
    set(builder, text);
    !text.is_empty()
}

#[inline]
fn is_of_type(value: &TextValue, value_type: u64) -> bool {
    let own = match value {
        TextValue::String(_) => STRING,
        TextValue::Bytes(_) => BYTES,
        TextValue::Integer(_) => INTEGER,
        TextValue::Double(_) => DOUBLE,
        TextValue::Bool(_) => BOOL,
    };
    u64::from(own) == value_type
}
