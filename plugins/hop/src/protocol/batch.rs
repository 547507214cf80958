//! Batches of messages: header and body.

use super::SourceId;
use super::codec::{Codec, unpack};
use heka_plugin_api::Message;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use std::fmt;

/// Bytes before each record: sequence and chain.
pub const BATCH_PREFIX_BYTES: usize = 16;
/// Memory for a body that is kept from one batch to the next, in bytes.
const KEPT_BYTES: usize = 1 << 20;
/// Memory for bodies grows in steps of so many bytes.
const STEP_BYTES: usize = 64 << 10;
/// Records are aligned to so many bytes.
const ALIGNMENT: usize = 8;

/// Header of a batch, in the order in which its array holds them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchHeader {
    /// The source.
    pub source: ByteArray<16>,
    /// Sequence of the first message.
    pub first: u64,
    /// Sequence of the last message.
    pub last: u64,
    /// Count of messages, at least 1.
    pub count: u32,
    /// 0 none, 1 LZ4 block, 2 Zstandard frame.
    pub codec: u8,
    /// Bytes of the uncompressed body.
    pub uncompressed: u32,
    /// CRC-32C of the body as it is sent.
    pub crc: u32,
    /// The lowest sequence that the agent still waits for.
    pub settled: u64,
    /// Whether the sequences are above all that the source has sent before.
    pub ordered: bool,
}

impl BatchHeader {
    /// Returns the queue's name.
    pub fn source_id(&self) -> SourceId {
        self.source.into_array()
    }
}

/// Why a batch is refused as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// The header contradicts itself.
    Header,
    /// There is no such codec.
    Codec(u8),
    /// The uncompressed body is longer than the limit.
    TooLarge(u32, usize),
    /// The body is damaged.
    Checksum,
    /// It doesn't decompress to what the header says.
    Compression,
    /// The message with this index (from 0) is not a whole record.
    Record(u32),
    /// The sequences don't ascend, or are not those of the header.
    Sequence,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Header => f.write_str("it sent a batch whose header contradicts itself"),
            BatchError::Codec(codec) => {
                write!(f, "it sent a batch that is compressed in an unknown way ({codec})")
            }
            BatchError::TooLarge(bytes, max) => {
                write!(f, "it sent a batch of {bytes} bytes, at most {max} (`batch_bytes_max`) are taken")
            }
            BatchError::Checksum => f.write_str("it sent a batch whose checksum is wrong"),
            BatchError::Compression => f.write_str("it sent a batch that doesn't decompress"),
            BatchError::Record(index) => {
                write!(f, "it sent a batch whose message {index} is not a whole record")
            }
            BatchError::Sequence => f.write_str("it sent a batch whose sequences don't ascend"),
        }
    }
}

/// One message of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchMessage<'b> {
    /// Its number in the agent's queue.
    pub sequence: u64,
    /// Which of the agent's chains sent it; 0 where there is nothing to tell.
    pub chain: u64,
    /// The message.
    pub message: Message<'b>,
}

/// Checks and decompresses batches into memory that is used again.
#[derive(Default)]
pub struct Unpacker {
    room: Vec<u8>,
    zstd: Zstd,
}

impl Unpacker {
    /// Checks a whole batch and returns its messages. Allocates at most `bytes_max` bytes.
    ///
    /// # Errors
    /// What is wrong with it; no message of it may be used then.
    pub fn unpack(
        &mut self,
        header: &BatchHeader,
        body: &[u8],
        bytes_max: usize,
    ) -> Result<BatchBody<'_>, BatchError> {
        let len = header.uncompressed as usize;
        if header.count == 0
            || header.first > header.last
            || header.settled > header.first
            || !len.is_multiple_of(ALIGNMENT)
        {
            return Err(BatchError::Header);
        }
        let codec = Codec::of(header.codec).ok_or(BatchError::Codec(header.codec))?;
        if len > bytes_max {
            return Err(BatchError::TooLarge(header.uncompressed, bytes_max));
        }
        if crc32c::crc32c(body) != header.crc {
            return Err(BatchError::Checksum);
        }
        let body = self.fill(len, |zstd, room| unpack(codec, body, room, zstd));
        let messages = BatchBody { bytes: body.ok_or(BatchError::Compression)? };
        messages.check(header)?;
        Ok(messages)
    }

    /// Lets `fill` write `len` aligned bytes; returns them if it could.
    fn fill(&mut self, len: usize, fill: impl FnOnce(&mut Zstd, &mut [u8]) -> bool) -> Option<&[u8]> {
        let needed = len + ALIGNMENT;
        if self.room.len() < needed || self.room.len() > KEPT_BYTES.max(needed.next_multiple_of(STEP_BYTES)) {
            self.room = vec![0; needed.next_multiple_of(STEP_BYTES)];
        }
        let start = self.room.as_ptr().align_offset(ALIGNMENT);
        let room = self.room.get_mut(start..start + len)?;
        fill(&mut self.zstd, room).then_some(room)
    }
}

type Zstd = Option<zstd::bulk::Decompressor<'static>>;

/// The messages of a checked batch.
#[derive(Clone, Copy)]
pub struct BatchBody<'b> {
    bytes: &'b [u8],
}

impl<'b> BatchBody<'b> {
    fn check(self, header: &BatchHeader) -> Result<(), BatchError> {
        let (mut rest, mut next, mut last) = (self.bytes, header.first, None);
        for index in 0..header.count {
            let (message, behind) = split_message(rest).ok_or(BatchError::Record(index))?;
            if message.sequence < next || (index == 0 && message.sequence != header.first) {
                return Err(BatchError::Sequence);
            }
            next = message.sequence.checked_add(1).ok_or(BatchError::Sequence)?;
            last = Some(message.sequence);
            rest = behind;
        }
        match rest {
            _ if last != Some(header.last) => Err(BatchError::Sequence),
            [] => Ok(()),
            _ => Err(BatchError::Header),
        }
    }

    /// Returns the messages in order.
    pub fn messages(self) -> impl Iterator<Item = BatchMessage<'b>> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (message, behind) = split_message(rest)?;
            rest = behind;
            Some(message)
        })
    }
}

/// Takes the first message off; `None` if there is no whole one.
#[inline]
fn split_message(bytes: &[u8]) -> Option<(BatchMessage<'_>, &[u8])> {
    let (sequence, rest) = bytes.split_first_chunk::<8>()?;
    let (chain, rest) = rest.split_first_chunk::<8>()?;
    let message = Message::from_bytes(rest)?;
    let behind = rest.get(message.record_room()..)?;
    let (sequence, chain) = (u64::from_le_bytes(*sequence), u64::from_le_bytes(*chain));
    Some((BatchMessage { sequence, chain, message }, behind))
}

#[cfg(test)]
mod tests;
