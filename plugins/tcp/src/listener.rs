//! The socket that an input listens on.

use crate::address::Address;
use crate::cause::cause;
use heka_plugin_api::PluginError;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, Stat, chmod, lstat};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, sockopt,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// After so long a silence the kernel asks whether the peer is there …
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
/// … and asks again after so long …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// … so many times before it ends the connection.
const KEEP_ALIVE_COUNT: u32 = 6;

/// What the listening socket is made from.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    pub address: Address,
    pub keep_alive: bool,
    /// In bytes; `None` leaves it to the kernel.
    pub receive_buffer: Option<usize>,
    pub backlog: u32,
    /// Permissions of a unix socket's file.
    pub mode: u32,
}

/// A listening socket; of a unix socket it owns the file.
pub struct Listener {
    socket: OwnedFd,
    bound: String,
    /// Name of all peers of a unix socket.
    unix_name: Option<Arc<str>>,
    _file: Option<SocketFile>,
}

impl Listener {
    /// Binds and listens on the first of the address's socket addresses that allows it.
    pub fn bind(options: &Options) -> Result<Listener, PluginError> {
        let addresses = options.address.resolve().map_err(PluginError::retry)?;
        if let Some(path) = options.address.path() {
            clear_stale(path)?;
        }
        let mut failure = Errno::ADDRNOTAVAIL;
        for address in &addresses {
            match listen(address, options) {
                Ok(socket) => return Listener::new(socket, &options.address),
                Err(errno) => failure = errno,
            }
        }
        Err(refusal(&options.address, failure))
    }

    fn new(socket: OwnedFd, address: &Address) -> Result<Listener, PluginError> {
        let unix_name = match address {
            Address::Network(_) => None,
            Address::Path(path) => Some(path.to_string_lossy().into()),
            Address::Abstract(name) => Some(format!("@{name}").into()),
        };
        let bound = match net::getsockname(&socket).map(std::net::SocketAddr::try_from) {
            Ok(Ok(bound)) => bound.to_string(),
            _ => address.to_string(),
        };
        let file = address.path().map(SocketFile::at);
        Ok(Listener { socket, bound, unix_name, _file: file })
    }

    /// Goes on with other options at the same address.
    pub fn adjust(&self, options: &Options) -> Result<(), PluginError> {
        apply(&self.socket, options).map_err(|errno| refusal(&options.address, errno))
    }

    /// Returns the address that it is bound to, with the port that the kernel chose for port 0.
    pub fn bound(&self) -> &str {
        &self.bound
    }

    /// Takes the next connection, with the name of its peer.
    pub fn accept(&self) -> Result<(OwnedFd, Arc<str>), Errno> {
        let (socket, peer) = acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        Ok((socket, self.unix_name.clone().unwrap_or_else(|| peer_name(peer))))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns the peer's IP address without its port.
fn peer_name(peer: Option<SocketAddrAny>) -> Arc<str> {
    let peer = peer.and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
    peer.map_or_else(|| "unknown".into(), |peer| peer.ip().to_canonical().to_string().into())
}

fn listen(address: &SocketAddrAny, options: &Options) -> Result<OwnedFd, Errno> {
    let family = address.address_family();
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    if family != AddressFamily::UNIX {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    net::bind(&socket, address)?;
    apply(&socket, options)?;
    Ok(socket)
}

/// Listens with the given options, which accepted sockets inherit; can be done again with others.
fn apply(socket: &OwnedFd, options: &Options) -> Result<(), Errno> {
    if matches!(options.address, Address::Network(_)) {
        sockopt::set_socket_keepalive(socket, options.keep_alive)?;
        sockopt::set_tcp_keepidle(socket, KEEP_ALIVE_IDLE)?;
        sockopt::set_tcp_keepintvl(socket, KEEP_ALIVE_INTERVAL)?;
        sockopt::set_tcp_keepcnt(socket, KEEP_ALIVE_COUNT)?;
    }
    if let Some(bytes) = options.receive_buffer {
        sockopt::set_socket_recv_buffer_size_force(socket, bytes)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, bytes))?;
    }
    if let Some(path) = options.address.path() {
        // The first time nobody can connect before `listen`.
        chmod(path, Mode::from_raw_mode(options.mode))?;
    }
    net::listen(socket, i32::try_from(options.backlog).unwrap_or(i32::MAX))
}

/// What no waiting heals refuses to start.
fn refusal(address: &Address, errno: Errno) -> PluginError {
    let text = format!("failed to listen on `{address}`: {}", cause(errno));
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::AFNOSUPPORT | Errno::NOENT | Errno::NOTDIR => {
            PluginError::config(text)
        }
        _ => PluginError::retry(text),
    }
}

/// Removes a socket's file that nobody listens on any more.
fn clear_stale(path: &Path) -> Result<(), PluginError> {
    let Ok(found) = lstat(path) else { return Ok(()) };
    let shown = path.display();
    if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::Socket {
        let text =
            format!("failed to listen on `unix:{shown}`: the file exists and is not a socket; remove it");
        return Err(PluginError::config(text));
    }
    let probe = SocketAddrUnix::new(path).and_then(|address| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        net::connect(&socket, &address)
    });
    if probe != Err(Errno::CONNREFUSED) {
        return Err(PluginError::retry(format!("failed to listen on `unix:{shown}`: another process does")));
    }
    std::fs::remove_file(path)
        .map_err(|why| PluginError::retry(format!("failed to remove the stale socket `{shown}`: {why}")))
}

/// Removes a socket's file at the end, unless somebody has put another one there.
struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn at(path: &Path) -> SocketFile {
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
    lstat(path).ok().map(|found: Stat| (found.st_dev, found.st_ino))
}
