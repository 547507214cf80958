//! Ends a wait when the instance is asked to stop.

use heka_plugin_api::StopSignal;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use std::sync::Arc;
use std::time::Instant;

/// Becomes readable when the stop signal that it watches is raised.
pub struct Wake {
    event: Arc<OwnedFd>,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// The socket is ready.
    Ready,
    /// The time is over.
    TimedOut,
    /// The instance is asked to stop.
    Stopped,
}

impl Wake {
    /// Makes one that watches a signal.
    pub fn watching(signal: &StopSignal) -> Result<Wake, Errno> {
        let wake = Wake { event: Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?) };
        wake.watch(signal);
        Ok(wake)
    }

    /// Watches one more signal.
    pub fn watch(&self, signal: &StopSignal) {
        let event = Arc::clone(&self.event);
        signal.on_stop(move || {
            // It can only fail when it is readable already.
            let _ = write(&event, &1_u64.to_ne_bytes());
        });
    }

    /// Takes back that it was readable.
    pub fn drain(&self) {
        let _ = read(&self.event, &mut [0; 8]);
    }

    /// Waits until a socket is ready for `what`.
    pub fn wait(&self, socket: BorrowedFd<'_>, what: PollFlags, deadline: Instant) -> Result<Waited, Errno> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            let mut sockets =
                [PollFd::from_borrowed_fd(socket, what), PollFd::new(&self.event, PollFlags::IN)];
            match poll(&mut sockets, timeout.as_ref()) {
                Ok(_) if !sockets[0].revents().is_empty() => return Ok(Waited::Ready),
                Ok(_) if !sockets[1].revents().is_empty() => return Ok(Waited::Stopped),
                Ok(_) if left.is_zero() => return Ok(Waited::TimedOut),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
