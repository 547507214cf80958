//! How long a frame may be, and what happens to a longer one.

use std::str::FromStr;

/// Default of [`FrameLimit::bytes_max`]: 1 MiB, as long as a message may be by default.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Greatest limit that may be set: 1 GiB, so that offsets in a buffer always fit 32 bits.
pub const FRAME_BYTES_MAX_LIMIT: usize = 1 << 30;

/// Says what happens to a frame that is longer than its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LongFrames {
    /// It is skipped and counted.
    #[default]
    Reject,
    /// Its first bytes are handed on as a frame, marked as truncated; the rest is skipped.
    Truncate,
    /// As `Truncate`, but marked as a dead letter too.
    DeadLetter,
}

impl FromStr for LongFrames {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "reject" => Ok(LongFrames::Reject),
            "truncate" => Ok(LongFrames::Truncate),
            "dead_letter" => Ok(LongFrames::DeadLetter),
            _ => Err(format!("no policy `{name}` for long frames; known: reject, truncate, dead_letter")),
        }
    }
}

/// A frame's greatest length and the policy for longer ones.
///
/// What counts is what is handed on: a delimiter that is not kept, a length prefix and a Heka header don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimit {
    bytes_max: usize,
    policy: LongFrames,
}

impl FrameLimit {
    /// Makes a limit of `bytes_max` bytes.
    ///
    /// # Errors
    /// If `bytes_max` is 0 or over [`FRAME_BYTES_MAX_LIMIT`].
    pub fn new(bytes_max: usize, policy: LongFrames) -> Result<Self, String> {
        if !(1..=FRAME_BYTES_MAX_LIMIT).contains(&bytes_max) {
            return Err(format!("a frame's limit is 1 to {FRAME_BYTES_MAX_LIMIT} bytes, not {bytes_max}"));
        }
        Ok(FrameLimit { bytes_max, policy })
    }

    /// Returns the greatest length of a frame in bytes.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Returns what happens to longer frames.
    pub fn policy(&self) -> LongFrames {
        self.policy
    }
}

impl Default for FrameLimit {
    fn default() -> Self {
        FrameLimit { bytes_max: FRAME_BYTES_MAX, policy: LongFrames::Reject }
    }
}
