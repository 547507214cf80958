//! Calls of decoders and encoders with a batch, into memory that is used again.

use super::host::TestHost;
use crate::abi::{Batch, Buffer, Frame, Frames, Item, Slice, Writer, status};
use crate::owned::{HeapWriter, OwnedMessage};

/// How many frames or messages a harness hands over in one call, as hosts do.
pub const BATCH_LEN_MAX: usize = 256;

/// What a call reads and writes. Grows with the first batches; then calls allocate nothing.
#[derive(Default)]
pub(super) struct BatchMemory {
    pub(super) out: HeapWriter,
    pub(super) bytes: Vec<u8>,
    frames: Vec<Frame>,
    items: Vec<Item>,
    ends: Vec<u32>,
}

impl TestHost {
    /// Decodes frames with one call into `out`; `position` is that of the first one. Returns the count of messages.
    pub(super) fn decode(&mut self, frames: &[impl AsRef<[u8]>], position: u64) -> Result<usize, String> {
        let memory = self.memory();
        memory.frames.clear();
        memory.frames.extend(frames.iter().zip(position..).map(|(frame, position)| Frame {
            bytes: Slice::new(frame.as_ref()),
            position,
            flags: 0,
            reserved: 0,
        }));
        let mut frames = Frames {
            frames: memory.frames.as_ptr(),
            len: memory.frames.len() as u32,
            completed: 0,
            stream: 1,
            timestamp: 0,
            message_type: Slice::new(b"test"),
            logger: Slice::new(b"stream"),
            hostname: Slice::new(b"test-host"),
            severity: 7,
            pid: 0,
        };
        memory.out.reset();
        let out: *mut Writer = memory.out.raw();
        let decode = self.table().decode.expect("a decoder decodes");
        // SAFETY: the instance is open and all pointers are valid for the call.
        let status = unsafe { decode(self.instance(), &mut frames, out) };
        self.result(status)?;
        Ok(self.memory().out.items().len())
    }

    /// Encodes messages with one call to the front of `bytes`; returns the count of bytes.
    pub(super) fn encode(&mut self, messages: &[OwnedMessage]) -> Result<usize, String> {
        let memory = self.memory();
        memory.items.clear();
        memory.items.extend(items(messages));
        memory.ends.resize(messages.len(), 0);
        let len = messages.len() as u32;
        let mut batch = Batch { items: memory.items.as_ptr(), len, completed: 0, ticket: 0 };
        let mut out = Buffer {
            data: memory.bytes.as_mut_ptr(),
            len: 0,
            capacity: memory.bytes.len(),
            ends: memory.ends.as_mut_ptr(),
            grow: grow_bytes,
            context: (&raw mut memory.bytes).cast(),
        };
        let encode = self.table().encode.expect("an encoder encodes");
        // SAFETY: the instance is open and all pointers are valid for the call.
        let status = unsafe { encode(self.instance(), &mut batch, &mut out) };
        let len = out.len;
        self.result(status).map(|_| len)
    }
}

/// Makes items that are marked for every output.
pub(super) fn items(messages: &[OwnedMessage]) -> impl Iterator<Item = Item> {
    messages.iter().map(|message| Item { record: message.view().record(), marks: u64::MAX })
}

unsafe extern "C" fn grow_bytes(buffer: *mut Buffer, more: usize) -> i32 {
    // SAFETY: the context is the vector behind the buffer.
    let (buffer, bytes) = unsafe { (&mut *buffer, &mut *(*buffer).context.cast::<Vec<u8>>()) };
    bytes.resize((buffer.len + more) * 2, 0);
    (buffer.data, buffer.capacity) = (bytes.as_mut_ptr(), bytes.len());
    status::OK
}
