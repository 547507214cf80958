//! A message with memory of its own, for the places where speed doesn't matter.

use crate::abi::{Item, Record, Writer};
use crate::builder::MessageBuilder;
use crate::edit::MessageMut;
use crate::error::PluginError;
use crate::message::Message;
use crate::writer::MessageWriter;
use std::ffi::c_void;

/// Largest message that [`OwnedMessage`] and the test harness build, in bytes.
pub const OWNED_BYTES_MAX: u32 = 256 << 20;
/// First piece of memory of a [`HeapWriter`], in words of 8 bytes.
const CHUNK_WORDS: usize = 512;

/// One message in memory of its own.
#[derive(Clone)]
pub struct OwnedMessage {
    words: Box<[u64]>,
}

impl OwnedMessage {
    /// Builds a message; `build` sets its texts and fields and must not call `finish`.
    ///
    /// # Errors
    /// As [`MessageBuilder::finish`].
    pub fn build(build: impl FnOnce(&mut MessageBuilder<'_>)) -> Result<OwnedMessage, PluginError> {
        let mut heap = HeapWriter::new();
        let mut entries = Vec::new();
        let mut writer = MessageWriter::new(heap.raw(), &mut entries, Default::default());
        let mut builder = writer.message();
        build(&mut builder);
        builder.finish()?;
        heap.take().pop().ok_or_else(|| PluginError::message("nothing was built"))
    }

    /// Copies a message.
    pub fn copy(message: &Message<'_>) -> OwnedMessage {
        let bytes = message.record_bytes();
        let mut words = vec![0u64; bytes.len().div_ceil(8)].into_boxed_slice();
        // SAFETY: the target has room for the bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), words.as_mut_ptr().cast(), bytes.len()) };
        OwnedMessage { words }
    }

    /// Returns a view of it.
    pub fn view(&self) -> Message<'_> {
        // SAFETY: the words hold one whole record.
        unsafe { Message::from_record(self.words.as_ptr().cast()) }
    }

    /// Returns the message with changes.
    ///
    /// # Errors
    /// [`PluginError::Message`] if it has grown too large.
    pub fn edited(&self, edit: impl FnOnce(&mut MessageMut<'_>)) -> Result<OwnedMessage, PluginError> {
        let mut heap = HeapWriter::new();
        let item = Item { record: self.view().record(), marks: 0 };
        // SAFETY: the record lives as long as `self`, the writer as long as `heap`.
        let mut message = unsafe { MessageMut::new(item, heap.raw()) };
        edit(&mut message);
        let item = message.pass()?;
        // SAFETY: the item is the original or a finished copy in `heap`.
        Ok(OwnedMessage::copy(&unsafe { Message::from_record(item.record) }))
    }
}

impl std::fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(f)
    }
}

/// A [`Writer`] over plain heap memory.
pub(crate) struct HeapWriter {
    raw: Box<Writer>,
    memory: Box<Memory>,
}

struct Memory {
    chunks: Vec<Box<[u64]>>,
    items: Vec<Item>,
}

impl HeapWriter {
    pub(crate) fn new() -> HeapWriter {
        let mut memory = Box::new(Memory { chunks: Vec::new(), items: Vec::new() });
        let context: *mut Memory = &mut *memory;
        let raw = Box::new(Writer {
            cursor: std::ptr::null_mut(),
            end: std::ptr::null_mut(),
            items: std::ptr::null_mut(),
            len: 0,
            capacity: 0,
            record_bytes_max: OWNED_BYTES_MAX,
            reserved: 0,
            marks: u64::MAX,
            grow,
            grow_items,
            context: context.cast::<c_void>(),
        });
        HeapWriter { raw, memory }
    }

    pub(crate) fn raw(&mut self) -> &mut Writer {
        &mut self.raw
    }

    /// Returns the items written since the last `take`, as messages of their own.
    pub(crate) fn take(&mut self) -> Vec<OwnedMessage> {
        let items = self.items().to_vec();
        self.raw.len = 0;
        // SAFETY: the items' records are whole and live in `memory`.
        items.iter().map(|item| OwnedMessage::copy(&unsafe { Message::from_record(item.record) })).collect()
    }

    /// Returns the items written since the last `take`.
    pub(crate) fn items(&self) -> &[Item] {
        if self.raw.len == 0 {
            return &[];
        }
        // SAFETY: `len` items were written to `items`.
        unsafe { std::slice::from_raw_parts(self.raw.items, self.raw.len as usize) }
    }
}

#[cfg(feature = "testing")]
impl HeapWriter {
    /// Forgets all items and makes their memory free again, as one chunk as large as all before.
    pub(crate) fn reset(&mut self) {
        self.raw.len = 0;
        let chunks = &mut self.memory.chunks;
        if chunks.len() > 1 {
            let words = chunks.iter().map(|chunk| chunk.len()).sum();
            chunks.clear();
            chunks.push(vec![0; words].into_boxed_slice());
        }
        if let Some(chunk) = chunks.first_mut() {
            let free = chunk.as_mut_ptr_range();
            (self.raw.cursor, self.raw.end) = (free.start.cast(), free.end.cast());
        }
    }
}

#[cfg(feature = "testing")]
impl Default for HeapWriter {
    fn default() -> HeapWriter {
        HeapWriter::new()
    }
}

/// Keeps the memory alive although only `raw` points to it.
impl Drop for HeapWriter {
    fn drop(&mut self) {
        self.memory.chunks.clear();
    }
}

unsafe extern "C" fn grow(
    writer: *mut Writer,
    partial: *const u8,
    partial_len: usize,
    more: usize,
) -> *mut u8 {
    // SAFETY: the context is the `Memory` of the `HeapWriter` that owns the writer.
    let (writer, memory) = unsafe { (&mut *writer, &mut *(*writer).context.cast::<Memory>()) };
    if partial_len + more > writer.record_bytes_max as usize {
        return std::ptr::null_mut();
    }
    let words = ((partial_len + more).div_ceil(8) * 2).max(CHUNK_WORDS);
    memory.chunks.push(vec![0u64; words].into_boxed_slice());
    let Some(chunk) = memory.chunks.last_mut() else { return std::ptr::null_mut() };
    let start = chunk.as_mut_ptr().cast::<u8>();
    // SAFETY: the chunk is longer than the partial record, which lies in another one.
    unsafe {
        if partial_len > 0 {
            std::ptr::copy_nonoverlapping(partial, start, partial_len);
        }
        writer.cursor = start;
        writer.end = start.add(words * 8);
    }
    start
}

unsafe extern "C" fn grow_items(writer: *mut Writer) {
    // SAFETY: as in `grow`.
    let (writer, memory) = unsafe { (&mut *writer, &mut *(*writer).context.cast::<Memory>()) };
    // SAFETY: the first `len` items were written.
    unsafe { memory.items.set_len(writer.len as usize) };
    memory.items.reserve(memory.items.len().max(64));
    writer.items = memory.items.as_mut_ptr();
    writer.capacity = memory.items.capacity() as u32;
}

const _: () = assert!(align_of::<Record>() == 8 && size_of::<Record>().is_multiple_of(8));
