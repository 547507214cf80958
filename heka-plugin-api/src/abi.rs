//! The binary border between the host and a plugin file: `#[repr(C)]` structs and tables of functions.
//!
//! A Rust plugin never uses this module itself; [`export_plugin!`](crate::export_plugin) and the traits do.
//! `include/heka_plugin.h` is the same in C; a test compares every size and offset of the two.
//! This is the only file of the project that names `abi_stable`, which checks the layout at load time.
//!
//! Conventions: `data`/`len` slices are borrowed for the duration of a call unless said otherwise. Functions
//! that can fail return a [`status`] and leave their text with [`Host::fail`]. Threads are named in brackets:
//! `[instance thread]` is the one thread that runs an instance's stage; `[any thread]` may be several at once.
//! Data structs are frozen once [`API_VERSION`] is declared 1; tables grow by [`Host::extension`] and
//! [`Plugin::extension`] only.

use abi_stable::StableAbi;
use abi_stable::abi_stability::check_layout_compatibility;
use abi_stable::type_layout::TypeLayout;
use std::ffi::c_void;

mod codes;

pub use codes::{host_flag, kind, record_flag, status, value_type};

/// Version of this border. 0 promises nothing: both sides must be built from the same one.
pub const API_VERSION: u32 = 0;

/// First eight bytes of an [`Entry`]: `HEKAPLUG` read as a little-endian number.
pub const ENTRY_MAGIC: u64 = u64::from_le_bytes(*b"HEKAPLUG");

/// Borrowed bytes; `data` may be null when `len` is 0.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Slice {
    /// First byte.
    pub data: *const u8,
    /// Count of bytes.
    pub len: usize,
}

// SAFETY: a slice is a pointer and a length; whoever reads through it answers for it.
unsafe impl Sync for Slice {}
// SAFETY: as above.
unsafe impl Send for Slice {}

impl Slice {
    /// No bytes.
    pub const EMPTY: Slice = Slice { data: std::ptr::null(), len: 0 };

    /// Borrows `bytes`.
    pub const fn new(bytes: &[u8]) -> Slice {
        Slice { data: bytes.as_ptr(), len: bytes.len() }
    }

    /// Returns the bytes.
    ///
    /// # Safety
    /// `data` must be valid for `len` bytes for `'a`.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 || self.data.is_null() {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

/// A piece of a record: bytes from the record's start.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Offset from the record's first byte.
    pub offset: u32,
    /// Count of bytes; 0 means absent.
    pub len: u32,
}

/// A message in memory: this header, then bytes and the field table, `size` bytes in all, 8-aligned.
///
/// Offsets count from the header's first byte, so that a record can be copied and kept as it is.
#[repr(C, align(8))]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Record {
    /// Bytes of the whole record, header included.
    pub size: u32,
    /// Count of entries in the field table.
    pub field_count: u16,
    /// `record_flag` bits.
    pub flags: u16,
    /// Nanoseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    /// RFC 9562 UUID.
    pub uuid: [u8; 16],
    /// Syslog severity, 0 to 7; 7 when unknown.
    pub severity: i32,
    /// Process id; 0 when unknown.
    pub pid: i32,
    /// Type of the message.
    pub message_type: Span,
    /// Who logged it.
    pub logger: Span,
    /// The text.
    pub payload: Span,
    /// Version of the envelope that it came in.
    pub env_version: Span,
    /// Host that it came from.
    pub hostname: Span,
    /// Untouched Heka protobuf image of this message; absent after any edit.
    pub raw: Span,
    /// Offset of the field table, a multiple of 8.
    pub fields_offset: u32,
    /// Index of this message among those made from `origin_position`.
    pub origin_index: u32,
    /// Random id of the stream that it came from; 0 for none.
    pub origin_stream: u64,
    /// Position in that stream.
    pub origin_position: u64,
    /// How often the message went through the injection stage.
    pub hops: u16,
    /// Zero.
    pub reserved: [u16; 3],
}

/// An entry of a record's field table.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct FieldEntry {
    /// Name of the field.
    pub name: Span,
    /// Unit or format in free text.
    pub representation: Span,
    /// One of `value_type`.
    pub value_type: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Count of values.
    pub count: u32,
    /// With one value: the integer, the double's bits, the bool, or a `Span` (offset in the low half).
    /// With several: a `Span` of an array of 8-byte values of that form, its offset a multiple of 8.
    pub value: u64,
}

/// A message on its way: the record, and the outputs that it is marked for.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Item {
    /// The record; never null in a batch.
    pub record: *const Record,
    /// Bit n set: marked for the chain's output n. In an output: a number of the chain, 0 for a dead letter.
    pub marks: u64,
}

// SAFETY: records are immutable; whoever holds an item answers for keeping its record.
unsafe impl Send for Item {}

/// Messages that a call is given; read-only and valid during the call, except `completed`.
#[repr(C)]
#[derive(StableAbi)]
pub struct Batch {
    /// `len` items.
    pub items: *const Item,
    /// Count of items.
    pub len: u32,
    /// How many the plugin has finished with; it keeps this current, so that a failure costs one message.
    pub completed: u32,
    /// Names the batch in a later acknowledgement.
    pub ticket: u64,
}

/// Where a plugin writes records; owned by the host, written inline.
#[repr(C)]
#[derive(StableAbi)]
pub struct Writer {
    /// Next free byte, 8-aligned between records.
    pub cursor: *mut u8,
    /// End of the free space.
    pub end: *mut u8,
    /// Items written so far.
    pub items: *mut Item,
    /// Count of items.
    pub len: u32,
    /// Room for items.
    pub capacity: u32,
    /// Largest record in bytes.
    pub record_bytes_max: u32,
    /// Zero.
    pub reserved: u32,
    /// Marks that a new message starts with.
    pub marks: u64,
    /// Moves an unfinished record of `len` bytes to where `more` bytes are free behind it; sets `cursor`
    /// and `end`, returns the record's new start, or null when that is over `record_bytes_max`.
    pub grow: unsafe extern "C" fn(writer: *mut Writer, part: *const u8, len: usize, more: usize) -> *mut u8,
    /// Makes room for at least one more item.
    pub grow_items: unsafe extern "C" fn(writer: *mut Writer),
    /// The host's.
    pub context: *mut c_void,
}

/// One frame.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Frame {
    /// The bytes.
    pub bytes: Slice,
    /// Where the frame begins in its stream.
    pub position: u64,
    /// `record_flag` bits.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// Frames of one stream for a decoder, and what their messages start with.
#[repr(C)]
#[derive(StableAbi)]
pub struct Frames {
    /// `len` frames.
    pub frames: *const Frame,
    /// Count of frames.
    pub len: u32,
    /// How many the decoder has finished with.
    pub completed: u32,
    /// Id of the stream.
    pub stream: u64,
    /// Time of reading, ns since the epoch.
    pub timestamp: i64,
    /// Default message type.
    pub message_type: Slice,
    /// Default logger: the stream's name.
    pub logger: Slice,
    /// Default hostname.
    pub hostname: Slice,
    /// Default severity: 7, or that of the message whose payload the frame is.
    pub severity: i32,
    /// Default process id: 0, or that of the message whose payload the frame is.
    pub pid: i32,
}

/// Where an encoder writes bytes; owned by the host.
#[repr(C)]
#[derive(StableAbi)]
pub struct Buffer {
    /// First byte.
    pub data: *mut u8,
    /// Bytes written.
    pub len: usize,
    /// Bytes of room.
    pub capacity: usize,
    /// `ends[n]` is `len` after message n; room for the whole batch.
    pub ends: *mut u32,
    /// Makes at least `more` bytes free; 0, or -1 when over the host's limit.
    pub grow: unsafe extern "C" fn(buffer: *mut Buffer, more: usize) -> i32,
    /// The host's.
    pub context: *mut c_void,
}

/// Messages for an output, encoded where the config names an encoder.
#[repr(C)]
#[derive(StableAbi)]
pub struct Delivery {
    /// The messages.
    pub batch: Batch,
    /// All encoded bytes, one message behind the other; empty without an encoder.
    pub bytes: Slice,
    /// End of each message in `bytes`; null without an encoder.
    pub ends: *const u32,
    /// Id of the durable queue that the messages waited in; zeros when there was none.
    pub queue: [u8; 16],
    /// Each message's number in that queue, ascending, the same whenever it is delivered again; null when there
    /// was none.
    pub sequences: *const u64,
}

/// What an input calls to hand on what it reads. All `[instance thread]`, during `read` only.
#[repr(C)]
#[derive(StableAbi)]
pub struct Reader {
    /// The host's.
    pub context: *mut c_void,
    /// Ready messages go here.
    pub writer: *mut Writer,
    /// Opens a stream and returns its handle. `id` 0 asks the host for a random one.
    pub open_stream: unsafe extern "C" fn(context: *mut c_void, name: Slice, id: u64, position: u64) -> u64,
    /// Changes the name (the default logger) of a stream.
    pub rename_stream: unsafe extern "C" fn(context: *mut c_void, stream: u64, name: Slice),
    /// Returns room for at least `min` bytes behind what the stream has not yet split; sets `len`.
    pub stream_buffer:
        unsafe extern "C" fn(context: *mut c_void, stream: u64, min: usize, len: *mut usize) -> *mut u8,
    /// Says that `len` bytes were read into the buffer: they are split, decoded and routed before it returns.
    pub stream_filled: unsafe extern "C" fn(context: *mut c_void, stream: u64, len: usize) -> i32,
    /// Hands on datagrams, each whole in itself.
    pub datagrams:
        unsafe extern "C" fn(context: *mut c_void, stream: u64, frames: *const Frame, len: usize) -> i32,
    /// Position up to which the stream was split into frames and handed on.
    pub stream_position: unsafe extern "C" fn(context: *mut c_void, stream: u64) -> u64,
    /// Says that the ready messages written so far were made from the stream up to `position`: they are routed
    /// before it returns, and acknowledged as that position.
    pub stream_messages: unsafe extern "C" fn(context: *mut c_void, stream: u64, position: u64) -> i32,
    /// Ends a stream; with `flush` its incomplete last frame is handed on if the splitter allows.
    pub close_stream: unsafe extern "C" fn(context: *mut c_void, stream: u64, flush: u32) -> i32,
}

/// What the host offers an instance; valid as long as the instance.
#[repr(C)]
#[derive(StableAbi)]
pub struct Host {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// The host's [`API_VERSION`].
    pub api_version: u32,
    /// `host_flag` bits.
    pub flags: u32,
    /// Greatest log level wanted, 0 (off) to 5 (trace).
    pub log_level: u32,
    /// The host's.
    pub context: *mut c_void,
    /// Name of the plugin.
    pub plugin: Slice,
    /// Name of the instance.
    pub instance: Slice,
    /// Name of the machine.
    pub hostname: Slice,
    /// Directory for the instance's own durable files; it exists.
    pub state_dir: Slice,
    /// `[any thread]` Logs a line.
    pub log: unsafe extern "C" fn(context: *mut c_void, level: u32, target: Slice, text: Slice),
    /// `[instance thread]` Leaves the text of the failure that the current call returns.
    pub fail: unsafe extern "C" fn(context: *mut c_void, status: i32, retry_after_ns: u64, text: Slice),
    /// `[instance thread]` Reports a fault of the option at `key` (a path such as `columns[2].name`) during `check`.
    pub fault: unsafe extern "C" fn(context: *mut c_void, key: Slice, text: Slice),
    /// `[instance thread]` Says that item `index` of the current batch failed; the call goes on.
    pub message_failed: unsafe extern "C" fn(context: *mut c_void, index: u32, text: Slice),
    /// `[instance thread]` Returns an atomic counter with that name, valid as long as the host.
    pub counter: unsafe extern "C" fn(context: *mut c_void, name: Slice) -> *mut u64,
    /// `[instance thread]` Asks for `tick` every `interval_ns`; 0 for never.
    pub set_ticker: unsafe extern "C" fn(context: *mut c_void, interval_ns: u64),
    /// `[instance thread]` Bit of the output with that name, or -1; in filters, during `open` only.
    pub output_bit: unsafe extern "C" fn(context: *mut c_void, name: Slice) -> i32,
    /// `[any thread]` Answers a deferred batch: its first `count` messages are delivered.
    pub acknowledge: unsafe extern "C" fn(context: *mut c_void, ticket: u64, count: u32),
    /// `[any thread]` Returns a table that later versions add, or null.
    pub extension: unsafe extern "C" fn(context: *mut c_void, id: Slice) -> *const c_void,
}

/// One exported plugin: its kind, its name, and its functions. Which of them a kind needs is said at each.
#[repr(C)]
#[derive(StableAbi)]
pub struct Plugin {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// One of `kind`.
    pub kind: u32,
    /// Name in a config.
    pub name: Slice,
    /// `[any thread]` Checks a config (MessagePack map); pure; reports through `fault`.
    pub check: unsafe extern "C" fn(host: *const Host, config: Slice) -> i32,
    /// `[instance thread]` Makes an instance; null and a failure text otherwise. Acquires nothing outside memory.
    pub open: unsafe extern "C" fn(host: *const Host, config: Slice) -> *mut c_void,
    /// `[instance thread]` Acquires sockets, files and connections, or takes them over from `predecessor`, an
    /// instance of this very table, or null.
    pub start: unsafe extern "C" fn(instance: *mut c_void, predecessor: *mut c_void) -> i32,
    /// Input. `[instance thread]` Reads what is there, waiting at most `timeout_ns`.
    pub read:
        Option<unsafe extern "C" fn(instance: *mut c_void, reader: *mut Reader, timeout_ns: u64) -> i32>,
    /// Input. `[instance thread]` Everything before `position` of the stream with this id has happened.
    pub acknowledged: Option<unsafe extern "C" fn(instance: *mut c_void, stream_id: u64, position: u64)>,
    /// Decoder. `[instance thread]` Turns frames into messages.
    pub decode:
        Option<unsafe extern "C" fn(instance: *mut c_void, frames: *mut Frames, out: *mut Writer) -> i32>,
    /// Filter. `[instance thread]` Writes what passes to `out` and what it emits to `emitted`.
    pub process: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            batch: *mut Batch,
            out: *mut Writer,
            emitted: *mut Writer,
            absorbed: *mut u32,
        ) -> i32,
    >,
    /// Encoder. `[instance thread]` Writes each message's bytes and end.
    pub encode:
        Option<unsafe extern "C" fn(instance: *mut c_void, batch: *mut Batch, out: *mut Buffer) -> i32>,
    /// Output. `[instance thread]` Delivers.
    pub deliver: Option<unsafe extern "C" fn(instance: *mut c_void, delivery: *mut Delivery) -> i32>,
    /// Output. `[instance thread]` Makes durable what was delivered so far; asked for by queues that sync.
    pub sync: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// Output. `[instance thread]` Closes and opens its files anew (SIGHUP).
    pub reopen: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// `[instance thread]` The ticker is due; a filter may emit. Before its last one a filter is told to `stop`.
    pub tick: Option<unsafe extern "C" fn(instance: *mut c_void, emitted: *mut Writer) -> i32>,
    /// `[any thread]` Asks a blocking call to return; returns at once itself.
    pub stop: unsafe extern "C" fn(instance: *mut c_void),
    /// `[instance thread]` Frees the instance; nothing is called after it.
    pub destroy: unsafe extern "C" fn(instance: *mut c_void),
    /// `[any thread]` Returns a table that later versions add, or null.
    pub extension: Option<unsafe extern "C" fn(id: Slice) -> *const c_void>,
}

/// The exported constant of a plugin file.
#[repr(C)]
#[derive(StableAbi)]
// Types that only records lead to by offset, which the check would not see.
#[sabi(phantom_field(record: Record), phantom_field(field: FieldEntry))]
pub struct Entry {
    /// [`ENTRY_MAGIC`].
    pub magic: u64,
    /// [`API_VERSION`] that the plugin was built with.
    pub api_version: u32,
    /// Bytes of this struct.
    pub struct_size: u32,
    /// The metadata that the file's `.heka_plugin` section also holds.
    pub metadata: Slice,
    /// `plugin_count` plugins.
    pub plugins: *const &'static Plugin,
    /// Count of plugins.
    pub plugin_count: usize,
}

// SAFETY: an entry and what it points to are constants.
unsafe impl Sync for Entry {}
// SAFETY: as above.
unsafe impl Sync for Plugin {}

/// The layout of the border as this crate was built, for the host's check.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Layout(&'static TypeLayout);

/// Type of the exported function `heka_plugin_layout_<crate>` of a Rust plugin file.
pub type LayoutFunction = extern "C" fn() -> Layout;

impl Layout {
    /// Returns the layout that this crate was built with.
    pub fn current() -> Layout {
        Layout(<Entry as StableAbi>::LAYOUT)
    }

    /// Compares a plugin's layout with the host's, in both directions.
    ///
    /// # Errors
    /// One line that names the first difference.
    pub fn check(self, plugin: Layout) -> Result<(), String> {
        let host_first = check_layout_compatibility(self.0, plugin.0).into_result();
        let plugin_first = check_layout_compatibility(plugin.0, self.0).into_result();
        match (host_first, plugin_first) {
            (Ok(()), _) | (_, Ok(())) => Ok(()),
            (Err(instability), Err(_)) => Err(first_difference(&instability.to_string())),
        }
    }
}

/// Picks the lines that say what differs out of `abi_stable`'s long text.
fn first_difference(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let start = lines.iter().rposition(|line| line.starts_with("Error:")).unwrap_or(0);
    lines[start..].join(" ").trim_start_matches("Error:").chars().take(200).collect()
}
