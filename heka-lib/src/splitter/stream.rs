//! The splitter of one stream, whatever its kind.

use super::counts::{SplitCounts, SplitProblem};
use super::delimiter::DelimiterSplitter;
use super::frame::FrameSink;
use super::gate::Gate;
use super::group::GroupDelimiter;
use super::heka::HekaSplitter;
use super::journal::JournalDelimiter;
use super::length::LengthSplitter;
use super::limit::{FRAME_BYTES_MAX_LIMIT, FrameLimit};
use super::line::LineSplitter;
use super::none;
use super::regex::RegexDelimiter;
use super::token::TokenDelimiter;
use std::time::Duration;

/// Most bytes that are looked at in one call, so that offsets fit 32 bits; twice the greatest limit.
const CALL_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX_LIMIT;

/// Cuts one stream into frames.
///
/// Made by [`SplitterConfig::splitter`](super::SplitterConfig::splitter). `[input thread]`
///
/// ```
/// use heka_lib::splitter::{FrameSink, SplitterConfig};
///
/// let mut splitter = SplitterConfig::line().splitter();
/// let mut frames = FrameSink::new(256);
/// let buffer = b"one\r\ntwo\nthr";
/// let consumed = splitter.split(buffer, &mut frames);
/// let lines: Vec<&[u8]> = frames.frames().iter().map(|frame| frame.bytes(buffer)).collect();
/// assert_eq!(lines, [b"one", b"two"]);
/// assert_eq!(&buffer[consumed..], b"thr");
/// ```
pub struct Splitter {
    gate: Gate,
    cutter: Cutter,
}

/// The kinds; the rarer ones are boxed to keep the common ones small.
pub(super) enum Cutter {
    Line(LineSplitter),
    Token(Box<DelimiterSplitter<TokenDelimiter>>),
    Regex(Box<DelimiterSplitter<RegexDelimiter>>),
    Heka(HekaSplitter),
    Length(LengthSplitter),
    Group(Box<DelimiterSplitter<GroupDelimiter>>),
    Journal(Box<DelimiterSplitter<JournalDelimiter>>),
    None,
}

impl Splitter {
    pub(super) fn new(cutter: Cutter, limit: FrameLimit, keep_empty: bool) -> Self {
        Splitter { gate: Gate::new(limit, keep_empty), cutter }
    }

    /// How many of the bytes that are done with belong to a frame whose end has not come: one over the limit, of which
    /// the rest is being skipped.
    pub fn skipped_bytes(&self) -> u64 {
        let skips = match &self.cutter {
            Cutter::Line(line) => line.is_skipping(),
            Cutter::Token(token) => token.is_skipping(),
            Cutter::Regex(regex) => regex.is_skipping(),
            Cutter::Group(group) => group.is_skipping(),
            Cutter::Journal(group) => group.is_skipping(),
            Cutter::Heka(_) | Cutter::Length(_) | Cutter::None => false,
        };
        if skips { self.gate.since_long_frame() } else { 0 }
    }

    /// Cuts whole frames off the front of `buffer`, until it has none or `frames` is full.
    ///
    /// Returns how many bytes are done with. The rest must come again at the front of the next call's buffer,
    /// with further bytes behind it; it may come as it is when `frames` was full. Offsets in `frames` hold for
    /// this `buffer`; bytes of a long frame may be done with before its delimiter is there.
    pub fn split(&mut self, buffer: &[u8], frames: &mut FrameSink) -> usize {
        let buffer = &buffer[..buffer.len().min(CALL_BYTES_MAX)];
        let gate = &mut self.gate;
        let consumed = match &mut self.cutter {
            Cutter::Line(cutter) => cutter.split(gate, buffer, frames),
            Cutter::Token(cutter) => cutter.split(gate, buffer, frames),
            Cutter::Regex(cutter) => cutter.split(gate, buffer, frames),
            Cutter::Heka(cutter) => cutter.split(gate, buffer, frames),
            Cutter::Length(cutter) => cutter.split(gate, buffer, frames),
            Cutter::Group(cutter) => cutter.split(gate, buffer, frames),
            Cutter::Journal(cutter) => cutter.split(gate, buffer, frames),
            Cutter::None => none::split(gate, buffer, frames),
        };
        self.gate.consumed(consumed);
        consumed
    }

    /// Hands on what is left when the stream has ended.
    ///
    /// `rest` is what [`Splitter::split`] left, with or without bytes that it has not seen. Returns how many
    /// bytes are done with: less than all only when `frames` is full; then call it again with the remaining
    /// ones. After the last call the splitter is ready for another stream (or the next datagram); its counts
    /// and its position go on.
    pub fn finish(&mut self, rest: &[u8], frames: &mut FrameSink) -> usize {
        if rest.len() > CALL_BYTES_MAX {
            return self.split(rest, frames);
        }
        let gate = &mut self.gate;
        let consumed = match &mut self.cutter {
            Cutter::Line(cutter) => cutter.finish(gate, rest, frames),
            Cutter::Token(cutter) => cutter.finish(gate, rest, frames),
            Cutter::Regex(cutter) => cutter.finish(gate, rest, frames),
            Cutter::Heka(cutter) => cutter.finish(gate, rest, frames),
            Cutter::Length(cutter) => cutter.finish(gate, rest, frames),
            Cutter::Group(cutter) => cutter.finish(gate, rest, frames),
            Cutter::Journal(cutter) => cutter.finish(gate, rest, frames),
            Cutter::None => none::split(gate, rest, frames),
        };
        self.gate.consumed(consumed);
        if consumed == rest.len() {
            self.reset();
        }
        consumed
    }

    /// How long a stream may be silent before [`release`](Splitter::release) is due; `None` if nothing ever is.
    pub fn timeout(&self) -> Option<Duration> {
        match &self.cutter {
            Cutter::Group(cutter) => Some(cutter.delimiter().timeout()),
            _ => None,
        }
    }

    /// How many of the bytes that [`Splitter::split`] left would be done with by [`release`](Splitter::release).
    pub fn held_bytes(&self, rest: &[u8]) -> usize {
        match &self.cutter {
            Cutter::Group(cutter) => cutter.held_bytes(rest),
            _ => 0,
        }
    }

    /// Hands on what waits for another line to show that it is whole; the stream has been silent for long enough.
    ///
    /// `rest` is what [`Splitter::split`] left. Returns how many bytes are done with; an incomplete last line is not.
    pub fn release(&mut self, rest: &[u8], frames: &mut FrameSink) -> usize {
        let gate = &mut self.gate;
        let consumed = match &mut self.cutter {
            Cutter::Group(cutter) if !frames.is_full() => cutter.release(gate, rest, frames),
            _ => 0,
        };
        self.gate.consumed(consumed);
        consumed
    }

    /// Ends frames at these offsets, ascending and counted from the first byte to come, where the stream was released
    /// when it was read before.
    pub fn cut_at(&mut self, offsets: impl Iterator<Item = u64>) {
        if let Cutter::Group(cutter) = &mut self.cutter {
            cutter.delimiter_mut().cut_at(offsets);
        }
    }

    fn reset(&mut self) {
        match &mut self.cutter {
            Cutter::Line(cutter) => cutter.reset(),
            Cutter::Token(cutter) => cutter.reset(),
            Cutter::Regex(cutter) => cutter.reset(),
            Cutter::Heka(cutter) => cutter.reset(),
            Cutter::Length(cutter) => cutter.reset(),
            Cutter::Group(cutter) => cutter.reset(),
            Cutter::Journal(cutter) => cutter.reset(),
            Cutter::None => {}
        }
    }

    /// Returns the most bytes that [`Splitter::split`] ever leaves over, when the sink was not full.
    ///
    /// A buffer of this size plus one read is always enough.
    pub fn buffer_bytes_max(&self) -> usize {
        let bytes_max = self.gate.bytes_max();
        match &self.cutter {
            Cutter::Line(_) => LineSplitter::buffer_bytes_max(bytes_max),
            Cutter::Token(cutter) => cutter.buffer_bytes_max(bytes_max),
            Cutter::Regex(cutter) => cutter.buffer_bytes_max(bytes_max),
            Cutter::Heka(_) => HekaSplitter::buffer_bytes_max(bytes_max),
            Cutter::Length(cutter) => cutter.buffer_bytes_max(bytes_max),
            Cutter::Group(cutter) => cutter.buffer_bytes_max(bytes_max),
            Cutter::Journal(cutter) => cutter.buffer_bytes_max(bytes_max),
            Cutter::None => 0,
        }
    }

    /// Returns the counts since the splitter was made.
    pub fn counts(&self) -> SplitCounts {
        self.gate.counts
    }

    /// Takes the description of the last bad bytes since the last call, for a log.
    pub fn take_problem(&mut self) -> Option<SplitProblem> {
        self.gate.problem.take()
    }
}
