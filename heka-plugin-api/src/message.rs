//! A message as everybody outside the record's own modules sees it: a view with checked access.

use crate::abi::{FieldEntry, Item, Record, Span, record_flag, value_type};
use crate::origin::Origin;
use std::marker::PhantomData;
use std::mem::size_of;

/// A read-only view of one message.
///
/// Text is bytes that are usually UTF-8. Offsets inside the record are checked at each access, since a plugin in
/// C may have written them wrong: what points outside reads as empty.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    record: *const Record,
    lifetime: PhantomData<&'a Record>,
}

// SAFETY: a view only reads a record, which is immutable while the view lives.
unsafe impl Send for Message<'_> {}
// SAFETY: as above.
unsafe impl Sync for Message<'_> {}

macro_rules! text_accessors {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> &'a [u8] {
            self.bytes(self.record().$name)
        }
    )*};
}

impl<'a> Message<'a> {
    /// Makes a view of a record.
    ///
    /// # Safety
    /// `record` must be 8-aligned, point to `(*record).size` readable bytes, at least a header, and stay
    /// unchanged for `'a`.
    #[inline]
    pub const unsafe fn from_record(record: *const Record) -> Message<'a> {
        Message { record, lifetime: PhantomData }
    }

    /// Makes a view of the record at the start of 8-aligned bytes that came from a disk or a peer.
    ///
    /// Only its size and the place of its field table are checked here; what else points outside of it reads as
    /// empty, as everywhere. The next record begins [`record_room`](Message::record_room) bytes further.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Message<'a>> {
        let aligned = bytes.as_ptr().addr().is_multiple_of(align_of::<Record>());
        if !aligned || bytes.len() < size_of::<Record>() {
            return None;
        }
        // SAFETY: aligned, and long enough for a header; any bytes are one.
        let message = unsafe { Message::from_record(bytes.as_ptr().cast()) };
        let record = message.record();
        let (size, table) = (record.size as usize, record.fields_offset as usize);
        let table_end = table + usize::from(record.field_count) * size_of::<FieldEntry>();
        let is_whole = (size_of::<Record>()..=bytes.len()).contains(&size);
        let has_table = record.field_count == 0 || table % 8 == 0 && table_end <= size;
        (is_whole && has_table).then_some(message)
    }

    /// Returns the bytes from this record's start to the next one's, where records lie behind each other.
    pub fn record_room(&self) -> usize {
        (self.record().size as usize).next_multiple_of(align_of::<Record>())
    }

    /// Makes views of the records of a batch's items.
    ///
    /// # Safety
    /// As [`Message::from_record`], for each item.
    #[inline]
    pub unsafe fn from_items(items: &'a [Item]) -> impl ExactSizeIterator<Item = Message<'a>> {
        // SAFETY: the caller's promise.
        items.iter().map(|item| unsafe { Message::from_record(item.record) })
    }

    /// Returns the record's header.
    #[inline]
    pub fn record(&self) -> &'a Record {
        // SAFETY: by the promise of `from_record`.
        unsafe { &*self.record }
    }

    /// Returns all bytes of the record, which can be copied and kept as they are.
    #[inline]
    pub fn record_bytes(&self) -> &'a [u8] {
        // SAFETY: by the promise of `from_record`.
        unsafe { std::slice::from_raw_parts(self.record.cast(), self.record().size as usize) }
    }

    text_accessors! {
        /// Returns the type, such as `nginx.access`; empty when absent.
        message_type
        /// Returns who logged the message: a stream's name, an application; empty when absent.
        logger
        /// Returns the text; empty when absent.
        payload
        /// Returns the version of the envelope that the message came in; empty when absent.
        env_version
        /// Returns the name of the machine; empty when absent.
        hostname
        /// Returns the untouched Heka protobuf image of this message; empty when there is none.
        raw
    }

    /// Returns the UUID.
    #[inline]
    pub fn uuid(&self) -> [u8; 16] {
        self.record().uuid
    }

    /// Returns the time in nanoseconds since 1970-01-01 UTC.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        self.record().timestamp
    }

    /// Returns the syslog severity, 0 to 7; 7 when unknown.
    #[inline]
    pub fn severity(&self) -> i32 {
        self.record().severity
    }

    /// Returns the process id; 0 when unknown.
    #[inline]
    pub fn pid(&self) -> i32 {
        self.record().pid
    }

    /// Returns where the message came from.
    #[inline]
    pub fn origin(&self) -> Origin {
        let record = self.record();
        Origin { stream: record.origin_stream, position: record.origin_position, index: record.origin_index }
    }

    /// Returns how often the message went through the injection stage.
    pub fn hops(&self) -> u16 {
        self.record().hops
    }

    /// Tells whether the message's frame was cut at its size limit.
    pub fn is_truncated(&self) -> bool {
        self.record().flags & record_flag::TRUNCATED != 0
    }

    /// Tells whether messages of this one's origin come in the order of their positions, so that one at or before
    /// the last position is a duplicate.
    pub fn is_ordered(&self) -> bool {
        let record = self.record();
        record.origin_stream != 0 && record.flags & record_flag::UNORDERED == 0
    }

    /// Returns the fields in order.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        Fields { message: *self, entries: self.entries().iter() }
    }

    /// Returns the first field with this name.
    #[inline]
    pub fn field(&self, name: impl AsRef<[u8]>) -> Option<Field<'a>> {
        self.field_at(name.as_ref(), 0)
    }

    /// Returns field number `field_index` (from 0) among those with this name.
    #[inline]
    pub fn field_at(&self, name: &[u8], field_index: usize) -> Option<Field<'a>> {
        let mut left = field_index;
        for entry in self.entries() {
            if entry.name.len as usize == name.len() && self.bytes(entry.name) == name {
                if left == 0 {
                    return Some(Field { message: *self, entry });
                }
                left -= 1;
            }
        }
        None
    }

    /// Returns the first value of the first field with this name.
    #[inline]
    pub fn value(&self, name: impl AsRef<[u8]>) -> Option<Value<'a>> {
        self.field(name)?.value(0)
    }

    #[inline]
    pub(crate) fn entries(&self) -> &'a [FieldEntry] {
        let record = self.record();
        let (start, count) = (record.fields_offset as usize, usize::from(record.field_count));
        if start % 8 != 0 || start + count * size_of::<FieldEntry>() > record.size as usize {
            return &[];
        }
        // SAFETY: inside the record and aligned, as just checked; any bytes are a valid `FieldEntry`.
        unsafe { std::slice::from_raw_parts(self.record.byte_add(start).cast(), count) }
    }

    #[inline]
    pub(crate) fn bytes(&self, span: Span) -> &'a [u8] {
        let end = u64::from(span.offset) + u64::from(span.len);
        if end > u64::from(self.record().size) {
            return &[];
        }
        // SAFETY: inside the record, as just checked.
        unsafe {
            std::slice::from_raw_parts(self.record.cast::<u8>().add(span.offset as usize), span.len as usize)
        }
    }
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut shown = f.debug_struct("Message");
        shown.field("timestamp", &self.timestamp()).field("type", &text(self.message_type()));
        shown.field("logger", &text(self.logger())).field("severity", &self.severity());
        shown.field("payload", &text(self.payload())).field("pid", &self.pid());
        shown.field("hostname", &text(self.hostname()));
        for field in self.fields() {
            shown.field(&text(field.name()), &field.values().collect::<Vec<_>>());
        }
        shown.finish()
    }
}

/// The fields of a message, in order.
#[derive(Clone)]
pub struct Fields<'a> {
    message: Message<'a>,
    entries: std::slice::Iter<'a, FieldEntry>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.entries.next().map(|entry| Field { message: self.message, entry })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// The type of a field's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ValueType {
    /// Text, usually UTF-8.
    String,
    /// Bytes.
    Bytes,
    /// Signed 64-bit integer.
    Integer,
    /// IEEE 754 double.
    Double,
    /// True or false.
    Bool,
}

/// One value of a field.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text, usually UTF-8.
    String(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Signed 64-bit integer.
    Integer(i64),
    /// IEEE 754 double.
    Double(f64),
    /// True or false.
    Bool(bool),
}

impl<'a> Value<'a> {
    /// Returns the value's type.
    #[inline]
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::String(_) => ValueType::String,
            Value::Bytes(_) => ValueType::Bytes,
            Value::Integer(_) => ValueType::Integer,
            Value::Double(_) => ValueType::Double,
            Value::Bool(_) => ValueType::Bool,
        }
    }

    /// Returns the bytes of text or bytes.
    #[inline]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::String(bytes) | Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns an integer.
    #[inline]
    pub fn as_integer(&self) -> Option<i64> {
        if let Value::Integer(value) = self { Some(*value) } else { None }
    }

    /// Returns an integer or a double as a double.
    #[inline]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Integer(value) => Some(*value as f64),
            Value::Double(value) => Some(*value),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::String(text) => write!(f, "{:?}", String::from_utf8_lossy(text)),
            Value::Bytes(bytes) => write!(f, "{bytes:x?}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::Bool(value) => write!(f, "{value}"),
        }
    }
}

macro_rules! value_from {
    ($($source:ty => |$value:ident| $made:expr;)*) => {$(
        impl<'a> From<$source> for Value<'a> {
            fn from($value: $source) -> Value<'a> { $made }
        }
    )*};
}

value_from! {
    &'a str => |value| Value::String(value.as_bytes());
    &'a String => |value| Value::String(value.as_bytes());
    &'a [u8] => |value| Value::String(value);
    i64 => |value| Value::Integer(value);
    i32 => |value| Value::Integer(value.into());
    u32 => |value| Value::Integer(value.into());
    f64 => |value| Value::Double(value);
    bool => |value| Value::Bool(value);
}

/// One field of a message: a name, a unit, and one or more values of one type.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    message: Message<'a>,
    entry: &'a FieldEntry,
}

impl<'a> Field<'a> {
    /// Returns the name.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.message.bytes(self.entry.name)
    }

    /// Returns the unit or format in free text, such as `ms`; empty when absent.
    #[inline]
    pub fn representation(&self) -> &'a [u8] {
        self.message.bytes(self.entry.representation)
    }

    /// Returns the type of the values.
    #[inline]
    pub fn value_type(&self) -> ValueType {
        match self.entry.value_type {
            value_type::STRING => ValueType::String,
            value_type::INTEGER => ValueType::Integer,
            value_type::DOUBLE => ValueType::Double,
            value_type::BOOL => ValueType::Bool,
            _ => ValueType::Bytes,
        }
    }

    /// Returns the count of values, at least 1 in a field that this crate built.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a field has values")]
    pub fn len(&self) -> usize {
        self.entry.count as usize
    }

    /// Returns value number `array_index`, from 0.
    #[inline]
    pub fn value(&self, array_index: usize) -> Option<Value<'a>> {
        let word = match (array_index, self.entry.count) {
            (0, 1) => self.entry.value,
            (index, count) if index < count as usize => self.array_word(index)?,
            _ => return None,
        };
        Some(self.decode(word))
    }

    /// Returns the values in order.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let field = *self;
        (0..field.len()).map_while(move |index| field.value(index))
    }

    fn array_word(&self, index: usize) -> Option<u64> {
        let array = self.message.bytes(span_from(self.entry.value));
        let word = array.get(index * 8..index * 8 + 8)?;
        Some(u64::from_ne_bytes(word.try_into().ok()?))
    }

    #[inline]
    fn decode(&self, word: u64) -> Value<'a> {
        match self.entry.value_type {
            value_type::STRING => Value::String(self.message.bytes(span_from(word))),
            value_type::INTEGER => Value::Integer(word as i64),
            value_type::DOUBLE => Value::Double(f64::from_bits(word)),
            value_type::BOOL => Value::Bool(word != 0),
            _ => Value::Bytes(self.message.bytes(span_from(word))),
        }
    }
}

#[inline]
pub(crate) fn span_from(word: u64) -> Span {
    Span { offset: word as u32, len: (word >> 32) as u32 }
}

#[inline]
pub(crate) fn span_word(span: Span) -> u64 {
    u64::from(span.offset) | u64::from(span.len) << 32
}

#[cfg(test)]
mod tests;
