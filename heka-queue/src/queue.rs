//! The queue itself: what it keeps in memory, and what it tells about itself.

use crate::error::{QueueError, QueueErrorKind};
use crate::identity::Identity;
use crate::options::QueueOptions;
use crate::position::PositionFile;
use crate::quarantine::Damages;
use crate::recovery::Recovery;
use crate::room::Room;
use crate::segment::Segments;
use crate::storage::{Directory, Storage};
use crate::streams::Streams;
use crate::trail::Trail;
use std::io;
use std::path::Path;

/// A place between two messages of the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Name of the segment.
    pub(crate) segment: u64,
    /// Where a block begins, or the segment ends.
    pub(crate) offset: u64,
}

/// A queue of messages on disk, used from one thread.
///
/// Messages are [appended](DiskQueue::append) with ascending numbers, [read](DiskQueue::read) in order, and
/// [acknowledged](DiskQueue::acknowledge) up to a number; what is acknowledged is removed, a segment at a time.
///
/// What was appended survives the end of the process; what was [synced](DiskQueue::sync), that of the machine. Everything
/// that fails leaves the queue as it was before, or at least in a state in which nothing is lost.
pub struct DiskQueue<S: Storage = Directory> {
    pub(crate) storage: S,
    pub(crate) options: QueueOptions,
    pub(crate) identity: Identity,
    pub(crate) segments: Segments<S::File>,
    pub(crate) position: PositionFile<S>,
    pub(crate) streams: Streams,
    pub(crate) trail: Trail,
    pub(crate) room: Room,
    pub(crate) damages: Damages,

    /// Greater than every number used.
    pub(crate) next: u64,
    /// What is appended has greater numbers.
    pub(crate) last: u64,
    /// Whether nothing may be appended to the tail segment.
    pub(crate) is_tail_closed: bool,
    /// A segment whose sync failed, and which is to be written anew.
    pub(crate) failed_segment: Option<u64>,
    /// What is being appended.
    pub(crate) out: Vec<u8>,
    pub(crate) suppressed: Vec<u32>,

    /// Where reading goes on.
    pub(crate) reader: Cursor,
    /// Messages below are passed over by the reader.
    pub(crate) reader_from: u64,
    /// How often reading failed at the same place.
    pub(crate) read_failures: u32,

    /// Everything below is done.
    pub(crate) below: u64,
    /// The first block with a message that is not done.
    pub(crate) undone: Cursor,
    /// Messages of that block that are done.
    pub(crate) done_in_block: u64,
    /// Messages of the front segment that are done.
    pub(crate) done_in_front: u64,
}

impl DiskQueue {
    /// Opens the queue in a directory, which is made where it is missing.
    ///
    /// Damage is no reason to refuse: it is set aside in `quarantine/`, counted, and said by [`Recovery`].
    ///
    /// # Errors
    /// If another process has the queue open, the path is not a directory, this user may not use it or it belongs to
    /// another one, a later version made it, or the system fails to read or write.
    pub fn open(directory: &Path, options: &QueueOptions) -> Result<(DiskQueue, Recovery), QueueError> {
        DiskQueue::open_on(Directory::open(directory)?, options)
    }
}

impl<S: Storage> DiskQueue<S> {
    /// Returns the queue's id: random, and durable as its directory.
    pub fn id(&self) -> [u8; 16] {
        self.identity.id
    }

    /// Returns a number greater than any ever appended, reserved or acknowledged, also in processes before this one.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Says that numbers below `below` may be used without being appended. Kept as what is acknowledged is: in the page
    /// cache.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn reserve(&mut self, below: u64) -> Result<(), QueueError> {
        if below > self.next {
            self.next = below;
            self.write_position(false)?;
            heka_plugin_api::fault_point("queue.reserve.written");
        }
        Ok(())
    }

    /// Returns how many messages wait: appended and not acknowledged.
    pub fn messages(&self) -> u64 {
        self.segments.messages().saturating_sub(self.done_in_front)
    }

    /// Returns the bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Returns how many segments there are.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Returns up to where everything is acknowledged: the number of the first message that waits is not below.
    pub fn acknowledged_below(&self) -> u64 {
        self.below
    }

    /// Returns a number that no waiting message is below; `None` if none waits.
    pub fn oldest_sequence(&self) -> Option<u64> {
        let front = self.segments.front()?;
        (self.messages() > 0).then(|| self.below.max(front.first))
    }

    /// Returns the number of the last message that waits; `None` if none waits.
    pub fn newest_sequence(&self) -> Option<u64> {
        let last = self.segments.iter().rev().map(|segment| segment.last).find(|&last| last > 0)?;
        (self.messages() > 0).then_some(last)
    }

    /// Returns what was found damaged since before opening; what a [`Recovery`] said is part of it.
    pub fn damages(&self) -> &Damages {
        &self.damages
    }

    /// Returns how many streams are known by which duplicates are recognised.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Writes what is done.
    pub(crate) fn write_position(&mut self, is_clean: bool) -> Result<(), QueueError> {
        let written = self.position.write(self.below, self.next, is_clean);
        written.map_err(|error| self.failed("write", crate::format::POSITION, &error))
    }

    /// Makes what [`acknowledge`](DiskQueue::acknowledge) and [`reserve`](DiskQueue::reserve) have written durable.
    ///
    /// # Errors
    /// If it can't be synced.
    pub fn sync_position(&mut self) -> Result<(), QueueError> {
        self.position.sync().map_err(|error| self.failed("sync", crate::format::POSITION, &error))
    }

    pub(crate) fn failed(&self, verb: &str, name: &str, error: &io::Error) -> QueueError {
        QueueError::io(self.storage.path(), verb, name, error)
    }

    pub(crate) fn misused(&self, text: &str) -> QueueError {
        QueueError::new(QueueErrorKind::Misuse, self.storage.path(), text)
    }

    /// Returns where a cursor is now: segments may have gone since it was set.
    pub(crate) fn settle(&self, cursor: Cursor) -> Option<(usize, u64)> {
        let index = self.segments.index_from(cursor.segment);
        let segment = self.segments.get(index)?;
        Some((index, if segment.first == cursor.segment { cursor.offset } else { 0 }))
    }
}

/// Closes it properly: numbers go on where they were.
impl<S: Storage> Drop for DiskQueue<S> {
    fn drop(&mut self) {
        // Without it, the next opening takes the end for an improper one, and loses nothing.
        let _ = self.position.write(self.below, self.next, true);
    }
}
