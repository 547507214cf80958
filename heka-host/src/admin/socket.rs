//! One connection, with a deadline for everything that is read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long a peer may take nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer may go on sending after its answer.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A connected stream socket.
pub(super) trait Socket: Read + Write + Send {
    fn set_timeouts(&self, read: Duration, write: Duration) -> io::Result<()>;

    fn shutdown_write(&self) -> io::Result<()>;
}

macro_rules! socket {
    ($socket:ty) => {
        impl Socket for $socket {
            fn set_timeouts(&self, read: Duration, write: Duration) -> io::Result<()> {
                self.set_read_timeout(Some(read))?;
                self.set_write_timeout(Some(write))
            }

            fn shutdown_write(&self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }
        }
    };
}

socket!(UnixStream);
socket!(TcpStream);

/// Reads once.
///
/// # Errors
/// `TimedOut` when nothing comes until the deadline, `UnexpectedEof` at the end.
pub(super) fn read(socket: &mut dyn Socket, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_timeouts(left, WRITE_TIMEOUT)?;
        match socket.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            found => return found,
        }
    }
}

/// Sends an answer and closes: reads on for a moment, because what is left unread would take the answer with it.
pub(super) fn finish(socket: &mut dyn Socket, answer: &[u8]) {
    let deadline = Instant::now() + DRAIN_TIME;
    let sent = socket
        .set_timeouts(DRAIN_TIME, WRITE_TIMEOUT)
        .and_then(|()| socket.write_all(answer))
        .and_then(|()| socket.shutdown_write());
    let mut rest = [0; 4096];
    while sent.is_ok() && read(socket, &mut rest, deadline).is_ok() {}
}
