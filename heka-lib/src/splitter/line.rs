//! Lines: the kind that everything else is measured against, so it has a loop of its own.

use memchr::memchr_iter;

use super::frame::FrameSink;
use super::gate::Gate;

/// Bytes of a pending line that may still turn out to be part of its delimiter: the `\r`.
const DELIMITER_BYTES_PENDING: usize = 1;

/// Cuts at `\n`; a `\r` in front of it belongs to the delimiter.
#[derive(Default)]
pub(super) struct LineSplitter {
    /// Bytes at the buffer's front that are known to hold no `\n`.
    searched: usize,
    /// The line's beginning has been dealt with; what follows up to the next `\n` is dropped.
    skipping: bool,
}

impl LineSplitter {
    pub(super) fn buffer_bytes_max(bytes_max: usize) -> usize {
        bytes_max + DELIMITER_BYTES_PENDING
    }

    pub(super) fn split(&mut self, gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink) -> usize {
        if frames.is_full() {
            return 0;
        }
        let from = self.searched.min(buffer.len());
        let mut start = 0;
        for found in memchr_iter(b'\n', &buffer[from..]) {
            let newline = from + found;
            if self.skipping {
                self.skipping = false;
            } else {
                let end = newline - usize::from(newline > start && buffer[newline - 1] == b'\r');
                gate.frame(buffer, start..end, newline + 1, frames);
            }
            start = newline + 1;
            if frames.is_full() {
                self.searched = 0;
                return start;
            }
        }
        self.keep_rest(gate, buffer, start, frames)
    }

    /// Decides what becomes of the bytes from `start` on, which hold no `\n`.
    fn keep_rest(&mut self, gate: &mut Gate, buffer: &[u8], start: usize, frames: &mut FrameSink) -> usize {
        let pending = buffer.len() - start;
        if !self.skipping && pending > Self::buffer_bytes_max(gate.bytes_max()) {
            gate.long_frame(buffer, start, 0, frames);
            self.skipping = true;
        }
        if self.skipping {
            self.searched = 0;
            return buffer.len();
        }
        self.searched = pending;
        start
    }

    pub(super) fn finish(&mut self, gate: &mut Gate, rest: &[u8], frames: &mut FrameSink) -> usize {
        let consumed = self.split(gate, rest, frames);
        if frames.is_full() {
            return consumed;
        }
        if consumed < rest.len() {
            gate.frame(rest, consumed..rest.len(), rest.len(), frames);
        }
        rest.len()
    }

    pub(super) fn is_skipping(&self) -> bool {
        self.skipping
    }

    pub(super) fn reset(&mut self) {
        *self = LineSplitter::default();
    }
}
