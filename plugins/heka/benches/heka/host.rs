//! A host for one plugin of this crate, which calls it as the real one does: through its table of functions.

use divan::black_box;
use heka_plugin_api::abi::{
    API_VERSION, Batch, Buffer, Entry, Frame, Frames, Host, Item, Plugin, Slice, Writer, host_flag,
};
use heka_plugin_api::{Message, OwnedMessage};
use std::ffi::c_void;
use std::ptr::{null, null_mut};

const ARENA_WORDS: usize = 1 << 18;
const ITEMS: usize = 1_024;
/// A MessagePack map without members: a section without options.
const NO_OPTIONS: [u8; 1] = [0x80];

/// A plugin with default options, the memory that it writes to, and what it has written.
pub struct BenchHost {
    table: &'static Plugin,
    instance: *mut c_void,
    words: Vec<u64>,
    items: Vec<Item>,
    ends: Vec<u32>,
}

impl BenchHost {
    /// Opens plugin number `index` of a plugin file.
    pub fn open(file: &'static Entry, index: usize) -> BenchHost {
        let host: &'static Host = Box::leak(Box::new(host()));
        // SAFETY: the file has that many plugins; the host lives for ever.
        let (table, instance) = unsafe {
            let table = &**file.plugins.add(index);
            (table, (table.open)(host, Slice::new(&NO_OPTIONS)))
        };
        assert!(index < file.plugin_count && !instance.is_null(), "the plugin opens");
        let (items, ends) = (Vec::with_capacity(ITEMS), vec![0; ITEMS]);
        BenchHost { table, instance, words: vec![0; ARENA_WORDS], items, ends }
    }

    /// Decodes frames, at most 256; returns the count of messages.
    pub fn decode(&mut self, frames: &[Vec<u8>]) -> usize {
        let raw: [Frame; 256] = std::array::from_fn(|index| {
            let bytes = frames.get(index).map_or(&[][..], |frame| frame);
            Frame { bytes: Slice::new(bytes), position: index as u64, flags: 0, reserved: 0 }
        });
        let mut frames = Frames {
            frames: raw.as_ptr(),
            len: frames.len().min(256) as u32,
            completed: 0,
            stream: 1,
            timestamp: 0,
            message_type: Slice::new(b"decoder"),
            logger: Slice::new(b"stream"),
            hostname: Slice::new(b"host"),
        };
        let mut writer = self.writer();
        let Some(decode) = self.table.decode else { return 0 };
        // SAFETY: the instance is open and all pointers are valid for the call.
        unsafe { decode(self.instance, black_box(&mut frames), &mut writer) };
        writer.len as usize
    }

    /// Encodes messages; returns the count of bytes.
    pub fn encode(&mut self, messages: &[OwnedMessage]) -> usize {
        self.items.clear();
        self.items.extend(messages.iter().map(|message| item(message.view())));
        let len = self.items.len() as u32;
        let mut batch = Batch { items: self.items.as_ptr(), len, completed: 0, ticket: 0 };
        let mut buffer = Buffer {
            data: self.words.as_mut_ptr().cast(),
            len: 0,
            capacity: ARENA_WORDS * 8,
            ends: self.ends.as_mut_ptr(),
            grow: grow_bytes,
            context: null_mut(),
        };
        let Some(encode) = self.table.encode else { return 0 };
        // SAFETY: the instance is open and all pointers are valid for the call.
        unsafe { encode(self.instance, black_box(&mut batch), &mut buffer) };
        buffer.len
    }

    fn writer(&mut self) -> Writer {
        let range = self.words.as_mut_ptr_range();
        Writer {
            cursor: range.start.cast(),
            end: range.end.cast(),
            items: self.items.as_mut_ptr(),
            len: 0,
            capacity: ITEMS as u32,
            record_bytes_max: 1 << 20,
            reserved: 0,
            marks: 0,
            grow,
            grow_items,
            context: null_mut(),
        }
    }
}

fn item(message: Message<'_>) -> Item {
    Item { record: message.record(), marks: 0 }
}

fn host() -> Host {
    Host {
        struct_size: size_of::<Host>() as u32,
        api_version: API_VERSION,
        flags: host_flag::STATIC,
        log_level: 0,
        context: null_mut(),
        plugin: Slice::new(b"bench"),
        instance: Slice::new(b"bench"),
        hostname: Slice::new(b"host"),
        state_dir: Slice::new(b"/nonexistent"),
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

unsafe extern "C" fn grow_items(_: *mut Writer) {
    std::process::abort();
}

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
    null()
}
