//! The sockets that an input receives on.

use crate::address::Address;
use crate::cause::cause;
use crate::datagrams::{join_datagrams, kernel_drops};
use heka_plugin_api::PluginError;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, chmod, lstat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::path::{Path, PathBuf};

/// Most sockets of one input.
pub const SOCKETS_MAX: usize = 16;

/// What the sockets are made from.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    pub address: Address,
    pub sockets: usize,
    /// Of each socket, in bytes.
    pub receive_buffer: usize,
    /// Permissions of a unix socket's file.
    pub mode: u32,
}

/// One socket.
pub struct Socket {
    socket: OwnedFd,
    drops_seen: u32,
}

/// Sockets bound to one address; of a unix socket they own the file.
pub struct Sockets {
    sockets: Vec<Socket>,
    bound: String,
    _file: Option<SocketFile>,
}

impl Socket {
    /// Returns how many datagrams the kernel has dropped since the last call.
    pub fn new_drops(&mut self) -> u32 {
        let drops = kernel_drops(self.socket.as_fd()).unwrap_or(self.drops_seen);
        let new = drops.wrapping_sub(self.drops_seen);
        self.drops_seen = drops;
        new
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Sockets {
    /// Binds to the first of the address's socket addresses that allows it.
    pub fn bind(options: &Options) -> Result<Sockets, PluginError> {
        let addresses = options.address.resolve().map_err(PluginError::retry)?;
        if let Some(path) = options.address.path() {
            clear_stale(path)?;
        }
        let mut failure = Errno::ADDRNOTAVAIL;
        for address in addresses {
            match bind_all(address, options) {
                Ok(sockets) => return Ok(Sockets::new(sockets, &options.address)),
                Err(errno) => failure = errno,
            }
        }
        Err(refusal(&options.address, failure))
    }

    fn new(sockets: Vec<Socket>, address: &Address) -> Sockets {
        let bound =
            match sockets.first().map(|first| net::getsockname(first).map(std::net::SocketAddr::try_from)) {
                Some(Ok(Ok(bound))) => bound.to_string(),
                _ => address.to_string(),
            };
        Sockets { sockets, bound, _file: address.path().map(SocketFile::at) }
    }

    /// Goes on with other options at the same address.
    pub fn adjust(&mut self, options: &Options) -> Result<(), PluginError> {
        let failed = |errno| refusal(&options.address, errno);
        self.sockets.truncate(options.sockets);
        for socket in &self.sockets {
            set_buffer(socket, options.receive_buffer).map_err(failed)?;
        }
        if let Some(path) = options.address.path() {
            chmod(path, Mode::from_raw_mode(options.mode)).map_err(failed)?;
        }
        while self.sockets.len() < options.sockets {
            for socket in &self.sockets {
                sockopt::set_socket_reuseport(socket, true).map_err(failed)?;
            }
            let address = net::getsockname(&self.sockets[0]).map_err(failed)?;
            self.sockets.push(bind_one(&address, options).map_err(failed)?);
        }
        Ok(())
    }

    /// Returns the address that they are bound to, with the port that the kernel chose for port 0.
    pub fn bound(&self) -> &str {
        &self.bound
    }

    /// Returns the sockets, at least one.
    pub fn all(&mut self) -> &mut [Socket] {
        &mut self.sockets
    }

    /// Returns the size of the smallest receive buffer, in bytes.
    pub fn receive_buffer(&self) -> usize {
        // The kernel says twice what it was asked for: the other half is for its own use.
        let sizes = self.sockets.iter().filter_map(|socket| sockopt::socket_recv_buffer_size(socket).ok());
        sizes.min().unwrap_or(0) / 2
    }
}

fn bind_all(first: SocketAddrAny, options: &Options) -> Result<Vec<Socket>, Errno> {
    let (mut address, mut sockets) = (first, Vec::new());
    for _ in 0..options.sockets {
        let socket = bind_one(&address, options)?;
        // The others take the port that the first one got.
        address = net::getsockname(&socket)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn bind_one(address: &SocketAddrAny, options: &Options) -> Result<Socket, Errno> {
    let family = address.address_family();
    let socket = open(family)?;
    if options.sockets > 1 {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    set_buffer(&socket, options.receive_buffer)?;
    if family != AddressFamily::UNIX {
        join_datagrams(socket.as_fd());
    }
    net::bind(&socket, address)?;
    if let Some(path) = options.address.path() {
        chmod(path, Mode::from_raw_mode(options.mode))?;
    }
    Ok(Socket { socket, drops_seen: 0 })
}

/// Opens a socket for datagrams that never blocks.
pub fn open(family: AddressFamily) -> Result<OwnedFd, Errno> {
    net::socket_with(family, SocketType::DGRAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
}

/// Sets the buffer's size past the machine's limit where the process may, else as far as it goes.
fn set_buffer(socket: impl AsFd + Copy, bytes: usize) -> Result<(), Errno> {
    sockopt::set_socket_recv_buffer_size_force(socket, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, bytes))
}

/// What no waiting heals refuses to start.
fn refusal(address: &Address, errno: Errno) -> PluginError {
    let text = format!("failed to receive on `{address}`: {}", cause(errno));
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::AFNOSUPPORT | Errno::NOENT | Errno::NOTDIR => {
            PluginError::config(text)
        }
        _ => PluginError::retry(text),
    }
}

/// Removes a socket's file on which nobody receives any more.
fn clear_stale(path: &Path) -> Result<(), PluginError> {
    let Ok(found) = lstat(path) else { return Ok(()) };
    let shown = path.display();
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        let text =
            format!("failed to receive on `unix:{shown}`: the file exists and is not a socket; remove it");
        return Err(PluginError::config(text));
    }
    let probe = SocketAddrUnix::new(path)
        .and_then(|address| open(AddressFamily::UNIX).and_then(|socket| net::connect(&socket, &address)));
    if probe != Err(Errno::CONNREFUSED) {
        return Err(PluginError::retry(format!("failed to receive on `unix:{shown}`: another process does")));
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
    lstat(path).ok().map(|found| (found.st_dev, found.st_ino))
}
