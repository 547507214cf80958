//! One open file: appends whole records, and takes back what was not whole.

use super::directory::{self, Modes};
use super::lock::lock;
use crate::reason::reason;
use rustix::fs::{AtFlags, CWD, fdatasync, statat};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
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

    fn leads_to(&self, metadata: &Metadata) -> bool {
        let flags = if self.directory.is_some() { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
        let found = statat(self.at(), &self.name, flags);
        found.is_ok_and(|found| found.st_dev == metadata.dev() && found.st_ino == metadata.ino())
    }
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
    /// Its length before the writes that are not synced.
    pub unsynced_from: Option<u64>,
    /// Devices and pipes have no length, and are never rotated or locked.
    is_regular: bool,
    file: File,
    checked: Instant,
}

impl OpenFile {
    /// Opens and locks a file: `path` below `base`, or, without one, anywhere.
    pub fn open(base: Option<&Path>, path: &[u8], modes: Modes, now: i64) -> Result<OpenFile, Failure> {
        let relative = Path::new(OsStr::from_bytes(path));
        let whole = base.map_or_else(|| relative.to_owned(), |base| base.join(relative));
        let failed = |error: io::Error| match base {
            Some(_) if directory::is_hopeless(&error) => {
                Failure::Never(format!("can't write to `{}`: {}", whole.display(), reason(&error)))
            }
            _ => Failure::later("open", &whole, &reason(&error)),
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
            let is_regular = metadata.is_file();
            if is_regular {
                lock(&file, &metadata).map_err(|why| Failure::later("lock", &whole, &why))?;
                if !spot.leads_to(&metadata) {
                    continue;
                }
            }
            let changed = metadata.mtime().saturating_mul(1_000_000_000);
            let written_at = if metadata.len() > 0 { changed } else { now };
            let (len, used) = (metadata.len(), Instant::now());
            return Ok(OpenFile {
                spot,
                len,
                written_at,
                used,
                unsynced_from: None,
                is_regular,
                file,
                checked: used,
            });
        }
        Err(Failure::later("open", &whole, "it is renamed again and again"))
    }

    /// Tells whether the path still leads to this file; looked at no more than once per second.
    pub fn is_in_place(&mut self, now: Instant) -> bool {
        if now.duration_since(self.checked) < CHECK_INTERVAL {
            return true;
        }
        self.checked = now;
        let Ok(metadata) = self.file.metadata() else { return false };
        self.len = metadata.len();
        self.spot.leads_to(&metadata)
    }

    /// Appends records, in one write as far as the system allows.
    ///
    /// # Errors
    /// How many bytes were written, and why no more.
    pub fn append(&mut self, records: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < records.len() {
            match self.file.write(&records[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        self.grew(written);
        Ok(())
    }

    /// Counts bytes that are written for good.
    pub fn grew(&mut self, count: usize) {
        if self.is_regular {
            self.len += count as u64;
        }
    }

    /// Takes back the last bytes written, so that the file ends with a whole record.
    pub fn take_back(&mut self, count: u64) {
        // A pipe or a device keeps what it has; the record that was cut comes again whole.
        if self.is_regular
            && count > 0
            && let Ok(metadata) = self.file.metadata()
        {
            let _ = self.file.set_len(metadata.len().saturating_sub(count));
        }
    }

    /// Remembers that bytes are about to be written that must be synced.
    pub fn expect_sync(&mut self) {
        if self.unsynced_from.is_none() {
            self.unsynced_from = Some(self.file.metadata().map_or(self.len, |metadata| metadata.len()));
        }
    }

    /// Forces what was written to the disk. What fails is taken back: it must be written anew, never synced again.
    pub fn sync(&mut self) -> Result<(), Failure> {
        let Some(before) = self.unsynced_from.take() else { return Ok(()) };
        let result = match fdatasync(&self.file) {
            // A device or a pipe.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::ROFS) => Ok(()),
            result => result,
        };
        result.map_err(|error| {
            let _ = self.file.set_len(before);
            self.len = before;
            Failure::later("sync", &self.spot.path, &reason(&error.into()))
        })
    }
}
