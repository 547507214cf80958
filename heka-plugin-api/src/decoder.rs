//! The trait of decoders.

use crate::abi::{self, Writer, kind, record_flag, status};
use crate::config::Faults;
use crate::context::Context;
use crate::error::PluginError;
use crate::origin::Origin;
use crate::schema::Schema;
use crate::shell::{Life, call, table};
use crate::writer::{Defaults, MessageWriter};
use serde::de::DeserializeOwned;
use std::ffi::c_void;

/// One undecoded slice of a stream.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    raw: &'a abi::Frame,
    stream: u64,
}

impl<'a> Frame<'a> {
    /// Returns the bytes, without the delimiter unless the splitter keeps it.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        // SAFETY: the host keeps frames valid for the call.
        unsafe { self.raw.bytes.bytes() }
    }

    /// Returns the id of the stream.
    pub fn stream(&self) -> u64 {
        self.stream
    }

    /// Returns where the frame begins in its stream.
    pub fn position(&self) -> u64 {
        self.raw.position
    }

    /// Tells whether the frame was cut at its size limit.
    pub fn is_truncated(&self) -> bool {
        self.raw.flags & u32::from(record_flag::TRUNCATED) != 0
    }
}

/// Turns frames into messages.
///
/// All calls come on one thread, one at a time; `check` on any. It is the input's, or, with `decode_threads`, one of
/// several, each with an instance of its own; all frames of a stream come to the same instance, in order.
pub trait Decoder: Sized + Send + 'static {
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

    /// Acquires what lies outside memory, or takes it over from the instance that this one replaces at a reload.
    ///
    /// # Errors
    /// [`PluginError::Retry`] is tried again with back-off, anything else refuses to start.
    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let _ = (predecessor, context);
        Ok(())
    }

    /// Writes the messages of one frame: none, one or several.
    ///
    /// Each starts with the time of reading, this decoder's name as type, the stream's name as logger, and the
    /// machine's name; behind another decoder, with what the message of that one has.
    ///
    /// # Errors
    /// [`PluginError::Message`] treats the frame as the input's `on_decode_error` says; [`PluginError::Fatal`]
    /// stops the input.
    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        context: &mut Context,
    ) -> Result<(), PluginError>;
}

/// Fits a decoder into the life that all kinds share.
#[repr(transparent)]
struct Decoding<D>(D);

crate::life::fit!(Decoder, Decoding);

/// Returns the table of a decoder, for [`export_plugin!`](crate::export_plugin).
pub const fn decoder<D: Decoder>(name: &'static str) -> abi::Plugin {
    abi::Plugin { decode: Some(decode::<D>), ..table::<Decoding<D>>(kind::DECODER, name) }
}

unsafe extern "C" fn decode<D: Decoder>(
    instance: *mut c_void,
    frames: *mut abi::Frames,
    out: *mut Writer,
) -> i32 {
    // SAFETY: the host's promise.
    unsafe {
        call::<Decoding<D>>(instance, |decoder, context| {
            decode_frames(&mut decoder.0, &mut *frames, &mut *out, context).map(|()| status::OK)
        })
    }
}

#[inline]
unsafe fn decode_frames<D: Decoder>(
    decoder: &mut D,
    frames: &mut abi::Frames,
    out: &mut Writer,
    context: &mut Context,
) -> Result<(), PluginError> {
    let mut entries = std::mem::take(context.entries());
    // SAFETY: the host keeps the slices valid for the call.
    let (message_type, logger, hostname) =
        unsafe { (frames.message_type.bytes(), frames.logger.bytes(), frames.hostname.bytes()) };
    let defaults =
        Defaults { timestamp: frames.timestamp, message_type, logger, hostname, ..Defaults::default() };
    let defaults = Defaults { severity: frames.severity, pid: frames.pid, ..defaults };
    let mut messages = MessageWriter::new(out, &mut entries, defaults);
    let mut result = Ok(());
    while frames.completed < frames.len {
        // SAFETY: below `len`.
        let raw = unsafe { &*frames.frames.add(frames.completed as usize) };
        messages.start_frame(
            Origin { stream: frames.stream, position: raw.position, index: 0 },
            raw.flags as u16,
        );
        let before = messages.mark();
        match decoder.decode_frame(&Frame { raw, stream: frames.stream }, &mut messages, context) {
            Ok(()) => {}
            Err(PluginError::Message(reason)) => {
                messages.undo(before);
                context.message_failed(frames.completed as usize, &reason);
            }
            Err(error) => {
                result = Err(error);
                break;
            }
        }
        frames.completed += 1;
    }
    *context.entries() = entries;
    result
}
