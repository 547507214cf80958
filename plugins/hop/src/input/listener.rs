//! The socket that the input listens on.

use crate::exposure::is_loopback;
use heka_plugin_api::PluginError;
use heka_socket::{Address, Role, SocketFile, bind, bound_name, open_socket, refusal};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, chmod};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, sockopt};
use std::sync::Arc;

/// What the listening socket is made from.
pub struct ListenOptions {
    pub address: Address,
    pub backlog: u32,
    /// Permissions of a unix socket's file.
    pub mode: u32,
    /// Whether peers have to show who they are; otherwise only this machine is listened to.
    pub is_guarded: bool,
}

/// A listening socket; of a unix socket it owns the file.
pub struct Listener {
    socket: OwnedFd,
    bound: String,
    _file: Option<SocketFile>,
}

impl Listener {
    /// Binds and listens on the first of the address's socket addresses that allows it.
    pub fn bind(options: &ListenOptions) -> Result<Listener, PluginError> {
        let (socket, file) = bind(&options.address, Role::Listen, |address| listen(address, options))?;
        let bound = bound_name(&socket, &options.address);
        Ok(Listener { socket, bound, _file: file })
    }

    /// Goes on with other options at the same address.
    pub fn adjust(&self, options: &ListenOptions) -> Result<(), PluginError> {
        let adjusted = match options.address.path() {
            Some(path) => chmod(path, Mode::from_raw_mode(options.mode)),
            None => Ok(()),
        };
        let adjusted = adjusted.and_then(|()| net::listen(&self.socket, backlog(options)));
        adjusted.map_err(|errno| refusal(&options.address, Role::Listen, errno))
    }

    /// Returns the address that it is bound to, with the port that the kernel chose for port 0.
    pub fn bound(&self) -> &str {
        &self.bound
    }

    /// Takes the next connection, with the address of its peer.
    pub fn accept(&self) -> Result<(OwnedFd, Arc<str>), Errno> {
        let (socket, peer) = acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        let peer = peer.and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
        let name = match peer {
            Some(peer) => {
                // A small acknowledgement must not wait for more. Without it things only get slower.
                let _ = sockopt::set_tcp_nodelay(&socket, true);
                peer.to_string().into()
            }
            None => self.bound.as_str().into(),
        };
        Ok((socket, name))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn backlog(options: &ListenOptions) -> i32 {
    i32::try_from(options.backlog).unwrap_or(i32::MAX)
}

fn listen(address: &SocketAddrAny, options: &ListenOptions) -> Result<OwnedFd, Errno> {
    if !options.is_guarded && !is_loopback(address) {
        return Err(Errno::ADDRNOTAVAIL);
    }
    let family = address.address_family();
    let socket = open_socket(family, SocketType::STREAM)?;
    if family != AddressFamily::UNIX {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    net::bind(&socket, address)?;
    if let Some(path) = options.address.path() {
        // Nobody can connect before `listen`.
        chmod(path, Mode::from_raw_mode(options.mode))?;
    }
    net::listen(&socket, backlog(options))?;
    Ok(socket)
}
