//! Reading back, in order.

use crate::block::{Block, Filled, Stopped};
use crate::error::QueueError;
use crate::quarantine::set_aside;
use crate::queue::{Cursor, DiskQueue};
use crate::scan::{Damage, Found, Scan};
use crate::storage::Storage;
use std::io;

/// How often reading may fail at one place before that is taken for damaged.
const READ_FAILURES_MAX: u32 = 5;

impl<S: Storage> DiskQueue<S> {
    /// Reads the next unread messages into a block, at most a few hundred; `false`, and an empty block, if there are
    /// none.
    ///
    /// Acknowledged messages, and those before [`skip_to`](DiskQueue::skip_to), are left out. What is damaged is set
    /// aside, counted, and passed over.
    ///
    /// # Errors
    /// If the system fails to read; the next call tries again.
    pub fn read(&mut self, block: &mut Block) -> Result<bool, QueueError> {
        block.clear();
        while let Some((index, offset)) = self.settle(self.reader) {
            let Some(segment) = self.segments.get(index) else { break };
            let (first, len) = (segment.first, segment.len);
            self.reader = Cursor { segment: first, offset };
            if offset >= len {
                let Some(next) = self.segments.get(index + 1) else { break };
                self.reader = Cursor { segment: next.first, offset: 0 };
                self.segments.close(index);
                continue;
            }
            let filled = self.fill(block, index, offset, len)?;
            self.read_failures = 0;
            self.reader.offset = filled.end;
            match filled.stopped {
                Stopped::Here if block.is_empty() => {}
                Stopped::Here => return Ok(true),
                Stopped::Damaged => self.pass_damage(index, filled.end, None)?,
                Stopped::Malformed(header) => {
                    let damage = Damage { from: header.offset, to: header.end(), header: Some(header) };
                    self.pass_damage(index, filled.end, Some(damage))?;
                }
            }
        }
        Ok(false)
    }

    fn fill(&mut self, block: &mut Block, index: usize, offset: u64, len: u64) -> Result<Filled, QueueError> {
        let from = self.reader_from.max(self.below);
        let file = self.segments.file(index, &self.storage);
        let filled = file.and_then(|file| block.fill(&*file, offset, len, self.identity.salt, from));
        filled.or_else(|error| {
            block.clear();
            self.read_failures += 1;
            if self.read_failures >= READ_FAILURES_MAX && error.kind() != io::ErrorKind::PermissionDenied {
                return Ok(Filled { end: offset, stopped: Stopped::Damaged });
            }
            let name = self.segments.get(index).map(|segment| segment.name()).unwrap_or_default();
            Err(self.failed("read", &name, &error))
        })
    }

    /// Passes over what is damaged at an offset where the reader is.
    fn pass_damage(&mut self, index: usize, offset: u64, damage: Option<Damage>) -> Result<(), QueueError> {
        let Some(segment) = self.segments.get(index) else { return Ok(()) };
        let (first, len, salt) = (segment.first, segment.len, self.identity.salt);
        let found = self.segments.file(index, &self.storage).map(|file| {
            if let Some(damage) = damage {
                set_aside(&self.storage, &file, first, &damage, len, salt);
            }
            match damage {
                Some(damage) => damage.to,
                None => match Scan::new(&*file, offset, len, Some(salt), true).next() {
                    Found::Damage(damage) => damage.to,
                    // Read well this time.
                    Found::Block(_) => offset,
                    Found::Torn(_) | Found::End => len,
                },
            }
        });
        self.reader.offset = found.unwrap_or(len);
        self.check_segment(index)?;
        self.count_done()?;
        let len = self.segments.get(index).map_or(0, |segment| segment.len);
        self.reader.offset = self.reader.offset.min(len);
        Ok(())
    }

    /// Lets the reader pass over the messages below `sequence`, which the caller has in memory.
    pub fn skip_to(&mut self, sequence: u64) {
        self.reader_from = self.reader_from.max(sequence);
        let Some((index, offset)) = self.settle(self.reader) else { return };
        let later = self.segments.index_from(sequence.saturating_add(1)).saturating_sub(1);
        let later = later.max(index);
        let Some(segment) = self.segments.get(later) else { return };
        let offset = if later == index { offset } else { 0 };
        let is_tail = later + 1 == self.segments.len();
        let known = match () {
            () if sequence > segment.last => Some(segment.len),
            () if is_tail => self.trail.offset_of(segment.first, sequence),
            () => None,
        };
        self.reader = Cursor { segment: segment.first, offset: known.unwrap_or(0).max(offset) };
    }

    /// Lets the reader go back to the first message that is not acknowledged.
    pub fn rewind(&mut self) {
        self.reader = self.undone;
        self.reader_from = self.below;
    }
}
