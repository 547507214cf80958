//! Asks the kernel which of many sockets are ready.

use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Sockets of one round. The kernel moves those that it has told to the end of its list, so that more of them get
/// their turn too.
const ROUND_SOCKETS: usize = 256;

/// Waits for sockets, and hands out those that are ready in rounds, each of them once a round.
///
/// Level-triggered: a socket that was not read to its end is in the next round again.
pub struct Poller {
    epoll: OwnedFd,
    /// Tokens of the sockets that are ready.
    round: Vec<u64>,
    next: usize,
}

/// What to wait for at a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Nothing.
    None,
    /// Something to read.
    Read,
    /// Something to read, or room to write.
    Both,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Interest::None => epoll::EventFlags::empty(),
            Interest::Read => epoll::EventFlags::IN,
            Interest::Both => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        }
    }
}

impl Poller {
    /// Makes one that waits for nothing yet.
    pub fn new() -> Result<Poller, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll, round: Vec::with_capacity(ROUND_SOCKETS), next: 0 })
    }

    /// Adds a socket to be read; closing it takes it out again.
    pub fn add(&self, socket: impl AsFd, token: u64) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(token), Interest::Read.flags())
    }

    /// Waits for something else at a socket from now on.
    pub fn ask(&self, socket: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(token), interest.flags())
    }

    /// Takes a socket out that stays open elsewhere.
    pub fn remove(&self, socket: impl AsFd) {
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Waits for the next round.
    pub fn wait(&mut self, timeout: Duration) -> Result<(), Errno> {
        self.round.clear();
        self.next = 0;
        let timeout = Timespec::try_from(timeout).ok();
        let mut room = [MaybeUninit::uninit(); ROUND_SOCKETS];
        match epoll::wait(&self.epoll, &mut room, timeout.as_ref()) {
            Ok((ready, _)) => self.round.extend(ready.iter().map(|event| event.data.u64())),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    /// Returns the token of the round's next socket that is ready.
    pub fn next_ready(&mut self) -> Option<u64> {
        let token = *self.round.get(self.next)?;
        self.next += 1;
        Some(token)
    }

    /// Tells whether the round is over.
    pub fn is_round_over(&self) -> bool {
        self.next == self.round.len()
    }
}
