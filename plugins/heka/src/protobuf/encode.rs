//! Message → protobuf bytes.

use super::slot::Slot;
use heka_plugin_api::{ByteWriter, Field, Message, Value, ValueType};

/// Takes bytes: an encoder's [`ByteWriter`], or a vector.
pub trait ByteSink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends `len` bytes, at first 0, that `fill` changes in place.
    fn put_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8]));
}

impl ByteSink for ByteWriter<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        ByteWriter::put(self, bytes);
    }

    #[inline]
    fn put_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        ByteWriter::put_with(self, len, fill);
    }
}

impl ByteSink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        let start = self.len();
        self.resize(start + len, 0);
        fill(&mut self[start..]);
    }
}

/// Returns the length of a message's protobuf form in bytes.
pub fn message_len(message: &Message<'_>) -> usize {
    Layout::default().measure(message)
}

/// Appends a message's protobuf form: [`message_len`] bytes.
///
/// Empty texts and a process id of 0 are left out; severity is always written.
pub fn put_message(message: &Message<'_>, out: &mut impl ByteSink) {
    let mut layout = Layout::default();
    layout.measure(message);
    layout.put(message, out);
}

/// The lengths in a message's protobuf form, which come before what they count. Kept for the next message's.
#[derive(Default)]
pub struct Layout {
    len: usize,
    field_lens: Vec<usize>,
}

impl Layout {
    /// Takes the measure of a message; returns the length of its protobuf form in bytes.
    #[inline]
    pub fn measure(&mut self, message: &Message<'_>) -> usize {
        let mut len = header_len(message);
        self.field_lens.clear();
        self.field_lens.extend(message.fields().map(|field| {
            let field_len = field_len(&field);
            len += bytes_len(field_len);
            field_len
        }));
        self.len = len;
        len
    }

    /// Appends the protobuf form of the message that was measured last.
    #[inline]
    pub fn put(&self, message: &Message<'_>, out: &mut impl ByteSink) {
        out.put_with(self.len, |bytes| {
            let mut slot = put_header(message, Slot::new(bytes));
            for (field, len) in message.fields().zip(&self.field_lens) {
                slot = put_field(&field, slot.byte(0x52).varint(*len as u64));
            }
            debug_assert!(slot.left() == 0, "not the message that was measured");
        });
    }
}

#[inline]
fn header_len(message: &Message<'_>) -> usize {
    let texts = [
        message.message_type(),
        message.logger(),
        message.payload(),
        message.env_version(),
        message.hostname(),
    ];
    let numbers = 3 + varint_len(message.timestamp() as u64) + varint_len(message.severity() as u64);
    let pid = if message.pid() == 0 { 0 } else { 1 + varint_len(message.pid() as u64) };
    17 + numbers + pid + texts.into_iter().map(text_len).sum::<usize>()
}

#[inline]
fn put_header<'s>(message: &Message<'_>, slot: Slot<'s>) -> Slot<'s> {
    let slot = slot.array([0x0a, 16]).array(message.uuid()).byte(0x10).varint(message.timestamp() as u64);
    let slot = put_text(0x1a, message.message_type(), slot);
    let slot = put_text(0x22, message.logger(), slot);
    let slot = slot.byte(0x28).varint(message.severity() as u64);
    let slot = put_text(0x32, message.payload(), slot);
    let mut slot = put_text(0x3a, message.env_version(), slot);
    if message.pid() != 0 {
        slot = slot.byte(0x40).varint(message.pid() as u64);
    }
    put_text(0x4a, message.hostname(), slot)
}

#[inline]
fn put_text<'s>(tag: u8, text: &[u8], slot: Slot<'s>) -> Slot<'s> {
    if text.is_empty() { slot } else { slot.text(tag, text) }
}

/// Length of a field without its own tag and length.
#[inline]
fn field_len(field: &Field<'_>) -> usize {
    let head = bytes_len(field.name().len()) + text_len(field.representation());
    head + match only_value(field) {
        Some(Value::String(bytes)) => bytes_len(bytes.len()),
        Some(Value::Bytes(bytes)) => 2 + bytes_len(bytes.len()),
        // Type, tag and length of a packed list take four bytes.
        Some(Value::Integer(value)) => 4 + varint_len(value as u64),
        Some(Value::Double(_)) => 4 + 8,
        Some(Value::Bool(_)) => 4 + 1,
        None => values_len(field),
    }
}

#[inline]
fn put_field<'s>(field: &Field<'_>, slot: Slot<'s>) -> Slot<'s> {
    let slot = put_text(0x1a, field.representation(), slot.text(0x0a, field.name()));
    match only_value(field) {
        Some(Value::String(bytes)) => slot.text(0x22, bytes),
        Some(Value::Bytes(bytes)) => slot.array([0x10, 1]).text(0x2a, bytes),
        Some(Value::Integer(value)) => {
            slot.array([0x10, 2, 0x32, varint_len(value as u64) as u8]).varint(value as u64)
        }
        Some(Value::Double(value)) => slot.array([0x10, 3, 0x3a, 8]).array(value.to_bits().to_le_bytes()),
        Some(Value::Bool(value)) => slot.array([0x10, 4, 0x42, 1, value.into()]),
        None => put_values(field, slot),
    }
}

#[inline]
fn only_value<'a>(field: &Field<'a>) -> Option<Value<'a>> {
    if field.len() == 1 { field.value(0) } else { None }
}

/// Length of the type and any count of values: texts one by one, numbers packed.
#[cold]
fn values_len(field: &Field<'_>) -> usize {
    let type_len = if type_number(field) == 0 { 0 } else { 2 };
    let lens = field.values().map(value_len);
    type_len + if is_packed(field) { bytes_len(lens.sum()) } else { lens.map(bytes_len).sum() }
}

#[cold]
fn put_values<'s>(field: &Field<'_>, mut slot: Slot<'s>) -> Slot<'s> {
    let number = type_number(field);
    if number != 0 {
        slot = slot.array([0x10, number]);
    }
    let tag = 0x22 + 8 * number;
    if is_packed(field) {
        let slot = slot.byte(tag).varint(field.values().map(value_len).sum::<usize>() as u64);
        field.values().fold(slot, |slot, value| put_number(value, slot))
    } else {
        let texts = field.values().filter_map(|value| value.as_bytes());
        texts.fold(slot, |slot, bytes| slot.text(tag, bytes))
    }
}

fn put_number<'s>(value: Value<'_>, slot: Slot<'s>) -> Slot<'s> {
    match value {
        Value::Integer(value) => slot.varint(value as u64),
        Value::Double(value) => slot.array(value.to_bits().to_le_bytes()),
        Value::Bool(value) => slot.byte(value.into()),
        Value::String(_) | Value::Bytes(_) => slot,
    }
}

fn value_len(value: Value<'_>) -> usize {
    match value {
        Value::String(bytes) | Value::Bytes(bytes) => bytes.len(),
        Value::Integer(value) => varint_len(value as u64),
        Value::Double(_) => 8,
        Value::Bool(_) => 1,
    }
}

fn is_packed(field: &Field<'_>) -> bool {
    matches!(field.value_type(), ValueType::Integer | ValueType::Double | ValueType::Bool)
}

fn type_number(field: &Field<'_>) -> u8 {
    match field.value_type() {
        ValueType::String => 0,
        ValueType::Integer => 2,
        ValueType::Double => 3,
        ValueType::Bool => 4,
        _ => 1,
    }
}

#[inline]
fn text_len(text: &[u8]) -> usize {
    if text.is_empty() { 0 } else { bytes_len(text.len()) }
}

/// Length of a tag of one byte, a length, and as many bytes.
#[inline]
fn bytes_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

#[inline]
fn varint_len(value: u64) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        // One byte for each seven bits, without a division: 9/64 is a little more than 1/7.
        _ => ((64 - value.leading_zeros()) as usize * 9 + 64) / 64,
    }
}
