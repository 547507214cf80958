//! Opening a queue as its last process left it, whatever that was.

use crate::block::Block;
use crate::error::{QueueError, QueueErrorKind};
use crate::format::{
    DIRECTORY_VERSION, IDENTITY, NEW_SUFFIX, POSITION, SEQUENCE_JUMP, SEQUENCE_LEAP, segment_first,
    segment_name,
};
use crate::header::BlockKind;
use crate::identity::{Identity, IdentityFile};
use crate::options::QueueOptions;
use crate::position::{Position, PositionFile};
use crate::quarantine::{Damages, set_file_aside};
use crate::queue::{Cursor, DiskQueue};
use crate::room::Room;
use crate::scan::{Found, HEAD_BYTES, Scan, SegmentHead};
use crate::segment::{Segment, Segments};
use crate::storage::{Storage, StorageFile};
use crate::streams::{STREAM_BYTES, Streams};
use crate::trail::Trail;
use crate::verify::{Place, Verified, verify};
use heka_plugin_api::cause;
use heka_plugin_api::fault_point;
use heka_plugin_api::units::format_bytes;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Bytes of older segments that are read at opening; in what is beyond, damage is found when it is read.
const VERIFIED_BYTES: u64 = 64 << 20;
/// The part of a segment that its stream table may be: 1 of this.
const STREAMS_PART: u64 = 4;

/// What opening a queue found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    path: PathBuf,
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Number of the first message that waits, or a lower one above all that are done.
    pub first: Option<u64>,
    /// Number of the last message that waits.
    pub last: Option<u64>,
    /// Damaged places that were set aside.
    pub blocks_quarantined: u64,
    /// Bytes there.
    pub bytes_quarantined: u64,
    /// Bytes cut off as the beginning of a last block that was never finished.
    pub bytes_torn: u64,
    /// First and last of numbers among which messages were lost, oldest first; at most 100 such ranges.
    pub lost: Vec<(u64, u64)>,
}

impl Recovery {
    /// Tells whether everything was as it should be; a torn end is no damage.
    pub fn is_sound(&self) -> bool {
        self.blocks_quarantined == 0 && self.lost.is_empty()
    }
}

/// One line for the log.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "queue `{}`: {} messages wait, {} on disk",
            self.path.display(),
            self.messages,
            format_bytes(self.bytes)
        )?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            write!(f, ", numbers {first} to {last}")?;
        }
        if self.bytes_torn > 0 {
            write!(f, "; {} bytes of an unfinished append cut off", self.bytes_torn)?;
        }
        if self.blocks_quarantined > 0 {
            let (blocks, bytes) = (self.blocks_quarantined, self.bytes_quarantined);
            let places = if blocks == 1 { "place" } else { "places" };
            write!(f, "; {blocks} damaged {places}, {bytes} bytes, moved to `quarantine/`")?;
        }
        for (first, last) in self.lost.iter().take(3) {
            write!(f, "; messages among {first} to {last} are lost")?;
        }
        if self.lost.len() > 3 {
            write!(f, "; so in {} more places", self.lost.len() - 3)?;
        }
        Ok(())
    }
}

impl<S: Storage> DiskQueue<S> {
    /// Opens the queue on a file system of the caller's.
    ///
    /// # Errors
    /// As [`DiskQueue::open`].
    pub fn open_on(storage: S, options: &QueueOptions) -> Result<(DiskQueue<S>, Recovery), QueueError> {
        Opening { storage, damages: Damages::default(), verified_bytes: VERIFIED_BYTES }.open(options)
    }

    /// Opens the queue and reads all of it.
    pub(crate) fn open_checking(
        storage: S,
        options: &QueueOptions,
    ) -> Result<(DiskQueue<S>, Recovery), QueueError> {
        Opening { storage, damages: Damages::default(), verified_bytes: u64::MAX }.open(options)
    }
}

struct Opening<S> {
    storage: S,
    damages: Damages,
    /// Bytes that may still be read of older segments.
    verified_bytes: u64,
}

/// A segment that was found.
pub(crate) struct SegmentFile<F> {
    pub(crate) first: u64,
    pub(crate) file: F,
    pub(crate) len: u64,
    pub(crate) head: Option<SegmentHead>,
}

type Files<S> = Vec<SegmentFile<<S as Storage>::File>>;

impl<S: Storage> Opening<S> {
    fn open(mut self, options: &QueueOptions) -> Result<(DiskQueue<S>, Recovery), QueueError> {
        let mut files = self.files()?;
        let identity = self.identity(&files)?;
        let (mut position_file, position) =
            self.io("open", POSITION, |storage| PositionFile::open(storage, identity.salt))?;
        let identity = match position {
            // Nobody knows which numbers were used, so it is another queue.
            None if files.is_empty() => {
                let identity = Identity::random(None);
                self.io("write", IDENTITY, |storage| identity.write(storage))?;
                position_file.salt_is(identity.salt);
                identity
            }
            _ => identity,
        };
        let below = position.map_or(0, |position| position.below);
        self.remove_done(&mut files, below);
        for file in &mut files {
            file.head = SegmentHead::read(&file.file, file.len, Some(identity.salt));
        }
        let verified = self.verify(&files, identity.salt)?;
        fault_point("queue.recovery.verified");
        self.note_missing(&files, &verified, below);
        let mut streams = Streams::new((options.segment_bytes / STREAMS_PART) as usize / STREAM_BYTES);
        replay(&files, &verified, identity.salt, &mut streams);
        let is_tail_closed =
            verified.last().is_some_and(|tail| tail.damaged_at.is_some() || tail.summary.len == 0);
        let segments = self.segments(&files, verified);
        let next = next_sequence(position, files.last().map(|file| file.first), &segments);
        // Both slots, so that none is left that says how the queue was closed before.
        let write = |_| position_file.write(below, next, false);
        let written = (0..2).try_for_each(write).and_then(|()| position_file.sync());
        written.map_err(|error| QueueError::io(self.storage.path(), "write", POSITION, &error))?;
        let front = Cursor { segment: segments.front().map_or(0, |front| front.first), offset: 0 };
        let mut queue = DiskQueue {
            storage: self.storage,
            options: options.clone(),
            identity,
            segments,
            position: position_file,
            streams,
            trail: Trail::default(),
            room: Room::default(),
            damages: self.damages,
            next,
            last: next - 1,
            is_tail_closed,
            failed_segment: None,
            out: Vec::new(),
            suppressed: Vec::new(),
            reader: front,
            reader_from: below,
            read_failures: 0,
            below,
            undone: front,
            done_in_block: 0,
            done_in_front: 0,
        };
        queue.count_done()?;
        queue.rewind();
        fault_point("queue.recovery.done");
        let recovery = queue.recovery();
        Ok((queue, recovery))
    }

    fn io<T>(&self, verb: &str, name: &str, work: impl FnOnce(&S) -> io::Result<T>) -> Result<T, QueueError> {
        work(&self.storage).map_err(|error| QueueError::io(self.storage.path(), verb, name, &error))
    }

    /// Finds the segments, oldest first; removes what was being written.
    fn files(&self) -> Result<Files<S>, QueueError> {
        let names = self.io("list", ".", S::names)?;
        for name in names.iter().filter(|name| name.ends_with(NEW_SUFFIX)) {
            self.io("remove", name, |storage| storage.remove(name))?;
        }
        let mut firsts: Vec<u64> = names.iter().filter_map(|name| segment_first(name)).collect();
        firsts.sort_unstable();
        let mut files = Vec::with_capacity(firsts.len());
        for first in firsts {
            let name = segment_name(first);
            let file = self.io("open", &name, |storage| storage.open(&name))?;
            let len = self.io("open", &name, |_| file.len())?;
            files.push(SegmentFile { first, file, len, head: None });
        }
        Ok(files)
    }

    /// Reads who the queue is; where that is damaged, segments tell, and else it is made anew.
    fn identity(&mut self, files: &Files<S>) -> Result<Identity, QueueError> {
        let found = self.io("read", IDENTITY, Identity::read)?;
        match found {
            IdentityFile::Found(identity) => return Ok(identity),
            IdentityFile::Later(version) => {
                let text = format!(
                    "of version {version}, this program knows {DIRECTORY_VERSION}; use a later one or another directory"
                );
                return Err(QueueError::new(QueueErrorKind::Version, self.storage.path(), text));
            }
            IdentityFile::Damaged => {
                self.damages.blocks += 1;
                self.damages.bytes += 64;
                self.io("quarantine", IDENTITY, |storage| set_file_aside(storage, IDENTITY))?;
            }
            IdentityFile::Absent => {}
        }
        let (identity, salt) = identity_of(files);
        let identity = identity.unwrap_or_else(|| Identity::random(salt));
        self.io("write", IDENTITY, |storage| identity.write(storage))?;
        Ok(identity)
    }

    /// Removes the segments in which everything is done.
    fn remove_done(&self, files: &mut Files<S>, below: u64) {
        let done = files.windows(2).take_while(|pair| pair[1].first <= below).count();
        for file in files.drain(..done) {
            let name = segment_name(file.first);
            if let Err(error) = self.storage.remove(&name) {
                log::warn!(
                    "queue `{}`: failed to remove `{name}`: {}",
                    self.storage.path().display(),
                    cause(&error)
                );
            }
            fault_point("queue.recovery.removed");
        }
    }

    /// Reads the last segment, further ones up to the one whose head is sound, and older ones while they may be read;
    /// of the others, the next one's head tells.
    fn verify(&mut self, files: &Files<S>, salt: u64) -> Result<Vec<Verified>, QueueError> {
        let (mut all, mut has_head) = (Vec::with_capacity(files.len()), false);
        for (index, file) in files.iter().enumerate().rev() {
            let next = files.get(index + 1);
            let told = next.and_then(|next| next.head).map(|head| head.before);
            let told = told.filter(|before| (before.first, before.len) == (file.first, file.len));
            let verified = match told.filter(|_| has_head && file.len > self.verified_bytes) {
                Some(summary) => Verified { summary, has_head: true, ..Verified::default() },
                None => {
                    self.verified_bytes = self.verified_bytes.saturating_sub(file.len);
                    let place = Place { first: file.first, next: next.map(|next| next.first), salt };
                    self.io("check", &segment_name(file.first), |storage| {
                        verify(storage, &file.file, place, true)
                    })?
                }
            };
            has_head |= verified.has_head;
            all.push(verified);
        }
        all.reverse();
        all.iter_mut().for_each(|verified| self.damages.add(std::mem::take(&mut verified.damages)));
        Ok(all)
    }

    /// Notes what a segment's head says was before it and isn't there.
    fn note_missing(&mut self, files: &Files<S>, verified: &[Verified], below: u64) {
        for (index, file) in files.iter().enumerate() {
            let Some(before) = file.head.map(|head| head.before).filter(|before| before.messages > 0) else {
                continue;
            };
            // It may have been split when it was written anew.
            let present = || {
                verified[..index]
                    .iter()
                    .map(|verified| verified.summary)
                    .filter(|summary| summary.first >= before.first)
            };
            if present().map(|summary| summary.messages).sum::<u64>() >= before.messages {
                continue;
            }
            let from = present().map(|summary| summary.last + 1).max().unwrap_or(before.first);
            let already = self.damages.lost.iter().any(|lost| lost.0 <= before.last && lost.1 >= from);
            if !already {
                self.damages.lose(from.max(below), before.last);
            }
        }
    }

    /// Makes the list of segments; files of which nothing is left go.
    fn segments(&self, files: &Files<S>, verified: Vec<Verified>) -> Segments<S::File> {
        let mut segments = Segments::new();
        for (file, verified) in files.iter().zip(verified) {
            if verified.summary.len > 0 {
                segments.push(Segment::found(verified.summary));
                continue;
            }
            let name = segment_name(file.first);
            if let Err(error) = self.storage.remove(&name) {
                log::warn!(
                    "queue `{}`: failed to remove `{name}`: {}",
                    self.storage.path().display(),
                    cause(&error)
                );
            }
        }
        segments
    }
}

/// Takes id and salt from a segment, or where no head is sound the salt from a block.
pub(crate) fn identity_of<F: StorageFile>(files: &[SegmentFile<F>]) -> (Option<Identity>, Option<u64>) {
    let head = files.iter().rev().find_map(|file| SegmentHead::read(&file.file, file.len, None));
    if let Some(head) = head {
        return (Some(Identity { id: head.id, salt: head.salt }), Some(head.salt));
    }
    let salt = files.iter().find_map(|file| {
        let mut scan = Scan::new(&file.file, 0, file.len, None, true);
        loop {
            match scan.next() {
                Found::Block(header) => return Some(header.salt),
                Found::End | Found::Torn(_) => return None,
                Found::Damage(_) => {}
            }
        }
    });
    (None, salt)
}

/// Makes the stream table from the last sound head and what follows it, up to the first damage.
fn replay<F: StorageFile>(files: &[SegmentFile<F>], verified: &[Verified], salt: u64, streams: &mut Streams) {
    let Some(start) = verified.iter().rposition(|verified| verified.has_head) else { return };
    let mut block = Block::new();
    for (index, (file, verified)) in files.iter().zip(verified).enumerate().skip(start) {
        let follows = file.head.is_some_and(|head| head.before.first == files[index.max(1) - 1].first);
        if index > start && !follows {
            return;
        }
        let trusted = verified.damaged_at.unwrap_or(verified.summary.len);
        if index == start {
            read_table(&file.file, trusted, salt, streams);
        }
        let mut offset = 0;
        while offset < trusted {
            let Ok(filled) = block.fill(&file.file, offset, trusted, salt, 0) else { return };
            streams.begin();
            for queued in block.messages() {
                if queued.source != 0 && queued.message.is_ordered() {
                    streams.admit(queued.source, queued.message.origin());
                }
            }
            streams.keep();
            if filled.end <= offset {
                return;
            }
            offset = filled.end;
        }
        if verified.damaged_at.is_some() {
            return;
        }
    }
}

fn read_table<F: StorageFile>(file: &F, len: u64, salt: u64, streams: &mut Streams) {
    let mut scan = Scan::new(file, 0, len, Some(salt), true);
    if let Found::Block(header) = scan.next()
        && header.kind == BlockKind::Head
    {
        streams.decode(scan.body(&header).get(HEAD_BYTES..).unwrap_or_default());
    }
}

/// Returns a number that was never used.
fn next_sequence<F>(position: Option<Position>, last_name: Option<u64>, segments: &Segments<F>) -> u64 {
    let last = segments.iter().map(|segment| segment.last + 1).max();
    let known = position.map(|position| position.below.max(position.next));
    let highest = [known, last_name, last].into_iter().flatten().max();
    let jump = match (position, highest) {
        (None, None) | (Some(Position { is_clean: true, .. }), _) => 0,
        (Some(_), _) => SEQUENCE_JUMP,
        (None, _) => SEQUENCE_LEAP,
    };
    highest.unwrap_or(1).max(1).saturating_add(jump)
}

impl<S: Storage> DiskQueue<S> {
    fn recovery(&self) -> Recovery {
        Recovery {
            path: self.storage.path().to_owned(),
            messages: self.messages(),
            bytes: self.bytes(),
            first: self.oldest_sequence(),
            last: self.newest_sequence(),
            blocks_quarantined: self.damages.blocks,
            bytes_quarantined: self.damages.bytes,
            bytes_torn: self.damages.bytes_torn,
            lost: self.damages.lost.clone(),
        }
    }
}
