//! A connection's bytes, in the clear or inside TLS. Never blocks: what the socket doesn't take waits.

use crate::tls;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, Shutdown};
use rustls::Connection;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

/// Memory for waiting bytes that is kept.
const WAITING_KEPT_BYTES: usize = 1 << 20;
/// The most that one read of TLS gives.
const TLS_READ_BYTES: usize = 32 << 10;

/// Both directions of a connection.
pub struct Link {
    socket: OwnedFd,
    tls: Option<Box<Connection>>,
    /// What the socket has not taken yet, from `taken` on; only without TLS, which has a buffer of its own.
    waiting: Vec<u8>,
    taken: usize,
    last_sent: Instant,
}

/// What was there to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The peer has closed its direction.
    End,
}

/// Why a connection can't go on, as text that fits behind `peer: `.
pub type Broken = String;

impl Link {
    /// Takes a connected socket that never blocks.
    pub fn new(socket: OwnedFd, tls: Option<Connection>) -> Link {
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(None);
            Box::new(tls)
        });
        Link { socket, tls, waiting: Vec::new(), taken: 0, last_sent: Instant::now() }
    }

    /// Sends bytes; what the socket doesn't take at once waits for [`flush`](Link::flush).
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.last_sent = Instant::now();
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(bytes).map_err(|why| heka_plugin_api::cause(&why))?;
        } else {
            let mut rest = bytes;
            while self.waiting.is_empty() && !rest.is_empty() {
                match push(&self.socket, rest)? {
                    0 => break,
                    len => rest = &rest[len..],
                }
            }
            self.waiting.extend_from_slice(rest);
        }
        self.flush()
    }

    /// Sends what waits, as far as the socket takes it.
    pub fn flush(&mut self) -> Result<(), Broken> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut Raw(&self.socket)) {
                    Ok(_) => {}
                    Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(why) => return Err(heka_plugin_api::cause(&why)),
                }
            }
            return Ok(());
        }
        while self.taken < self.waiting.len() {
            match push(&self.socket, &self.waiting[self.taken..])? {
                0 => return Ok(()),
                len => self.taken += len,
            }
        }
        self.taken = 0;
        self.waiting.clear();
        if self.waiting.capacity() > WAITING_KEPT_BYTES {
            self.waiting = Vec::new();
        }
        Ok(())
    }

    /// Tells whether something waits to be sent.
    pub fn has_waiting(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write()) || !self.waiting.is_empty()
    }

    /// Returns when something was sent last.
    pub fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// Reads what is there into `room`.
    pub fn receive(&mut self, room: &mut [u8]) -> Result<Received, Broken> {
        let Link { socket, tls: Some(tls), .. } = self else { return pull(&self.socket, room) };
        let mut filled = 0;
        loop {
            match tls.reader().read(&mut room[filled..]) {
                Ok(len @ 1..) => filled += len,
                Err(why) if why.kind() == ErrorKind::WouldBlock => {}
                _ if filled > 0 => return Ok(Received::Bytes(filled)),
                Ok(0) => return Ok(Received::End),
                // Closed without a word, as a killed process does.
                Err(why) if why.kind() == ErrorKind::UnexpectedEof => return Ok(Received::End),
                Err(why) => return Err(heka_plugin_api::cause(&why)),
            }
            if room.len() - filled < TLS_READ_BYTES && filled > 0 {
                return Ok(Received::Bytes(filled));
            }
            match tls.read_tls(&mut Raw(socket)) {
                Ok(0) if tls.is_handshaking() => return Ok(Received::End),
                Ok(_) => {}
                Err(why) if why.kind() == ErrorKind::WouldBlock && filled > 0 => {
                    return Ok(Received::Bytes(filled));
                }
                Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(Received::Nothing),
                Err(why) => return Err(heka_plugin_api::cause(&why)),
            }
            let handshaking = tls.is_handshaking();
            let processed = tls.process_new_packets().map_err(|why| tls::reason(&why, handshaking));
            if tls.wants_write() {
                // Also the alert that tells the peer what is wrong. A failure shows at the next read.
                let _ = tls.write_tls(&mut Raw(socket));
            }
            processed?;
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        let _ = self.flush();
        let _ = net::shutdown(&self.socket, Shutdown::Write);
    }

    /// Ends both directions at once, for whoever waits for the socket too.
    pub fn cut(&mut self) {
        let _ = net::shutdown(&self.socket, Shutdown::Both);
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends once; 0 if the socket takes nothing now.
fn push(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Broken> {
    loop {
        match net::send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(len) => return Ok(len),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            Err(errno) => return Err(heka_socket::cause(errno)),
        }
    }
}

fn pull(socket: &OwnedFd, room: &mut [u8]) -> Result<Received, Broken> {
    loop {
        match net::recv(socket, &mut *room, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Ok(Received::End),
            Ok((len, _)) => return Ok(Received::Bytes(len)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            Err(errno) => return Err(heka_socket::cause(errno)),
        }
    }
}

/// The socket as TLS sees it.
struct Raw<'s>(&'s OwnedFd);

impl Read for Raw<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let (len, _) = net::recv(self.0, room, RecvFlags::DONTWAIT)?;
        Ok(len)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(net::send(self.0, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
