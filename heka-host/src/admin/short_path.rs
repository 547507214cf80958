//! Unix sockets at paths of any length: the system takes 107 bytes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest path of a socket, in bytes.
const PATH_BYTES_MAX: usize = 107;

/// A path that is short enough, as long as this lives.
#[derive(Debug)]
pub(crate) struct ShortPath {
    path: PathBuf,
    // Open, because the path goes through it.
    _directory: Option<File>,
}

impl ShortPath {
    /// Makes one for a socket's path; the directory of a longer one must be there.
    ///
    /// # Errors
    /// If that directory can't be opened.
    pub(crate) fn of(path: &Path) -> io::Result<ShortPath> {
        let is_short = path.as_os_str().as_bytes().len() <= PATH_BYTES_MAX;
        let (Some(directory), Some(name), false) = (path.parent(), path.file_name(), is_short) else {
            return Ok(ShortPath { path: path.to_owned(), _directory: None });
        };
        let directory = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(directory)?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(ShortPath { path, _directory: Some(directory) })
    }

    /// Returns it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn sockets_at_long_paths_are_bound_and_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d".repeat(200)).join("x.sock");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(ShortPath::of(&path).unwrap().path()).unwrap();
        assert!(path.exists());
        UnixStream::connect(ShortPath::of(&path).unwrap().path()).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn short_paths_stay_as_they_are() {
        let path = Path::new("state/admin.sock");
        assert_eq!(ShortPath::of(path).unwrap().path(), path);
    }
}
