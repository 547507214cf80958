//! Heka's stream framing, which finds its way back after broken frames.

use memchr::memchr;

use super::counts::SplitFault;
use super::frame::FrameSink;
use super::gate::Gate;
use super::heka_frame::{HEAD_BYTES_MAX, HekaFrameFault, RECORD_SEPARATOR, parse_head};

/// How many limits long a message may claim to be and is still believed and skipped as a long frame.
///
/// A long message is skipped as a whole, because it may hold what looks like frames. A length beyond this is
/// taken for a broken header instead, so that it can't swallow the good frames behind it.
const LONG_MESSAGE_LIMITS: u64 = 16;

/// Cuts Heka frames; what is no frame is skipped, byte by byte, to the next one.
#[derive(Default)]
pub(super) struct HekaSplitter {
    /// Bytes of a long frame that are still to be dropped.
    skip: usize,
    /// The last bytes were broken too and have been reported with those before.
    in_noise: bool,
}

impl HekaSplitter {
    pub(super) fn buffer_bytes_max(bytes_max: usize) -> usize {
        bytes_max + HEAD_BYTES_MAX
    }

    pub(super) fn split(&mut self, gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink) -> usize {
        self.cut(gate, buffer, frames, false)
    }

    /// Half a frame at the end is broken; whole ones inside of it are still found.
    pub(super) fn finish(&mut self, gate: &mut Gate, rest: &[u8], frames: &mut FrameSink) -> usize {
        self.cut(gate, rest, frames, true)
    }

    fn cut(&mut self, gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink, ended: bool) -> usize {
        let mut at = 0;
        while !frames.is_full() {
            let skipped = self.skip.min(buffer.len() - at);
            self.skip -= skipped;
            at += skipped;
            let noise = memchr(RECORD_SEPARATOR, &buffer[at..]).unwrap_or(buffer.len() - at);
            at = self.noise(gate, buffer, at, noise);
            if at == buffer.len() {
                break;
            }
            match self.frame(gate, buffer, at, frames) {
                Ok(next) => at = next,
                Err(HekaFrameFault::Incomplete) if !ended => break,
                Err(_) => at = self.noise(gate, buffer, at, 1),
            }
        }
        at
    }

    /// Hands on the frame at `at` and returns where the next one begins.
    fn frame(
        &mut self,
        gate: &mut Gate,
        buffer: &[u8],
        at: usize,
        frames: &mut FrameSink,
    ) -> Result<usize, HekaFrameFault> {
        let (header, message_start) = parse_head(&buffer[at..])?;
        let (length, bytes_max) = (header.message_length as usize, gate.bytes_max());
        if length as u64 > LONG_MESSAGE_LIMITS * bytes_max as u64 {
            return Err(HekaFrameFault::BrokenHeader);
        }
        let message = at + message_start;
        let missing = buffer.len() - message < length.min(bytes_max);
        if length <= bytes_max {
            if missing {
                return Err(HekaFrameFault::Incomplete);
            }
            let end = message + length;
            gate.pass(at..end, end, 0, frames);
            self.in_noise = false;
            return Ok(end);
        }
        if missing && !gate.rejects() {
            return Err(HekaFrameFault::Incomplete);
        }
        gate.long_frame(buffer, at, message_start, frames);
        self.skip = length;
        self.in_noise = false;
        Ok(message)
    }

    /// Counts `bytes` at `at` as broken, reports where they began, and returns where they end.
    fn noise(&mut self, gate: &mut Gate, buffer: &[u8], at: usize, bytes: usize) -> usize {
        if bytes > 0 {
            gate.counts.broken_bytes += bytes as u64;
            if !std::mem::replace(&mut self.in_noise, true) {
                gate.report(SplitFault::Broken, buffer, at);
            }
        }
        at + bytes
    }

    pub(super) fn reset(&mut self) {
        *self = HekaSplitter::default();
    }
}
