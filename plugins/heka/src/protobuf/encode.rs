//! Message → protobuf bytes.

use heka_plugin_api::{ByteWriter, Field, Message, Value, ValueType};

/// Takes bytes: an encoder's [`ByteWriter`], or a vector.
pub trait ByteSink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl ByteSink for ByteWriter<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        ByteWriter::put(self, bytes);
    }
}

impl ByteSink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A few tags, lengths and numbers, put together before they are appended: at most 32 bytes.
pub(crate) struct Piece {
    bytes: [u8; 32],
    len: usize,
}

impl Piece {
    #[inline(always)]
    pub(crate) fn new() -> Piece {
        Piece { bytes: [0; 32], len: 0 }
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) -> &mut Self {
        // The mask costs less than a bounds check; nobody puts more than 32 bytes together.
        self.bytes[self.len & 31] = byte;
        self.len += 1;
        self
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8)
    }

    #[inline(always)]
    fn bytes<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + N) {
            place.copy_from_slice(bytes);
            self.len += N;
        }
        self
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) fn put_to(&self, out: &mut impl ByteSink) {
        out.put(&self.bytes[..self.len.min(32)]);
    }
}

/// Returns the length of a message's protobuf form in bytes.
#[inline]
pub fn message_len(message: &Message<'_>) -> usize {
    let texts = [
        message.message_type(),
        message.logger(),
        message.payload(),
        message.env_version(),
        message.hostname(),
    ];
    let mut len = 18 + 1 + varint_len(message.timestamp() as u64) + 1 + varint_len(message.severity() as u64);
    len += texts.into_iter().map(text_len).sum::<usize>();
    if message.pid() != 0 {
        len += 1 + varint_len(message.pid() as u64);
    }
    message.fields().fold(len, |len, field| len + bytes_len(field_len(&field)))
}

/// Appends a message's protobuf form: [`message_len`] bytes.
///
/// Empty texts and a process id of 0 are left out; severity is always written.
#[inline]
pub fn put_message(message: &Message<'_>, out: &mut impl ByteSink) {
    let mut head = Piece::new();
    head.bytes(&[0x0a, 16]).bytes(&message.uuid()).byte(0x10).varint(message.timestamp() as u64).put_to(out);
    put_text(0x1a, message.message_type(), out);
    put_text(0x22, message.logger(), out);
    Piece::new().byte(0x28).varint(message.severity() as u64).put_to(out);
    put_text(0x32, message.payload(), out);
    put_text(0x3a, message.env_version(), out);
    if message.pid() != 0 {
        Piece::new().byte(0x40).varint(message.pid() as u64).put_to(out);
    }
    put_text(0x4a, message.hostname(), out);
    for field in message.fields() {
        put_field(&field, out);
    }
}

#[inline]
fn put_text(tag: u8, text: &[u8], out: &mut impl ByteSink) {
    if !text.is_empty() {
        Piece::new().byte(tag).varint(text.len() as u64).put_to(out);
        out.put(text);
    }
}

#[inline]
fn put_field(field: &Field<'_>, out: &mut impl ByteSink) {
    let name = field.name();
    let mut head = Piece::new();
    head.byte(0x52).varint(field_len(field) as u64).byte(0x0a).varint(name.len() as u64).put_to(out);
    out.put(name);
    let value_type = type_number(field.value_type());
    put_text(0x1a, field.representation(), out);
    match field.value_type() {
        ValueType::Integer | ValueType::Double | ValueType::Bool => put_packed(field, out),
        _ => {
            if value_type != 0 {
                out.put(&[0x10, value_type]);
            }
            for bytes in field.values().filter_map(|value| value.as_bytes()) {
                Piece::new().byte(0x22 + 8 * value_type).varint(bytes.len() as u64).put_to(out);
                out.put(bytes);
            }
        }
    }
}

#[inline]
fn put_packed(field: &Field<'_>, out: &mut impl ByteSink) {
    let value_type = type_number(field.value_type());
    let mut piece = Piece::new();
    piece.byte(0x10).byte(value_type).byte(0x22 + 8 * value_type).varint(packed_len(field) as u64);
    if field.len() == 1 {
        field.value(0).iter().for_each(|value| put_number(value, &mut piece));
        return piece.put_to(out);
    }
    piece.put_to(out);
    for value in field.values() {
        let mut piece = Piece::new();
        put_number(&value, &mut piece);
        piece.put_to(out);
    }
}

#[inline]
fn put_number(value: &Value<'_>, piece: &mut Piece) {
    match value {
        Value::Integer(value) => _ = piece.varint(*value as u64),
        Value::Double(value) => _ = piece.bytes(&value.to_bits().to_le_bytes()),
        Value::Bool(value) => _ = piece.byte((*value).into()),
        Value::String(_) | Value::Bytes(_) => {}
    }
}

/// Length of a field without its own tag and length.
#[inline]
fn field_len(field: &Field<'_>) -> usize {
    let head = bytes_len(field.name().len()) + text_len(field.representation());
    let values = match field.value_type() {
        ValueType::Integer | ValueType::Double | ValueType::Bool => bytes_len(packed_len(field)),
        _ => field.values().filter_map(|value| value.as_bytes()).map(|bytes| bytes_len(bytes.len())).sum(),
    };
    head + values + if type_number(field.value_type()) == 0 { 0 } else { 2 }
}

#[inline]
fn packed_len(field: &Field<'_>) -> usize {
    match field.value_type() {
        ValueType::Double => field.len() * 8,
        ValueType::Bool => field.len(),
        _ => {
            field.values().filter_map(|value| value.as_integer()).map(|value| varint_len(value as u64)).sum()
        }
    }
}

#[inline]
fn type_number(value_type: ValueType) -> u8 {
    match value_type {
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
    // One byte for each seven bits, without a division: 9/64 is a little more than 1/7.
    ((64 - (value | 1).leading_zeros()) as usize * 9 + 64) / 64
}
