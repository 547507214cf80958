//! Received messages as frames, one behind the other in one memory.

use heka_plugin_api::OptionType;
use serde::Deserialize;
use zmq::{DONTWAIT, Error, Message, Socket};

/// Frames handed on together: what a reader takes at once.
const FRAMES_MAX: usize = 256;
/// A call that has so many bytes takes no further message.
const CALL_BYTES: usize = 256 << 10;

/// What becomes of a message of several parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Parts {
    /// One frame of all parts.
    Join,
    /// A frame of each part.
    Each,
    /// One frame of the last part.
    Last,
}

/// How messages become frames.
pub struct Cutting {
    pub parts: Parts,
    /// Between joined parts.
    pub separator: Vec<u8>,
    /// A longer frame is left out.
    pub frame_bytes_max: usize,
}

/// Frames of one call.
pub struct Inbox {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    pub messages: u64,
    pub too_long: u64,
    part: Message,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { bytes: Vec::new(), ends: Vec::new(), messages: 0, too_long: 0, part: Message::new() }
    }
}

impl Inbox {
    /// Receives what has come, without waiting.
    ///
    /// # Errors
    /// What libzmq says; frames that came before it are there.
    pub fn receive(&mut self, socket: &Socket, cutting: &Cutting) -> Result<(), Error> {
        self.bytes.clear();
        self.ends.clear();
        (self.messages, self.too_long) = (0, 0);
        while self.ends.len() < FRAMES_MAX && self.bytes.len() < CALL_BYTES {
            match socket.recv(&mut self.part, DONTWAIT) {
                Ok(()) => {}
                Err(Error::EAGAIN | Error::EINTR) => break,
                Err(error) => return Err(error),
            }
            self.messages += u64::from(!self.part.get_more());
            if cutting.parts == Parts::Each || !self.part.get_more() {
                self.push_part(cutting);
            } else {
                self.receive_parts(socket, cutting)?;
                self.messages += 1;
            }
        }
        Ok(())
    }

    /// Tells whether the last call received nothing.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.too_long == 0
    }

    /// Returns the frames in order.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Returns how many bytes they have.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the memory for requests that nobody reads.
    pub fn scratch(&mut self) -> &mut Message {
        &mut self.part
    }

    fn push_part(&mut self, cutting: &Cutting) {
        if self.part.len() > cutting.frame_bytes_max {
            self.too_long += 1;
            return;
        }
        self.bytes.extend_from_slice(&self.part);
        self.ends.push(self.bytes.len());
    }

    /// Receives a message of several parts, whose first is at hand: they come together, so nothing is waited for.
    fn receive_parts(&mut self, socket: &Socket, cutting: &Cutting) -> Result<(), Error> {
        let is_joined = cutting.parts == Parts::Join;
        let start = self.bytes.len();
        let mut fits = !is_joined || self.join_part(start, true, cutting);
        while self.part.get_more() {
            socket.recv(&mut self.part, DONTWAIT)?;
            fits = fits && (!is_joined || self.join_part(start, false, cutting));
        }
        if is_joined {
            self.end_joined(start, fits);
        } else {
            self.push_part(cutting);
        }
        Ok(())
    }

    /// Appends a part; `false` if the frame would be too long.
    fn join_part(&mut self, start: usize, first: bool, cutting: &Cutting) -> bool {
        if !first {
            self.bytes.extend_from_slice(&cutting.separator);
        }
        let fits = self.bytes.len() - start + self.part.len() <= cutting.frame_bytes_max;
        if fits {
            self.bytes.extend_from_slice(&self.part);
        }
        fits
    }

    fn end_joined(&mut self, start: usize, fits: bool) {
        if fits {
            self.ends.push(self.bytes.len());
        } else {
            self.bytes.truncate(start);
            self.too_long += 1;
        }
    }
}
