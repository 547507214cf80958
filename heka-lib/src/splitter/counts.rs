//! What a splitter counts and what it has to say about bad bytes.

use std::fmt;

/// Counts what one splitter has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitCounts {
    /// Frames handed on, the shortened ones included.
    pub frames: u64,
    /// Frames over the limit that were skipped.
    pub rejected: u64,
    /// Frames over the limit that were handed on truncated.
    pub truncated: u64,
    /// Frames over the limit that were handed on as dead letters.
    pub dead_lettered: u64,
    /// Bytes that belong to no frame: noise between frames, broken headers, a half frame at the end.
    pub broken_bytes: u64,
    /// Empty frames that were left out; they count nowhere else.
    pub empty: u64,
}

/// Says what was wrong with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SplitFault {
    /// A frame over the limit was skipped.
    Rejected,
    /// A frame over the limit was shortened.
    Truncated,
    /// A frame over the limit was shortened and became a dead letter.
    DeadLettered,
    /// Bytes from here on belonged to no frame.
    Broken,
}

/// Describes the last bad bytes, for a log that is written at a limited rate.
#[derive(Clone, Copy, Debug)]
pub struct SplitProblem {
    /// What was wrong.
    pub fault: SplitFault,
    /// Offset in the stream, counted from the first byte that the splitter was given.
    pub position: u64,
    bytes_max: usize,
    head: [u8; SplitProblem::HEAD_BYTES_MAX],
    head_len: usize,
}

impl SplitProblem {
    /// Most bytes that [`SplitProblem::head`] returns.
    pub const HEAD_BYTES_MAX: usize = 64;

    pub(super) fn new(fault: SplitFault, position: u64, bytes_max: usize, bytes: &[u8]) -> Self {
        let mut head = [0; Self::HEAD_BYTES_MAX];
        let head_len = bytes.len().min(Self::HEAD_BYTES_MAX);
        head[..head_len].copy_from_slice(&bytes[..head_len]);
        SplitProblem { fault, position, bytes_max, head, head_len }
    }

    /// Returns the first of the bad bytes, as many as were there when they were noticed.
    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }
}

impl fmt::Display for SplitProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self.fault {
            SplitFault::Broken => {
                write!(f, "broken frame at byte {}, skipped to the next good one", self.position)?;
                return write!(f, "; it begins `{}`", self.head().escape_ascii());
            }
            SplitFault::Rejected => "rejected",
            SplitFault::Truncated => "truncated",
            SplitFault::DeadLettered => "made a dead letter",
        };
        write!(f, "frame at byte {} is longer than {} bytes: {done}", self.position, self.bytes_max)?;
        write!(f, "; it begins `{}`", self.head().escape_ascii())
    }
}
