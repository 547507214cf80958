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
                    let field = cursor.nested()?;
                    if one_value(field.clone(), text, builder).is_none() {
                        self.field(field, text, builder)?;
                    }
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
                        set(text.part(cursor.range()?), builder, MessageBuilder::message_type_text)
                }
                0x22 => {
                    present.logger = set(text.part(cursor.range()?), builder, MessageBuilder::logger_text)
                }
                // An int32 is its lower half: a negative one is written with all 64 bits.
                0x28 => _ = builder.severity(cursor.varint()? as i32),
                0x32 => _ = builder.payload_text(text.part(cursor.range()?)),
                0x3a => _ = builder.env_version_text(text.part(cursor.range()?)),
                0x40 => _ = builder.pid(cursor.varint()? as i32),
                0x4a => {
                    present.hostname = set(text.part(cursor.range()?), builder, MessageBuilder::hostname_text)
                }
                tag => cursor.skip(tag)?,
            }
        }
        Ok((text, present))
    }

    /// Reads any field. Its parts stay plain numbers to the end, which keeps them in registers.
    #[inline(never)]
    fn field(
        &mut self,
        mut cursor: Cursor<'_>,
        text: Text,
        builder: &mut MessageBuilder<'_>,
    ) -> Result<(), ProtobufFault> {
        let (mut name, mut representation, mut value_type) = (0..0, 0..0, u64::from(STRING));
        let (mut first_type, mut first_start, mut first_end) = (NONE, 0, 0);
        self.values.clear();
        while !cursor.is_at_end() {
            let (part_type, start, end) = match cursor.tag()? {
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
                0x22 => part_of(STRING, cursor.range()?),
                0x2a => part_of(BYTES, cursor.range()?),
                0x30 => (INTEGER, cursor.varint()?, 0),
                0x39 => (DOUBLE, cursor.fixed64()?, 0),
                0x40 => (BOOL, cursor.varint()?, 0),
                tag @ (0x32 | 0x3a | 0x42) => {
                    let mut list = cursor.nested()?;
                    if list.is_at_end() {
                        continue;
                    }
                    let (part_type, start) = packed_part(tag, &mut list)?;
                    if !list.is_at_end() {
                        if first_type == NONE {
                            (first_type, first_start) = (part_type, start);
                        } else {
                            self.add((first_type, first_start, first_end), (part_type, start, 0), text);
                        }
                        self.packed((first_type, first_start, first_end), tag, list, text)?;
                        continue;
                    }
                    (part_type, start, 0)
                }
                tag => {
                    cursor.skip(tag)?;
                    continue;
                }
            };
            if first_type == NONE {
                (first_type, first_start, first_end) = (part_type, start, end);
            } else {
                self.add((first_type, first_start, first_end), (part_type, start, end), text);
            }
        }
        let (name, representation) = (text.slice(name), text.slice(representation));
        if self.values.is_empty() {
            if u64::from(first_type) == value_type {
                builder.field_text(
                    name,
                    representation,
                    value_of((first_type, first_start, first_end), text),
                );
            }
        } else {
            self.values.retain(|value| is_of_type(value, value_type));
            builder.field_text_values(name, representation, &self.values);
        }
        Ok(())
    }

    /// Keeps a value behind the first one.
    #[inline(never)]
    fn add(&mut self, first: Part, part: Part, text: Text) {
        if self.values.is_empty() {
            self.values.push(value_of(first, text));
        }
        self.values.push(value_of(part, text));
    }

    /// Keeps the rest of a packed list behind the first value.
    #[inline(never)]
    fn packed(
        &mut self,
        first: Part,
        tag: u64,
        mut list: Cursor<'_>,
        text: Text,
    ) -> Result<(), ProtobufFault> {
        while !list.is_at_end() {
            let (part_type, start) = packed_part(tag, &mut list)?;
            self.add(first, (part_type, start, 0), text);
        }
        Ok(())
    }
}

/// Reads a field with one value, name first and value last, as nearly all are; `None` for anything else, also what
/// is broken.
#[inline]
fn one_value(mut cursor: Cursor<'_>, text: Text, builder: &mut MessageBuilder<'_>) -> Option<()> {
    if !cursor.eat(0x0a) {
        return None;
    }
    let (name, mut representation, mut value_type) = (text.part(cursor.range().ok()?), Text::default(), 0);
    // This project's own encoder writes the type behind the representation.
    if cursor.eat(0x1a) {
        representation = text.part(cursor.range().ok()?);
    }
    if cursor.eat(0x10) {
        value_type = u32::try_from(cursor.varint().ok()?).ok()?;
    }
    if cursor.eat(0x1a) {
        representation = text.part(cursor.range().ok()?);
    }
    let value = match (cursor.tag().ok()?, value_type) {
        (0x22, STRING) => TextValue::String(text.part(cursor.range().ok()?)),
        (0x30, INTEGER) => TextValue::Integer(cursor.varint().ok()? as i64),
        (0x39, DOUBLE) => TextValue::Double(f64::from_bits(cursor.fixed64().ok()?)),
        (0x40, BOOL) => TextValue::Bool(cursor.varint().ok()? != 0),
        (0x2a, BYTES) => TextValue::Bytes(text.part(cursor.range().ok()?)),
        // Packed lists.
        (0x32, INTEGER) if cursor.length_to_end() => TextValue::Integer(cursor.varint().ok()? as i64),
        (0x3a, DOUBLE) if cursor.length_to_end() => TextValue::Double(f64::from_bits(cursor.fixed64().ok()?)),
        (0x42, BOOL) if cursor.length_to_end() => TextValue::Bool(cursor.varint().ok()? != 0),
        _ => return None,
    };
    if !cursor.is_at_end() {
        return None;
    }
    builder.field_text(name, representation, value);
    Some(())
}

const STRING: u32 = 0;
const BYTES: u32 = 1;
const INTEGER: u32 = 2;
const DOUBLE: u32 = 3;
const BOOL: u32 = 4;
const NONE: u32 = u32::MAX;

/// A value: its type, and where its bytes begin and end, or its bits and nothing.
type Part = (u32, u64, u64);

#[inline]
fn part_of(part_type: u32, range: Range<usize>) -> Part {
    (part_type, range.start as u64, range.end as u64)
}

#[inline]
fn value_of((part_type, start, end): Part, text: Text) -> TextValue {
    let bytes = || text.slice(start as usize..end as usize);
    match part_type {
        STRING => TextValue::String(bytes()),
        INTEGER => TextValue::Integer(start as i64),
        DOUBLE => TextValue::Double(f64::from_bits(start)),
        BOOL => TextValue::Bool(start != 0),
        _ => TextValue::Bytes(bytes()),
    }
}

#[inline]
fn packed_part(tag: u64, list: &mut Cursor<'_>) -> Result<(u32, u64), ProtobufFault> {
    Ok(match tag {
        0x32 => (INTEGER, list.varint()?),
        0x3a => (DOUBLE, list.fixed64()?),
        _ => (BOOL, list.varint()?),
    })
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
