//! Changes messages: the first change copies the record into the filter's own memory.

use crate::abi::{FieldEntry, Item, Record, Span, Writer, value_type};
use crate::copy::copy_bytes;
use crate::error::PluginError;
use crate::message::{Field, Fields, Message, Value, span_from, span_word};
use crate::origin::Origin;
use std::marker::PhantomData;

const ENTRY_BYTES: usize = size_of::<FieldEntry>();
/// Room that a copy gets for the changes that made it necessary.
const SPARE_BYTES: usize = 256;
/// Entries that a moved field table gets room for.
const SPARE_ENTRIES: usize = 4;

/// The bit of an output that a filter may mark messages for; from [`Context::output`](crate::Context::output).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputMark(pub(crate) u32);

/// The outputs that a message is marked for, to be kept with a message that is held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks(pub(crate) u64);

/// One message that a filter may read, change and mark.
///
/// Reads see the changes made so far. The original is never touched: other chains may hold it.
pub struct MessageMut<'a> {
    record: *const Record,
    writer: *mut Writer,
    copy: Option<Copy>,
    marks: u64,
    too_large: bool,
    lifetime: PhantomData<&'a Record>,
}

/// The private copy, under change at the writer's cursor.
struct Copy {
    start: *mut u8,
    used: usize,
    limit: usize,
    entries_room: usize,
}

macro_rules! readers {
    ($($name:ident -> $type:ty;)*) => {$(
        #[doc = concat!("Returns what [`Message::", stringify!($name), "`] does.")]
        #[inline]
        pub fn $name(&self) -> $type {
            self.view().$name()
        }
    )*};
}

macro_rules! text_setters {
    ($($(#[$doc:meta])* $name:ident $header:ident)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, bytes: impl AsRef<[u8]>) {
            let span = self.append(bytes.as_ref());
            self.change(|record| record.$header = span);
        }
    )*};
}

impl<'a> MessageMut<'a> {
    /// # Safety
    /// `item` must hold a valid record for `'a`, `writer` obey the rules of [`Writer`].
    #[inline]
    pub(crate) unsafe fn new(item: Item, writer: *mut Writer) -> MessageMut<'a> {
        let Item { record, marks } = item;
        MessageMut { record, writer, copy: None, marks, too_large: false, lifetime: PhantomData }
    }

    /// Returns a read-only view of the message as it is now.
    #[inline]
    pub fn view(&self) -> Message<'_> {
        // SAFETY: by the promise of `new`, and a copy is kept valid by every change.
        unsafe { Message::from_record(self.record) }
    }

    readers! {
        message_type -> &[u8];
        logger -> &[u8];
        payload -> &[u8];
        env_version -> &[u8];
        hostname -> &[u8];
        uuid -> [u8; 16];
        timestamp -> i64;
        severity -> i32;
        pid -> i32;
        origin -> Origin;
        fields -> Fields<'_>;
    }

    /// Returns the first field with this name.
    #[inline]
    pub fn field(&self, name: impl AsRef<[u8]>) -> Option<Field<'_>> {
        self.view().field(name)
    }

    /// Returns the first value of the first field with this name.
    #[inline]
    pub fn value(&self, name: impl AsRef<[u8]>) -> Option<Value<'_>> {
        self.view().value(name)
    }

    text_setters! {
        /// Sets the type.
        set_message_type message_type
        /// Sets who logged it.
        set_logger logger
        /// Sets the text.
        set_payload payload
        /// Sets the version of the envelope.
        set_env_version env_version
        /// Sets the name of the machine.
        set_hostname hostname
    }

    /// Sets the time, in nanoseconds since 1970-01-01 UTC.
    pub fn set_timestamp(&mut self, ns: i64) {
        self.change(|record| record.timestamp = ns);
    }

    /// Sets the syslog severity, 0 to 7.
    pub fn set_severity(&mut self, severity: i32) {
        self.change(|record| record.severity = severity);
    }

    /// Sets the process id.
    pub fn set_pid(&mut self, pid: i32) {
        self.change(|record| record.pid = pid);
    }

    /// Sets the UUID.
    pub fn set_uuid(&mut self, uuid: [u8; 16]) {
        self.change(|record| record.uuid = uuid);
    }

    /// Gives the first field with this name one value in place of what it has, or adds such a field.
    pub fn set_field<'v>(&mut self, name: impl AsRef<[u8]>, value: impl Into<Value<'v>>) {
        let name = name.as_ref();
        match self.view().entries().iter().position(|entry| self.view().bytes(entry.name) == name) {
            Some(index) => {
                let (value_type, word) = self.value_word(value.into());
                self.change_entry(index, |entry| {
                    *entry = FieldEntry { value_type, count: 1, value: word, ..*entry };
                });
            }
            None => self.add_field(name, value),
        }
    }

    /// Gives value `array_index` of field number `field`, both from 0, another text; its type stays text or bytes.
    /// Tells whether there is such a value.
    pub fn set_text_at(&mut self, field: usize, array_index: usize, text: &[u8]) -> bool {
        let found = self.fields().nth(field).and_then(|field| field.value(array_index));
        if found.and_then(|value| value.as_bytes()).is_none() {
            return false;
        }
        let word = span_word(self.append(text));
        let Some(FieldEntry { count, value, .. }) = self.view().entries().get(field).copied() else {
            return false;
        };
        if count == 1 {
            self.change_entry(field, |entry| entry.value = word);
            return true;
        }
        let array = self.view().bytes(span_from(value));
        let place = array.get(array_index * 8..array_index * 8 + 8).map(<[u8]>::as_ptr);
        match (&self.copy, place) {
            (Some(_), Some(place)) => {
                // SAFETY: eight bytes of this message's own copy.
                unsafe { place.cast_mut().cast::<[u8; 8]>().write(word.to_ne_bytes()) };
                true
            }
            _ => false,
        }
    }

    /// Adds a field behind the others, also when there is one with this name.
    pub fn add_field<'v>(&mut self, name: impl AsRef<[u8]>, value: impl Into<Value<'v>>) {
        let name = self.append(name.as_ref());
        let (value_type, value) = self.value_word(value.into());
        let entry = FieldEntry {
            name,
            representation: Span::default(),
            value_type,
            reserved: [0; 3],
            count: 1,
            value,
        };
        self.push_entry(entry);
    }

    /// Removes the first field with this name; tells whether there was one.
    pub fn remove_field(&mut self, name: impl AsRef<[u8]>) -> bool {
        let Some(index) = self.position(name.as_ref()) else { return false };
        if !self.own(0) {
            return false;
        }
        let Some(entries) = self.entries_mut() else { return false };
        entries.copy_within(index + 1.., index);
        self.change(|record| record.field_count -= 1);
        true
    }

    /// Renames the first field with the name `from`; tells whether there was one. It does nothing when the message
    /// is too large for a copy.
    pub fn rename_field(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> bool {
        let Some(index) = self.position(from.as_ref()) else { return false };
        let name = self.append(to.as_ref());
        self.change_entry(index, |entry| entry.name = name);
        !self.too_large
    }

    /// Returns the marks that the message has now.
    #[inline]
    pub fn marks(&self) -> Marks {
        Marks(self.marks)
    }

    /// Marks the message for an output.
    #[inline]
    pub fn mark(&mut self, output: OutputMark) {
        self.marks |= 1 << output.0;
    }

    /// Takes the mark for an output away.
    #[inline]
    pub fn unmark(&mut self, output: OutputMark) {
        self.marks &= !(1 << output.0);
    }

    /// Takes all marks away: unless marked anew, the message goes to no output.
    #[inline]
    pub fn unmark_all(&mut self) {
        self.marks = 0;
    }

    /// Returns the item to be passed on, and keeps the copy, if one was made.
    #[inline]
    pub(crate) fn pass(self) -> Result<Item, PluginError> {
        if self.too_large {
            return Err(PluginError::message("the message has grown larger than `message_bytes_max`"));
        }
        if let Some(copy) = &self.copy {
            // SAFETY: `used` bytes from `start` are inside the writer's free space.
            unsafe { (*self.writer).cursor = copy.start.add(copy.used.next_multiple_of(8)) };
        }
        Ok(Item { record: self.record, marks: self.marks })
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.view().entries().iter().position(|entry| self.view().bytes(entry.name) == name)
    }

    fn value_word(&mut self, value: Value<'_>) -> (u8, u64) {
        match value {
            Value::String(bytes) => (value_type::STRING, span_word(self.append(bytes))),
            Value::Bytes(bytes) => (value_type::BYTES, span_word(self.append(bytes))),
            Value::Integer(value) => (value_type::INTEGER, value as u64),
            Value::Double(value) => (value_type::DOUBLE, value.to_bits()),
            Value::Bool(value) => (value_type::BOOL, value.into()),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Record)) {
        if self.own(0) {
            // SAFETY: the record is this message's own copy.
            let record = unsafe { &mut *self.record.cast_mut() };
            record.raw = Span::default();
            change(record);
        }
    }

    fn change_entry(&mut self, index: usize, change: impl FnOnce(&mut FieldEntry)) {
        self.change(|_| {});
        if let Some(entry) = self.entries_mut().and_then(|entries| entries.get_mut(index)) {
            change(entry);
        }
    }

    /// The field table of the copy; `None` when there is none.
    fn entries_mut(&mut self) -> Option<&mut [FieldEntry]> {
        self.copy.as_ref()?;
        let (table, count) = (self.view().entries().as_ptr().cast_mut(), self.view().entries().len());
        // SAFETY: the table was checked by `entries` and lies inside this message's own copy.
        Some(unsafe { std::slice::from_raw_parts_mut(table, count) })
    }

    fn push_entry(&mut self, entry: FieldEntry) {
        let count = self.view().entries().len();
        if count >= usize::from(u16::MAX) || !self.own(0) {
            self.too_large = true;
            return;
        }
        if self.copy.as_ref().is_none_or(|copy| copy.entries_room == 0) && !self.move_table(count) {
            return;
        }
        self.change(|record| record.field_count += 1);
        if let Some(copy) = &mut self.copy {
            copy.entries_room -= 1;
        }
        if let Some(slot) = self.entries_mut().and_then(|entries| entries.last_mut()) {
            *slot = entry;
        }
    }

    /// Moves the field table to the end of the record, with room for more entries.
    fn move_table(&mut self, count: usize) -> bool {
        let room = (count + SPARE_ENTRIES) * ENTRY_BYTES;
        if !self.own(room + 8) {
            return false;
        }
        let table = self.view().entries().as_ptr().cast::<u8>();
        let Some(copy) = &mut self.copy else { return false };
        let offset = copy.used.next_multiple_of(8);
        // SAFETY: `room + 8` bytes behind `used` are free; the table lies before them.
        unsafe {
            std::ptr::write_bytes(copy.start.add(copy.used), 0, offset + room - copy.used);
            std::ptr::copy_nonoverlapping(table, copy.start.add(offset), count * ENTRY_BYTES);
        }
        copy.used = offset + room;
        copy.entries_room = SPARE_ENTRIES;
        let used = copy.used as u32;
        self.change(|record| {
            record.size = used;
            record.fields_offset = offset as u32;
        });
        true
    }

    fn append(&mut self, bytes: &[u8]) -> Span {
        if !self.own(bytes.len()) {
            return Span::default();
        }
        let Some(copy) = &mut self.copy else { return Span::default() };
        let span = Span { offset: copy.used as u32, len: bytes.len() as u32 };
        // SAFETY: `own` made sure that there is room.
        unsafe { copy_bytes(bytes.as_ptr(), copy.start.add(copy.used), bytes.len()) };
        copy.used += bytes.len();
        let used = copy.used as u32;
        self.change(|record| record.size = used);
        span
    }

    /// Makes sure that there is a copy with `more` free bytes; `false` when that is over the limit.
    fn own(&mut self, more: usize) -> bool {
        match &self.copy {
            Some(copy) if copy.used + more <= copy.limit => true,
            Some(copy) => {
                let (start, used, entries_room) = (copy.start, copy.used, copy.entries_room);
                self.grow(start, used, more, entries_room)
            }
            None => self.make_copy(more),
        }
    }

    fn make_copy(&mut self, more: usize) -> bool {
        let size = self.view().record().size as usize;
        let wanted = size + more + SPARE_BYTES;
        // SAFETY: the writer is valid by the promise of `new`.
        let (start, end) = unsafe { ((*self.writer).cursor, (*self.writer).end) };
        if end as usize - (start as usize) < wanted && !self.grow(start, 0, wanted, 0) {
            return false;
        }
        let (start, limit) = match &self.copy {
            Some(copy) => (copy.start, copy.limit),
            None => (start, end as usize - start as usize),
        };
        // SAFETY: there is room for `wanted` bytes; source and target don't overlap.
        unsafe { std::ptr::copy_nonoverlapping(self.record.cast::<u8>(), start, size) };
        self.record = start.cast();
        self.copy = Some(Copy { start, used: size, limit, entries_room: 0 });
        true
    }

    #[cold]
    fn grow(&mut self, start: *mut u8, used: usize, more: usize, entries_room: usize) -> bool {
        // SAFETY: the host's function on the host's writer; `used` bytes from `start` are written.
        let moved = unsafe { ((*self.writer).grow)(self.writer, start, used, more) };
        if moved.is_null() {
            self.too_large = true;
            return false;
        }
        // SAFETY: as above.
        let limit = unsafe { (*self.writer).end } as usize - moved as usize;
        self.copy = Some(Copy { start: moved, used, limit, entries_room });
        if used > 0 {
            self.record = moved.cast();
        }
        true
    }
}
