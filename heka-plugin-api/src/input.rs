//! The trait of inputs.

use crate::abi::{self, FieldEntry, Slice, Writer, kind, status};
use crate::config::Faults;
use crate::context::{Context, now};
use crate::error::PluginError;
use crate::schema::Schema;
use crate::shell::{Life, call, table};
use crate::writer::{Defaults, MessageWriter};
use serde::de::DeserializeOwned;
use std::ffi::c_void;
use std::time::Duration;

/// What a call to [`Input::read`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Read {
    /// Something was read; there may be more at once.
    Some,
    /// Nothing came within the time, and nothing is left to read. A run with `--once` ends the input here.
    Idle,
    /// The input has reached its end for good, such as a pipe that was closed.
    End,
}

/// Reads streams or makes messages.
///
/// All calls come on the input's thread, one at a time; `check` on any.
pub trait Input: Sized + Send + 'static {
    /// The options: a struct with `#[derive(Deserialize, Schema)]` and `#[serde(deny_unknown_fields)]`.
    type Config: DeserializeOwned + Schema;

    /// Finds all faults that the types of the options let through. Pure: opens and reads nothing.
    fn check(config: &Self::Config, faults: &mut Faults) {
        let _ = (config, faults);
    }

    /// Makes an instance; acquires nothing outside memory.
    ///
    /// # Errors
    /// Any refuses to start.
    fn open(config: Self::Config, context: &mut Context) -> Result<Self, PluginError>;

    /// Acquires sockets, files and connections, or takes them over from the instance that this one replaces at a
    /// reload: an instance of the same build of the same plugin, with other options.
    ///
    /// The predecessor is not stopped, and is not called again once this succeeded. Its streams are still open, each
    /// with what was read and not yet cut into frames, and what is acknowledged of them is told to the successor. A
    /// successor that goes on reading one takes the [`Stream`] over and names it to its reader in its first `read`,
    /// with [`Reader::keep_stream`] if nothing else; or it opens it again by its id, at any time, at the position
    /// where it reads on. The other streams are closed after the first `read`: incomplete last frames are handed on
    /// of those that can't be read again, because their id was 0.
    ///
    /// # Errors
    /// [`PluginError::Retry`] is tried again with back-off, anything else refuses to start; the predecessor must then
    /// be as it was, since it goes on.
    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let _ = (predecessor, context);
        Ok(())
    }

    /// Reads what is there, at most about 256 KiB or 1,000 messages in one call; waits at most `timeout` for it.
    ///
    /// Handing on blocks while the outputs behind are full: that is the back-pressure. Once stop was asked for
    /// ([`Context::stop_signal`]), it is called as long as it answers [`Read::Some`], a few seconds at most: it reads
    /// what has arrived already, then closes its streams and answers [`Read::End`].
    ///
    /// # Errors
    /// [`PluginError::Retry`] is called again with back-off, [`PluginError::Fatal`] stops the input.
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError>;

    /// Everything before `position` of the stream with this id has happened: it need not be read again.
    fn acknowledged(&mut self, stream_id: u64, position: u64, context: &mut Context) {
        let _ = (stream_id, position, context);
    }

    /// The ticker is due.
    ///
    /// # Errors
    /// [`PluginError::Fatal`] stops the instance, others are logged.
    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let _ = context;
        Ok(())
    }
}

/// An open stream of an input.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stream(u64);

/// One datagram to hand on.
pub type Datagram<'a> = &'a [u8];

/// Takes what an input reads: bytes of streams, which the host splits and decodes, or ready messages.
pub struct Reader<'a> {
    raw: &'a mut abi::Reader,
    entries: &'a mut Vec<FieldEntry>,
    plugin: &'a [u8],
    instance: &'a [u8],
    hostname: &'a [u8],
}

impl Reader<'_> {
    /// Opens a stream. `name` becomes the logger of its messages.
    ///
    /// `id` names the stream for good, also after a restart, where the input can replay it; 0 asks for a random
    /// one. `position` is the first byte's.
    pub fn open_stream(&mut self, name: impl AsRef<[u8]>, id: u64, position: u64) -> Stream {
        // SAFETY: the host's function with its own context; so are the others below.
        Stream(unsafe { (self.raw.open_stream)(self.raw.context, Slice::new(name.as_ref()), id, position) })
    }

    /// Gives a stream another name, such as that of a file that was renamed.
    pub fn rename_stream(&mut self, stream: Stream, name: impl AsRef<[u8]>) {
        // SAFETY: as in `open_stream`.
        unsafe { (self.raw.rename_stream)(self.raw.context, stream.0, Slice::new(name.as_ref())) };
    }

    /// Goes on with a stream of the predecessor's, which else is closed; see [`start`](Input::start).
    pub fn keep_stream(&self, stream: Stream) {
        self.position(stream);
    }

    /// Returns room to read the stream's next bytes into, at least `min` bytes; then call
    /// [`filled`](Reader::filled).
    pub fn buffer(&mut self, stream: Stream, min: usize) -> &mut [u8] {
        let mut len = 0;
        // SAFETY: as in `open_stream`; the host's room is `len` initialised bytes and stays until the next call.
        unsafe {
            let data = (self.raw.stream_buffer)(self.raw.context, stream.0, min, &mut len);
            if data.is_null() { &mut [] } else { std::slice::from_raw_parts_mut(data, len) }
        }
    }

    /// Says that the first `len` bytes of the room were read: they are split, decoded and routed.
    ///
    /// Blocks while the outputs behind are full.
    pub fn filled(&mut self, stream: Stream, len: usize) {
        // SAFETY: as in `open_stream`.
        unsafe { (self.raw.stream_filled)(self.raw.context, stream.0, len) };
    }

    /// Hands on datagrams, each whole in itself; at most 256.
    pub fn datagrams<'d>(&mut self, stream: Stream, datagrams: impl IntoIterator<Item = Datagram<'d>>) {
        const EMPTY: abi::Frame = abi::Frame { bytes: Slice::EMPTY, position: 0, flags: 0, reserved: 0 };
        let mut frames = [EMPTY; 256];
        let mut count = 0;
        for (frame, datagram) in frames.iter_mut().zip(datagrams) {
            frame.bytes = Slice::new(datagram);
            count += 1;
        }
        // SAFETY: as in `open_stream`.
        unsafe { (self.raw.datagrams)(self.raw.context, stream.0, frames.as_ptr(), count) };
    }

    /// Returns the position up to which the stream was cut into frames and handed on.
    pub fn position(&self, stream: Stream) -> u64 {
        // SAFETY: as in `open_stream`.
        unsafe { (self.raw.stream_position)(self.raw.context, stream.0) }
    }

    /// Hands on the ready messages written so far as made from the stream up to `position`: they are routed, and
    /// [`acknowledged`](Input::acknowledged) names that position once everything with them has happened.
    ///
    /// Positions of a stream ascend. Ready messages that are not handed on this way are routed when `read` returns,
    /// and acknowledged to nobody. Blocks while the outputs behind are full.
    pub fn hand_on(&mut self, stream: Stream, position: u64) {
        // SAFETY: as in `open_stream`.
        unsafe { (self.raw.stream_messages)(self.raw.context, stream.0, position) };
    }

    /// Ends a stream. With `flush` an incomplete last frame is handed on, if the splitter allows it.
    pub fn close_stream(&mut self, stream: Stream, flush: bool) {
        // SAFETY: as in `open_stream`.
        unsafe { (self.raw.close_stream)(self.raw.context, stream.0, flush.into()) };
    }

    /// Returns a writer for ready messages, which need no splitting and decoding.
    pub fn messages(&mut self) -> MessageWriter<'_> {
        let defaults = Defaults {
            timestamp: now(),
            message_type: self.plugin,
            logger: self.instance,
            hostname: self.hostname,
            ..Defaults::default()
        };
        // SAFETY: the host's writer is valid during `read`.
        MessageWriter::new(unsafe { &mut *self.raw.writer }, self.entries, defaults)
    }
}

/// Fits an input into the life that all kinds share.
#[repr(transparent)]
struct Reading<I>(I);

crate::life::fit!(Input, Reading);

/// Returns the table of an input, for [`export_plugin!`](crate::export_plugin).
pub const fn input<I: Input>(name: &'static str) -> abi::Plugin {
    abi::Plugin {
        read: Some(read::<I>),
        acknowledged: Some(acknowledged::<I>),
        tick: Some(tick::<I>),
        ..table::<Reading<I>>(kind::INPUT, name)
    }
}

unsafe extern "C" fn read<I: Input>(instance: *mut c_void, reader: *mut abi::Reader, timeout_ns: u64) -> i32 {
    // SAFETY: the host's promise.
    unsafe {
        call::<Reading<I>>(instance, |input, context| {
            let mut entries = std::mem::take(context.entries());
            let host: *const abi::Host = context.host();
            let mut reader = Reader {
                raw: &mut *reader,
                entries: &mut entries,
                plugin: (*host).plugin.bytes(),
                instance: (*host).instance.bytes(),
                hostname: (*host).hostname.bytes(),
            };
            let result = input.0.read(&mut reader, Duration::from_nanos(timeout_ns), context);
            *context.entries() = entries;
            result.map(|read| match read {
                Read::Some => status::OK,
                Read::Idle => status::IDLE,
                Read::End => status::END,
            })
        })
    }
}

unsafe extern "C" fn acknowledged<I: Input>(instance: *mut c_void, stream_id: u64, position: u64) {
    // SAFETY: the host's promise.
    unsafe {
        call::<Reading<I>>(instance, |input, context| {
            input.0.acknowledged(stream_id, position, context);
            Ok(status::OK)
        });
    }
}

unsafe extern "C" fn tick<I: Input>(instance: *mut c_void, _: *mut Writer) -> i32 {
    // SAFETY: the host's promise.
    unsafe { call::<Reading<I>>(instance, |input, context| input.0.tick(context).map(|()| status::OK)) }
}
