//! One connection's loop.

use super::block::{BLOCK_BYTES_MIN, Block};
use super::pace::Pace;
use super::report::Progress;
use super::segments::{DATAGRAM_BYTES_MAX, SEGMENTS_MAX, cut_sends};
use crate::command::peer::Connection;
use heka_plugin_api::cause;
use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a send may wait before the stop signal is looked at.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// One connection's part of the messages.
pub(super) struct Share {
    /// Number of its first message.
    pub(super) first: u64,
    /// Distance to the number of its next.
    pub(super) step: u64,
    pub(super) count: u64,
    pub(super) pace: Option<Pace>,
}

/// Sends one connection's messages.
pub(super) struct Sender<'a> {
    connection: Connection,
    /// A copy of its own only when it writes numbers.
    block: Cow<'a, Block>,
    share: Share,
    /// Index in the block of the next message.
    next: usize,
    sent: u64,
    datagrams: Datagrams,
    progress: &'a Progress,
    stop: &'a AtomicBool,
}

/// How messages are put together for a send.
#[derive(Clone, Copy)]
struct Datagrams {
    /// Most messages of a datagram; of a stream's write, without limit.
    messages_max: u64,
    /// Most bytes of a datagram, or of a write.
    bytes_max: usize,
    /// Size of the datagrams that the kernel cuts a send into.
    segment_bytes: Option<usize>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        connection: Connection,
        block: &'a Block,
        share: Share,
        datagram_bytes: Option<usize>,
        progress: &'a Progress,
        stop: &'a AtomicBool,
    ) -> Sender<'a> {
        let datagrams = Datagrams::of(&connection, block, datagram_bytes);
        let block = Cow::Borrowed(block);
        Sender { connection, block, share, next: 0, sent: 0, datagrams, progress, stop }
    }

    /// Sends until all is sent or it is told to stop.
    ///
    /// # Errors
    /// Why the connection broke, and how much it had sent.
    pub(super) fn run(mut self) -> Result<(), String> {
        let sent = self.send_all();
        sent.map_err(|error| format!("{} after {} messages", cause(&error), self.sent))
    }

    fn send_all(&mut self) -> io::Result<()> {
        self.connection.set_send_timeout(SEND_TIMEOUT)?;
        self.cut_sends()?;
        while self.sent < self.share.count && !self.stop.load(Ordering::Relaxed) {
            let allowed = self.share.pace.as_ref().map_or(u64::MAX, |pace| pace.allow(self.sent));
            if allowed > 0 {
                self.send_some(allowed.min(self.share.count - self.sent))?;
            }
        }
        Ok(())
    }

    /// Has the kernel cut sends into datagrams, where it can.
    fn cut_sends(&mut self) -> io::Result<()> {
        if let Some(bytes) = self.datagrams.segment_bytes
            && cut_sends(&self.connection, bytes).is_err()
        {
            self.datagrams = self.datagrams.uncut();
        }
        Ok(())
    }

    /// Sends at most `messages_max` messages, with one system call if the peer keeps up.
    fn send_some(&mut self, messages_max: u64) -> io::Result<()> {
        let Datagrams { messages_max: most, bytes_max, .. } = self.datagrams;
        let messages = self.block.fit(self.next, messages_max.min(most), bytes_max);
        if self.block.is_numbered() {
            let first = self.share.first + self.sent * self.share.step;
            self.block.to_mut().number(messages.clone(), first, self.share.step);
        }
        let (bytes, result) = self.send(self.block.span(messages.clone()));
        self.count(messages, bytes);
        match result {
            Err(error) if self.datagrams.segment_bytes.is_some() && is_refusal_to_cut(&error) => {
                self.datagrams = self.datagrams.uncut();
                cut_sends(&self.connection, 0)
            }
            other => other,
        }
    }

    fn count(&mut self, messages: Range<usize>, bytes: usize) {
        let whole = self.block.whole_messages(messages.start, bytes).min(messages.len());
        self.progress.add(whole, bytes);
        self.sent += whole as u64;
        self.next += whole;
        if self.next >= self.block.len() {
            self.next = 0;
        }
    }

    /// Sends bytes until they are sent, the connection breaks, or the peer takes nothing and it is told to stop.
    fn send(&self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.connection.send(&bytes[sent..]) {
                Ok(taken) => sent += taken,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock if self.stop.load(Ordering::Relaxed) => break,
                    io::ErrorKind::WouldBlock => {}
                    _ => return (sent, Err(error)),
                },
            }
        }
        (sent, Ok(()))
    }
}

impl Datagrams {
    fn of(connection: &Connection, block: &Block, datagram_bytes: Option<usize>) -> Datagrams {
        if !connection.is_datagram() {
            return Datagrams { messages_max: u64::MAX, bytes_max: BLOCK_BYTES_MIN, segment_bytes: None };
        }
        let datagrams = match datagram_bytes {
            Some(bytes) => Datagrams { messages_max: u64::MAX, bytes_max: bytes, segment_bytes: None },
            None => Datagrams { messages_max: 1, bytes_max: usize::MAX, segment_bytes: None },
        };
        match block.message_bytes() {
            Some(bytes) if connection.is_udp() => datagrams.cut_at(bytes),
            _ => datagrams,
        }
    }

    /// Lets the kernel cut whole datagrams of messages of this length.
    fn cut_at(self, message_bytes: usize) -> Datagrams {
        let fitting = (self.bytes_max / message_bytes).max(1);
        let segment_bytes =
            message_bytes * fitting.min(usize::try_from(self.messages_max).unwrap_or(usize::MAX));
        let segments = (DATAGRAM_BYTES_MAX / segment_bytes).min(SEGMENTS_MAX);
        if segments < 2 {
            return self;
        }
        Datagrams {
            messages_max: u64::MAX,
            bytes_max: segments * segment_bytes,
            segment_bytes: Some(segment_bytes),
        }
    }

    /// Sends each datagram alone.
    fn uncut(self) -> Datagrams {
        Datagrams { bytes_max: self.segment_bytes.unwrap_or(self.bytes_max), segment_bytes: None, ..self }
    }
}

/// Tells whether the kernel did not want to cut: a datagram does not fit into the network's packets.
fn is_refusal_to_cut(error: &io::Error) -> bool {
    let numbers = [libc::EINVAL, libc::EMSGSIZE, libc::EIO, libc::EOPNOTSUPP];
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_equal_messages_are_cut_by_the_kernel() {
        let alone = Datagrams { messages_max: 1, bytes_max: usize::MAX, segment_bytes: None };
        let packed = |bytes_max| Datagrams { messages_max: u64::MAX, bytes_max, segment_bytes: None };
        let check = |datagrams: Datagrams, message_bytes, bytes_max, segment_bytes| {
            let cut = datagrams.cut_at(message_bytes);
            assert_eq!((cut.bytes_max, cut.segment_bytes), (bytes_max, segment_bytes));
        };
        check(alone, 200, 12_800, Some(200));
        check(alone, 20_000, 60_000, Some(20_000));
        check(alone, 40_000, usize::MAX, None);
        check(packed(1_390), 22, 47 * 1_386, Some(1_386));
        check(packed(10), 22, 64 * 22, Some(22));
        assert_eq!(packed(1_390).cut_at(22).uncut().bytes_max, 1_386);
    }
}
