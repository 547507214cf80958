//! Where the frames are in the caller's buffer.

/// Says where one frame lies in the buffer that was split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSpan {
    /// Offset of the frame's first byte in the buffer.
    pub start: u32,
    /// Length of the frame in bytes.
    pub len: u32,
    /// Offset behind the frame and its delimiter; for a shortened frame, behind the bytes that were kept.
    pub end: u32,
    /// [`FrameSpan::TRUNCATED`] and [`FrameSpan::DEAD_LETTER`], or 0.
    pub flags: u32,
}

impl FrameSpan {
    /// The frame was longer than the limit and has been shortened to it.
    pub const TRUNCATED: u32 = 1;
    /// The frame is to become a dead letter, not a message.
    pub const DEAD_LETTER: u32 = 2;

    /// Returns the frame's bytes; empty if the span does not lie in `buffer`.
    pub fn bytes<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        buffer.get(start..start + self.len as usize).unwrap_or_default()
    }

    /// Says whether the frame has been shortened to the limit.
    pub fn is_truncated(&self) -> bool {
        self.flags & Self::TRUNCATED != 0
    }

    /// Says whether the frame is to become a dead letter.
    pub fn is_dead_letter(&self) -> bool {
        self.flags & Self::DEAD_LETTER != 0
    }
}

/// Collects the frames of one call, up to a fixed number; cleared and used again by the caller.
#[derive(Debug)]
pub struct FrameSink {
    frames: Vec<FrameSpan>,
    frames_max: usize,
}

impl FrameSink {
    /// Makes a sink that takes `frames_max` frames (at least 1) until it is cleared.
    pub fn new(frames_max: usize) -> Self {
        let frames_max = frames_max.max(1);
        FrameSink { frames: Vec::with_capacity(frames_max), frames_max }
    }

    /// Returns the frames collected since the last [`FrameSink::clear`], in the stream's order.
    pub fn frames(&self) -> &[FrameSpan] {
        &self.frames
    }

    /// Says whether a splitter has to stop until the sink is cleared.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= self.frames_max
    }

    /// Forgets the frames and keeps the memory.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// Adds a frame; splitters check [`FrameSink::is_full`] first.
    pub(super) fn push(&mut self, frame: FrameSpan) {
        self.frames.push(frame);
    }
}
