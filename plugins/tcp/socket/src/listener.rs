//! The socket that an input listens on.

use crate::address::Address;
use crate::bind::{Role, bind, refusal};
use crate::socket::{bound_name, open_socket, set_receive_buffer};
use crate::socket_file::SocketFile;
use heka_plugin_api::PluginError;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, chmod};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, sockopt};
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
pub struct ListenOptions {
    /// Where to listen.
    pub address: Address,
    /// Whether the kernel asks silent peers if they are still there.
    pub keep_alive: bool,
    /// Size of each connection's buffer in the kernel, in bytes; `None` leaves it to the kernel.
    pub receive_buffer: Option<usize>,
    /// Connections that may wait in the kernel.
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
    pub fn bind(options: &ListenOptions) -> Result<Listener, PluginError> {
        let (socket, file) = bind(&options.address, Role::Listen, |address| listen(address, options))?;
        let unix_name = match &options.address {
            Address::Network(_) => None,
            Address::Path(path) => Some(path.to_string_lossy().into()),
            Address::Abstract(name) => Some(format!("@{name}").into()),
        };
        let bound = bound_name(&socket, &options.address);
        Ok(Listener { socket, bound, unix_name, _file: file })
    }

    /// Goes on with other options at the same address.
    ///
    /// # Errors
    /// As [`refusal`].
    pub fn adjust(&self, options: &ListenOptions) -> Result<(), PluginError> {
        apply(&self.socket, options).map_err(|errno| refusal(&options.address, Role::Listen, errno))
    }

    /// Returns the address that it is bound to, with the port that the kernel chose for port 0.
    pub fn bound(&self) -> &str {
        &self.bound
    }

    /// Takes the next connection, with the name of its peer.
    ///
    /// # Errors
    /// The system's; `AGAIN` when none waits.
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

fn listen(address: &SocketAddrAny, options: &ListenOptions) -> Result<OwnedFd, Errno> {
    let family = address.address_family();
    let socket = open_socket(family, SocketType::STREAM)?;
    if family != AddressFamily::UNIX {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    net::bind(&socket, address)?;
    apply(&socket, options)?;
    Ok(socket)
}

/// Listens with the given options, which accepted sockets inherit; can be done again with others.
fn apply(socket: &OwnedFd, options: &ListenOptions) -> Result<(), Errno> {
    if matches!(options.address, Address::Network(_)) {
        sockopt::set_socket_keepalive(socket, options.keep_alive)?;
        sockopt::set_tcp_keepidle(socket, KEEP_ALIVE_IDLE)?;
        sockopt::set_tcp_keepintvl(socket, KEEP_ALIVE_INTERVAL)?;
        sockopt::set_tcp_keepcnt(socket, KEEP_ALIVE_COUNT)?;
    }
    if let Some(bytes) = options.receive_buffer {
        set_receive_buffer(socket, bytes)?;
    }
    if let Some(path) = options.address.path() {
        // The first time nobody can connect before `listen`.
        chmod(path, Mode::from_raw_mode(options.mode))?;
    }
    net::listen(socket, i32::try_from(options.backlog).unwrap_or(i32::MAX))
}
