//! The host that `inject` and `flood` send to: its address, and a connection to it.

use heka_plugin_api::cause;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_error};
use rustix::net::{SendFlags, send};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How long one address of a host may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer that nobody listens is waited for; on this machine it takes microseconds.
const ERROR_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Where to send.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Peer {
    /// Where the host listens: HOST:PORT, unix:/PATH or unix:@NAME; `inject` also takes admin:PATH, its admin socket
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// Send datagrams: UDP, or a unix socket that takes them
    #[arg(long)]
    udp: bool,
}

/// An address; host names are looked up when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    /// `host:port`; IPv6 hosts in brackets.
    Network(String),
    /// A socket in the file system.
    Path(PathBuf),
    /// A name in Linux's own space of unix sockets.
    Abstract(String),
    /// The socket of a host's admin endpoint.
    Admin(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("admin:") {
            let address = Address::Admin(PathBuf::from(path));
            return if path.is_empty() {
                Err("`admin:` needs a path behind it".to_owned())
            } else {
                Ok(address)
            };
        }
        match text.strip_prefix("unix:") {
            Some("" | "@") => Err("`unix:` needs a path, or `@` and a name, behind it".to_owned()),
            Some(name) => Ok(match name.strip_prefix('@') {
                Some(name) => Address::Abstract(name.to_owned()),
                None => Address::Path(PathBuf::from(name)),
            }),
            None => match text.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) => {
                    Ok(Address::Network(text.to_owned()))
                }
                _ => Err("write HOST:PORT, such as 127.0.0.1:5565, or unix:/PATH".to_owned()),
            },
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Network(text) if self.udp => write!(f, "udp {text}"),
            Address::Network(text) => f.write_str(text),
            Address::Path(path) => write!(f, "unix:{}", path.display()),
            Address::Abstract(name) => write!(f, "unix:@{name}"),
            Address::Admin(path) => write!(f, "admin:{}", path.display()),
        }
    }
}

impl Peer {
    /// Returns the path of the admin socket, if it is one.
    pub(super) fn admin_socket(&self) -> Option<&Path> {
        match &self.address {
            Address::Admin(path) => Some(path),
            _ => None,
        }
    }

    /// Connects; tries all addresses of a host name.
    ///
    /// # Errors
    /// Why it failed, with the address and what to do.
    pub(super) fn connect(&self) -> Result<Connection, String> {
        let socket = match &self.address {
            Address::Network(text) => self.connect_network(text),
            Address::Path(path) => {
                UnixAddress::from_pathname(path).and_then(|address| self.connect_unix(&address))
            }
            Address::Abstract(name) => {
                UnixAddress::from_abstract_name(name).and_then(|address| self.connect_unix(&address))
            }
            Address::Admin(_) => {
                return Err(format!("`{self}` is an admin socket; only `inject` sends there"));
            }
        };
        let is_udp = self.udp && matches!(self.address, Address::Network(_));
        let connection = socket.map(|socket| Connection { socket, is_datagram: self.udp, is_udp });
        connection.map_err(|error| {
            format!("failed to connect to `{self}`: {}; is a host listening there?", cause(&error))
        })
    }

    fn connect_network(&self, text: &str) -> io::Result<OwnedFd> {
        let mut last = io::Error::other("the host name has no address");
        for address in text.to_socket_addrs()? {
            let connected = if self.udp { connect_udp(address) } else { connect_tcp(address) };
            match connected {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_unix(&self, address: &UnixAddress) -> io::Result<OwnedFd> {
        if self.udp {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(address)?;
            return Ok(socket.into());
        }
        UnixStream::connect_addr(address).map(OwnedFd::from)
    }
}

fn connect_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    Ok(stream.into())
}

fn connect_udp(address: SocketAddr) -> io::Result<OwnedFd> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket.into())
}

/// A connected socket of any kind.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    is_datagram: bool,
    is_udp: bool,
}

impl Connection {
    /// Sends bytes: of a stream as many as it takes now, of a datagram all.
    ///
    /// # Errors
    /// `WouldBlock` when the peer took nothing during the send timeout.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.socket, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Sends all bytes.
    ///
    /// # Errors
    /// As [`Connection::send`]; some bytes may have been sent.
    pub(super) fn send_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.send(bytes) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sets how long a send waits for a peer that takes nothing.
    pub(super) fn set_send_timeout(&self, timeout: Duration) -> io::Result<()> {
        Ok(set_socket_timeout(&self.socket, Timeout::Send, Some(timeout))?)
    }

    /// Waits a moment for what goes wrong behind a send: that nobody takes a datagram is told in this way.
    pub(super) fn wait_for_error(&self) -> io::Result<()> {
        if self.is_datagram {
            poll(&mut [PollFd::new(&self.socket, PollFlags::empty())], Some(&ERROR_WAIT))?;
        }
        socket_error(&self.socket)??;
        Ok(())
    }

    /// Tells whether each send is one datagram.
    pub(super) fn is_datagram(&self) -> bool {
        self.is_datagram
    }

    /// Tells whether datagrams go over UDP.
    pub(super) fn is_udp(&self) -> bool {
        self.is_udp
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
impl Peer {
    pub(super) fn new(address: &str, udp: bool) -> Peer {
        Peer { address: address.parse().unwrap(), udp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for text in
            ["127.0.0.1:5565", "localhost:1", "[::1]:80", "unix:/run/x.sock", "unix:@heka", "admin:a.sock"]
        {
            assert_eq!(Peer::new(text, false).to_string(), text);
        }
        for text in ["", "localhost", ":5565", "localhost:0", "localhost:65536", "unix:", "unix:@", "admin:"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_listening_is_said() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = Peer::new(&format!("127.0.0.1:{port}"), false).connect().unwrap_err();
        let expected = format!(
            "failed to connect to `127.0.0.1:{port}`: connection refused; is a host listening there?"
        );
        assert_eq!(refused, expected);
        let refused = Peer::new("unix:/no/such.sock", true).connect().unwrap_err();
        assert!(refused.starts_with("failed to connect to `unix:/no/such.sock`: no such file or directory;"));
    }

    #[test]
    fn unix_sockets_of_both_kinds_take_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let (stream, datagram) = (directory.path().join("stream"), directory.path().join("datagram"));
        let listener = std::os::unix::net::UnixListener::bind(&stream).unwrap();
        let receiver = UnixDatagram::bind(&datagram).unwrap();
        for (path, udp) in [(&stream, false), (&datagram, true)] {
            Peer::new(&format!("unix:{}", path.display()), udp)
                .connect()
                .unwrap()
                .send_all(b"bytes")
                .unwrap();
        }
        let mut found = [0; 16];
        assert_eq!(receiver.recv(&mut found).unwrap(), 5);
        assert_eq!(io::read_to_string(listener.accept().unwrap().0).unwrap(), "bytes");
    }
}
