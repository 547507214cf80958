//! Splitters: pure code that cuts a stream's bytes into frames.
//!
//! A [`SplitterConfig`] says how; [`SplitterConfig::splitter`] makes a [`Splitter`] for one stream. The caller
//! reads into a buffer, calls [`Splitter::split`], decodes the frames that the [`FrameSink`] then names, moves
//! what was not consumed to the front, and reads on. How the stream was cut into reads never changes the
//! frames (except for [`SplitterConfig::none`], where the reads are the frames).
//!
//! | kind | a frame ends | bytes of the frame |
//! |---|---|---|
//! | line | at `\n` | without `\n` and one `\r` before it |
//! | token | at a byte string | without it, or with it at the end |
//! | regex | at a match | without it; what its capture group matched is kept |
//! | heka | after as many bytes as its header says | all of it, see [`heka_frame`] |
//! | length | after as many bytes as its prefix says | without the prefix |
//! | multiline | before a line that begins another message | all lines, without the last line break |
//! | cri, docker | behind a line with which nothing is partial | all lines, without the last line break |
//! | journal_export | at an empty line that is no field's | all fields |
//! | none | with the read | the read |
//!
//! **Invariant:** a splitter never asks for a buffer greater than [`Splitter::buffer_bytes_max`] plus one read,
//! whatever arrives (test `a_frame_without_end_never_grows_the_buffer`).

mod config;
mod container;
mod counts;
mod delimiter;
mod frame;
mod gate;
mod group;
mod heka;
pub mod heka_frame;
mod journal;
mod length;
mod limit;
mod line;
mod multiline;
mod none;
mod pattern;
mod regex;
mod stream;
mod token;
mod trace;

#[cfg(test)]
mod tests;

pub use config::SplitterConfig;
pub use counts::{SplitCounts, SplitFault, SplitProblem};
pub use frame::{FrameSink, FrameSpan};
pub use group::GroupLimits;
pub use length::{ByteOrder, LengthPrefix};
pub use limit::{FRAME_BYTES_MAX, FRAME_BYTES_MAX_LIMIT, FrameLimit, LongFrames};
pub use multiline::LinePatterns;
pub use pattern::DelimiterAt;
pub use stream::Splitter;
