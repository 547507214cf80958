//! What is done goes: by number, and from the disk a segment at a time.

use crate::block::{AlignedBytes, entry};
use crate::error::QueueError;
use crate::format::segment_name;
use crate::header::{BlockHeader, BlockKind, HEADER_BYTES};
use crate::queue::{Cursor, DiskQueue};
use crate::scan::{Found, Scan};
use crate::storage::{Storage, read_full_at};
use crate::verify::{Place, verify};
use heka_plugin_api::fault_point;
use std::io;

impl<S: Storage> DiskQueue<S> {
    /// Says that everything below `below` is done. Survives the end of the process, and after
    /// [`sync_position`](DiskQueue::sync_position) that of the machine.
    ///
    /// # Errors
    /// If that can't be written or counted. It holds all the same in this process, and is tried again by the next call.
    pub fn acknowledge(&mut self, below: u64) -> Result<(), QueueError> {
        if below <= self.below {
            return Ok(());
        }
        self.below = below;
        self.next = self.next.max(below);
        let written = self.write_position(false);
        self.remove_done_segments();
        let counted = self.count_done();
        written.and(counted)
    }

    /// Removes the segments in which everything is done, but the tail.
    pub(crate) fn remove_done_segments(&mut self) {
        while self.segments.get(1).is_some_and(|second| second.first <= self.below) {
            self.remove_first_segment();
        }
    }

    /// Removes the first segment; what fails to go from the disk goes at the next opening.
    pub(crate) fn remove_first_segment(&mut self) {
        let Some(removed) = self.segments.remove(0) else { return };
        fault_point("queue.delete.begun");
        if let Err(error) = self.storage.remove(&segment_name(removed.first))
            && error.kind() != io::ErrorKind::NotFound
        {
            let error = self.failed("remove", &segment_name(removed.first), &error);
            log::warn!("{error}; it goes at the next opening");
        }
        fault_point("queue.delete.removed");
        self.room.forget();
        self.leave(removed.first);
    }

    /// Lets nothing point into a segment that is gone.
    pub(crate) fn leave(&mut self, segment: u64) {
        let front = self.segments.front().map_or(0, |front| front.first);
        if self.undone.segment == segment || self.undone.segment < front || self.segments.len() == 0 {
            self.undone = Cursor { segment: front, offset: 0 };
            (self.done_in_front, self.done_in_block) = (0, 0);
        }
        if self.reader.segment == segment {
            self.reader.offset = 0;
        }
    }

    /// Moves to the first block that is not done, and counts what is passed.
    pub(crate) fn count_done(&mut self) -> Result<(), QueueError> {
        while let Some(front) = self.segments.front() {
            let at = Cursor { segment: front.first, offset: self.undone.offset };
            self.undone = at;
            if at.offset >= front.len {
                break;
            }
            // All in one, where nothing is left.
            if self.below > front.last && self.segments.len() == 1 {
                (self.done_in_front, self.done_in_block) = (front.messages, 0);
                self.undone = Cursor { segment: front.first, offset: front.len };
                break;
            }
            let known = self.trail.at(at.segment, at.offset);
            match known.map_or_else(|| self.look(at), |header| Ok(Found::Block(header)))? {
                Found::Block(header) if header.kind != BlockKind::Messages => {
                    self.undone.offset = header.end()
                }
                Found::Block(header) if header.last < self.below => {
                    self.done_in_front += u64::from(header.count) - self.done_in_block;
                    self.done_in_block = 0;
                    self.undone.offset = header.end();
                }
                Found::Block(header) => {
                    let done = self.count_below(&header)?;
                    self.done_in_front += done - self.done_in_block;
                    self.done_in_block = done;
                    break;
                }
                Found::Damage(damage) => {
                    self.undone.offset = damage.to;
                    self.check_segment(0)?;
                }
                Found::Torn(_) | Found::End => {
                    self.check_segment(0)?;
                    self.undone.offset = self.segments.front().map_or(0, |front| front.len);
                }
            }
        }
        Ok(())
    }

    fn look(&mut self, at: Cursor) -> Result<Found, QueueError> {
        let file = self.segments.file(0, &self.storage);
        let file = file.map_err(|error| self.failed("open", &segment_name(at.segment), &error))?;
        let len = self.segments.front().map_or(0, |front| front.len);
        Ok(Scan::new(&*file, at.offset, len, Some(self.identity.salt), false).next())
    }

    /// Counts the messages of a block of the front segment that are done.
    fn count_below(&mut self, header: &BlockHeader) -> Result<u64, QueueError> {
        let count = u64::from(header.count);
        if header.first >= self.below {
            return Ok(0);
        }
        if header.last - header.first + 1 == count {
            return Ok(self.below - header.first);
        }
        let name = self.segments.front().map(|front| front.name()).unwrap_or_default();
        let mut memory = AlignedBytes::default();
        memory.resize(header.body_bytes as usize);
        let file = self.segments.file(0, &self.storage);
        let read =
            file.and_then(|file| read_full_at(&*file, memory.bytes_mut(), header.offset + HEADER_BYTES));
        read.map_err(|error| self.failed("read", &name, &error))?;
        let (mut done, mut place) = (0, 0);
        while let Some((queued, next)) = entry(memory.bytes(), place) {
            if queued.sequence >= self.below {
                break;
            }
            (done, place) = (done + 1, next);
        }
        Ok(done.min(count))
    }

    /// Reads a segment in which something is damaged, sets that aside, and counts anew.
    pub(crate) fn check_segment(&mut self, index: usize) -> Result<(), QueueError> {
        let Some(segment) = self.segments.get(index) else { return Ok(()) };
        let (name, known) = (segment.name(), segment.summary());
        let next = self.segments.get(index + 1).map(|next| next.first);
        let place = Place { first: known.first, next, salt: self.identity.salt };
        let file = self.segments.file(index, &self.storage);
        let verified = file.and_then(|file| verify(&self.storage, &*file, place, true));
        let mut verified = verified.map_err(|error| self.failed("check", &name, &error))?;
        let sound = verified.summary;
        // What was damaged may be what was last.
        verified.damages.lose(sound.last.max(known.first) + 1, known.last);
        log::warn!(
            "queue `{}`: `{name}` is damaged: {} bytes at {} places are passed over",
            self.storage.path().display(),
            verified.damages.bytes,
            verified.damages.blocks
        );
        self.damages.add(verified.damages);
        self.segments.change(index, |segment| {
            (segment.len, segment.messages) = (sound.len, sound.messages);
            segment.last = sound.last;
        });
        self.is_tail_closed |= next.is_none();
        self.trail.clear();
        if index == 0 {
            self.count_anew(&name)?;
        }
        Ok(())
    }

    /// Counts what is done in the front segment from its beginning.
    fn count_anew(&mut self, name: &str) -> Result<(), QueueError> {
        let reached = self.undone.offset;
        let Some(front) = self.segments.front() else { return Ok(()) };
        let (first, len) = (front.first, front.len);
        let file = self.segments.file(0, &self.storage);
        let file = file.map_err(|error| self.failed("open", name, &error))?;
        let mut scan = Scan::new(&*file, 0, len, Some(self.identity.salt), false);
        (self.undone, self.done_in_front, self.done_in_block) = (Cursor { segment: first, offset: 0 }, 0, 0);
        loop {
            let end = match scan.next() {
                Found::Block(header) if header.end() > reached => break,
                Found::Block(header) if header.kind == BlockKind::Messages => {
                    self.done_in_front += u64::from(header.count);
                    header.end()
                }
                Found::Block(header) => header.end(),
                Found::Damage(damage) => damage.to,
                Found::Torn(_) | Found::End => break,
            };
            self.undone.offset = end;
        }
        self.undone.offset = self.undone.offset.min(len);
        Ok(())
    }

    /// Gives the disk back what the last segment takes, if nothing waits any more.
    ///
    /// # Errors
    /// If the position can't be written, or a new segment not be begun.
    pub fn reclaim(&mut self) -> Result<(), QueueError> {
        let has_messages = self.segments.tail().is_some_and(|tail| tail.messages > 0);
        if self.messages() > 0 || !has_messages {
            return Ok(());
        }
        let behind = self.below.max(self.last + 1);
        self.below = behind;
        self.write_position(false)?;
        self.roll(behind)
    }

    /// Removes the oldest segments until `bytes` are free; returns how many messages that were not read are gone.
    ///
    /// Read ones in them are the caller's alone from then on, and would not survive the process.
    ///
    /// # Errors
    /// If what is gone can't be written down, or not be counted.
    pub fn drop_oldest(&mut self, bytes: u64) -> Result<u64, QueueError> {
        let (mut freed, mut gone) = (0, 0);
        let mut written = Ok(());
        while freed < bytes && self.messages() > 0 && written.is_ok() {
            // Not behind what is reserved: such numbers may still be appended.
            let behind = self.below.max(self.last + 1);
            if self.segments.len() == 1 && self.roll(behind).is_err() {
                // No room even for that: the tail goes without a successor.
                self.is_tail_closed = true;
            }
            gone += self.unread_in_front()?;
            let Some(front) = self.segments.front() else { break };
            freed += front.len;
            self.below = self.below.max(self.segments.get(1).map_or(behind, |second| second.first));
            self.next = self.next.max(self.below);
            written = self.write_position(false);
            fault_point("queue.drop.begun");
            self.remove_first_segment();
        }
        let counted = self.count_done();
        written.and(counted).map(|()| gone)
    }

    /// Counts the messages of the front segment that wait and were not read.
    fn unread_in_front(&mut self) -> Result<u64, QueueError> {
        let Some((index, offset)) = self.settle(self.reader) else { return Ok(0) };
        let Some(front) = self.segments.front().filter(|_| index == 0) else { return Ok(0) };
        let (name, front) = (front.name(), front.summary());
        let from = self.reader_from.max(self.below);
        let file = self.segments.file(0, &self.storage);
        let file = file.map_err(|error| self.failed("open", &name, &error))?;
        let mut scan = Scan::new(&*file, offset, front.len, Some(self.identity.salt), false);
        let mut unread = 0;
        loop {
            match scan.next() {
                Found::Block(header) if header.kind == BlockKind::Messages && header.last >= from => {
                    unread += u64::from(header.count);
                    if header.first < from {
                        let below = std::mem::replace(&mut self.below, from);
                        let done = self.count_below(&header);
                        self.below = below;
                        unread -= done?;
                    }
                }
                Found::Torn(_) | Found::End => return Ok(unread),
                Found::Block(_) | Found::Damage(_) => {}
            }
        }
    }
}
