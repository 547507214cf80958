//! Frames that say their length in front.

use super::counts::SplitFault;
use super::frame::FrameSink;
use super::gate::Gate;

/// Order of the bytes in a length prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// Most significant byte first, as on the network.
    #[default]
    Big,
    /// Least significant byte first.
    Little,
}

/// Describes a length prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthPrefix {
    /// Its width in bytes: 1, 2, 4 or 8.
    pub width: usize,
    /// Order of its bytes.
    pub order: ByteOrder,
    /// Whether the length counts the prefix itself too.
    pub counts_itself: bool,
}

impl LengthPrefix {
    /// Reads the length of the body from the prefix's bytes; `None` if it is less than the prefix it counts.
    fn body_bytes(&self, prefix: &[u8]) -> Option<u64> {
        let push = |length: u64, byte: &u8| length << 8 | u64::from(*byte);
        let length = match self.order {
            ByteOrder::Big => prefix.iter().fold(0, push),
            ByteOrder::Little => prefix.iter().rev().fold(0, push),
        };
        if self.counts_itself { length.checked_sub(self.width as u64) } else { Some(length) }
    }
}

/// Cuts behind as many bytes as the prefix says.
pub(super) struct LengthSplitter {
    prefix: LengthPrefix,
    /// Bytes of a long frame that are still to be dropped.
    skip: u64,
}

impl LengthSplitter {
    pub(super) fn new(prefix: LengthPrefix) -> Self {
        LengthSplitter { prefix, skip: 0 }
    }

    pub(super) fn buffer_bytes_max(&self, bytes_max: usize) -> usize {
        bytes_max + self.prefix.width
    }

    pub(super) fn split(&mut self, gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink) -> usize {
        let mut at = 0;
        while !frames.is_full() {
            at += self.skipped(buffer.len() - at);
            let Some(prefix) = buffer[at..].get(..self.prefix.width) else { break };
            let body = at + self.prefix.width;
            let Some(length) = self.prefix.body_bytes(prefix) else {
                gate.counts.broken_bytes += self.prefix.width as u64;
                gate.report(SplitFault::Broken, buffer, at);
                at = body;
                continue;
            };
            let is_long = length > gate.bytes_max() as u64;
            let wanted = length.min(gate.bytes_max() as u64) as usize;
            if buffer.len() - body < wanted && !(is_long && gate.rejects()) {
                break;
            }
            at = body;
            if is_long {
                gate.long_frame(buffer, body, 0, frames);
                self.skip = length;
            } else {
                at += wanted;
                gate.frame(buffer, body..at, at, frames);
            }
        }
        at
    }

    /// Returns how many of `bytes` belong to the long frame that is being dropped.
    fn skipped(&mut self, bytes: usize) -> usize {
        let skipped = self.skip.min(bytes as u64);
        self.skip -= skipped;
        skipped as usize
    }

    pub(super) fn finish(&mut self, gate: &mut Gate, rest: &[u8], frames: &mut FrameSink) -> usize {
        let consumed = self.split(gate, rest, frames);
        if frames.is_full() {
            return consumed;
        }
        if consumed < rest.len() {
            gate.counts.broken_bytes += (rest.len() - consumed) as u64;
            gate.report(SplitFault::Broken, rest, consumed);
        }
        rest.len()
    }

    pub(super) fn reset(&mut self) {
        self.skip = 0;
    }
}
