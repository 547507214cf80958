//! The trait of encoders.

use crate::abi::{self, Buffer, kind, status};
use crate::config::Faults;
use crate::context::Context;
use crate::copy::copy_bytes;
use crate::error::PluginError;
use crate::message::Message;
use crate::schema::Schema;
use crate::shell::{Life, call, table};
use serde::de::DeserializeOwned;
use std::ffi::c_void;

/// Turns messages into bytes.
///
/// All calls come on the output's thread, one at a time; `check` on any.
pub trait Encoder: Sized + Send + 'static {
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

    /// Writes one message, with the delimiter or framing that its format has.
    ///
    /// # Errors
    /// [`PluginError::Message`] dead-letters this message and goes on; [`PluginError::Fatal`] stops the output.
    fn encode_message(
        &mut self,
        message: &Message<'_>,
        bytes: &mut ByteWriter<'_>,
        context: &mut Context,
    ) -> Result<(), PluginError>;
}

/// Appends bytes to the host's buffer.
pub struct ByteWriter<'a> {
    raw: &'a mut Buffer,
    too_large: bool,
}

impl ByteWriter<'_> {
    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if let Some(target) = self.room(bytes.len()) {
            // SAFETY: `room` made sure of the room.
            unsafe { copy_bytes(bytes.as_ptr(), target, bytes.len()) };
            self.raw.len += bytes.len();
        }
    }

    /// Appends one byte.
    #[inline]
    pub fn put_byte(&mut self, byte: u8) {
        self.put([byte]);
    }

    /// Lets `write` fill up to `max` bytes of free room in place; it returns how many it has filled.
    ///
    /// Does nothing when the message is over its limit.
    #[inline]
    pub fn put_with(&mut self, max: usize, write: impl FnOnce(&mut [std::mem::MaybeUninit<u8>]) -> usize) {
        if let Some(target) = self.room(max) {
            // SAFETY: `max` bytes are free behind `len`.
            let room = unsafe { std::slice::from_raw_parts_mut(target.cast(), max) };
            self.raw.len += write(room).min(max);
        }
    }

    /// Returns how many bytes the buffer holds: those of this message and of the ones before it in the batch.
    #[inline]
    pub fn position(&self) -> usize {
        self.raw.len
    }

    /// Returns the bytes from a [`position`](ByteWriter::position) on, to be changed in place.
    ///
    /// Empty if `position` is behind the end.
    #[inline]
    pub fn written_from(&mut self, position: usize) -> &mut [u8] {
        let start = position.min(self.raw.len);
        if start == self.raw.len {
            return &mut [];
        }
        // SAFETY: the first `len` bytes of the buffer are written.
        unsafe { std::slice::from_raw_parts_mut(self.raw.data.add(start), self.raw.len - start) }
    }

    /// Takes back everything from a [`position`](ByteWriter::position) on.
    pub fn truncate(&mut self, position: usize) {
        self.raw.len = self.raw.len.min(position);
    }

    #[inline]
    fn room(&mut self, more: usize) -> Option<*mut u8> {
        if self.raw.capacity - self.raw.len < more && !self.grow(more) {
            return None;
        }
        // SAFETY: `len` is inside the buffer.
        Some(unsafe { self.raw.data.add(self.raw.len) })
    }

    #[cold]
    fn grow(&mut self, more: usize) -> bool {
        // SAFETY: the host's function on the host's buffer.
        let grown = !self.too_large && unsafe { (self.raw.grow)(self.raw, more) } == status::OK;
        self.too_large = !grown;
        grown
    }
}

/// Fits an encoder into the life that all kinds share.
#[repr(transparent)]
struct Encoding<E>(E);

crate::life::fit!(Encoder, Encoding);

/// Returns the table of an encoder, for [`export_plugin!`](crate::export_plugin).
pub const fn encoder<E: Encoder>(name: &'static str) -> abi::Plugin {
    abi::Plugin { encode: Some(encode::<E>), ..table::<Encoding<E>>(kind::ENCODER, name) }
}

unsafe extern "C" fn encode<E: Encoder>(
    instance: *mut c_void,
    batch: *mut abi::Batch,
    out: *mut Buffer,
) -> i32 {
    // SAFETY: the host's promise.
    unsafe {
        call::<Encoding<E>>(instance, |encoder, context| {
            encode_batch(&mut encoder.0, &mut *batch, &mut *out, context).map(|()| status::OK)
        })
    }
}

#[inline]
unsafe fn encode_batch<E: Encoder>(
    encoder: &mut E,
    batch: &mut abi::Batch,
    out: &mut Buffer,
    context: &mut Context,
) -> Result<(), PluginError> {
    while batch.completed < batch.len {
        let index = batch.completed as usize;
        // SAFETY: below `len`; the host keeps records valid for the call.
        let message = unsafe { Message::from_record((*batch.items.add(index)).record) };
        let start = out.len;
        let mut bytes = ByteWriter { raw: out, too_large: false };
        let result = encoder.encode_message(&message, &mut bytes, context);
        let failure = match result {
            Ok(()) if bytes.too_large => Some("the encoded message is too large".to_owned()),
            Ok(()) => None,
            Err(PluginError::Message(reason)) => Some(reason),
            Err(error) => {
                out.len = start;
                return Err(error);
            }
        };
        if let Some(reason) = failure {
            out.len = start;
            context.message_failed(index, &reason);
        }
        // SAFETY: the host gave room for `len` ends.
        unsafe { out.ends.add(index).write(out.len as u32) };
        batch.completed += 1;
    }
    Ok(())
}
