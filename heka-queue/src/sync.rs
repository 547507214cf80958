//! Making what was appended durable.

use crate::error::QueueError;
use crate::format::{NEW_SUFFIX, put, segment_name};
use crate::header::{BlockKind, HEADER_BYTES};
use crate::queue::{Cursor, DiskQueue};
use crate::roll::head_block;
use crate::scan::{Found, Scan, SegmentHead};
use crate::segment::Segment;
use crate::storage::{Storage, StorageFile, write_all_at};
use heka_plugin_api::fault_point;
use std::io;

impl<S: Storage> DiskQueue<S> {
    /// Makes everything that was appended durable: it survives a power failure.
    ///
    /// After a failed sync nobody knows what is on the disk, and the system takes it for written: what was not synced
    /// is then written anew, to another segment, by the next call of this or of [`append`](DiskQueue::append).
    ///
    /// # Errors
    /// If the system fails to sync or to write. Nothing appended since the last success may be taken for durable then.
    pub fn sync(&mut self) -> Result<(), QueueError> {
        self.renew_failed_segment()?;
        // Those that are synced already are the oldest ones.
        let synced = self.segments.iter().rev().take_while(|segment| !segment.is_synced()).count();
        for index in self.segments.len() - synced..self.segments.len() {
            self.sync_segment(index)?;
        }
        if synced > 0 {
            self.sync_names()?;
        }
        Ok(())
    }

    fn sync_segment(&mut self, index: usize) -> Result<(), QueueError> {
        let Some(segment) = self.segments.get(index) else { return Ok(()) };
        let (first, len, name) = (segment.first, segment.len, segment.name());
        if segment.synced >= len {
            return Ok(());
        }
        fault_point("queue.sync.begun");
        let synced = self.segments.file(index, &self.storage).and_then(|file| file.sync());
        if let Err(error) = synced {
            self.failed_segment = Some(first);
            return Err(self.failed("sync", &name, &error));
        }
        fault_point("queue.sync.synced");
        self.segments.change(index, |segment| segment.synced = len);
        if index + 1 < self.segments.len() {
            self.segments.close(index);
        }
        Ok(())
    }

    fn sync_names(&mut self) -> Result<(), QueueError> {
        if self.segments.iter().all(|segment| segment.is_name_synced) {
            return Ok(());
        }
        self.storage.sync_names().map_err(|error| self.failed("sync", ".", &error))?;
        fault_point("queue.sync.named");
        for index in 0..self.segments.len() {
            self.segments.change(index, |segment| segment.is_name_synced = true);
        }
        Ok(())
    }

    /// Writes what was not synced of a segment to a new one, if a sync failed.
    pub(crate) fn renew_failed_segment(&mut self) -> Result<(), QueueError> {
        let Some(first) = self.failed_segment else { return Ok(()) };
        let index = self.segments.index_from(first);
        if self.segments.get(index).is_some_and(|segment| segment.first == first) {
            let renewed = self.renew(index);
            renewed.map_err(|error| self.failed("write anew", &segment_name(first), &error))?;
        }
        self.failed_segment = None;
        Ok(())
    }

    fn renew(&mut self, index: usize) -> io::Result<()> {
        let Some(old) = self.segments.get(index) else { return Ok(()) };
        let (old_first, old_len, old_summary, salt) = (old.first, old.len, old.summary(), self.identity.salt);
        let file = self.segments.file(index, &self.storage)?;
        let synced = self.segments.get(index).map_or(0, |old| old.synced);
        let Some(kept) = kept(&*file, synced, old_len, salt)? else {
            // Nothing but a head, which is nobody's message.
            return self.close_tail(index, old_first);
        };
        let takes_all = kept.messages == old_summary.messages;
        // The older segments' heads must not know what may yet be lost with the newer ones.
        let is_tail = index + 1 == self.segments.len();
        let mut before = old_summary;
        (before.len, before.messages, before.last) =
            (kept.from, old_summary.messages - kept.messages, kept.last_before);
        if takes_all {
            before =
                SegmentHead::read(&*file, old_len, Some(salt)).map(|head| head.before).unwrap_or_default();
        }
        let head = SegmentHead { id: self.identity.id, salt, before };
        let first = if takes_all { old_first } else { kept.first };
        let streams = is_tail.then_some(&mut self.streams);
        let mut bytes = head_block(&head, first, streams);
        let shift = kept.copy(&mut bytes);
        let name = segment_name(first);
        let new = format!("{name}{NEW_SUFFIX}");
        let _ = self.storage.remove(&new);
        let copy = self.storage.create(&new)?;
        write_all_at(&copy, &bytes, 0)?;
        copy.sync()?;
        fault_point("queue.renew.written");
        self.storage.rename(&new, &name)?;
        fault_point("queue.renew.renamed");
        self.storage.sync_names()?;
        let mut renewed = Segment::begun(first, bytes.len() as u64, copy);
        (renewed.messages, renewed.last) = (kept.messages, old_summary.last);
        (renewed.synced, renewed.is_name_synced) = (renewed.len, true);
        self.replace(index, renewed, &kept, shift, takes_all);
        if !takes_all {
            // Opening would cut off what stays, as written again in the next segment.
            let _ = file.truncate(kept.from);
            fault_point("queue.renew.truncated");
        }
        Ok(())
    }

    /// Leaves a segment as it is and begins another one, if it is the tail.
    fn close_tail(&mut self, index: usize, first: u64) -> io::Result<()> {
        self.is_tail_closed |= index + 1 == self.segments.len();
        if self.segments.get(index).is_some_and(|segment| segment.first == first && segment.messages == 0) {
            let name = segment_name(first);
            self.segments.remove(index);
            self.leave(first);
            return self.storage.remove(&name);
        }
        Ok(())
    }

    /// Puts a renewed segment behind what is left of the old one, or in its place.
    fn replace(&mut self, index: usize, renewed: Segment<S::File>, kept: &Kept, shift: i64, takes_all: bool) {
        let (first, old) = (renewed.first, self.segments.get(index).map_or(0, |old| old.first));
        let messages_moved = renewed.messages;
        if takes_all {
            self.segments.remove(index);
            self.segments.insert(index, renewed);
        } else {
            self.segments.change(index, |old| {
                (old.len, old.last) = (kept.from, kept.last_before);
                old.messages -= messages_moved;
            });
            self.segments.insert(index + 1, renewed);
        }
        let moved = |cursor: &mut Cursor| {
            if cursor.segment == old && (cursor.offset >= kept.from || takes_all) {
                let offset = cursor.offset.max(kept.from).saturating_add_signed(shift);
                *cursor = Cursor { segment: first, offset };
            }
        };
        moved(&mut self.reader);
        let undone_before = self.undone;
        moved(&mut self.undone);
        if !takes_all && self.undone != undone_before {
            // All that stays in the old one is done.
            let in_old = self.segments.get(index).map_or(0, |old| old.messages);
            self.done_in_front = self.done_in_front.saturating_sub(in_old);
            self.remove_first_segment();
        }
        self.trail.clear();
    }
}

/// The blocks of a segment that were not synced.
struct Kept {
    from: u64,
    first: u64,
    last_before: u64,
    messages: u64,
    blocks: Vec<Vec<u8>>,
}

impl Kept {
    /// Appends the blocks, their headers made for their new place; returns how far they moved.
    fn copy(&self, out: &mut Vec<u8>) -> i64 {
        let shift = out.len() as i64 - self.from as i64;
        for block in &self.blocks {
            let start = out.len();
            out.extend_from_slice(block);
            put(&mut out[start..], 48, &(start as u64).to_le_bytes());
            if let Some(header) = out[start..].first_chunk_mut::<64>() {
                crate::format::seal(header);
            }
        }
        shift
    }
}

/// Reads the blocks of messages that lie behind `synced`; `None` if there are none.
fn kept<F: StorageFile>(file: &F, synced: u64, len: u64, salt: u64) -> io::Result<Option<Kept>> {
    let mut scan = Scan::new(file, 0, len, Some(salt), true);
    let mut kept = Kept { from: len, first: 0, last_before: 0, messages: 0, blocks: Vec::new() };
    loop {
        match scan.next() {
            Found::Block(header) if header.kind != BlockKind::Messages => {}
            Found::Block(header) if header.offset < synced => kept.last_before = header.last,
            Found::Block(header) => {
                if kept.blocks.is_empty() {
                    (kept.from, kept.first) = (header.offset, header.first);
                }
                let mut block = header.encode().to_vec();
                block.extend_from_slice(scan.body(&header));
                if block.len() as u64 != HEADER_BYTES + header.body_bytes {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                kept.messages += u64::from(header.count);
                kept.blocks.push(block);
            }
            Found::End => return Ok(Some(kept).filter(|kept| !kept.blocks.is_empty())),
            Found::Damage(damage) if damage.to <= synced => {}
            // What can't be read back can't be made durable.
            Found::Damage(_) | Found::Torn(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
