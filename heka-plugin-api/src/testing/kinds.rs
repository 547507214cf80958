//! One harness for each kind of plugin.

use super::batch::{BATCH_LEN_MAX, items};
use super::host::TestHost;
use crate::abi::{self, Batch, Frame, Item, Slice, status};
use crate::owned::{HeapWriter, OwnedMessage};
use crate::{Decoder, Encoder, Filter, Input, Output, Read, export};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

macro_rules! harness {
    ($($(#[$doc:meta])* $name:ident $trait:ident $kind:ident)*) => {$(
        $(#[$doc])*
        pub struct $name<P: $trait> {
            host: TestHost,
            plugin: PhantomData<P>,
        }

        impl<P: $trait> $name<P> {
            /// Checks the options in `toml` and opens an instance.
            ///
            /// # Errors
            /// The faults of the options, one a line, or the reason why it can't be opened.
            pub fn open(toml: &str) -> Result<Self, String> {
                Self::open_with_outputs(toml, &[])
            }

            /// As `open`; marks may name these outputs.
            ///
            /// # Errors
            /// As `open`.
            pub fn open_with_outputs(toml: &str, outputs: &[&str]) -> Result<Self, String> {
                let host = TestHost::open(export::$kind::<P>("test"), toml, outputs, None)?;
                Ok($name { host, plugin: PhantomData })
            }

            /// As `open`, with a directory for the instance's files that other instances have had, or will have.
            ///
            /// # Errors
            /// As `open`.
            pub fn open_in(state_dir: &Path, toml: &str) -> Result<Self, String> {
                let host = TestHost::open(export::$kind::<P>("test"), toml, &[], Some(state_dir))?;
                Ok($name { host, plugin: PhantomData })
            }

            /// Returns the faults that `check` finds in the options in `toml`, each as `key: reason`.
            pub fn faults(toml: &str) -> Vec<String> {
                TestHost::faults(export::$kind::<P>("test"), toml)
            }

            /// Starts the instance.
            ///
            /// # Errors
            /// The reason why it refused.
            pub fn start(&mut self) -> Result<(), String> {
                self.host.start(None)
            }

            /// Starts the instance in the place of another one, as at a reload.
            ///
            /// # Errors
            /// The reason why it refused.
            pub fn start_after(&mut self, predecessor: &mut Self) -> Result<(), String> {
                self.host.start(Some(&predecessor.host))
            }

            /// Returns the host, for its counters and the stop signal.
            pub fn host(&self) -> &TestHost {
                &self.host
            }
        }
    )*};
}

harness! {
    /// Runs an input.
    InputTest Input input
    /// Runs a decoder.
    DecoderTest Decoder decoder
    /// Runs a filter.
    FilterTest Filter filter
    /// Runs an encoder.
    EncoderTest Encoder encoder
    /// Runs an output.
    OutputTest Output output
}

/// What a filter made of a batch.
#[derive(Debug)]
pub struct Processed {
    /// The messages that passed, in order.
    pub passed: Vec<OwnedMessage>,
    /// The marks of each of them: bit n for output n of those named at the opening.
    pub marks: Vec<u64>,
    /// The messages that were emitted.
    pub emitted: Vec<OwnedMessage>,
    /// Count of messages that were absorbed.
    pub absorbed: u32,
    /// The messages that failed: index and reason.
    pub failed: Vec<(u32, String)>,
    /// The failure of the whole call.
    pub failure: Option<String>,
    /// How many messages the filter has finished with.
    pub completed: u32,
}

impl<F: Filter> FilterTest<F> {
    /// Processes a batch.
    pub fn process(&mut self, messages: &[OwnedMessage]) -> Processed {
        let items: Vec<Item> = items(messages).collect();
        let mut batch = Batch { items: items.as_ptr(), len: items.len() as u32, completed: 0, ticket: 0 };
        let (mut out, mut emitted, mut absorbed) = (HeapWriter::new(), HeapWriter::new(), 0);
        let process = self.host.table().process.expect("a filter processes");
        // SAFETY: the instance is open and all pointers are valid for the call.
        let status =
            unsafe { process(self.host.instance(), &mut batch, out.raw(), emitted.raw(), &mut absorbed) };
        // Apart: what was told is locked until the end of a statement, and `result` looks there too.
        let failed = std::mem::take(&mut self.host.told().failed);
        Processed {
            marks: out.items().iter().map(|item| item.marks).collect(),
            passed: out.take(),
            emitted: emitted.take(),
            absorbed,
            failed,
            failure: self.host.result(status).err(),
            completed: batch.completed,
        }
    }

    /// Lets the ticker strike; returns what was emitted.
    ///
    /// # Errors
    /// The reason why the tick failed.
    pub fn tick(&mut self) -> Result<Vec<OwnedMessage>, String> {
        let mut emitted = HeapWriter::new();
        let tick = self.host.table().tick.expect("a filter ticks");
        // SAFETY: as in `process`.
        let status = unsafe { tick(self.host.instance(), emitted.raw()) };
        self.host.result(status)?;
        Ok(emitted.take())
    }
}

impl<D: Decoder> DecoderTest<D> {
    /// Decodes one frame of a stream `stream` of the machine `test-host`, read at time 0.
    ///
    /// # Errors
    /// The reason why it was refused.
    pub fn decode(&mut self, frame: &[u8]) -> Result<Vec<OwnedMessage>, String> {
        self.host.decode(&[frame], 0)?;
        let failed = self.host.told().failed.pop();
        match failed {
            Some((_, reason)) => Err(reason),
            None => Ok(self.host.memory().out.take()),
        }
    }

    /// Decodes frames as hosts do, [`BATCH_LEN_MAX`] with each call, and forgets the messages; returns their count.
    ///
    /// For benchmarks: the memory of one call serves the next. Refused frames make no messages.
    ///
    /// # Panics
    /// If a call fails as a whole.
    pub fn decode_many(&mut self, frames: &[impl AsRef<[u8]>]) -> usize {
        let (mut count, mut position) = (0, 0);
        for frames in frames.chunks(BATCH_LEN_MAX) {
            let result = self.host.decode(frames, position);
            count += result.unwrap_or_else(|reason| panic!("the decoder: {reason}"));
            position += frames.len() as u64;
        }
        self.host.told().failed.clear();
        count
    }
}

impl<E: Encoder> EncoderTest<E> {
    /// Encodes one message.
    ///
    /// # Errors
    /// The reason why it was refused.
    pub fn encode(&mut self, message: &OwnedMessage) -> Result<Vec<u8>, String> {
        let len = self.host.encode(std::slice::from_ref(message))?;
        let failed = self.host.told().failed.pop();
        match failed {
            Some((_, reason)) => Err(reason),
            None => Ok(self.host.memory().bytes[..len].to_vec()),
        }
    }

    /// Encodes messages as hosts do, [`BATCH_LEN_MAX`] with each call, and forgets the bytes; returns their count.
    ///
    /// For benchmarks: the memory of one call serves the next. Refused messages make no bytes.
    ///
    /// # Panics
    /// If a call fails as a whole.
    pub fn encode_many(&mut self, messages: &[OwnedMessage]) -> usize {
        let mut count = 0;
        for messages in messages.chunks(BATCH_LEN_MAX) {
            let result = self.host.encode(messages);
            count += result.unwrap_or_else(|reason| panic!("the encoder: {reason}"));
        }
        self.host.told().failed.clear();
        count
    }
}

impl<O: Output> OutputTest<O> {
    /// Delivers messages with their encoded bytes; returns how many it has finished with, and how each refused
    /// one was refused.
    ///
    /// # Errors
    /// Count of messages finished with, and the failure.
    pub fn deliver(
        &mut self,
        messages: &[(OwnedMessage, &[u8])],
    ) -> Result<Vec<(u32, String)>, (u32, String)> {
        self.deliver_from_queue(messages, None)
    }

    /// As `deliver`, of messages that waited in the durable queue of id 7 7 … and have numbers from `first_sequence` on.
    ///
    /// # Errors
    /// As `deliver`.
    pub fn deliver_from_queue(
        &mut self,
        messages: &[(OwnedMessage, &[u8])],
        first_sequence: Option<u64>,
    ) -> Result<Vec<(u32, String)>, (u32, String)> {
        let owned: Vec<OwnedMessage> = messages.iter().map(|(message, _)| message.clone()).collect();
        let items: Vec<Item> = items(&owned).collect();
        let bytes: Vec<u8> = messages.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let mut ends: Vec<u32> = Vec::new();
        for (_, bytes) in messages {
            ends.push(ends.last().copied().unwrap_or(0) + bytes.len() as u32);
        }
        let batch = Batch { items: items.as_ptr(), len: items.len() as u32, completed: 0, ticket: 1 };
        let sequences: Vec<u64> =
            (0..).skip(first_sequence.unwrap_or(0) as usize).take(items.len()).collect();
        let mut delivery = abi::Delivery {
            batch,
            bytes: Slice::new(&bytes),
            ends: ends.as_ptr(),
            queue: [if first_sequence.is_some() { 7 } else { 0 }; 16],
            sequences: if first_sequence.is_some() { sequences.as_ptr() } else { std::ptr::null() },
        };
        let deliver = self.host.table().deliver.expect("an output delivers");
        // SAFETY: the instance is open and all pointers are valid for the call.
        let status = unsafe { deliver(self.host.instance(), &mut delivery) };
        match self.host.result(status) {
            Ok(_) => Ok(std::mem::take(&mut self.host.told().failed)),
            Err(reason) => Err((delivery.batch.completed, reason)),
        }
    }

    /// Asks the output to make durable what it has delivered.
    ///
    /// # Errors
    /// The reason why that failed.
    pub fn sync(&mut self) -> Result<(), String> {
        let sync = self.host.table().sync.expect("an output syncs");
        // SAFETY: the instance is open.
        let status = unsafe { sync(self.host.instance()) };
        self.host.result(status).map(|_| ())
    }

    /// Closes and opens the output's files anew.
    ///
    /// # Errors
    /// The reason why that failed.
    pub fn reopen(&mut self) -> Result<(), String> {
        let reopen = self.host.table().reopen.expect("an output reopens");
        // SAFETY: the instance is open.
        let status = unsafe { reopen(self.host.instance()) };
        self.host.result(status).map(|_| ())
    }

    /// Lets the ticker strike.
    ///
    /// # Errors
    /// The reason why the tick failed.
    pub fn tick(&mut self) -> Result<(), String> {
        let tick = self.host.table().tick.expect("an output ticks");
        // SAFETY: the instance is open; outputs are given no writer.
        let status = unsafe { tick(self.host.instance(), std::ptr::null_mut()) };
        self.host.result(status).map(|_| ())
    }

    /// Returns the tickets acknowledged so far, with their counts.
    pub fn acknowledged(&self) -> Vec<(u64, u32)> {
        self.host.told().acknowledged.clone()
    }
}

/// A stream as an input has handed it on.
#[derive(Clone, Default, Debug)]
pub struct TestStream {
    /// Its name: the default logger.
    pub name: String,
    /// Its id, as the input gave it.
    pub id: u64,
    /// Position of its first byte.
    pub start: u64,
    /// All bytes read.
    pub bytes: Vec<u8>,
    /// All datagrams.
    pub datagrams: Vec<Vec<u8>>,
    /// Positions up to which ready messages were handed on, with the count of messages since the one before.
    pub handed_on: Vec<(u64, usize)>,
    /// Whether it was closed, and with a flush.
    pub closed: Option<bool>,
}

impl TestStream {
    /// Returns the position up to which it was cut into lines; its end when it was closed with a flush.
    pub fn position(&self) -> u64 {
        let newline = self.bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let cut = if self.closed == Some(true) { self.bytes.len() } else { newline };
        self.start + cut as u64
    }
}

#[derive(Default)]
struct Streams {
    streams: Vec<TestStream>,
    written: Option<*const abi::Writer>,
    handed_on: usize,
    room: Vec<u8>,
}

impl<I: Input> InputTest<I> {
    /// Calls `read` again and again, at most 10 s, until `enough` holds of the streams and the messages so far.
    ///
    /// # Errors
    /// The failure of a call, or `timed out`, with the streams so far.
    pub fn read_until(
        &mut self,
        enough: impl FnMut(&[TestStream], &[OwnedMessage], Read) -> bool,
    ) -> Result<(Vec<TestStream>, Vec<OwnedMessage>), String> {
        self.read_on_until(Vec::new(), enough)
    }

    /// As `read_until`, with the streams of an earlier call, also one of the instance that this one took over from.
    ///
    /// # Errors
    /// As `read_until`.
    pub fn read_on_until(
        &mut self,
        streams: Vec<TestStream>,
        mut enough: impl FnMut(&[TestStream], &[OwnedMessage], Read) -> bool,
    ) -> Result<(Vec<TestStream>, Vec<OwnedMessage>), String> {
        let mut streams = Box::new(Streams { streams, ..Streams::default() });
        let mut out = HeapWriter::new();
        let mut reader = reader(&mut streams, &mut out);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        let read = self.host.table().read.expect("an input reads");
        let mut messages = Vec::new();
        loop {
            // SAFETY: the instance is open and all pointers are valid for the call.
            let status = unsafe { read(self.host.instance(), &mut reader, 20_000_000) };
            let found = match self.host.result(status)? {
                status::OK => Read::Some,
                status::IDLE => Read::Idle,
                _ => Read::End,
            };
            messages.append(&mut out.take());
            streams.handed_on = 0;
            if self.host.acknowledges {
                streams.streams.iter().for_each(|stream| self.acknowledged(stream.id, stream.position()));
            }
            if enough(&streams.streams, &messages, found) {
                return Ok((streams.streams, messages));
            }
            if std::time::Instant::now() > deadline {
                return Err(format!("timed out; streams so far: {:?}", streams.streams));
            }
        }
    }
}

impl<I: Input> InputTest<I> {
    /// Makes the host acknowledge after each read what streams were cut into: their lines, and the rest of those that
    /// were closed with a flush.
    pub fn acknowledge_all(&mut self) {
        self.host.acknowledges = true;
    }

    /// Tells the input that everything before `position` of a stream has happened.
    pub fn acknowledged(&mut self, stream_id: u64, position: u64) {
        let acknowledged = self.host.table().acknowledged.expect("an input is told");
        // SAFETY: the instance is open.
        unsafe { acknowledged(self.host.instance(), stream_id, position) };
    }
}

fn reader(streams: &mut Streams, out: &mut HeapWriter) -> abi::Reader {
    streams.written = Some(out.raw());
    abi::Reader {
        context: (&raw mut *streams).cast(),
        writer: out.raw(),
        open_stream,
        rename_stream,
        stream_buffer,
        stream_filled,
        datagrams,
        stream_position,
        stream_messages,
        close_stream,
    }
}

unsafe fn streams<'a>(context: *mut c_void) -> &'a mut Streams {
    // SAFETY: the context is the `Streams` of the running `read_until`.
    unsafe { &mut *context.cast() }
}

unsafe extern "C" fn open_stream(context: *mut c_void, name: Slice, id: u64, position: u64) -> u64 {
    // SAFETY: as said at `streams`; the plugin's slice is valid during the call.
    let (streams, name) = unsafe { (streams(context), name.bytes()) };
    let name = String::from_utf8_lossy(name).into_owned();
    streams.streams.push(TestStream { name, id, start: position, ..TestStream::default() });
    streams.streams.len() as u64 - 1
}

unsafe extern "C" fn rename_stream(context: *mut c_void, stream: u64, name: Slice) {
    // SAFETY: as above.
    let (streams, name) = unsafe { (streams(context), name.bytes()) };
    streams.streams[stream as usize].name = String::from_utf8_lossy(name).into_owned();
}

unsafe extern "C" fn stream_buffer(context: *mut c_void, _: u64, min: usize, len: *mut usize) -> *mut u8 {
    // SAFETY: as above.
    let streams = unsafe { streams(context) };
    streams.room.resize(min.max(65_536), 0);
    // SAFETY: the caller's place for the length.
    unsafe { *len = streams.room.len() };
    streams.room.as_mut_ptr()
}

unsafe extern "C" fn stream_filled(context: *mut c_void, stream: u64, len: usize) -> i32 {
    // SAFETY: as above.
    let streams = unsafe { streams(context) };
    streams.streams[stream as usize].bytes.extend_from_slice(&streams.room[..len]);
    status::OK
}

unsafe extern "C" fn datagrams(context: *mut c_void, stream: u64, frames: *const Frame, len: usize) -> i32 {
    // SAFETY: as above; `frames` are valid during the call.
    let (streams, frames) = unsafe { (streams(context), std::slice::from_raw_parts(frames, len)) };
    // SAFETY: as above.
    let bytes = frames.iter().map(|frame| unsafe { frame.bytes.bytes() }.to_vec());
    streams.streams[stream as usize].datagrams.extend(bytes);
    status::OK
}

unsafe extern "C" fn stream_position(context: *mut c_void, stream: u64) -> u64 {
    // SAFETY: as above.
    unsafe { streams(context) }.streams[stream as usize].position()
}

unsafe extern "C" fn stream_messages(context: *mut c_void, stream: u64, position: u64) -> i32 {
    // SAFETY: as above; the writer lives as long as the running `read_until`.
    let (streams, written) = unsafe {
        let streams = streams(context);
        let written = streams.written.map_or(0, |writer| (*writer).len as usize);
        (streams, written)
    };
    let count = written - std::mem::replace(&mut streams.handed_on, written);
    streams.streams[stream as usize].handed_on.push((position, count));
    status::OK
}

unsafe extern "C" fn close_stream(context: *mut c_void, stream: u64, flush: u32) -> i32 {
    // SAFETY: as above.
    unsafe { streams(context) }.streams[stream as usize].closed = Some(flush != 0);
    status::OK
}
