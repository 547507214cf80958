//! A connection to another program that takes what is written.

use heka_socket::{Address, Waited, Wake, cause, open_socket};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketType, sockopt};
use std::time::{Duration, Instant};

/// Reads of what a peer says before it is written to; more of it waits.
const LISTEN_READS: usize = 16;

/// How to connect.
pub struct Options {
    pub address: Address,
    pub connect_timeout: Duration,
    /// The longest time without progress.
    pub write_timeout: Duration,
    pub keep_alive: bool,
    pub nodelay: bool,
}

/// A connection.
pub struct Peer {
    socket: OwnedFd,
}

impl Peer {
    /// Connects to the first of the address's socket addresses that answers.
    pub fn connect(options: &Options, wake: &Wake) -> Result<Peer, String> {
        let deadline = Instant::now() + options.connect_timeout;
        let mut why = String::new();
        for address in options.address.resolve()? {
            match connect(&address, options, wake, deadline) {
                Ok(socket) => return Ok(Peer { socket }),
                Err(cause) => why = cause,
            }
        }
        Err(format!("failed to connect to `{}`: {why}", options.address))
    }

    /// Tells whether the peer is still there, as far as this side can know, and throws away what it said.
    pub fn is_there(&self) -> bool {
        let mut heard = [0; 1024];
        for _ in 0..LISTEN_READS {
            match net::recv(&self.socket, &mut heard, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return false,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return errno == Errno::AGAIN,
            }
        }
        true
    }

    /// Writes all bytes; otherwise returns how many were written, and why not the others.
    pub fn write(&self, bytes: &[u8], timeout: Duration, wake: &Wake) -> Result<(), (usize, String)> {
        let mut written = 0;
        while written < bytes.len() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let why = match net::send(&self.socket, &bytes[written..], flags) {
                Ok(len) => {
                    written += len;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    let deadline = Instant::now() + timeout;
                    match wake.wait(self.socket.as_fd(), PollFlags::OUT, Some(deadline)) {
                        Ok(Waited::Ready) => continue,
                        Ok(Waited::TimedOut) => "the peer took nothing within `write_timeout`".to_owned(),
                        Ok(Waited::Stopped) => "stopped while the peer took nothing".to_owned(),
                        Err(errno) => cause(errno),
                    }
                }
                Err(errno) => cause(errno),
            };
            return Err((written, why));
        }
        Ok(())
    }
}

fn connect(
    address: &SocketAddrAny,
    options: &Options,
    wake: &Wake,
    deadline: Instant,
) -> Result<OwnedFd, String> {
    let family = address.address_family();
    let socket = open_socket(family, SocketType::STREAM).map_err(cause)?;
    match net::connect(&socket, address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => {
            match wake.wait(socket.as_fd(), PollFlags::OUT, Some(deadline)).map_err(cause)? {
                Waited::Ready => sockopt::socket_error(&socket).map_err(cause)?.map_err(cause)?,
                Waited::TimedOut => return Err("no answer within `connect_timeout`".to_owned()),
                Waited::Stopped => return Err("stopped before the peer answered".to_owned()),
            }
        }
        Err(errno) => return Err(cause(errno)),
    }
    if family != AddressFamily::UNIX {
        sockopt::set_tcp_nodelay(&socket, options.nodelay).map_err(cause)?;
        sockopt::set_socket_keepalive(&socket, options.keep_alive).map_err(cause)?;
    }
    Ok(socket)
}
