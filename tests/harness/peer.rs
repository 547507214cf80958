//! Other programs that a test plays: clients that send, a listener that reads when the test says so.

use crate::directory::Directory;
use crate::wait::{wait_for, wait_until};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Where an input listens that was given port 0.
///
/// # Panics
/// If it doesn't say so in time; so do the others below when what they wait for doesn't come.
pub fn address_of(directory: &Directory, input: &str) -> SocketAddr {
    let file = directory.join(format!("state/inputs/{input}/address"));
    wait_for("the input listens", || std::fs::read_to_string(&file).ok()?.trim().parse().ok())
}

/// Sends bytes over a connection of their own, and closes it.
pub fn send_tcp(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("connect to the input");
    stream.write_all(bytes).expect("send");
}

/// Sends a datagram.
pub fn send_udp(address: SocketAddr, bytes: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(bytes, address).expect("send a datagram");
}

/// A program that an output connects to. It takes connections, but reads only between `read` and the next `close`.
pub struct Peer {
    listener: TcpListener,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Default for Peer {
    fn default() -> Self {
        Self::new()
    }
}

impl Peer {
    /// Listens at a free port, without reading anything.
    pub fn new() -> Peer {
        Peer::at("127.0.0.1:0".parse().expect("an address"))
    }

    /// Listens at an address that was used before.
    pub fn at(address: SocketAddr) -> Peer {
        let listener = wait_for("the address is free", || TcpListener::bind(address).ok());
        Peer { listener, read: Arc::default() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    /// Takes the next connection, to be read or closed by the test.
    pub fn accept(&self) -> TcpStream {
        self.listener.set_nonblocking(true).expect("don't block");
        let stream = wait_for("a connection comes", || match self.listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            accepted => Some(accepted.expect("accept").0),
        });
        stream.set_nonblocking(false).expect("block");
        stream
    }

    /// Reads everything that comes over all connections from now on.
    pub fn read_all(&self) {
        let listener = self.listener.try_clone().expect("clone");
        listener.set_nonblocking(false).expect("block");
        let read = self.read.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let read = read.clone();
                thread::spawn(move || collect(stream, &read));
            }
        });
    }

    /// Reads everything that comes over a connection from now on.
    pub fn read_from(&self, stream: TcpStream) {
        let read = self.read.clone();
        thread::spawn(move || collect(stream, &read));
    }

    /// The lines read so far.
    pub fn lines(&self) -> Vec<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&read).lines().map(str::to_owned).collect()
    }

    /// Waits until this many lines have been read.
    pub fn wait_for_lines(&self, count: usize) {
        let newlines = || {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.iter().filter(|&&byte| byte == b'\n').count()
        };
        wait_until(&format!("{count} lines arrive"), || newlines() >= count);
    }
}

fn collect(mut stream: TcpStream, into: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..len]);
    }
}
