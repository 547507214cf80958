//! Lines that belong together: a group ends before a line that begins another one, or behind a line that ends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use memchr::memchr;

use super::container::{self, OpenStreams};
use super::delimiter::{Cut, Delimiter};
use super::multiline::{Multiline, MultilineState};

/// What is looked at of a line, to tell whether it begins a group: so much of a longer one has to be waited for.
pub(super) const LINE_HEAD_BYTES: usize = 4096;
/// A line that is not decided on, and its line break.
const PENDING_BYTES_MAX: usize = LINE_HEAD_BYTES + 4;

/// Says which lines belong together, and how long one is waited for.
#[derive(Clone, Debug)]
pub(super) struct GroupConfig {
    pub(super) rule: GroupRule,
    pub(super) limits: GroupLimits,
}

/// How long a group of lines may wait for its next one, and how many it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// A stream that has been silent for so long has no more lines of the group. Default 1 s.
    pub timeout: Duration,
    /// Lines of a group; the next one begins another. Default 1,000.
    pub lines_max: usize,
}

impl Default for GroupLimits {
    fn default() -> Self {
        GroupLimits { timeout: Duration::from_secs(1), lines_max: 1_000 }
    }
}

/// Which lines belong together.
#[derive(Clone, Debug)]
pub(super) enum GroupRule {
    /// By patterns, and as traces do.
    Multiline(Arc<Multiline>),
    /// Lines of a container runtime that speaks CRI.
    Cri,
    /// Lines of Docker's `json-file` driver.
    Docker,
}

/// The rule, and what it remembers of the lines before.
enum Grouping {
    Multiline(Arc<Multiline>, MultilineState),
    Cri(OpenStreams),
    Docker(OpenStreams),
}

impl Grouping {
    fn new(rule: &GroupRule) -> Grouping {
        match rule {
            GroupRule::Multiline(config) => {
                Grouping::Multiline(Arc::clone(config), MultilineState::default())
            }
            GroupRule::Cri => Grouping::Cri(OpenStreams::default()),
            GroupRule::Docker => Grouping::Docker(OpenStreams::default()),
        }
    }

    /// Takes the first line of a group, of which the head is there.
    fn first(&mut self, head: &[u8]) {
        match self {
            Grouping::Multiline(config, state) => config.first(state, head),
            Grouping::Cri(open) | Grouping::Docker(open) => *open = OpenStreams::default(),
        }
    }

    /// Tells whether a line joins the group, and takes it if it does.
    fn joins(&mut self, head: &[u8]) -> bool {
        match self {
            Grouping::Multiline(config, state) => config.joins(state, head),
            Grouping::Cri(_) | Grouping::Docker(_) => true,
        }
    }

    /// Tells whether the group ends with this line, which is in it.
    fn ends(&mut self, line: &[u8]) -> bool {
        match self {
            Grouping::Multiline(..) => false,
            Grouping::Cri(open) => open.ends(container::cri_part(line)),
            Grouping::Docker(open) => open.ends(container::docker_part(line)),
        }
    }
}

/// Finds where groups of lines end.
///
/// What is decided about a line depends on nothing but the lines since the group's beginning: who reads on there finds
/// the same groups.
pub(super) struct GroupDelimiter {
    grouping: Grouping,
    limits: GroupLimits,
    bytes_max: usize,
    /// Whole lines of the group.
    lines: usize,
    /// Bytes of these lines, with their line breaks.
    group_bytes: usize,
    /// Bytes of the line at hand that were searched before.
    line_bytes: usize,
    /// Whether it is known that the line at hand belongs to the group.
    is_decided: bool,
    /// Offset in the stream of the buffer's first byte.
    position: u64,
    /// Offsets in the stream where a group was ended by its timeout, in another life.
    cuts: VecDeque<u64>,
}

impl GroupDelimiter {
    pub(super) fn new(config: &GroupConfig, bytes_max: usize) -> Self {
        GroupDelimiter {
            grouping: Grouping::new(&config.rule),
            limits: config.limits,
            bytes_max,
            lines: 0,
            group_bytes: 0,
            line_bytes: 0,
            is_decided: false,
            position: 0,
            cuts: VecDeque::new(),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.limits.timeout
    }

    /// Lets groups end at these offsets in the stream, ascending, whatever the lines there say.
    pub(super) fn cut_at(&mut self, offsets: impl Iterator<Item = u64>) {
        self.cuts = offsets.collect();
    }

    fn begin_group(&mut self) {
        (self.lines, self.group_bytes, self.line_bytes, self.is_decided) = (0, 0, 0, false);
    }

    /// Decides on the line of which `head` and so far `bytes` bytes are there: is it another group's?
    fn begins(&mut self, head: &[u8], bytes: usize, line_start: usize) -> bool {
        if self.lines == 0 {
            if !self.is_decided {
                self.grouping.first(head);
            }
            return false;
        }
        let begins = self.lines >= self.limits.lines_max
            || self.group_bytes + bytes > self.bytes_max
            || self.is_cut_at(self.position + line_start as u64)
            || !self.is_decided && !self.grouping.joins(head);
        if begins {
            self.begin_group();
        }
        begins
    }

    fn is_cut_at(&mut self, offset: u64) -> bool {
        while self.cuts.front().is_some_and(|&cut| cut < offset) {
            self.cuts.pop_front();
        }
        self.cuts.front() == Some(&offset)
    }

    /// Takes a whole line, from `start` to its line break at `end`; returns the cut that it makes.
    fn line(&mut self, buffer: &[u8], start: Option<usize>, end: usize, next: usize) -> Option<Cut> {
        let line_bytes = start.map_or(self.line_bytes, |start| end - start);
        let line = start.map_or(&[][..], |start| without_cr(&buffer[start..end]));
        let head = &line[..line.len().min(LINE_HEAD_BYTES)];
        // What is counted is what would be handed on.
        let bytes = if start.is_some() { line.len() } else { line_bytes };
        if self.begins(head, bytes, start.unwrap_or(0)) {
            let start = start.unwrap_or(0);
            return Some(Cut { frame_end: trimmed(buffer, start), next_start: start, search_on: start });
        }
        self.lines += 1;
        self.group_bytes += line_bytes + (next - end);
        (self.line_bytes, self.is_decided) = (0, false);
        // Of a line over the limit it depends on the reads how much is there.
        let line = if bytes > self.bytes_max { &[] } else { line };
        if self.grouping.ends(line) {
            self.begin_group();
            return Some(Cut { frame_end: trimmed(buffer, next), next_start: next, search_on: next });
        }
        None
    }

    /// Keeps the line at hand in mind, of which `start..` is there but not its end; returns the cut that it makes, or
    /// from where to search on.
    fn pending(&mut self, buffer: &[u8], start: Option<usize>, at: usize) -> Result<Cut, usize> {
        let Some(start) = start else {
            self.line_bytes += buffer.len() - at;
            return Err(buffer.len());
        };
        let bytes = buffer.len() - start;
        if bytes <= LINE_HEAD_BYTES {
            self.line_bytes = 0;
            return Err(start);
        }
        // The last byte may be the `\r` of the line break.
        if self.begins(&buffer[start..start + LINE_HEAD_BYTES], bytes - 1, start) {
            return Ok(Cut { frame_end: trimmed(buffer, start), next_start: start, search_on: start });
        }
        (self.line_bytes, self.is_decided) = (bytes, true);
        Err(buffer.len())
    }
}

impl Delimiter for GroupDelimiter {
    fn find(&mut self, buffer: &[u8], from: usize, ended: bool) -> Result<Cut, usize> {
        let mut at = from;
        // `None`: the beginning of a long line has left the buffer.
        let mut start = from.checked_sub(self.line_bytes);
        while let Some(found) = memchr(b'\n', &buffer[at..]) {
            let end = at + found;
            if start.is_none() {
                self.line_bytes += end - at;
            }
            if let Some(cut) = self.line(buffer, start, end, end + 1) {
                return Ok(cut);
            }
            at = end + 1;
            start = Some(at);
        }
        if !ended {
            return self.pending(buffer, start, at);
        }
        let len = buffer.len();
        if at < len || self.line_bytes > 0 {
            if start.is_none() {
                self.line_bytes += len - at;
            }
            if let Some(cut) = self.line(buffer, start, len, len) {
                return Ok(cut);
            }
        }
        if std::mem::take(&mut self.lines) == 0 {
            return Err(len);
        }
        self.begin_group();
        Ok(Cut { frame_end: trimmed(buffer, len), next_start: len, search_on: len })
    }

    fn pending_bytes_max(&self) -> usize {
        PENDING_BYTES_MAX
    }

    fn consumed(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
    }

    fn release(&mut self, buffer: &[u8], from: usize) -> Option<Cut> {
        let start = self.held_bytes(from)?;
        self.begin_group();
        Some(Cut { frame_end: trimmed(buffer, start), next_start: start, search_on: start })
    }

    fn held_bytes(&self, from: usize) -> Option<usize> {
        from.checked_sub(self.line_bytes).filter(|_| self.lines > 0)
    }

    fn reset(&mut self) {
        self.begin_group();
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The end of what lies before `end`, without the line breaks there.
fn trimmed(buffer: &[u8], end: usize) -> usize {
    let before = &buffer[..end];
    before.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1)
}
