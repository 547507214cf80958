//! Appending: one write for a batch, which is whole or not there at all.

use crate::block::ENTRY_BYTES;
use crate::error::QueueError;
use crate::format::put;
use crate::header::{BlockHeader, BlockKind, HEADER_BYTES};
use crate::queue::DiskQueue;
use crate::storage::{Storage, StorageFile, write_all_at};
use heka_plugin_api::{Message, fault_point};

/// Length of a body from which on another block is begun, in bytes: a reader's memory holds a whole one.
const BODY_BYTES: usize = 1 << 20;
/// Memory that is not kept for the next append, in bytes.
const OUT_BYTES_KEPT: usize = 4 << 20;

/// A message to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Tag of the chain that it comes from. Of each source, a message at or before the last one of its stream is a
    /// duplicate; 0: never.
    pub source: u64,
    /// Its number, greater than any that was appended.
    pub sequence: u64,
    /// The message.
    pub message: Message<'a>,
}

/// What an append did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many entries were duplicates; [`DiskQueue::suppressed`] says which.
    pub suppressed: usize,
    /// Bytes that were written.
    pub bytes: u64,
}

impl<S: Storage> DiskQueue<S> {
    /// Appends all entries or, if it fails, none. What is a duplicate is left out.
    ///
    /// Limits are not looked at: [`has_room`](DiskQueue::has_room) does that.
    ///
    /// # Errors
    /// If the disk is full, or the system fails to write; the same entries may then be given again.
    pub fn append(&mut self, entries: &[Entry<'_>]) -> Result<Appended, QueueError> {
        self.suppressed.clear();
        let bytes_max = self.check_entries(entries)?;
        let Some(first) = entries.first() else { return Ok(Appended::default()) };
        self.renew_failed_segment()?;
        // Before the entries' streams are noted: the next segment's head must not know them yet.
        if self.must_roll(bytes_max) {
            self.roll(first.sequence)?;
        }
        self.streams.begin();
        let packed = self.pack(entries);
        let written = self.write(&packed);
        if self.out.capacity() > OUT_BYTES_KEPT {
            self.out = Vec::new();
        }
        match written {
            Ok(bytes) => {
                self.streams.keep();
                self.next = self.next.max(self.last + 1);
                Ok(Appended { suppressed: self.suppressed.len(), bytes })
            }
            Err(error) => {
                self.streams.take_back();
                self.suppressed.clear();
                Err(error)
            }
        }
    }

    /// Returns which entries the last [`append`](DiskQueue::append) left out: their indices, ascending.
    pub fn suppressed(&self) -> &[u32] {
        &self.suppressed
    }

    /// Checks that numbers ascend; returns the most bytes that the entries can take.
    fn check_entries(&self, entries: &[Entry<'_>]) -> Result<u64, QueueError> {
        let (mut last, mut bytes) = (self.last, HEADER_BYTES);
        let mut body = 0;
        for entry in entries {
            if entry.sequence <= last {
                return Err(self.misused("numbers of appended messages must ascend"));
            }
            last = entry.sequence;
            let room = ENTRY_BYTES + entry.message.record_room();
            body += room;
            bytes += room as u64;
            if body >= BODY_BYTES {
                (body, bytes) = (0, bytes + HEADER_BYTES);
            }
        }
        Ok(bytes)
    }

    /// Puts the entries that are no duplicates into `out`, as blocks whose headers follow in `seal`.
    fn pack(&mut self, entries: &[Entry<'_>]) -> Vec<Packed> {
        self.out.clear();
        let (mut blocks, mut block) = (Vec::new(), Packed::default());
        for (index, entry) in entries.iter().enumerate() {
            let message = &entry.message;
            if entry.source != 0
                && message.is_ordered()
                && !self.streams.admit(entry.source, message.origin())
            {
                self.suppressed.push(index as u32);
                continue;
            }
            if block.count == 0 {
                block = Packed { start: self.out.len(), first: entry.sequence, ..Packed::default() };
                self.out.extend_from_slice(&[0; HEADER_BYTES as usize]);
            }
            put_entry(&mut self.out, entry);
            block.count += 1;
            block.last = entry.sequence;
            if self.out.len() - block.start >= BODY_BYTES {
                block.end = self.out.len();
                blocks.push(std::mem::take(&mut block));
            }
        }
        if block.count > 0 {
            block.end = self.out.len();
            blocks.push(block);
        }
        blocks
    }

    /// Writes what was packed to the tail segment.
    fn write(&mut self, packed: &[Packed]) -> Result<u64, QueueError> {
        let Some(last) = packed.last().map(|block| block.last) else { return Ok(0) };
        let index = self.segments.len() - 1;
        let (first, start) = self.segments.tail().map_or((0, 0), |tail| (tail.first, tail.len));
        let headers: Vec<BlockHeader> = packed.iter().map(|block| self.seal(block, start)).collect();
        let name = crate::format::segment_name(first);
        let file = self.segments.file(index, &self.storage);
        let file = file.map_err(|error| self.failed("open", &name, &error))?;
        fault_point("queue.append.begun");
        if let Err(error) = write_all_at(&*file, &self.out, start) {
            self.room.forget();
            // What can't be cut off is passed over: the next segment's numbers begin at or before it.
            self.is_tail_closed |= file.truncate(start).is_err();
            return Err(self.failed("append to", &name, &error));
        }
        fault_point("queue.append.written");
        let (bytes, messages) =
            (self.out.len() as u64, headers.iter().map(|header| u64::from(header.count)).sum::<u64>());
        self.segments.change(index, |tail| {
            tail.len += bytes;
            tail.messages += messages;
            tail.last = last;
        });
        headers.into_iter().for_each(|header| self.trail.push(first, header));
        self.room.wrote(bytes);
        self.last = last;
        Ok(bytes)
    }

    /// Completes a block's header, as it will lie in a segment whose end is at `segment_end`.
    fn seal(&mut self, block: &Packed, segment_end: u64) -> BlockHeader {
        let body = block.start + HEADER_BYTES as usize;
        let header = BlockHeader {
            kind: BlockKind::Messages,
            body_bytes: (block.end - body) as u64,
            body_crc: crc32c::crc32c(&self.out[body..block.end]),
            count: block.count,
            first: block.first,
            last: block.last,
            offset: segment_end + block.start as u64,
            salt: self.identity.salt,
        };
        put(&mut self.out, block.start, &header.encode());
        header
    }
}

/// A block in `out`.
#[derive(Clone, Copy, Default)]
struct Packed {
    start: usize,
    end: usize,
    count: u32,
    first: u64,
    last: u64,
}

#[inline]
fn put_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let record = entry.message.record_bytes();
    out.reserve(ENTRY_BYTES + record.len() + 8);
    let mut head = [0; ENTRY_BYTES];
    put(&mut head, 0, &entry.source.to_le_bytes());
    put(&mut head, 8, &entry.sequence.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(record);
    out.resize(out.len().next_multiple_of(8), 0);
}
