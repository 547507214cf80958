//! The file of a unix socket.

use crate::bind::Role;
use crate::socket::open_socket;
use heka_plugin_api::PluginError;
use rustix::fs::{FileType, lstat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix};
use std::path::{Path, PathBuf};

/// Removes a socket's file at the end, unless somebody has put another one there.
pub struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// Owns the file that is at this path now.
    pub fn at(path: &Path) -> SocketFile {
        SocketFile { path: path.to_owned(), identity: identity(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    lstat(path).ok().map(|found| (found.st_dev, found.st_ino))
}

/// Removes a socket's file that no process uses any more.
pub(crate) fn clear_stale(path: &Path, role: Role) -> Result<(), PluginError> {
    let Ok(found) = lstat(path) else { return Ok(()) };
    let (verb, shown) = (role.verb(), path.display());
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        let text =
            format!("failed to {verb} on `unix:{shown}`: the file exists and is not a socket; remove it");
        return Err(PluginError::config(text));
    }
    let probe = SocketAddrUnix::new(path).and_then(|address| {
        let socket = open_socket(AddressFamily::UNIX, role.socket_type())?;
        net::connect(&socket, &address)
    });
    if probe != Err(Errno::CONNREFUSED) {
        return Err(PluginError::retry(format!("failed to {verb} on `unix:{shown}`: another process does")));
    }
    std::fs::remove_file(path)
        .map_err(|why| PluginError::retry(format!("failed to remove the stale socket `{shown}`: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_file_is_removed_unless_it_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        let listener = UnixListener::bind(&path).unwrap();
        drop(SocketFile::at(&path));
        assert!(!path.exists());
        drop(listener);
        let _listener = UnixListener::bind(&path).unwrap();
        let file = SocketFile::at(&path);
        std::fs::rename(&path, directory.path().join("y.sock")).unwrap();
        std::fs::write(&path, "of somebody else").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn only_stale_sockets_are_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        assert!(clear_stale(&path, Role::Listen).is_ok());
        let listener = UnixListener::bind(&path).unwrap();
        assert!(clear_stale(&path, Role::Listen).is_err());
        drop(listener);
        assert!(clear_stale(&path, Role::Listen).is_ok() && !path.exists());
        std::fs::write(&path, "text").unwrap();
        assert!(clear_stale(&path, Role::Receive).is_err() && path.exists());
    }
}
