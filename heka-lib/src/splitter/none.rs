//! No splitting: each read or datagram is one frame.

use super::frame::FrameSink;
use super::gate::Gate;

/// Hands on `buffer` as one frame; an empty buffer is no frame.
pub(super) fn split(gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink) -> usize {
    if frames.is_full() || buffer.is_empty() {
        return 0;
    }
    gate.frame(buffer, 0..buffer.len(), buffer.len(), frames);
    buffer.len()
}
