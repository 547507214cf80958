//! Ends a wait when the instance is asked to stop.

use heka_plugin_api::StopSignal;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, write};
use std::sync::Arc;
use std::time::Duration;

/// Becomes readable when the stop signal that it watches is raised.
pub struct Wake {
    event: Arc<OwnedFd>,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// The file is ready.
    Ready,
    /// The time is over, or a signal came.
    TimedOut,
    /// The instance is asked to stop.
    Stopped,
}

impl Wake {
    /// Makes one that watches a signal.
    pub fn watching(signal: &StopSignal) -> Result<Wake, Errno> {
        let event = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let raised = Arc::clone(&event);
        signal.on_stop(move || {
            // It can only fail when it is readable already.
            let _ = write(&raised, &1_u64.to_ne_bytes());
        });
        Ok(Wake { event })
    }

    /// Waits until a file is ready for `what`; without a timeout as long as it takes.
    pub fn wait(
        &self,
        file: BorrowedFd<'_>,
        what: PollFlags,
        timeout: Option<Duration>,
    ) -> Result<Waited, Errno> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut files = [PollFd::from_borrowed_fd(file, what), PollFd::new(&self.event, PollFlags::IN)];
        match poll(&mut files, timeout.as_ref()) {
            Ok(_) if !files[0].revents().is_empty() => Ok(Waited::Ready),
            Ok(_) if !files[1].revents().is_empty() => Ok(Waited::Stopped),
            Ok(_) | Err(Errno::INTR) => Ok(Waited::TimedOut),
            Err(errno) => Err(errno),
        }
    }
}
