//! The trait of encoders.

use crate::abi::{self, Buffer, kind, status};
use crate::config::Faults;
use crate::context::Context;
use crate::copy::copy_bytes;
use crate::error::PluginError;
use crate::message::Message;
use crate::prefetch;
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
///
/// Where it stands is its own until the message is finished: through the host's struct, each append would wait for
/// the one before to reach memory.
pub struct ByteWriter<'a> {
    cursor: *mut u8,
    free: usize,
    raw: &'a mut Buffer,
    too_large: bool,
}

impl<'a> ByteWriter<'a> {
    #[inline]
    fn new(raw: &'a mut Buffer) -> ByteWriter<'a> {
        // SAFETY: `len` is inside the buffer.
        let cursor = unsafe { raw.data.add(raw.len) };
        ByteWriter { cursor, free: raw.capacity - raw.len, raw, too_large: false }
    }

    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if bytes.len() > self.free && !self.grow(bytes.len()) {
            return;
        }
        // SAFETY: as many bytes are free behind the cursor, as just checked.
        unsafe {
            copy_bytes(bytes.as_ptr(), self.cursor, bytes.len());
            self.cursor = self.cursor.add(bytes.len());
        }
        self.free -= bytes.len();
    }

    /// Appends one byte.
    #[inline]
    pub fn put_byte(&mut self, byte: u8) {
        self.put([byte]);
    }

    /// Appends several pieces, which takes less time than one by one.
    #[inline]
    pub fn put_all<const N: usize>(&mut self, pieces: [&[u8]; N]) {
        let len = pieces.iter().fold(0, |len, piece| len + piece.len());
        if len > self.free && !self.grow(len) {
            return;
        }
        let mut cursor = self.cursor;
        for piece in pieces {
            // SAFETY: as many bytes are free as all pieces have, as just checked.
            unsafe {
                copy_bytes(piece.as_ptr(), cursor, piece.len());
                cursor = cursor.add(piece.len());
            }
        }
        self.cursor = cursor;
        self.free -= len;
    }

    /// Appends the first `len` bytes of a block, `N` at most, which takes less time than as many bytes of a slice.
    #[inline]
    pub fn put_block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        let len = len.min(N);
        if N > self.free {
            return self.put(&block[..len]);
        }
        // SAFETY: the whole block fits behind the cursor, as just checked; what is behind `len` stays free.
        unsafe {
            self.cursor.cast::<[u8; N]>().write(*block);
            self.cursor = self.cursor.add(len);
        }
        self.free -= len;
    }

    /// Appends `len` bytes, at first 0, that `fill` changes in place.
    ///
    /// `fill` is not called when the message is over its limit.
    #[inline]
    pub fn put_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        if len > self.free && !self.grow(len) {
            return;
        }
        // SAFETY: `len` bytes are free behind the cursor, as just checked, and set before they are lent.
        let place = unsafe {
            self.cursor.write_bytes(0, len);
            std::slice::from_raw_parts_mut(self.cursor, len)
        };
        fill(place);
        // SAFETY: as above.
        self.cursor = unsafe { self.cursor.add(len) };
        self.free -= len;
    }

    /// Returns how many bytes the buffer holds: those of this message and of the ones before it in the batch.
    #[inline]
    pub fn position(&self) -> usize {
        self.raw.capacity - self.free
    }

    /// Returns the bytes from a [`position`](ByteWriter::position) on, to be changed in place.
    ///
    /// Empty if `position` is behind the end.
    #[inline]
    pub fn written_from(&mut self, position: usize) -> &mut [u8] {
        let len = self.position().saturating_sub(position);
        // SAFETY: the bytes before the cursor are written, and `position` is not behind it if there are any.
        unsafe { std::slice::from_raw_parts_mut(self.cursor.sub(len), len) }
    }

    /// Takes back everything from a [`position`](ByteWriter::position) on.
    pub fn truncate(&mut self, position: usize) {
        let len = self.position().saturating_sub(position);
        // SAFETY: as in `written_from`.
        self.cursor = unsafe { self.cursor.sub(len) };
        self.free += len;
    }

    #[cold]
    fn grow(&mut self, more: usize) -> bool {
        let len = self.position();
        self.raw.len = len;
        // SAFETY: the host's function on the host's buffer, whose first `len` bytes are written.
        let grown = !self.too_large && unsafe { (self.raw.grow)(self.raw, more) } == status::OK;
        self.too_large = !grown;
        // SAFETY: `len` is inside the buffer, wherever it is now.
        self.cursor = unsafe { self.raw.data.add(len) };
        self.free = self.raw.capacity - len;
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
        // SAFETY: the host's batch is valid.
        unsafe { prefetch::ahead(batch) };
        // SAFETY: below `len`; the host keeps records valid for the call.
        let message = unsafe { Message::from_record((*batch.items.add(index)).record) };
        let start = out.len;
        let mut bytes = ByteWriter::new(out);
        let result = encoder.encode_message(&message, &mut bytes, context);
        let (end, too_large) = (bytes.position(), bytes.too_large);
        let failure = match result {
            Ok(()) if too_large => Some("the encoded message is too large".to_owned()),
            Ok(()) => None,
            Err(PluginError::Message(reason)) => Some(reason),
            Err(error) => {
                out.len = start;
                return Err(error);
            }
        };
        out.len = end;
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
