//! Looks at a queue without opening it: takes no lock, writes nothing, and works while another process has it.

use crate::block::Block;
use crate::error::{QueueError, QueueErrorKind};
use crate::format::{DIRECTORY_VERSION, IDENTITY, POSITION, QUARANTINE, segment_first, segment_name};
use crate::header::BlockKind;
use crate::identity::{Identity, IdentityFile};
use crate::options::QueueOptions;
use crate::position::{Position, read_position};
use crate::quarantine::Damages;
use crate::queue::DiskQueue;
use crate::recovery::{Recovery, SegmentFile, identity_of};
use crate::scan::{Found, Scan};
use crate::storage::{Directory, DirectoryFile, Storage, StorageFile, is_live, lock_pid};
use crate::verify::{Place, verify};
use std::io;
use std::path::{Path, PathBuf};

/// A queue's directory, to be looked at.
///
/// What is seen of a queue in use is as of some moment during the call; a block that is just being written is not seen.
#[derive(Debug)]
pub struct Inspection {
    storage: Directory,
}

/// What a queue's directory says.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The directory.
    pub path: PathBuf,
    /// Id of the queue; `None` where neither the identity file nor a segment tells.
    pub id: Option<[u8; 16]>,
    /// Version of the directory; 0 where that is damaged.
    pub version: u32,
    /// The process that has the queue open, if one does.
    pub holder: Option<u32>,
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// How many segments there are.
    pub segments: usize,
    /// Numbers of the first and the last message that waits.
    pub sequences: Option<(u64, u64)>,
    /// Their times, in nanoseconds since 1970-01-01 UTC.
    pub timestamps: Option<(i64, i64)>,
    /// Every message with a lower number is done; `None` where no position tells.
    pub below: Option<u64>,
    /// Lower numbers may have been used; `None` as above.
    pub next: Option<u64>,
    /// Whether the queue was closed properly; `None` as above.
    pub is_clean: Option<bool>,
    /// Files in quarantine, and their bytes.
    pub quarantine: (usize, u64),
}

/// What a check of a queue found.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// Segments read.
    pub segments: usize,
    /// Sound messages in them, done or not.
    pub messages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is damaged.
    pub damages: Damages,
    /// Where: name of the file, first byte, and the byte behind the last.
    pub places: Vec<(String, u64, u64)>,
}

impl Check {
    /// Tells whether nothing is damaged; a torn end is no damage.
    pub fn is_sound(&self) -> bool {
        self.damages.blocks == 0 && self.damages.lost.is_empty()
    }
}

impl Inspection {
    /// Looks at a directory.
    ///
    /// # Errors
    /// If it can't be read, holds no queue, or one of a later version.
    pub fn open(directory: &Path) -> Result<Inspection, QueueError> {
        let storage = Directory::inspect(directory)?;
        let inspection = Inspection { storage };
        match inspection.identity_file()? {
            IdentityFile::Later(version) => {
                let text =
                    format!("of version {version}, this program knows {DIRECTORY_VERSION}; use a later one");
                Err(QueueError::new(QueueErrorKind::Version, directory, text))
            }
            IdentityFile::Absent if inspection.names()?.is_empty() => {
                let text = "not a queue's directory; it has neither identity nor segments";
                Err(QueueError::new(QueueErrorKind::Directory, directory, text))
            }
            _ => Ok(inspection),
        }
    }

    fn failed(&self, verb: &str, name: &str, error: &io::Error) -> QueueError {
        QueueError::io(self.storage.path(), verb, name, error)
    }

    fn identity_file(&self) -> Result<IdentityFile, QueueError> {
        Identity::read(&self.storage).map_err(|error| self.failed("read", IDENTITY, &error))
    }

    /// Returns the names of segments, oldest first.
    fn names(&self) -> Result<Vec<u64>, QueueError> {
        let names = self.storage.names().map_err(|error| self.failed("list", ".", &error))?;
        let mut firsts: Vec<u64> = names.iter().filter_map(|name| segment_first(name)).collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Opens a segment; `None` if it has gone meanwhile.
    fn file(&self, first: u64) -> Result<Option<SegmentFile<DirectoryFile>>, QueueError> {
        let name = segment_name(first);
        match self.storage.open(&name).and_then(|file| Ok((file.len()?, file))) {
            Ok((len, file)) => Ok(Some(SegmentFile { first, file, len, head: None })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("open", &name, &error)),
        }
    }

    fn identity(&self) -> Result<(Option<Identity>, u64), QueueError> {
        if let IdentityFile::Found(identity) = self.identity_file()? {
            return Ok((Some(identity), identity.salt));
        }
        let mut files = Vec::new();
        for first in self.names()? {
            files.extend(self.file(first)?);
        }
        let (identity, salt) = identity_of(&files);
        Ok((identity, identity.map(|identity| identity.salt).or(salt).unwrap_or_default()))
    }

    fn position(&self, salt: u64) -> Result<Option<Position>, QueueError> {
        match self.storage.open(POSITION) {
            Ok(file) => Ok(read_position(&file, salt)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("open", POSITION, &error)),
        }
    }

    /// Returns the process that has the queue open, if one does.
    pub fn holder(&self) -> Option<u32> {
        lock_pid(self.storage.path()).filter(|&pid| is_live(self.storage.path(), pid))
    }

    /// Says how the queue stands; reads headers only.
    ///
    /// # Errors
    /// If the system fails to read.
    pub fn status(&self) -> Result<Status, QueueError> {
        let (identity, salt) = self.identity()?;
        let position = self.position(salt)?;
        let is_known = matches!(self.identity_file()?, IdentityFile::Found(_));
        let mut status = Status {
            path: self.storage.path().to_owned(),
            id: identity.map(|identity| identity.id),
            version: if is_known { DIRECTORY_VERSION } else { 0 },
            holder: self.holder(),
            below: position.map(|position| position.below),
            next: position.map(|position| position.next),
            is_clean: position.map(|position| position.is_clean),
            quarantine: self.quarantine(),
            ..Status::default()
        };
        for first in self.names()? {
            if let Some(file) = self.file(first)? {
                status.segments += 1;
                status.bytes += file.len;
                self.add_waiting(&file, salt, &mut status)?;
            }
        }
        Ok(status)
    }

    /// Adds the messages of a segment that wait.
    fn add_waiting(
        &self,
        file: &SegmentFile<DirectoryFile>,
        salt: u64,
        status: &mut Status,
    ) -> Result<(), QueueError> {
        let below = status.below.unwrap_or_default();
        let mut scan = Scan::new(&file.file, 0, file.len, Some(salt), false);
        let mut newest = None;
        loop {
            match scan.next() {
                Found::Block(header) if header.kind == BlockKind::Messages && header.last >= below => {
                    // The first, and one that is done in part, are looked into.
                    let is_first = status.sequences.is_none();
                    if is_first || header.first < below {
                        let (count, first, time) = self.look_into(file, header.offset, salt, below)?;
                        status.messages += count;
                        status.sequences = status.sequences.or(Some((first, header.last)));
                        status.timestamps = status.timestamps.or(Some((time, time)));
                    } else {
                        status.messages += u64::from(header.count);
                    }
                    newest = Some(header);
                }
                Found::Block(_) | Found::Damage(_) => {}
                Found::Torn(_) | Found::End => break,
            }
        }
        if let (Some(header), Some((first, _))) = (newest, status.sequences) {
            let mut block = Block::new();
            let end = header.end();
            let filled = block.fill(&file.file, header.offset, end, salt, 0);
            filled.map_err(|error| self.failed("read", &segment_name(file.first), &error))?;
            status.sequences = Some((first, header.last));
            if let (Some(times), Some(last)) = (&mut status.timestamps, block.messages().last()) {
                times.1 = last.message.timestamp();
            }
        }
        Ok(())
    }

    /// Reads a block: how many of its messages wait, the first one's number, and its time.
    fn look_into(
        &self,
        file: &SegmentFile<DirectoryFile>,
        offset: u64,
        salt: u64,
        below: u64,
    ) -> Result<(u64, u64, i64), QueueError> {
        let mut scan = Scan::new(&file.file, offset, file.len, Some(salt), false);
        let end = if let Found::Block(header) = scan.next() { header.end() } else { file.len };
        let mut block = Block::new();
        let filled = block.fill(&file.file, offset, end, salt, below);
        filled.map_err(|error| self.failed("read", &segment_name(file.first), &error))?;
        let first = block.messages().next();
        let (sequence, time) = first.map_or((below, 0), |first| (first.sequence, first.message.timestamp()));
        Ok((block.len() as u64, sequence, time))
    }

    /// Counts the files in quarantine, and their bytes.
    fn quarantine(&self) -> (usize, u64) {
        let Ok(entries) = self.storage.path().join(QUARANTINE).read_dir() else { return (0, 0) };
        let lens = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        lens.fold((0, 0), |(files, bytes), len| (files + 1, bytes + len))
    }

    /// Reads everything and says what is damaged.
    ///
    /// # Errors
    /// If the system fails to read.
    pub fn check(&self) -> Result<Check, QueueError> {
        let mut check = Check::default();
        let (_, salt) = self.identity()?;
        if self.identity_file()? == IdentityFile::Damaged {
            check.damages.blocks += 1;
            check.damages.bytes += 64;
            check.places.push((IDENTITY.to_owned(), 0, 64));
        }
        let names = self.names()?;
        for (index, &first) in names.iter().enumerate() {
            let Some(file) = self.file(first)? else { continue };
            let place = Place { first, next: names.get(index + 1).copied(), salt };
            let verified = verify(&self.storage, &file.file, place, false);
            let verified = verified.map_err(|error| self.failed("read", &segment_name(first), &error))?;
            check.segments += 1;
            check.bytes += file.len;
            check.messages += verified.summary.messages;
            let name = segment_name(first);
            check.places.extend(verified.places.iter().map(|&(from, to)| (name.clone(), from, to)));
            check.damages.add(verified.damages);
        }
        if self.holder().is_some() {
            // What is torn is being written.
            check.damages.bytes_torn = 0;
        }
        Ok(check)
    }

    /// Begins to read messages: those that wait, or with `all` also those that are done and still there.
    ///
    /// # Errors
    /// If the system fails to read.
    pub fn messages(&self, all: bool) -> Result<InspectionReader<'_>, QueueError> {
        let (_, salt) = self.identity()?;
        let below = self.position(salt)?.map_or(0, |position| position.below);
        let from = if all { 0 } else { below };
        let mut names = self.names()?;
        let done = names.windows(2).take_while(|pair| pair[1] <= from).count();
        names.drain(..done);
        names.reverse();
        let damaged = Damages::default();
        Ok(InspectionReader { inspection: self, names, file: None, offset: 0, salt, from, damaged })
    }
}

/// Reads the messages of a queue that somebody else may have open.
pub struct InspectionReader<'i> {
    inspection: &'i Inspection,
    /// Segments to come, the next one last.
    names: Vec<u64>,
    file: Option<SegmentFile<DirectoryFile>>,
    offset: u64,
    salt: u64,
    from: u64,
    damaged: Damages,
}

impl InspectionReader<'_> {
    /// Reads the next messages into a block; `false`, and an empty block, at the end. What is damaged is passed over.
    ///
    /// # Errors
    /// If the system fails to read.
    pub fn read(&mut self, block: &mut Block) -> Result<bool, QueueError> {
        loop {
            block.clear();
            let Some(file) = &self.file else {
                let Some(first) = self.names.pop() else { return Ok(false) };
                (self.file, self.offset) = (self.inspection.file(first)?, 0);
                continue;
            };
            if self.offset >= file.len {
                self.file = None;
                continue;
            }
            let filled = block.fill(&file.file, self.offset, file.len, self.salt, self.from);
            let filled =
                filled.map_err(|error| self.inspection.failed("read", &segment_name(file.first), &error))?;
            self.offset = filled.end;
            if !block.is_empty() {
                self.from = block.messages().last().map_or(self.from, |last| last.sequence + 1);
                return Ok(true);
            }
            if filled.stopped != crate::block::Stopped::Here {
                self.pass_damage(filled.end);
            }
        }
    }

    fn pass_damage(&mut self, offset: u64) {
        let Some(file) = &self.file else { return };
        let mut scan = Scan::new(&file.file, offset, file.len, Some(self.salt), true);
        match scan.next() {
            Found::Damage(damage) => {
                self.damaged.blocks += 1;
                self.damaged.bytes += damage.to - damage.from;
                self.offset = damage.to;
            }
            Found::Block(header) => {
                self.damaged.blocks += 1;
                self.damaged.bytes += header.end() - offset;
                self.offset = header.end();
            }
            Found::Torn(from) => {
                self.damaged.bytes_torn += file.len - from;
                self.offset = file.len;
            }
            Found::End => self.offset = file.len,
        }
    }

    /// Returns what was passed over so far.
    pub fn damages(&self) -> &Damages {
        &self.damaged
    }
}

/// Opens a queue that no process has open, reads all of it, sets aside what is damaged, and closes it.
///
/// # Errors
/// As [`DiskQueue::open`], and if the directory holds no queue.
pub fn repair(directory: &Path) -> Result<Recovery, QueueError> {
    // A directory that is none must not become one.
    Inspection::open(directory)?;
    let options = QueueOptions { segment_bytes: u64::from(u32::MAX), ..QueueOptions::new(u64::MAX) };
    let (queue, recovery) = DiskQueue::open_checking(Directory::open(directory)?, &options)?;
    drop(queue);
    Ok(recovery)
}
