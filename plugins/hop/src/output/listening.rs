//! Listens to a grater: acknowledgements, refusals, signs of life.

use super::desk::Desk;
use super::dial::readable;
use super::session::Wire;
use crate::bell::Woken;
use crate::incoming::Incoming;
use crate::protocol::{
    Acknowledged, Fault, Frame, FrameKind, HEADER_BYTES_MAX, Limits, Refused, Rejected, push_frame,
};
use heka_link::Received;
use heka_socket::cause;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;
const LIMITS: Limits = Limits { header_bytes_max: HEADER_BYTES_MAX, body_bytes_max: 0 };

/// What the listening thread has.
pub struct Listening {
    pub wire: Arc<Wire>,
    pub desk: Arc<Desk>,
    pub lane: usize,
    pub session: u64,
    /// After so long a silence the connection is given up.
    pub timeout: Duration,
    /// After so long without a frame from here the grater gets a sign of life.
    pub alive_interval: Duration,
}

impl Listening {
    /// Listens until the connection or the output ends.
    pub fn run(self, rest: &[u8]) {
        let mut incoming = Incoming::default();
        let listened = self.feed(&mut incoming, rest).and_then(|()| self.listen(&mut incoming));
        if let Err(why) = listened {
            self.wire.link().cut();
            self.desk.end(self.lane, self.session, why);
        }
    }

    fn listen(&self, incoming: &mut Incoming) -> Result<(), String> {
        let socket = self.socket()?;
        let mut alive = Vec::new();
        push_frame(&mut alive, FrameKind::Alive, &()).map_err(|fault| fault.to_string())?;
        let (mut room, mut heard) = ([0; READ_BYTES], Instant::now());
        while !self.wire.is_over() {
            let (received, wants_to_write, last_sent) = {
                let mut link = self.wire.link();
                link.flush()?;
                (link.receive(&mut room)?, link.has_waiting(), link.last_sent())
            };
            let now = Instant::now();
            match received {
                Received::Bytes(len) => {
                    heard = now;
                    self.feed(incoming, &room[..len])?;
                    continue;
                }
                Received::End => return Err("it closed the connection".to_owned()),
                Received::Nothing => {}
            }
            if now.saturating_duration_since(heard) >= self.timeout {
                return Err("no sign of life within `timeout`".to_owned());
            }
            if !wants_to_write && now.saturating_duration_since(last_sent) >= self.alive_interval {
                self.wire.link().send(&alive)?;
                continue;
            }
            let alive_due = if wants_to_write { now + self.timeout } else { last_sent + self.alive_interval };
            self.wait(socket.as_fd(), wants_to_write, alive_due.min(heard + self.timeout))?;
        }
        Ok(())
    }

    /// The socket once more, so that it can be waited for while the link is used.
    fn socket(&self) -> Result<OwnedFd, String> {
        rustix::io::fcntl_dupfd_cloexec(self.wire.link().as_fd(), 0).map_err(cause)
    }

    fn wait(&self, socket: BorrowedFd<'_>, wants_to_write: bool, until: Instant) -> Result<(), String> {
        let what = if wants_to_write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        if self.wire.bell.wait(socket, what, until).map_err(cause)? == Woken::Rung {
            self.wire.bell.silence();
        }
        Ok(())
    }

    fn feed(&self, incoming: &mut Incoming, bytes: &[u8]) -> Result<(), String> {
        incoming.feed(bytes, LIMITS, |frame| self.take(frame).map(|()| LIMITS))
    }

    fn take(&self, frame: Frame<'_>) -> Result<(), String> {
        let broken = |fault: Fault| fault.to_string();
        match frame.kind {
            FrameKind::Alive => Ok(()),
            FrameKind::Acknowledged => {
                let acknowledged: Acknowledged = frame.parse().map_err(broken)?;
                self.desk.acknowledge(self.lane, self.session, &acknowledged.ranges)
            }
            FrameKind::Refused => {
                let Refused { sequence, reason, .. } = frame.parse().map_err(broken)?;
                self.desk.refuse(self.lane, self.session, sequence, readable(&reason))
            }
            FrameKind::Rejected => {
                let rejected: Rejected = frame.parse().map_err(broken)?;
                Err(format!("it rejects this host: {}", readable(&rejected.reason)))
            }
            _ => Err("it sent a frame that doesn't belong there".to_owned()),
        }
    }
}
