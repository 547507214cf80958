//! The streams of an input: what of each is read but not yet split.

use crate::splitter::Splitter;
use std::time::Duration;

/// A rest beyond this many bytes stays in the stream's own buffer, so that a long frame isn't copied at each read.
const COPIED_REST_MAX: usize = 16 << 10;
/// Room that a read is given at least.
const READ_BYTES_MIN: usize = 64 << 10;

/// One open stream.
pub(super) struct StreamState {
    pub(super) id: u64,
    pub(super) name: Vec<u8>,
    pub(super) splitter: Splitter,
    /// Whether the splitter has been chosen for datagrams that are a frame each.
    pub(super) is_whole: bool,
    /// Whether the input named its id, by which it can read the stream again.
    pub(super) is_named: bool,
    /// Whether it is a predecessor's, which its successor has not gone on with yet.
    pub(super) is_inherited: bool,
    /// Position in the stream of the first byte that is not split yet.
    pub(super) position: u64,
    /// When what it holds is to be handed on, if it stays silent.
    pub(super) due: Option<Duration>,
    rest: Vec<u8>,
    /// Bytes of `rest` that were read, when reads go there; the others are room.
    filled: usize,
}

/// Room for reads: shared by all streams, since what a read leaves is mostly less than a line.
#[derive(Default)]
pub(super) struct ReadRoom {
    shared: Vec<u8>,
}

impl StreamState {
    pub(super) fn new(id: u64, name: &[u8], position: u64, splitter: Splitter) -> StreamState {
        StreamState {
            id,
            name: name.to_vec(),
            splitter,
            is_whole: false,
            is_named: false,
            is_inherited: false,
            position,
            due: None,
            rest: Vec::new(),
            filled: 0,
        }
    }

    /// Returns room for at least `min` bytes behind the rest.
    pub(super) fn room<'r>(&'r mut self, room: &'r mut ReadRoom, min: usize) -> &'r mut [u8] {
        let wanted = self.filled + min.max(READ_BYTES_MIN);
        if self.filled > COPIED_REST_MAX {
            if self.rest.len() < wanted {
                self.rest.resize(wanted.max(self.rest.len() * 2), 0);
            }
            return &mut self.rest[self.filled..];
        }
        if room.shared.len() < wanted {
            room.shared.resize(wanted, 0);
        }
        room.shared[..self.filled].copy_from_slice(&self.rest[..self.filled]);
        &mut room.shared[self.filled..]
    }

    /// Takes the buffer that the last `room` was part of, with `len` more bytes in it, and its filled length.
    pub(super) fn take_filled(&mut self, room: &mut ReadRoom, len: usize) -> (Vec<u8>, usize) {
        let in_rest = self.filled > COPIED_REST_MAX;
        let buffer = std::mem::take(if in_rest { &mut self.rest } else { &mut room.shared });
        let filled = (self.filled + len).min(buffer.len());
        (buffer, filled)
    }

    /// Gives the buffer back; the bytes from `consumed` to `filled` are the new rest.
    pub(super) fn give_back(
        &mut self,
        room: &mut ReadRoom,
        mut buffer: Vec<u8>,
        consumed: usize,
        filled: usize,
    ) {
        let left = filled - consumed;
        if self.filled > COPIED_REST_MAX && left > COPIED_REST_MAX {
            buffer.copy_within(consumed..filled, 0);
            self.rest = buffer;
        } else if self.filled > COPIED_REST_MAX {
            self.rest = buffer[consumed..filled].to_vec();
        } else {
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[consumed..filled]);
            room.shared = buffer;
        }
        self.filled = left;
    }

    /// Goes on with the byte at `position`; tells whether that is the one behind the rest, so that all of it counts.
    pub(super) fn go_on_at(&mut self, position: u64) -> bool {
        let kept = position.checked_sub(self.position).and_then(|kept| usize::try_from(kept).ok());
        match kept.filter(|&kept| kept <= self.filled) {
            Some(kept) if kept == self.filled => true,
            Some(kept) => {
                self.filled = kept;
                false
            }
            None => {
                (self.position, self.filled) = (position, 0);
                false
            }
        }
    }

    /// What was read and is not split yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest[..self.filled]
    }

    /// Puts back what is left of a rest that was taken, behind `consumed` bytes.
    pub(super) fn put_rest(&mut self, mut rest: Vec<u8>, consumed: usize) {
        rest.drain(..consumed);
        self.filled = rest.len();
        self.rest = rest;
    }

    /// Takes the rest, at the stream's end.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.rest);
        rest.truncate(std::mem::take(&mut self.filled));
        rest
    }
}
