//! One open file: appends whole records, takes back what was not whole, and commits what was.

use super::commit::{Commit, Mark, TAIL_BYTES};
use super::commits::Commits;
use super::directory::{self, Modes};
use super::lock::lock;
use crate::identity::Identity;
use crate::tail::Tail;
use heka_plugin_api::cause;
use heka_plugin_api::fault_point;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fdatasync, fsync, openat, statat};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is checked that the path still leads to the open file.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a file is opened anew that was renamed between opening and locking.
const OPEN_ATTEMPTS: usize = 5;

/// Why a file could not be opened or written.
#[derive(PartialEq, Eq, Debug)]
pub enum Failure {
    /// It may work later.
    Later(String),
    /// It can't work for the messages with this path.
    Never(String),
}

impl Failure {
    /// Makes a failure that may pass.
    pub fn later(what: &str, path: &Path, why: &str) -> Failure {
        Failure::Later(format!("failed to {what} `{}`: {why}", path.display()))
    }
}

/// Where a file is: a name in a directory that is held open, or a path as the operator wrote it.
pub struct Spot {
    /// The directory, where the path must stay below a base.
    directory: Option<OwnedFd>,
    /// The name in it, or the whole path.
    pub name: PathBuf,
    /// The whole path, for people.
    pub path: PathBuf,
}

impl Spot {
    /// Returns the directory that names are relative to.
    pub fn at(&self) -> BorrowedFd<'_> {
        self.directory.as_ref().map_or(CWD, AsFd::as_fd)
    }

    /// Opens the directory that the file is in.
    pub fn parent(&self) -> io::Result<OwnedFd> {
        let parent = self.name.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok(openat(self.at(), parent.unwrap_or(Path::new(".")), flags, Mode::empty())?)
    }

    fn leads_to(&self, identity: Identity) -> bool {
        let flags = if self.directory.is_some() { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
        let found = statat(self.at(), &self.name, flags);
        found.is_ok_and(|found| found.st_dev == identity.device && found.st_ino == identity.inode)
    }
}

/// Where messages come from: the id of a durable queue, and the number after that of the last one written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivered {
    /// Id of the queue.
    pub queue: [u8; 16],
    /// All messages with smaller numbers are written.
    pub below: u64,
}

/// A file open for appending, and locked.
pub struct OpenFile {
    /// Where it is.
    pub spot: Spot,
    /// Its length, as far as is known.
    pub len: u64,
    /// When it was last written to, in ns since 1970, or found.
    pub written_at: i64,
    /// When it was last used.
    pub used: Instant,
    /// What held before the writes that are not synced.
    unsynced_from: Option<(Mark, [u8; 16])>,
    /// Devices and pipes have no length, and are never rotated, locked or committed.
    is_regular: bool,
    file: File,
    checked: Instant,
    /// What is kept of it, and where; `None` where nothing is kept.
    place: Option<usize>,
    commit: Commit,
    tail: Tail<TAIL_BYTES>,
    /// Bytes behind the last whole record that could not be taken back.
    torn: u64,
    /// Whether its name may not be on the disk yet.
    is_new: bool,
}

impl OpenFile {
    /// Opens and locks a file: `path` below `base`, or, without one, anywhere.
    pub fn open(base: Option<&Path>, path: &[u8], modes: Modes, now: i64) -> Result<OpenFile, Failure> {
        let relative = Path::new(OsStr::from_bytes(path));
        let whole = base.map_or_else(|| relative.to_owned(), |base| base.join(relative));
        let failed = |error: io::Error| match base {
            Some(_) if directory::is_hopeless(&error) => {
                Failure::Never(format!("can't write to `{}`: {}", whole.display(), cause(&error)))
            }
            _ => Failure::later("open", &whole, &cause(&error)),
        };
        for _ in 0..OPEN_ATTEMPTS {
            let (directory, name) = match base {
                Some(base) => {
                    let (directory, name) = directory::parent_below(base, path, modes).map_err(failed)?;
                    (Some(directory), Path::new(name))
                }
                None => (None, relative),
            };
            let spot = Spot { directory, name: name.to_owned(), path: whole.clone() };
            let file = match &spot.directory {
                Some(directory) => directory::open_in(directory, name, modes),
                None => directory::open(relative, modes),
            };
            let file = file.map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_file() {
                lock(&file, &metadata).map_err(|why| Failure::later("lock", &whole, &why))?;
                if !spot.leads_to(Identity::of(&metadata)) {
                    continue;
                }
            }
            // Again, since another writer may have written until the lock was ours.
            let metadata = file.metadata().map_err(failed)?;
            return Ok(OpenFile::new(spot, file, &metadata, now));
        }
        Err(Failure::later("open", &whole, "it is renamed again and again"))
    }

    fn new(spot: Spot, file: File, metadata: &Metadata, now: i64) -> OpenFile {
        let changed = metadata.mtime().saturating_mul(1_000_000_000);
        let used = Instant::now();
        OpenFile {
            spot,
            len: metadata.len(),
            written_at: if metadata.len() > 0 { changed } else { now },
            used,
            unsynced_from: None,
            is_regular: metadata.is_file(),
            file,
            checked: used,
            place: None,
            commit: Commit { identity: Identity::of(metadata), ..Commit::default() },
            tail: Tail::new(),
            torn: 0,
            is_new: metadata.len() == 0,
        }
    }

    /// Takes up what is kept of the file: cuts off what a crash left behind the last commit. Returns how many bytes
    /// that was.
    ///
    /// # Errors
    /// It could not be cut, or its place not be kept.
    pub fn resume(&mut self, commits: &mut Commits) -> Result<u64, Failure> {
        if !self.is_regular || !commits.is_kept() {
            return Ok(0);
        }
        fault_point("file.output.opened");
        let key = Commits::key(self.spot.path.as_os_str().as_bytes());
        let (boot, identity, mut cut) = (commits.boot(), self.commit.identity, 0);
        self.commit = Commit { key, identity, boot, ..Commit::default() };
        if let Some(known) = commits.known(&key) {
            let found =
                known.resume(identity, self.len, boot, |length, tail_len| self.tail_at(length, tail_len));
            if let Some(length) = found.cut {
                self.file.set_len(length).map_err(|error| self.failed("cut", &error))?;
                fault_point("file.output.cut");
                cut = self.len - length;
                self.len = length;
            }
            self.commit.queue = known.queue;
            self.commit.written.below = found.below;
            (self.commit.synced, self.commit.is_synced) = (known.synced, known.is_synced);
        }
        self.read_tail();
        if self.commits_other(commits, identity) {
            // What this file begins with is not ours: only what the one before it held counts as synced.
            self.commit.synced = self.mark(self.commit.synced.below);
        }
        self.place = Some(commits.place(key).map_err(|error| self.failed("keep the place of", &error))?);
        self.keep(false, commits)?;
        Ok(cut)
    }

    /// Tells whether what is kept of the path is of another file.
    fn commits_other(&self, commits: &Commits, identity: Identity) -> bool {
        commits.known(&self.commit.key).is_some_and(|known| known.identity != identity)
    }

    /// Tells how many of these numbers at the beginning are those of messages that are in the file already.
    pub fn known(&self, queue: &[u8; 16], numbers: &[u64]) -> usize {
        let below = self.commit.written.below;
        if self.commit.queue != *queue || numbers.first().is_none_or(|&first| first >= below) {
            return 0;
        }
        numbers.partition_point(|&number| number < below)
    }

    /// Tells whether the path still leads to this file; looked at no more than once per second.
    pub fn is_in_place(&mut self, now: Instant) -> bool {
        if now.duration_since(self.checked) < CHECK_INTERVAL {
            return true;
        }
        self.checked = now;
        let Ok(metadata) = self.file.metadata() else { return false };
        if metadata.len() != self.len {
            // Somebody else wrote or cut it.
            self.len = metadata.len();
            self.read_tail();
        }
        self.spot.leads_to(self.commit.identity)
    }

    /// Appends records, in one write as far as the system allows.
    ///
    /// # Errors
    /// How many bytes were written, and why no more.
    pub fn append(&mut self, records: &[u8]) -> Result<(), (usize, io::Error)> {
        self.take_back_torn().map_err(|error| (0, error))?;
        let mut written = 0;
        while written < records.len() {
            match self.file.write(&records[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        fault_point("file.output.written");
        Ok(())
    }

    /// Takes back the last bytes written, so that the file ends with a whole record; at the next write, if it can't be
    /// done now.
    pub fn take_back(&mut self, count: u64) {
        // A pipe or a device keeps what it has; the record that was cut comes again whole.
        if self.is_regular {
            self.torn += count;
            let _ = self.take_back_torn();
        }
    }

    fn take_back_torn(&mut self) -> io::Result<()> {
        if self.torn > 0 {
            let len = self.file.metadata()?.len();
            self.file.set_len(len.saturating_sub(self.torn))?;
            self.torn = 0;
        }
        Ok(())
    }

    /// Commits records that are written for good. Where that fails they are taken back.
    ///
    /// # Errors
    /// The commit could not be kept.
    pub fn commit(
        &mut self,
        records: &[u8],
        delivered: Option<Delivered>,
        commits: &mut Commits,
    ) -> Result<(), Failure> {
        if !self.is_regular {
            return Ok(());
        }
        let before = self.commit;
        self.len += records.len() as u64;
        if self.place.is_none() {
            return Ok(());
        }
        self.tail.push(records);
        self.set_delivered(delivered);
        let result = self.keep(false, commits);
        if result.is_err() {
            self.len -= records.len() as u64;
            self.commit = before;
            self.take_back(records.len() as u64);
            self.read_tail();
        }
        fault_point("file.output.committed");
        result
    }

    fn set_delivered(&mut self, delivered: Option<Delivered>) {
        let Some(Delivered { queue, below }) = delivered else { return };
        if self.commit.queue != queue {
            // Numbers of another queue mean nothing here.
            (self.commit.queue, self.commit.synced.below) = (queue, 0);
        }
        self.commit.written.below = below;
    }

    /// Writes what is kept of the file.
    fn keep(&mut self, is_closed: bool, commits: &mut Commits) -> Result<(), Failure> {
        let Some(place) = self.place else { return Ok(()) };
        let below = self.commit.written.below;
        self.commit.written = self.mark(below);
        self.commit.is_closed = is_closed;
        commits.write(place, &self.commit).map_err(|error| self.failed("keep the place of", &error))
    }

    fn mark(&self, below: u64) -> Mark {
        let tail = self.tail.bytes();
        Mark { length: self.len, below, tail: crc32c::crc32c(tail), tail_len: tail.len() as u32 }
    }

    /// Reads the bytes before the length; none where the file can't be read.
    fn read_tail(&mut self) {
        let mut bytes = [0; TAIL_BYTES];
        let bytes = &mut bytes[..self.len.min(TAIL_BYTES as u64) as usize];
        self.tail = Tail::new();
        if self.read_before(self.len, bytes).is_ok() {
            self.tail.push(bytes);
        }
    }

    fn tail_at(&self, length: u64, tail_len: u32) -> Option<u32> {
        let mut bytes = [0; TAIL_BYTES];
        let bytes = bytes.get_mut(..tail_len as usize)?;
        self.read_before(length, bytes).ok()?;
        Some(crc32c::crc32c(bytes))
    }

    /// Reads what lies before a length. The file is open for writing only, and a pipe must not be opened for more.
    fn read_before(&self, length: u64, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        file.read_exact_at(bytes, length.saturating_sub(bytes.len() as u64))
    }

    /// Remembers that bytes are about to be written that must be synced before their messages are completed.
    pub fn expect_sync(&mut self) {
        if self.unsynced_from.is_none() {
            self.unsynced_from = Some((self.mark(self.commit.written.below), self.commit.queue));
        }
    }

    /// Forces what was written since [`expect_sync`](OpenFile::expect_sync) to the disk. What fails is taken back: it
    /// must be written anew, never synced again.
    pub fn sync(&mut self, commits: &mut Commits) -> Result<(), Failure> {
        let Some((before, queue)) = self.unsynced_from.take() else { return Ok(()) };
        if !self.is_regular {
            return Ok(());
        }
        fdatasync(&self.file).map_err(|error| {
            self.commit.queue = queue;
            self.go_back(before, commits);
            self.failed("sync", &error.into())
        })
    }

    /// Tells whether something was written that is not synced for the queue.
    pub fn is_dirty(&self) -> bool {
        self.place.is_some() && (!self.commit.is_synced || self.commit.written != self.commit.synced)
    }

    /// Forces what was written to the disk, and the file's name, and marks it as synced; the commit is to be synced too.
    ///
    /// # Errors
    /// What was not synced is lost, and taken back: messages with numbers below the one returned must be written again.
    pub fn sync_for_queue(&mut self, commits: &mut Commits) -> Result<(), (Failure, u64)> {
        if !self.is_dirty() {
            return Ok(());
        }
        let result = fdatasync(&self.file).map_err(io::Error::from).and_then(|()| {
            if std::mem::take(&mut self.is_new) { Ok(fsync(self.spot.parent()?)?) } else { Ok(()) }
        });
        fault_point("file.output.synced");
        let (written, synced) = (self.commit.written, self.commit.synced);
        if let Err(error) = result {
            let failure = self.failed("sync", &error);
            let back = if self.commit.is_synced { synced } else { Mark { below: 0, ..written } };
            self.go_back(back, commits);
            return Err((failure, written.below));
        }
        (self.commit.synced, self.commit.is_synced) = (written, true);
        // What can't be kept now is kept with the next commit; until then the older mark asks for too much only.
        self.keep(false, commits).map_err(|failure| (failure, 0))
    }

    /// Cuts the file to what holds.
    fn go_back(&mut self, mark: Mark, commits: &mut Commits) {
        if mark.length < self.len && self.file.set_len(mark.length).is_ok() {
            self.len = mark.length;
        }
        self.read_tail();
        self.commit.written.below = mark.below;
        let _ = self.keep(false, commits);
    }

    /// Marks the file as closed in order; not, if its end is not what was committed.
    pub fn close(&mut self, commits: &mut Commits) {
        let Some(place) = self.place else { return };
        if self.take_back_torn().is_ok() && self.file.metadata().is_ok_and(|found| found.len() == self.len) {
            // Where it fails, the place says that the file is still open at the same length.
            let _ = self.keep(true, commits);
        }
        commits.release(place);
        fault_point("file.output.closed");
    }

    fn failed(&self, what: &str, error: &io::Error) -> Failure {
        Failure::later(what, &self.spot.path, &cause(error))
    }
}
