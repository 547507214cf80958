//! Memory for records: pieces of fixed size that come from a pool and go back to it when their last batch is gone.

use heka_plugin_api::abi::{Item, Writer};
use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a pooled arena: about one full batch, so that what is in flight stays in the L2 cache.
pub(crate) const ARENA_BYTES: usize = 128 << 10;
/// Arenas that an idle pool keeps; more are given back to the system.
const POOLED_MAX: usize = 32;

/// A source of arenas, shared by all stages of a router.
#[derive(Clone, Default)]
pub(crate) struct ArenaPool {
    free: Arc<Mutex<Vec<Memory>>>,
}

/// One piece of memory that records live in. Immutable once written, except by the one writer behind its cursor.
pub(crate) struct Arena {
    memory: Option<Memory>,
    pool: ArenaPool,
}

/// Keeps an arena alive.
pub(crate) type ArenaRef = Arc<Arena>;

/// Uninitialised, 8-aligned bytes.
struct Memory {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: plain memory without an owner thread.
unsafe impl Send for Memory {}
// SAFETY: the writer only touches bytes behind its cursor, which no reader knows of.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(bytes: usize) -> Option<Memory> {
        let layout = Layout::from_size_align(bytes, 8).ok()?;
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { alloc(layout) }).map(|start| Memory { start, bytes })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Ok(layout) = Layout::from_size_align(self.bytes, 8) {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        }
    }
}

impl ArenaPool {
    /// Returns an arena of at least `bytes`, a pooled one where that fits; `None` when memory is out.
    fn arena(&self, bytes: usize) -> Option<ArenaRef> {
        let pooled = (bytes <= ARENA_BYTES).then(|| self.lock().pop()).flatten();
        let memory = pooled.or_else(|| Memory::new(bytes.max(ARENA_BYTES)))?;
        Some(Arc::new(Arena { memory: Some(memory), pool: self.clone() }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Memory>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arena {
    fn range(&self) -> (*mut u8, *mut u8) {
        match &self.memory {
            // SAFETY: one past the end of the allocation.
            Some(memory) => (memory.start.as_ptr(), unsafe { memory.start.as_ptr().add(memory.bytes) }),
            None => (std::ptr::null_mut(), std::ptr::null_mut()),
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        let mut free = self.pool.lock();
        if memory.bytes == ARENA_BYTES && free.len() < POOLED_MAX {
            free.push(memory);
        }
    }
}

/// The host's side of a [`Writer`]: hands out arenas and collects items.
pub(crate) struct RecordWriter {
    raw: Box<Writer>,
    state: Box<WriterState>,
}

struct WriterState {
    pool: ArenaPool,
    /// Where the cursor is.
    current: Option<ArenaRef>,
    /// Left since the last `take`, but holding items of it.
    left: Vec<ArenaRef>,
    items: Vec<Item>,
}

// SAFETY: the pointers inside `raw` lead into `state` and its arenas, which move along.
unsafe impl Send for RecordWriter {}

impl RecordWriter {
    pub(crate) fn new(pool: &ArenaPool, message_bytes_max: usize) -> RecordWriter {
        let items = Vec::with_capacity(256);
        let mut state = Box::new(WriterState { pool: pool.clone(), current: None, left: Vec::new(), items });
        let context: *mut WriterState = &mut *state;
        let raw = Box::new(Writer {
            cursor: std::ptr::null_mut(),
            end: std::ptr::null_mut(),
            items: state.items.as_mut_ptr(),
            len: 0,
            capacity: state.items.capacity() as u32,
            record_bytes_max: u32::try_from(message_bytes_max).unwrap_or(u32::MAX),
            reserved: 0,
            marks: u64::MAX,
            grow,
            grow_items,
            context: context.cast::<c_void>(),
        });
        RecordWriter { raw, state }
    }

    /// The writer as plugins see it.
    pub(crate) fn raw(&mut self) -> &mut Writer {
        &mut self.raw
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.raw.len == 0
    }

    /// Moves the items written since the last call to `items`, which is cleared first, and adds the arenas that
    /// they live in to `arenas`.
    pub(crate) fn take(&mut self, items: &mut Vec<Item>, arenas: &mut Vec<ArenaRef>) {
        items.clear();
        if self.raw.len > 0 {
            // SAFETY: the plugin wrote the first `len` items.
            unsafe { self.state.items.set_len(self.raw.len as usize) };
            std::mem::swap(&mut self.state.items, items);
            arenas.extend(self.state.current.clone());
            if self.state.items.capacity() < 256 {
                self.state.items.reserve(256);
            }
        }
        arenas.append(&mut self.state.left);
        self.raw.items = self.state.items.as_mut_ptr();
        self.raw.capacity = self.state.items.capacity() as u32;
        self.raw.len = 0;
    }
}

unsafe extern "C" fn grow(
    writer: *mut Writer,
    partial: *const u8,
    partial_len: usize,
    more: usize,
) -> *mut u8 {
    // SAFETY: the context is the state of the `RecordWriter` that owns the writer.
    let (writer, state) = unsafe { (&mut *writer, &mut *(*writer).context.cast::<WriterState>()) };
    let wanted = partial_len.saturating_add(more);
    if wanted > writer.record_bytes_max as usize {
        return std::ptr::null_mut();
    }
    // Room to grow, so that a big message doesn't move with each of its fields.
    let Some(arena) = state.pool.arena((wanted + wanted / 2).next_multiple_of(8)) else {
        return std::ptr::null_mut();
    };
    let (start, end) = arena.range();
    // SAFETY: the arena is longer than the partial record, which lies in another one.
    unsafe { std::ptr::copy_nonoverlapping(partial, start, if partial.is_null() { 0 } else { partial_len }) };
    (writer.cursor, writer.end) = (start, end);
    let before = state.current.replace(arena);
    if writer.len > 0 {
        state.left.extend(before);
    }
    start
}

unsafe extern "C" fn grow_items(writer: *mut Writer) {
    // SAFETY: as in `grow`.
    let (writer, state) = unsafe { (&mut *writer, &mut *(*writer).context.cast::<WriterState>()) };
    // SAFETY: the plugin wrote the first `len` items.
    unsafe { state.items.set_len(writer.len as usize) };
    state.items.reserve(state.items.len().max(256));
    writer.items = state.items.as_mut_ptr();
    writer.capacity = state.items.capacity() as u32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::{Message, MessageWriter};

    fn write(writer: &mut RecordWriter, payloads: &[&[u8]]) -> Result<(), heka_plugin_api::PluginError> {
        let mut entries = Vec::new();
        // SAFETY: the raw writer is this module's own.
        let mut messages = unsafe { MessageWriter::from_raw(writer.raw(), &mut entries) };
        payloads.iter().try_for_each(|payload| messages.message().payload(payload).finish())
    }

    #[test]
    fn items_stay_readable_while_their_arenas_are_held() {
        let pool = ArenaPool::default();
        let mut writer = RecordWriter::new(&pool, 1 << 20);
        let payload = vec![b'x'; 1000];
        let (mut items, mut arenas) = (Vec::new(), Vec::new());
        for round in 0..5 {
            write(&mut writer, &vec![payload.as_slice(); 300]).unwrap();
            writer.take(&mut items, &mut arenas);
            assert_eq!(items.len(), 300);
            assert!(arenas.len() >= 2 * (round + 1));
            for item in &items {
                // SAFETY: `arenas` keeps the record.
                assert_eq!(unsafe { Message::from_record(item.record) }.payload(), payload);
            }
        }
        drop((arenas, writer));
        assert!((2..=POOLED_MAX).contains(&pool.lock().len()));
    }

    #[test]
    fn a_message_beyond_an_arena_gets_one_of_its_own_up_to_the_limit() {
        let mut writer = RecordWriter::new(&ArenaPool::default(), 1 << 20);
        write(&mut writer, &[&vec![1; 900_000]]).unwrap();
        let refused = write(&mut writer, &[&vec![1; 1_100_000]]).unwrap_err();
        assert!(refused.reason().contains("message_bytes_max"));
        write(&mut writer, &[b"small"]).unwrap();
        let (mut items, mut arenas) = (Vec::new(), Vec::new());
        writer.take(&mut items, &mut arenas);
        assert_eq!(items.len(), 2);
    }
}
