//! The part of a host that decoders and encoders need.

use heka_plugin_api::OwnedMessage;
use heka_plugin_api::abi::{
    API_VERSION, Batch, Buffer, Frame, Frames, Host, Item, Plugin, Slice, Writer, host_flag, status,
};
use std::ffi::c_void;
use std::ptr::null_mut;

/// How many lines or messages one call takes.
pub const BATCH: usize = 256;
/// Memory for what one call writes, in words of 8 bytes.
const ARENA_WORDS: usize = 1 << 18;

/// A host with one instance.
pub struct BenchHost {
    table: &'static Plugin,
    instance: *mut c_void,
}

impl BenchHost {
    /// Opens the plugin with this name with the options in `toml`. Host and instance live as long as the process.
    pub fn open(name: &str, toml: &str) -> BenchHost {
        let entry = &heka_text::PLUGIN_FILE;
        // SAFETY: an entry's plugins and names are constants of the crate.
        let tables = unsafe { std::slice::from_raw_parts(entry.plugins, entry.plugin_count) };
        // SAFETY: as above.
        let is_named = |table: &&&'static Plugin| unsafe { table.name.bytes() } == name.as_bytes();
        let table = *tables.iter().find(is_named).expect("a plugin of this crate");
        let section: toml::Table = toml.parse().expect("TOML");
        let section = rmp_serde::to_vec_named(&section).expect("MessagePack");
        let host: &'static Host = Box::leak(Box::new(host()));
        // SAFETY: the host lives on, the section during the call.
        let instance = unsafe { (table.open)(host, Slice::new(&section)) };
        assert!(!instance.is_null(), "options that open");
        BenchHost { table, instance }
    }

    /// Prepares the decoding of lines.
    pub fn decoding<'a>(&'a self, lines: &'a [String]) -> Decoding<'a> {
        let frame = |line: &'a String| Frame {
            bytes: Slice::new(line.as_bytes()),
            position: 0,
            flags: 0,
            reserved: 0,
        };
        let frames = lines.iter().map(frame).collect();
        Decoding { host: self, frames, arena: vec![0; ARENA_WORDS], items: Vec::with_capacity(BATCH) }
    }

    /// Prepares the encoding of messages.
    pub fn encoding<'a>(&'a self, messages: &'a [OwnedMessage]) -> Encoding<'a> {
        let items =
            messages.iter().map(|message| Item { record: message.view().record(), marks: 0 }).collect();
        Encoding { host: self, items, bytes: vec![0; ARENA_WORDS * 8], ends: vec![0; messages.len()] }
    }
}

/// Lines, and room for their messages.
pub struct Decoding<'a> {
    host: &'a BenchHost,
    frames: Vec<Frame>,
    arena: Vec<u64>,
    items: Vec<Item>,
}

impl Decoding<'_> {
    /// Decodes all lines.
    pub fn run(&mut self) {
        let start = self.arena.as_mut_ptr().cast::<u8>();
        let mut writer = Writer {
            cursor: start,
            // SAFETY: the end of the arena.
            end: unsafe { start.add(ARENA_WORDS * 8) },
            items: self.items.as_mut_ptr(),
            len: 0,
            capacity: BATCH as u32,
            record_bytes_max: 1 << 20,
            reserved: 0,
            marks: u64::MAX,
            grow,
            grow_items,
            context: null_mut(),
        };
        let mut frames = Frames {
            frames: self.frames.as_ptr(),
            len: self.frames.len() as u32,
            completed: 0,
            stream: 1,
            timestamp: 0,
            message_type: Slice::new(b"access_log"),
            logger: Slice::new(b"/var/log/nginx/access.log"),
            hostname: Slice::new(b"web1.example.com"),
        };
        let decode = self.host.table.decode.expect("a decoder");
        // SAFETY: the instance is open and all pointers are valid for the call.
        let done = unsafe { decode(self.host.instance, &mut frames, &mut writer) };
        assert_eq!((done, writer.len as usize), (status::OK, self.frames.len()), "all lines fit");
    }
}

/// Messages, and room for their bytes.
pub struct Encoding<'a> {
    host: &'a BenchHost,
    items: Vec<Item>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Encoding<'_> {
    /// Encodes all messages.
    pub fn run(&mut self) {
        let mut batch =
            Batch { items: self.items.as_ptr(), len: self.items.len() as u32, completed: 0, ticket: 0 };
        let mut out = Buffer {
            data: self.bytes.as_mut_ptr(),
            len: 0,
            capacity: self.bytes.len(),
            ends: self.ends.as_mut_ptr(),
            grow: grow_bytes,
            context: null_mut(),
        };
        let encode = self.host.table.encode.expect("an encoder");
        // SAFETY: the instance is open and all pointers are valid for the call.
        let done = unsafe { encode(self.host.instance, &mut batch, &mut out) };
        assert_eq!((done, batch.completed), (status::OK, batch.len), "all messages fit");
    }
}

fn host() -> Host {
    Host {
        struct_size: size_of::<Host>() as u32,
        api_version: API_VERSION,
        flags: host_flag::STATIC,
        log_level: 0,
        context: null_mut(),
        instance: Slice::new(b"bench"),
        plugin: Slice::new(b"bench"),
        hostname: Slice::new(b"bench-host"),
        state_dir: Slice::new(b"/tmp"),
        log,
        fail,
        fault,
        message_failed,
        counter,
        set_ticker,
        output_bit,
        acknowledge,
        extension,
    }
}

unsafe extern "C" fn grow(_: *mut Writer, _: *const u8, _: usize, _: usize) -> *mut u8 {
    null_mut()
}

unsafe extern "C" fn grow_items(_: *mut Writer) {}

unsafe extern "C" fn grow_bytes(_: *mut Buffer, _: usize) -> i32 {
    -1
}

unsafe extern "C" fn log(_: *mut c_void, _: u32, _: Slice, _: Slice) {}

unsafe extern "C" fn fail(_: *mut c_void, _: i32, _: u64, _: Slice) {}

unsafe extern "C" fn fault(_: *mut c_void, _: Slice, _: Slice) {}

unsafe extern "C" fn message_failed(_: *mut c_void, _: u32, _: Slice) {}

unsafe extern "C" fn counter(_: *mut c_void, _: Slice) -> *mut u64 {
    Box::leak(Box::new(0))
}

unsafe extern "C" fn set_ticker(_: *mut c_void, _: u64) {}

unsafe extern "C" fn output_bit(_: *mut c_void, _: Slice) -> i32 {
    -1
}

unsafe extern "C" fn acknowledge(_: *mut c_void, _: u64, _: u32) {}

unsafe extern "C" fn extension(_: *mut c_void, _: Slice) -> *const c_void {
    std::ptr::null()
}
