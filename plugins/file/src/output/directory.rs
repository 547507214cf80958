//! Opens files below a base directory without following symlinks, and makes the directories on the way.

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Opening a FIFO without a reader must fail, not wait.
const FILE_FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::CREATE)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK);
const DIRECTORY_FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// Permissions of what is made.
#[derive(Clone, Copy)]
pub struct Modes {
    /// Of files.
    pub file: u32,
    /// Of directories.
    pub directory: u32,
}

/// Opens a path for appending, as the operator wrote it; symlinks are followed.
pub fn open(path: &Path, modes: Modes) -> io::Result<File> {
    let mode = Mode::from_raw_mode(modes.file);
    match openat(CWD, path, FILE_FLAGS, mode) {
        Err(Errno::NOENT) => {
            make(path.parent(), modes)?;
            Ok(openat(CWD, path, FILE_FLAGS, mode)?.into())
        }
        result => Ok(result?.into()),
    }
}

/// Opens the directory of a path below a base directory, making what is missing; a symlink below the base is
/// refused. Returns also the path's last name.
pub fn parent_below<'p>(base: &Path, path: &'p [u8], modes: Modes) -> io::Result<(OwnedFd, &'p OsStr)> {
    let (directory, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&b""[..], path),
    };
    let mut at = match openat(CWD, base, DIRECTORY_FLAGS, Mode::empty()) {
        Err(Errno::NOENT) => {
            make(Some(base), modes)?;
            openat(CWD, base, DIRECTORY_FLAGS, Mode::empty())?
        }
        result => result?,
    };
    for part in directory.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
        at = step(&at, OsStr::from_bytes(part), modes)?;
    }
    Ok((at, OsStr::from_bytes(name)))
}

/// Opens a name in a directory for appending; a symlink is refused.
pub fn open_in(directory: &OwnedFd, name: &Path, modes: Modes) -> io::Result<File> {
    let mode = Mode::from_raw_mode(modes.file);
    Ok(openat(directory, name, FILE_FLAGS | OFlags::NOFOLLOW, mode)?.into())
}

/// Opens one directory in another, making it if needed.
fn step(at: &OwnedFd, name: &OsStr, modes: Modes) -> io::Result<OwnedFd> {
    let flags = DIRECTORY_FLAGS | OFlags::NOFOLLOW;
    match openat(at, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match mkdirat(at, name, Mode::from_raw_mode(modes.directory)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(openat(at, name, flags, Mode::empty())?)
        }
        result => Ok(result?),
    }
}

fn make(directory: Option<&Path>, modes: Modes) -> io::Result<()> {
    match directory.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => DirBuilder::new().recursive(true).mode(modes.directory).create(directory),
        None => Ok(()),
    }
}

/// Tells whether a path can never be opened, whatever the operator does outside of it: it depends on the message.
pub fn is_hopeless(error: &io::Error) -> bool {
    let hopeless = [Errno::LOOP, Errno::NOTDIR, Errno::ISDIR, Errno::NAMETOOLONG, Errno::INVAL];
    hopeless.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
