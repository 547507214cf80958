//! Builds one message straight in the host's memory.

use crate::abi::{FieldEntry, Item, Record, Span, Writer, record_flag, value_type};
use crate::copy::copy_bytes;
use crate::error::PluginError;
use crate::message::{Message, Value, span_word};
use crate::origin::{Origin, random_uuid};
use crate::writer::Defaults;
use std::mem::MaybeUninit;
use std::ops::Range;

const HEADER_BYTES: usize = size_of::<Record>();
const ABSENT: Span = Span { offset: 0, len: 0 };
const EMPTY_RECORD: Record = Record {
    size: 0,
    field_count: 0,
    flags: 0,
    timestamp: 0,
    uuid: [0; 16],
    severity: 7,
    pid: 0,
    message_type: ABSENT,
    logger: ABSENT,
    payload: ABSENT,
    env_version: ABSENT,
    hostname: ABSENT,
    raw: ABSENT,
    fields_offset: 0,
    origin_index: 0,
    origin_stream: 0,
    origin_position: 0,
    hops: 0,
    reserved: [0; 3],
};

fn too_large(limit: u32) -> PluginError {
    PluginError::Message(format!("the message is larger than `message_bytes_max` ({limit} bytes)"))
}

/// Bytes inside a message under construction, to be used as one or more of its texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text(Span);

impl Text {
    /// Returns a part of it; what lies outside is cut off.
    #[inline]
    pub fn slice(self, range: Range<usize>) -> Text {
        let end = range.end.min(self.0.len as usize);
        let start = range.start.min(end);
        Text(Span { offset: self.0.offset + start as u32, len: (end - start) as u32 })
    }

    /// As [`slice`](Text::slice), for a range that is known to lie inside; one that doesn't makes a text that is
    /// empty when it is read.
    #[inline]
    pub fn part(self, range: Range<usize>) -> Text {
        let len = range.end.wrapping_sub(range.start) as u32;
        Text(Span { offset: self.0.offset.wrapping_add(range.start as u32), len })
    }

    /// Returns the count of bytes.
    pub fn len(self) -> usize {
        self.0.len as usize
    }

    /// Tells whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.len == 0
    }
}

/// A value whose bytes, if it has any, are inside the message already.
#[derive(Clone, Copy, Debug)]
pub enum TextValue {
    /// Text, usually UTF-8.
    String(Text),
    /// Bytes.
    Bytes(Text),
    /// Signed 64-bit integer.
    Integer(i64),
    /// IEEE 754 double.
    Double(f64),
    /// True or false.
    Bool(bool),
}

impl TextValue {
    #[inline]
    fn parts(self) -> (u8, u64) {
        match self {
            TextValue::String(text) => (value_type::STRING, span_word(text.0)),
            TextValue::Bytes(text) => (value_type::BYTES, span_word(text.0)),
            TextValue::Integer(value) => (value_type::INTEGER, value as u64),
            TextValue::Double(value) => (value_type::DOUBLE, value.to_bits()),
            TextValue::Bool(value) => (value_type::BOOL, value.into()),
        }
    }
}

/// Builds one message; ends with [`finish`](MessageBuilder::finish).
///
/// Setting a header text twice keeps the last; adding a field twice keeps both. A message that grows beyond
/// `message_bytes_max` is reported by `finish`, not by the setters.
///
/// The header is written in place, each part once: copied from a struct on the stack, it would be loaded in wider
/// pieces than it was stored in just before, which stalls.
pub struct MessageBuilder<'w> {
    start: *mut u8,
    used: usize,
    limit: usize,
    /// Stands in for the record's header when there was no memory for it.
    spare: Option<Box<Record>>,
    uuid_given: bool,
    failed: Option<&'static str>,
    raw: &'w mut Writer,
    entries: &'w mut Vec<FieldEntry>,
    defaults: &'w Defaults<'w>,
    index: &'w mut u32,
}

macro_rules! text_setters {
    ($($(#[$doc:meta])* $name:ident $text:ident)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
            let span = self.append(bytes.as_ref());
            self.header().$name = span;
            self
        }

        $(#[$doc])*
        ///
        /// The bytes are those of [`MessageBuilder::text`]: nothing is copied.
        #[inline]
        pub fn $text(&mut self, text: Text) -> &mut Self {
            self.header().$name = text.0;
            self
        }
    )*};
}

impl<'w> MessageBuilder<'w> {
    #[inline]
    pub(crate) fn new(
        raw: &'w mut Writer,
        entries: &'w mut Vec<FieldEntry>,
        defaults: &'w Defaults<'w>,
        index: &'w mut u32,
    ) -> MessageBuilder<'w> {
        entries.clear();
        let mut room = Room { start: raw.cursor, limit: raw.end as usize - raw.cursor as usize, spare: None };
        if room.limit < HEADER_BYTES {
            room = Room::find(raw);
        }
        let header = match &mut room.spare {
            // SAFETY: there is room for a header at `start`, which is 8-aligned.
            None => unsafe { &mut *room.start.cast::<MaybeUninit<Record>>() }.write(EMPTY_RECORD),
            Some(spare) => spare,
        };
        header.flags = defaults.flags;
        header.timestamp = defaults.timestamp;
        header.severity = defaults.severity;
        header.pid = defaults.pid;
        header.origin_index = *index;
        header.origin_stream = defaults.origin.stream;
        header.origin_position = defaults.origin.position;
        header.hops = defaults.hops;
        let Room { start, limit, spare } = room;
        let failed = spare.is_some().then_some(TOO_LARGE);
        // Made in one go where it is used: moving it would stall as copying a header would.
        MessageBuilder {
            start,
            used: HEADER_BYTES,
            limit,
            spare,
            uuid_given: false,
            failed,
            raw,
            entries,
            defaults,
            index,
        }
    }

    #[inline]
    fn header(&mut self) -> &mut Record {
        match &mut self.spare {
            // SAFETY: the first bytes behind `start` are the header's, 8-aligned and written by `new`.
            None => unsafe { &mut *self.start.cast::<Record>() },
            Some(spare) => spare,
        }
    }

    /// Makes this message a copy of a whole other one.
    pub(crate) fn copy(&mut self, message: &Message<'_>) -> Result<(), PluginError> {
        let bytes = message.record_bytes();
        self.used = 0;
        if self.failed.is_none() {
            self.append(bytes);
        }
        if self.failed.is_some() {
            return Err(too_large(self.raw.record_bytes_max));
        }
        self.push(self.used.next_multiple_of(8));
        Ok(())
    }

    text_setters! {
        /// Sets the type.
        message_type message_type_text
        /// Sets who logged it.
        logger logger_text
        /// Sets the text.
        payload payload_text
        /// Sets the version of the envelope.
        env_version env_version_text
        /// Sets the name of the machine.
        hostname hostname_text
    }

    /// Sets the untouched Heka protobuf image of this very message, whose bytes are inside the message already.
    #[inline]
    pub fn raw_text(&mut self, image: Text) -> &mut Self {
        self.header().raw = image.0;
        self
    }

    /// Sets the time, in nanoseconds since 1970-01-01 UTC.
    #[inline]
    pub fn timestamp(&mut self, ns: i64) -> &mut Self {
        self.header().timestamp = ns;
        self
    }

    /// Sets the syslog severity, 0 to 7.
    #[inline]
    pub fn severity(&mut self, severity: i32) -> &mut Self {
        self.header().severity = severity;
        self
    }

    /// Sets the process id.
    #[inline]
    pub fn pid(&mut self, pid: i32) -> &mut Self {
        self.header().pid = pid;
        self
    }

    /// Sets the UUID; without it the message gets one from its origin, or a random one.
    #[inline]
    pub fn uuid(&mut self, uuid: [u8; 16]) -> &mut Self {
        self.header().uuid = uuid;
        self.uuid_given = true;
        self
    }

    /// Copies bytes into the message, to be used by the setters that take a [`Text`].
    ///
    /// One copy of a whole line serves its payload and all fields that are parts of it.
    #[inline]
    pub fn text(&mut self, bytes: &[u8]) -> Text {
        Text(self.append(bytes))
    }

    /// Adds a field with one value.
    #[inline]
    pub fn field<'v>(&mut self, name: impl AsRef<[u8]>, value: impl Into<Value<'v>>) -> &mut Self {
        let name = self.text(name.as_ref());
        let value = self.value_text(value.into());
        self.field_text(name, Text::default(), value)
    }

    /// Adds a field with a representation: a unit or format in free text.
    pub fn field_as<'v>(
        &mut self,
        name: impl AsRef<[u8]>,
        representation: impl AsRef<[u8]>,
        value: impl Into<Value<'v>>,
    ) -> &mut Self {
        let name = self.text(name.as_ref());
        let representation = self.text(representation.as_ref());
        let value = self.value_text(value.into());
        self.field_text(name, representation, value)
    }

    /// Adds a field whose texts are inside the message already.
    #[inline]
    pub fn field_text(&mut self, name: Text, representation: Text, value: TextValue) -> &mut Self {
        let (value_type, word) = value.parts();
        self.push_entry(name.0, representation.0, value_type, 1, word);
        self
    }

    /// Adds a field with several values of one type; none adds nothing.
    ///
    /// Values of different types are reported by `finish`.
    pub fn field_values<'v>(
        &mut self,
        name: impl AsRef<[u8]>,
        representation: impl AsRef<[u8]>,
        values: impl IntoIterator<Item = Value<'v>>,
    ) -> &mut Self {
        let values: Vec<TextValue> = values.into_iter().map(|value| self.value_text(value)).collect();
        let (name, representation) = (self.text(name.as_ref()), self.text(representation.as_ref()));
        self.field_text_values(name, representation, &values)
    }

    /// Adds a field with several values whose texts are inside the message already; none adds nothing.
    pub fn field_text_values(&mut self, name: Text, representation: Text, values: &[TextValue]) -> &mut Self {
        let Some((&first, rest)) = values.split_first() else { return self };
        if rest.is_empty() {
            return self.field_text(name, representation, first);
        }
        let (value_type, _) = first.parts();
        if rest.iter().any(|value| value.parts().0 != value_type) {
            self.failed = Some("the values of a field have different types");
            return self;
        }
        self.align();
        let mut array = Span { offset: self.used as u32, len: 0 };
        for value in values {
            array.len += self.append(&value.parts().1.to_ne_bytes()).len;
        }
        self.push_entry(name.0, representation.0, value_type, values.len() as u32, span_word(array));
        self
    }

    /// Copies a value's bytes into the message.
    #[inline]
    pub fn value_text(&mut self, value: Value<'_>) -> TextValue {
        match value {
            Value::String(bytes) => TextValue::String(self.text(bytes)),
            Value::Bytes(bytes) => TextValue::Bytes(self.text(bytes)),
            Value::Integer(value) => TextValue::Integer(value),
            Value::Double(value) => TextValue::Double(value),
            Value::Bool(value) => TextValue::Bool(value),
        }
    }

    /// Marks the message as cut at its size limit.
    pub fn truncated(&mut self) -> &mut Self {
        self.header().flags |= record_flag::TRUNCATED;
        self
    }

    /// Ends the message and hands it on.
    ///
    /// # Errors
    /// [`PluginError::Message`] if it is larger than `message_bytes_max`, has more than 65,535 fields, or a field
    /// with values of different types; then nothing is handed on.
    #[inline]
    pub fn finish(&mut self) -> Result<(), PluginError> {
        self.fill(self.defaults);
        self.align();
        let table = self.used;
        // SAFETY: entries are plain data.
        let bytes = unsafe {
            std::slice::from_raw_parts(
                self.entries.as_ptr().cast::<u8>(),
                size_of_val(self.entries.as_slice()),
            )
        };
        self.append(bytes);
        if let Some(reason) = self.failed {
            return Err(self.refuse(reason));
        }
        let count = u16::try_from(self.entries.len()).map_err(|_| self.refuse("too many fields"))?;
        let (uuid_given, used, origin) = (self.uuid_given, self.used, self.defaults.origin);
        let header = self.header();
        header.fields_offset = table as u32;
        header.field_count = count;
        header.size = used as u32;
        if !uuid_given {
            header.uuid = match header.origin_stream {
                0 => random_uuid(),
                _ => Origin { index: header.origin_index, ..origin }.uuid(),
            };
        }
        self.push(self.used);
        *self.index += 1;
        Ok(())
    }

    #[inline]
    fn fill(&mut self, defaults: &Defaults<'_>) {
        if self.header().message_type.len == 0 {
            let span = self.append(defaults.message_type);
            self.header().message_type = span;
        }
        if self.header().logger.len == 0 {
            let span = self.append(defaults.logger);
            self.header().logger = span;
        }
        if self.header().hostname.len == 0 {
            let span = self.append(defaults.hostname);
            self.header().hostname = span;
        }
    }

    #[cold]
    fn refuse(&self, reason: &'static str) -> PluginError {
        if reason == TOO_LARGE {
            return too_large(self.raw.record_bytes_max);
        }
        PluginError::Message(reason.to_owned())
    }

    /// Adds the item; the record takes `size` bytes, a multiple of 8.
    #[inline]
    fn push(&mut self, size: usize) {
        if self.raw.len == self.raw.capacity {
            // SAFETY: the host's function on the host's writer.
            unsafe { (self.raw.grow_items)(self.raw) };
        }
        let item = Item { record: self.start.cast(), marks: self.raw.marks };
        // SAFETY: there is room for one more item, and `size` bytes are inside the free space.
        unsafe {
            self.raw.items.add(self.raw.len as usize).write(item);
            self.raw.cursor = self.start.add(size);
        }
        self.raw.len += 1;
    }

    #[inline]
    fn push_entry(&mut self, name: Span, representation: Span, value_type: u8, count: u32, value: u64) {
        self.entries.push(FieldEntry { name, representation, value_type, reserved: [0; 3], count, value });
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Span {
        if bytes.len() > self.limit - self.used && !self.grow(bytes.len()) {
            return Span::default();
        }
        let offset = self.used;
        // SAFETY: there are `bytes.len()` free bytes behind `used`, as just checked.
        unsafe { copy_bytes(bytes.as_ptr(), self.start.wrapping_add(offset), bytes.len()) };
        self.used += bytes.len();
        Span { offset: offset as u32, len: bytes.len() as u32 }
    }

    #[inline]
    fn align(&mut self) {
        let padding = self.used.wrapping_neg() % 8;
        if self.limit - self.used < 8 {
            self.append(&[0; 8][..padding]);
            return;
        }
        // Always all of them: how many are needed is as good as random, which a branch would have to guess.
        // SAFETY: eight bytes are free behind `used`, as just checked.
        unsafe { self.start.add(self.used).cast::<[u8; 8]>().write([0; 8]) };
        self.used += padding;
    }

    #[cold]
    fn grow(&mut self, more: usize) -> bool {
        if self.failed.is_some() {
            return false;
        }
        // SAFETY: the host's function on the host's writer; `used` bytes from `start` are written.
        let moved = unsafe { (self.raw.grow)(self.raw, self.start, self.used, more) };
        if moved.is_null() {
            self.failed = Some(TOO_LARGE);
            return false;
        }
        self.start = moved;
        self.limit = self.raw.end as usize - moved as usize;
        true
    }
}

const TOO_LARGE: &str = "too large";

/// Where a new record begins.
struct Room {
    start: *mut u8,
    limit: usize,
    /// Stands in for the header when there is no memory.
    spare: Option<Box<Record>>,
}

impl Room {
    #[cold]
    fn find(raw: &mut Writer) -> Room {
        // SAFETY: the host's function on the host's writer; nothing is written yet.
        let start = unsafe { (raw.grow)(raw, std::ptr::null(), 0, HEADER_BYTES) };
        match start.is_null() {
            true => Room { start, limit: HEADER_BYTES, spare: Some(Box::new(EMPTY_RECORD)) },
            false => Room { start, limit: raw.end as usize - start as usize, spare: None },
        }
    }
}
