//! What all splitters do with a frame that they have found: check its length, count it, hand it on.

use std::ops::Range;

use super::counts::{SplitCounts, SplitFault, SplitProblem};
use super::frame::{FrameSink, FrameSpan};
use super::limit::{FrameLimit, LongFrames};

/// Lets frames through to the sink, by the limit and its policy.
pub(super) struct Gate {
    pub(super) counts: SplitCounts,
    pub(super) problem: Option<SplitProblem>,
    limit: FrameLimit,
    keep_empty: bool,
    /// Offset in the stream of the buffer's first byte.
    position: u64,
    /// Offset in the stream of the last frame over the limit.
    long_start: u64,
}

impl Gate {
    pub(super) fn new(limit: FrameLimit, keep_empty: bool) -> Self {
        Gate { counts: SplitCounts::default(), problem: None, limit, keep_empty, position: 0, long_start: 0 }
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.limit.bytes_max()
    }

    /// Says whether a frame over the limit is skipped as a whole, so that nothing of it has to be waited for.
    pub(super) fn rejects(&self) -> bool {
        self.limit.policy() == LongFrames::Reject
    }

    /// Moves the buffer's place in the stream on; called once per call, after its frames.
    pub(super) fn consumed(&mut self, bytes: usize) {
        self.position += bytes as u64;
    }

    /// Bytes from the start of the last frame over the limit to where the stream is split up to.
    pub(super) fn since_long_frame(&self) -> u64 {
        self.position - self.long_start
    }

    /// Hands on a frame of any length; `end` lies behind its delimiter. The sink has room for it.
    #[inline]
    pub(super) fn frame(&mut self, buffer: &[u8], frame: Range<usize>, end: usize, frames: &mut FrameSink) {
        if frame.len() > self.limit.bytes_max() {
            self.long_frame(buffer, frame.start, 0, frames);
        } else if frame.is_empty() && !self.keep_empty {
            self.counts.empty += 1;
        } else {
            self.pass(frame, end, 0, frames);
        }
    }

    /// Hands on a frame whose length has been checked.
    #[inline]
    pub(super) fn pass(&mut self, frame: Range<usize>, end: usize, flags: u32, frames: &mut FrameSink) {
        self.counts.frames += 1;
        let (start, len) = (frame.start as u32, frame.len() as u32);
        frames.push(FrameSpan { start, len, end: end as u32, flags });
    }

    /// Treats the frame at `start` by the policy for long frames; `head` bytes of it don't count.
    ///
    /// Unless it rejects, `head + bytes_max` bytes of the frame are in the buffer and the sink has room.
    #[cold]
    pub(super) fn long_frame(&mut self, buffer: &[u8], start: usize, head: usize, frames: &mut FrameSink) {
        let (fault, count, flags) = match self.limit.policy() {
            LongFrames::Reject => (SplitFault::Rejected, &mut self.counts.rejected, None),
            LongFrames::Truncate => {
                (SplitFault::Truncated, &mut self.counts.truncated, Some(FrameSpan::TRUNCATED))
            }
            LongFrames::DeadLetter => {
                let flags = FrameSpan::TRUNCATED | FrameSpan::DEAD_LETTER;
                (SplitFault::DeadLettered, &mut self.counts.dead_lettered, Some(flags))
            }
        };
        *count += 1;
        self.report(fault, buffer, start);
        self.long_start = self.position + start as u64;
        if let Some(flags) = flags {
            let end = start + head + self.limit.bytes_max();
            self.pass(start..end, end, flags, frames);
        }
    }

    /// Keeps the description of a fault in the bytes at `start`; a later one replaces it.
    #[cold]
    pub(super) fn report(&mut self, fault: SplitFault, buffer: &[u8], start: usize) {
        let position = self.position + start as u64;
        self.problem = Some(SplitProblem::new(fault, position, self.limit.bytes_max(), &buffer[start..]));
    }
}
