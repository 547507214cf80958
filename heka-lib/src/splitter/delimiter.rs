//! Cutting at delimiters of any form: where they are is the delimiter's affair, the rest is done here.

use std::ops::Range;

use super::frame::FrameSink;
use super::gate::Gate;

/// One delimiter found: where the frame before it ends and where the one behind it begins.
pub(super) struct Cut {
    /// Behind the frame's last byte.
    pub(super) frame_end: usize,
    /// The next frame's first byte; at most `search_on`.
    pub(super) next_start: usize,
    /// Behind the delimiter, where the search for the next one begins.
    pub(super) search_on: usize,
}

/// Finds the delimiters of one stream in their order.
pub(super) trait Delimiter {
    /// Finds the first delimiter that no later byte can change; `from` is where the last call left off.
    ///
    /// When there is none, returns where the next call has to begin. `ended` says that no byte follows.
    fn find(&mut self, buffer: &[u8], from: usize, ended: bool) -> Result<Cut, usize>;

    /// Returns how many bytes before the search's place may belong to a delimiter that is not found yet.
    fn pending_bytes_max(&self) -> usize;

    /// Learns that `bytes` leave the buffer's front, so that all its offsets become smaller.
    fn consumed(&mut self, _bytes: &[u8]) {}

    /// Ends the frame that waits for its delimiter, where it can; `from` as in [`find`](Delimiter::find).
    fn release(&mut self, _buffer: &[u8], _from: usize) -> Option<Cut> {
        None
    }

    /// Where [`release`](Delimiter::release) would cut.
    fn held_bytes(&self, _from: usize) -> Option<usize> {
        None
    }

    /// Forgets the stream.
    fn reset(&mut self) {}
}

/// Cuts a stream at delimiters.
pub(super) struct DelimiterSplitter<D> {
    delimiter: D,
    /// Bytes at the buffer's front that need not be searched again.
    searched: usize,
    /// The frame's beginning has been dealt with; what follows up to the next delimiter is dropped.
    skipping: bool,
}

impl<D: Delimiter> DelimiterSplitter<D> {
    pub(super) fn new(delimiter: D) -> Self {
        DelimiterSplitter { delimiter, searched: 0, skipping: false }
    }

    pub(super) fn buffer_bytes_max(&self, bytes_max: usize) -> usize {
        bytes_max + self.delimiter.pending_bytes_max()
    }

    pub(super) fn split(&mut self, gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink) -> usize {
        let consumed = self.cut(gate, buffer, frames, false);
        self.delimiter.consumed(&buffer[..consumed]);
        consumed
    }

    pub(super) fn finish(&mut self, gate: &mut Gate, rest: &[u8], frames: &mut FrameSink) -> usize {
        let consumed = self.cut(gate, rest, frames, true);
        if frames.is_full() {
            self.delimiter.consumed(&rest[..consumed]);
            return consumed;
        }
        if consumed < rest.len() && !self.skipping {
            gate.frame(rest, consumed..rest.len(), rest.len(), frames);
        }
        rest.len()
    }

    fn cut(&mut self, gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink, ended: bool) -> usize {
        let mut start = 0;
        let mut from = self.searched.min(buffer.len());
        while !frames.is_full() {
            match self.delimiter.find(buffer, from, ended) {
                Ok(cut) => {
                    if !std::mem::take(&mut self.skipping) {
                        gate.frame(buffer, start..cut.frame_end, cut.next_start, frames);
                    }
                    start = cut.next_start;
                    from = cut.search_on;
                }
                Err(searched) => return self.keep_rest(gate, buffer, start..searched, frames),
            }
        }
        self.searched = from - start;
        start
    }

    /// Decides what becomes of the bytes from the range's start on, searched without success up to its end.
    fn keep_rest(
        &mut self,
        gate: &mut Gate,
        buffer: &[u8],
        rest: Range<usize>,
        frames: &mut FrameSink,
    ) -> usize {
        if !self.skipping && buffer.len() - rest.start > self.buffer_bytes_max(gate.bytes_max()) {
            gate.long_frame(buffer, rest.start, 0, frames);
            self.skipping = true;
        }
        let mut consumed = rest.start;
        if self.skipping {
            let pending_start = buffer.len().saturating_sub(self.delimiter.pending_bytes_max());
            consumed = consumed.max(rest.end.min(pending_start));
        }
        self.searched = rest.end - consumed;
        consumed
    }

    /// Hands on the frame that waits for its delimiter, if it can do without.
    pub(super) fn release(&mut self, gate: &mut Gate, buffer: &[u8], frames: &mut FrameSink) -> usize {
        let from = self.searched.min(buffer.len());
        let Some(cut) = self.delimiter.release(buffer, from) else { return 0 };
        if !std::mem::take(&mut self.skipping) {
            gate.frame(buffer, 0..cut.frame_end, cut.next_start, frames);
        }
        self.searched = cut.search_on - cut.next_start;
        self.delimiter.consumed(&buffer[..cut.next_start]);
        cut.next_start
    }

    /// How many bytes [`release`](DelimiterSplitter::release) would be done with.
    pub(super) fn held_bytes(&self, buffer: &[u8]) -> usize {
        self.delimiter.held_bytes(self.searched.min(buffer.len())).unwrap_or(0)
    }

    pub(super) fn delimiter(&self) -> &D {
        &self.delimiter
    }

    pub(super) fn delimiter_mut(&mut self) -> &mut D {
        &mut self.delimiter
    }

    pub(super) fn is_skipping(&self) -> bool {
        self.skipping
    }

    pub(super) fn reset(&mut self) {
        self.searched = 0;
        self.skipping = false;
        self.delimiter.reset();
    }
}
