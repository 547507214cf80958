//! Messages read back, in memory that is used again.

use crate::format::u64_at;
use crate::header::{BlockHeader, BlockKind, Decoded, HEADER_BYTES};
use crate::storage::{StorageFile, read_full_at};
use heka_plugin_api::Message;
use std::io;

/// Messages after which a block is not filled further with the next ones on disk.
pub const BLOCK_MESSAGES: usize = 256;
/// Bytes after which it is not, either.
const BLOCK_BYTES: usize = 128 << 10;
/// What is read first, in bytes.
const READ_BYTES: usize = 64 << 10;
/// Memory that is not kept for the next block, in bytes.
const MEMORY_BYTES_KEPT: usize = 4 << 20;
/// Length of an entry before its record, in bytes.
pub(crate) const ENTRY_BYTES: usize = 16;

/// A message read back from a queue.
#[derive(Clone, Copy, Debug)]
pub struct Queued<'a> {
    /// Its number in the queue.
    pub sequence: u64,
    /// Tag of the chain that it came from; 0 for none.
    pub source: u64,
    /// The message.
    pub message: Message<'a>,
}

/// Messages read back, at most a few hundred, in memory that is used again.
#[derive(Default)]
pub struct Block {
    memory: AlignedBytes,
    /// Where entries begin in the memory.
    places: Vec<usize>,
    /// How much the next read asks for.
    read_bytes: usize,
}

/// How far [`Block::fill`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    /// Offset behind what was taken.
    pub(crate) end: u64,
    pub(crate) stopped: Stopped,
}

/// Why [`Block::fill`] came no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It is full, or must be called again, or the segment has ended.
    Here,
    /// What lies at `end` is damaged.
    Damaged,
    /// The block at `end`, with this header, is sound but no entries.
    Malformed(BlockHeader),
}

impl Block {
    /// Makes an empty one.
    pub fn new() -> Block {
        Block::default()
    }

    /// Returns how many messages are in it.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether none are.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the messages in order.
    pub fn messages(&self) -> Messages<'_> {
        Messages { bytes: self.memory.bytes(), places: self.places.iter() }
    }

    pub(crate) fn clear(&mut self) {
        self.places.clear();
    }

    /// Reads from a segment whose first `len` bytes count, from `offset` on; messages below `from` are passed over.
    pub(crate) fn fill(
        &mut self,
        file: &impl StorageFile,
        offset: u64,
        len: u64,
        salt: u64,
        from: u64,
    ) -> io::Result<Filled> {
        self.clear();
        let wanted = self.read_bytes.clamp(READ_BYTES, 2 * BLOCK_BYTES);
        let mut read = self.read(file, offset, 0, wanted, len)?;
        let mut at = 0;
        let filled = |at: usize, stopped| Ok(Filled { end: offset + at as u64, stopped });
        loop {
            if offset + at as u64 >= len {
                break;
            }
            let Some(header) = self.memory.bytes()[at..read].first_chunk::<64>() else {
                if at > 0 {
                    // The next call begins here; it may as well read more.
                    self.read_bytes = 2 * wanted;
                    break;
                }
                return filled(at, Stopped::Damaged);
            };
            let Decoded::Header(header) = BlockHeader::decode(header, offset + at as u64, Some(salt)) else {
                if self.is_empty() {
                    return filled(at, Stopped::Damaged);
                }
                break;
            };
            let end = (header.end() - offset) as usize;
            if header.kind != BlockKind::Messages || header.last < from {
                at = end.min((len - offset) as usize);
                if at >= read {
                    break;
                }
                continue;
            }
            let is_full = self.len() + header.count as usize > BLOCK_MESSAGES || end > 2 * BLOCK_BYTES;
            if !self.is_empty() && (is_full || end > read) {
                self.read_bytes = if is_full { at + HEADER_BYTES as usize } else { 2 * wanted };
                break;
            }
            if end > read {
                read = self.read(file, offset, read, end, len)?;
            }
            match self.take(&header, at, end, read, from) {
                Taken::All => at = end,
                _ if !self.is_empty() => break,
                Taken::Damaged => return filled(at, Stopped::Damaged),
                Taken::Malformed => return filled(at, Stopped::Malformed(header)),
            }
            if self.len() >= BLOCK_MESSAGES || at >= BLOCK_BYTES {
                self.read_bytes = at + HEADER_BYTES as usize;
                break;
            }
        }
        filled(at, Stopped::Here)
    }

    /// Reads up to `wanted` bytes in all behind `offset`, of which the first `read` are there already.
    fn read(
        &mut self,
        file: &impl StorageFile,
        offset: u64,
        read: usize,
        wanted: usize,
        len: u64,
    ) -> io::Result<usize> {
        let rest = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(rest);
        if read == 0 && self.memory.room() > MEMORY_BYTES_KEPT && wanted <= MEMORY_BYTES_KEPT {
            self.memory = AlignedBytes::default();
        }
        self.memory.resize(wanted);
        Ok(read + read_full_at(file, &mut self.memory.bytes_mut()[read..], offset + read as u64)?)
    }

    /// Takes the messages of a block that lies at `at..end` in the memory.
    fn take(&mut self, header: &BlockHeader, at: usize, end: usize, read: usize, from: u64) -> Taken {
        let body = at + HEADER_BYTES as usize;
        if end > read || crc32c::crc32c(&self.memory.bytes()[body..end]) != header.body_crc {
            return Taken::Damaged;
        }
        let before = self.places.len();
        let mut place = body;
        for _ in 0..header.count {
            let Some((queued, next)) = entry(&self.memory.bytes()[..end], place) else {
                self.places.truncate(before);
                return Taken::Malformed;
            };
            if queued.sequence >= from {
                self.places.push(place);
            }
            place = next;
        }
        Taken::All
    }
}

enum Taken {
    All,
    Damaged,
    Malformed,
}

/// Reads the entry at `place` of 8-aligned bytes; returns it and where the next one begins.
#[inline]
pub(crate) fn entry(bytes: &[u8], place: usize) -> Option<(Queued<'_>, usize)> {
    let message = Message::from_bytes(bytes.get(place + ENTRY_BYTES..)?)?;
    let (source, sequence) = (u64_at(bytes, place), u64_at(bytes, place + 8));
    Some((Queued { sequence, source, message }, place + ENTRY_BYTES + message.record_room()))
}

/// The messages of a [`Block`], in order.
#[derive(Clone)]
pub struct Messages<'a> {
    bytes: &'a [u8],
    places: std::slice::Iter<'a, usize>,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Queued<'a>;

    #[inline]
    fn next(&mut self) -> Option<Queued<'a>> {
        // Each was read before, when it was taken.
        self.places.next().and_then(|&place| entry(self.bytes, place)).map(|(queued, _)| queued)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for Messages<'_> {}

/// Bytes that begin at a multiple of 8.
#[derive(Default)]
pub(crate) struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    fn room(&self) -> usize {
        self.bytes.len()
    }

    /// Changes the length; what was there before stays.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.start + len > self.bytes.len() {
            let bytes = vec![0; len + 8];
            let start = bytes.as_ptr().align_offset(8).min(8);
            let before = std::mem::replace(self, AlignedBytes { bytes, start, len });
            let kept = before.len.min(len);
            self.bytes_mut()[..kept].copy_from_slice(&before.bytes()[..kept]);
        }
        self.len = len;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}
