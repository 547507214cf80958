//! Ends a wait when the instance is asked to stop.

use crate::cause::cause;
use heka_plugin_api::{Context, PluginError, StopSignal};
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
    /// The socket, or other file, is ready.
    Ready,
    /// The time is over.
    TimedOut,
    /// The instance is asked to stop.
    Stopped,
}

impl Wake {
    /// Makes one that watches the signal of the instance.
    ///
    /// # Errors
    /// [`PluginError::Retry`] if the process has no descriptor left.
    pub fn of_instance(context: &Context) -> Result<Wake, PluginError> {
        Wake::watching(&context.stop_signal()).map_err(|errno| {
            PluginError::retry(format!("failed to make an event descriptor: {}", cause(errno)))
        })
    }

    /// Makes one that watches a signal.
    ///
    /// # Errors
    /// The system's.
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

    /// Waits until a file is ready for `what`; without a deadline as long as it takes.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(
        &self,
        file: BorrowedFd<'_>,
        what: PollFlags,
        deadline: Option<Instant>,
    ) -> Result<Waited, Errno> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut files = [PollFd::from_borrowed_fd(file, what), PollFd::new(&self.event, PollFlags::IN)];
            match poll(&mut files, timeout.as_ref()) {
                Ok(_) if !files[0].revents().is_empty() => return Ok(Waited::Ready),
                Ok(_) if !files[1].revents().is_empty() => return Ok(Waited::Stopped),
                Ok(_) if left.is_some_and(|left| left.is_zero()) => return Ok(Waited::TimedOut),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    #[test]
    fn a_wait_ends_when_it_is_ready_or_over() {
        let wake = Wake::watching(&StopSignal::default()).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let check = |deadline, expected| {
            assert_eq!(wake.wait(ours.as_fd(), PollFlags::IN, deadline), Ok(expected));
        };
        check(Some(Instant::now()), Waited::TimedOut);
        check(Some(Instant::now() + Duration::from_millis(2)), Waited::TimedOut);
        theirs.write_all(b"x").unwrap();
        check(Some(Instant::now()), Waited::Ready);
        check(None, Waited::Ready);
        write(&wake.event, &1_u64.to_ne_bytes()).unwrap();
        check(None, Waited::Ready);
        let (quiet, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(wake.wait(quiet.as_fd(), PollFlags::IN, None), Ok(Waited::Stopped));
        wake.drain();
        assert_eq!(wake.wait(quiet.as_fd(), PollFlags::IN, Some(Instant::now())), Ok(Waited::TimedOut));
    }
}
