//! The unix socket and the TCP port that the endpoint listens at.

use super::short_path::ShortPath;
use heka_plugin_api::cause;
use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A listening unix socket; its file is removed when it is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that no successor's file is removed.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// Listens at a path, for our own user only. What a dead process left there is replaced.
    ///
    /// # Errors
    /// If a process listens there, something else is there, or it can't be made.
    pub(super) fn bind(path: &Path) -> Result<SocketFile, String> {
        let fail = |error: io::Error| format!("failed to listen at `{}`: {}", path.display(), cause(&error));
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(fail)?;
        }
        let short = ShortPath::of(path).map_err(fail)?;
        let address = SocketAddrUnix::new(short.path()).map_err(|error| fail(error.into()))?;
        make_room(path, &address)?;
        let listener = listen_at(&address).map_err(|error| fail(error.into()))?;
        Ok(SocketFile { listener, identity: identity(path), path: path.to_owned() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// Removes a socket that nobody listens at any more.
fn make_room(path: &Path, address: &SocketAddrUnix) -> Result<(), String> {
    let shown = path.display();
    match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(format!(
                "failed to listen at `{shown}`: it is not a socket; remove it, or name another"
            ));
        }
        Ok(_) => {}
    }
    let tried = new_socket(SocketFlags::NONBLOCK).and_then(|probe| connect(&probe, address));
    match tried {
        Err(Errno::CONNREFUSED) => fs::remove_file(path)
            .map_err(|error| format!("failed to remove the dead socket `{shown}`: {}", cause(&error))),
        Err(Errno::NOENT) => Ok(()),
        _ => Err(format!(
            "failed to listen at `{shown}`: another process listens there; stop it, or name another socket"
        )),
    }
}

fn new_socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags | SocketFlags::CLOEXEC, None)
}

fn listen_at(address: &SocketAddrUnix) -> rustix::io::Result<UnixListener> {
    let socket = new_socket(SocketFlags::NONBLOCK)?;
    // Before there is a file: it is made with the socket's own mode, so that nobody else can ever open it.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, address)?;
    listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Listens at a TCP address.
///
/// # Errors
/// If that is not possible.
pub(super) fn bind_tcp(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| format!("failed to listen at `{address}`: {}", cause(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_socket_is_its_owners_alone_and_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/admin.sock");
        let socket = SocketFile::bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_or_another_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        let live = SocketFile::bind(&path).unwrap();
        let refused = SocketFile::bind(&path).unwrap_err();
        assert_eq!(
            refused,
            format!(
                "failed to listen at `{}`: another process listens there; stop it, or name another socket",
                path.display()
            )
        );
        drop(live);
        fs::write(&path, "precious").unwrap();
        let refused = SocketFile::bind(&path).unwrap_err();
        assert!(refused.ends_with("it is not a socket; remove it, or name another"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_successors_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let first = SocketFile::bind(&path).unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        let _second = SocketFile::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
