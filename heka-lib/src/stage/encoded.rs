//! The bytes that an encoder made of a batch.

use heka_plugin_api::abi::{Buffer, status};

/// Encoded bytes beyond which a buffer is given back after use.
const ENCODED_KEPT_MAX: usize = 4 << 20;
/// Most encoded bytes of one batch.
const ENCODED_MAX: usize = 1 << 30;

/// The bytes of a batch.
#[derive(Default)]
pub(super) struct Encoded {
    bytes: Vec<u8>,
    len: usize,
    pub(super) ends: Vec<u32>,
}

impl Encoded {
    pub(super) fn start(&mut self, messages: usize) {
        self.len = 0;
        self.ends.clear();
        self.ends.resize(messages, 0);
    }

    pub(super) fn with_buffer<R>(&mut self, encode: impl FnOnce(&mut Buffer) -> R) -> R {
        let context: *mut Vec<u8> = &mut self.bytes;
        let mut buffer = Buffer {
            data: self.bytes.as_mut_ptr(),
            len: self.len,
            capacity: self.bytes.len(),
            ends: self.ends.as_mut_ptr(),
            grow,
            context: context.cast(),
        };
        let result = encode(&mut buffer);
        self.len = buffer.len.min(self.bytes.len());
        result
    }

    pub(super) fn set_end(&mut self, index: u32) {
        if let Some(end) = self.ends.get_mut(index as usize) {
            *end = self.len as u32;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Bytes of the messages from `first` to before `last`.
    pub(super) fn between(&self, first: usize, last: usize) -> usize {
        let end = |index: usize| match index {
            0 => 0,
            index => self.ends.get(index - 1).map_or(0, |&end| end as usize),
        };
        end(last).saturating_sub(end(first))
    }

    pub(super) fn shrink(&mut self) {
        if self.bytes.len() > ENCODED_KEPT_MAX {
            *self = Encoded::default();
        }
    }
}

unsafe extern "C" fn grow(buffer: *mut Buffer, more: usize) -> i32 {
    // SAFETY: the context is the vector behind the buffer, which nobody else touches during the call.
    let (buffer, bytes) = unsafe { (&mut *buffer, &mut *buffer_bytes(buffer)) };
    let wanted = buffer.len.saturating_add(more);
    if wanted > ENCODED_MAX {
        return status::MESSAGE;
    }
    bytes.resize(wanted.max(bytes.len() * 2).max(64 << 10), 0);
    (buffer.data, buffer.capacity) = (bytes.as_mut_ptr(), bytes.len());
    status::OK
}

unsafe fn buffer_bytes(buffer: *mut Buffer) -> *mut Vec<u8> {
    // SAFETY: the caller's buffer is valid.
    unsafe { (*buffer).context.cast() }
}
