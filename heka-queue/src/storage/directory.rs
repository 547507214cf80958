//! A directory of the real file system, locked against other processes.

use super::{FreeBytes, Storage, StorageFile};
use crate::error::{QueueError, QueueErrorKind};
use crate::format::LOCK;
use heka_plugin_api::cause;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Mode of files.
const FILE_MODE: u32 = 0o600;
/// Mode of directories.
const DIRECTORY_MODE: u32 = 0o700;

/// A directory of the real file system, locked against other processes as long as this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
    _lock: Option<File>,
}

impl Directory {
    /// Opens a directory, making it and those above it where they are missing, and locks it.
    ///
    /// # Errors
    /// If it can't be made or used, belongs to another user, or is locked.
    pub fn open(path: &Path) -> Result<Directory, QueueError> {
        let refused = |verb: &str, error: &io::Error| {
            let text = format!("failed to {verb} the directory: {}", cause(error));
            QueueError::new(QueueErrorKind::Directory, path, text)
        };
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path);
                made.map_err(|error| refused("make", &error))?;
            }
            Err(error) => return Err(refused("look at", &error)),
            Ok(_) => {}
        }
        check_owner(path, &path.metadata().map_err(|error| refused("look at", &error))?)?;
        let handle = File::open(path).map_err(|error| refused("open", &error))?;
        let lock = lock(path)?;
        Ok(Directory { path: path.to_owned(), handle, _lock: Some(lock) })
    }

    /// Opens a directory to look at it only: takes no lock and must not be written to.
    pub(crate) fn inspect(path: &Path) -> Result<Directory, QueueError> {
        let opened = File::open(path).and_then(|handle| {
            if handle.metadata()?.is_dir() { Ok(handle) } else { Err(io::ErrorKind::NotADirectory.into()) }
        });
        let handle = opened.map_err(|error| {
            let text = format!("failed to open the directory: {}", cause(&error));
            QueueError::new(QueueErrorKind::Directory, path, text)
        })?;
        Ok(Directory { path: path.to_owned(), handle, _lock: None })
    }

    fn file_mode(&self) -> bool {
        self._lock.is_some()
    }
}

fn check_owner(path: &Path, metadata: &std::fs::Metadata) -> Result<(), QueueError> {
    let refused = |text: String| Err(QueueError::new(QueueErrorKind::Directory, path, text));
    if !metadata.is_dir() {
        return refused("not a directory; name another or remove it".to_owned());
    }
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return refused(format!(
            "owned by user {owner}, not by this one ({user}); change its owner or the user"
        ));
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, QueueError> {
    let failed = |verb: &str, error: &io::Error| QueueError::io(path, verb, LOCK, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path.join(LOCK))
        .map_err(|error| failed("open", &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let who = lock_pid(path).map_or("another process".to_owned(), |pid| format!("process {pid}"));
            let text = format!("in use by {who}; stop that one or name another directory");
            return Err(QueueError::new(QueueErrorKind::Locked, path, text));
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", &error)),
    }
    let pid = format!("{}\n", std::process::id());
    let written = file.set_len(0).and_then(|()| (&file).write_all(pid.as_bytes()));
    match written {
        // A full disk keeps nobody from emptying a queue.
        Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(failed("write", &error)),
        _ => Ok(file),
    }
}

/// Returns the process that a queue's lock file names.
pub(crate) fn lock_pid(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path.join(LOCK)).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Tells whether a process lives and has the queue's lock file open, as far as this user can see.
///
/// The lock isn't tried: holding it for a moment could keep its owner-to-be out.
pub(crate) fn is_live(path: &Path, pid: u32) -> bool {
    let Ok(lock) = path.join(LOCK).canonicalize() else { return false };
    let process = PathBuf::from(format!("/proc/{pid}"));
    match process.join("fd").read_dir() {
        Ok(mut files) => {
            files.any(|file| file.is_ok_and(|file| file.path().read_link().is_ok_and(|to| to == lock)))
        }
        Err(_) => process.exists(),
    }
}

impl Storage for Directory {
    type File = DirectoryFile;

    fn path(&self) -> &Path {
        &self.path
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.path.read_dir()? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // Ours are ASCII; what isn't text is not ours.
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<DirectoryFile> {
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).clone();
        options.open(self.path.join(name)).map(DirectoryFile)
    }

    fn open(&self, name: &str) -> io::Result<DirectoryFile> {
        OpenOptions::new().read(true).write(self.file_mode()).open(self.path.join(name)).map(DirectoryFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        match DirBuilder::new().mode(DIRECTORY_MODE).create(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn free_bytes(&self) -> io::Result<FreeBytes> {
        let found = rustix::fs::fstatvfs(&self.handle)?;
        let block = if found.f_frsize == 0 { found.f_bsize } else { found.f_frsize };
        Ok(FreeBytes { available: found.f_bavail * block, total: found.f_blocks * block })
    }
}

/// A file of a [`Directory`].
#[derive(Debug)]
pub struct DirectoryFile(File);

impl StorageFile for DirectoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
