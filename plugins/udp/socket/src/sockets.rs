//! The sockets that an input receives on.

use crate::datagrams::{join_datagrams, kernel_drops};
use heka_plugin_api::units::format_bytes;
use heka_plugin_api::{Context, PluginError};
use heka_socket::{
    Address, Role, SocketFile, bind, bound_name, open_socket, refusal, set_receive_buffer, write_address,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, chmod};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketType, sockopt};

/// Most sockets of one input.
pub const SOCKETS_MAX: usize = 16;

/// What the sockets are made from.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// Where to receive.
    pub address: Address,
    /// How many sockets share the port.
    pub sockets: usize,
    /// Size of each socket's buffer in the kernel, in bytes.
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
    ///
    /// # Errors
    /// As [`heka_socket::bind`].
    pub fn bind(options: &Options) -> Result<Sockets, PluginError> {
        let address = &options.address;
        let (sockets, file) = bind(address, Role::Receive, |first| bind_all(first, options))?;
        let bound = sockets.first().map_or_else(|| address.to_string(), |first| bound_name(first, address));
        Ok(Sockets { sockets, bound, _file: file })
    }

    /// Goes on with other options at the same address.
    ///
    /// # Errors
    /// As [`heka_socket::refusal`].
    pub fn adjust(&mut self, options: &Options) -> Result<(), PluginError> {
        let failed = |errno| refusal(&options.address, Role::Receive, errno);
        self.sockets.truncate(options.sockets);
        for socket in &self.sockets {
            set_receive_buffer(socket, options.receive_buffer).map_err(failed)?;
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

fn bind_all(first: &SocketAddrAny, options: &Options) -> Result<Vec<Socket>, Errno> {
    let (mut address, mut sockets) = (first.clone(), Vec::new());
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
    let socket = open_socket(family, SocketType::DGRAM)?;
    if options.sockets > 1 {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    set_receive_buffer(&socket, options.receive_buffer)?;
    if family != AddressFamily::UNIX {
        join_datagrams(socket.as_fd());
    }
    net::bind(&socket, address)?;
    if let Some(path) = options.address.path() {
        chmod(path, Mode::from_raw_mode(options.mode))?;
    }
    Ok(Socket { socket, drops_seen: 0 })
}

/// Says where the input receives, in the log and in a file that other programs can read, and warns of a small buffer.
pub fn announce(sockets: &Sockets, wanted: usize, context: &Context) {
    let (instance, bound, given) = (context.instance(), sockets.bound(), sockets.receive_buffer());
    log::info!("input `{instance}`: receiving on `{bound}`");
    if given < wanted {
        let (given, shown) = (format_bytes(given as u64), format_bytes(wanted as u64));
        log::warn!(
            "input `{instance}`: the kernel gave a receive buffer of {given} instead of {shown}, bursts may be lost; \
             raise its limit (`sysctl -w net.core.rmem_max={wanted}`) or lower `receive_buffer`"
        );
    }
    write_address(bound, context);
}
