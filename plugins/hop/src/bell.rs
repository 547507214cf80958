//! Wakes a thread that waits for a socket.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use std::time::Instant;

/// Rings from when it is rung until it is silenced.
pub struct Bell {
    event: OwnedFd,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// The socket is ready.
    Ready,
    /// The time is over.
    TimedOut,
    /// The bell rings.
    Rung,
}

impl Bell {
    /// Makes one that is silent.
    pub fn new() -> Result<Bell, Errno> {
        Ok(Bell { event: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)? })
    }

    /// Wakes who waits.
    pub fn ring(&self) {
        // It can only fail when it rings already.
        let _ = write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Silences it.
    pub fn silence(&self) {
        let _ = read(&self.event, &mut [0; 8]);
    }

    /// Waits until a socket is ready for `what`, the bell rings, or the time is over.
    pub fn wait(&self, socket: BorrowedFd<'_>, what: PollFlags, until: Instant) -> Result<Woken, Errno> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            let mut files = [PollFd::from_borrowed_fd(socket, what), PollFd::new(&self.event, PollFlags::IN)];
            match poll(&mut files, timeout.as_ref()) {
                Ok(_) if !files[0].revents().is_empty() => return Ok(Woken::Ready),
                Ok(_) if !files[1].revents().is_empty() => return Ok(Woken::Rung),
                Ok(_) if left.is_zero() => return Ok(Woken::TimedOut),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Waits until the bell rings; tells whether it did before the time was over.
    pub fn is_rung_before(&self, until: Instant) -> bool {
        self.wait(self.event.as_fd(), PollFlags::IN, until) != Ok(Woken::TimedOut)
    }
}
