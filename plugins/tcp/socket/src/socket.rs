//! Opens sockets and sets them up.

use crate::address::Address;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

/// Opens a socket that never blocks and that no other program inherits.
///
/// # Errors
/// The system's.
pub fn open_socket(family: AddressFamily, socket_type: SocketType) -> Result<OwnedFd, Errno> {
    net::socket_with(family, socket_type, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
}

/// Sets the buffer's size, in bytes, past the machine's limit where the process may, else as far as it goes.
///
/// # Errors
/// The system's.
pub fn set_receive_buffer(socket: impl AsFd, bytes: usize) -> Result<(), Errno> {
    sockopt::set_socket_recv_buffer_size_force(&socket, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, bytes))
}

/// Returns the address that a socket is bound to, with the port that the kernel chose for port 0.
pub fn bound_name(socket: impl AsFd, address: &Address) -> String {
    match net::getsockname(socket).map(std::net::SocketAddr::try_from) {
        Ok(Ok(bound)) => bound.to_string(),
        _ => address.to_string(),
    }
}
