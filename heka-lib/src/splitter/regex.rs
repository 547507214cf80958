//! A regular expression as delimiter.
//!
//! The whole stream is one text to the expression: the delimiters are its matches in order, each the leftmost
//! one behind the one before. A match counts as soon as no further byte could change it: `\r?\n` at once at the
//! end of a read, `\n+` with the first byte that is no `\n`. It is searched one state per byte, and the state is
//! kept between reads, so that no byte is searched twice and the reads don't show in the frames.

use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr2, memchr3};
use regex_automata::Input;
use regex_automata::dfa::Automaton;
use regex_automata::util::primitives::{NonMaxUsize, StateID};
use regex_automata::util::start;

use super::delimiter::{Cut, Delimiter};
use super::pattern::{DelimiterAt, Pattern};

/// Finds the matches of a regular expression.
pub(super) struct RegexDelimiter {
    pattern: Arc<Pattern>,
    search: Search,
    /// The stream's byte in front of the buffer.
    before: Option<u8>,
    /// That byte and the buffer's first ones in one piece.
    joined: Vec<u8>,
}

/// A search for one delimiter, at the end of the bytes that it has seen.
#[derive(Default)]
struct Search {
    /// `None`: not begun.
    state: Option<StateID>,
    /// Where it began.
    start: usize,
    /// Where the first match ended that was seen; one to be preferred may still end later.
    first_end: Option<usize>,
    /// Where the match to be preferred ended so far.
    end: Option<usize>,
}

impl Search {
    /// Makes the offsets smaller by what has left the buffer's front.
    fn move_front(&mut self, bytes: usize) {
        self.start = self.start.saturating_sub(bytes);
        self.first_end = self.first_end.map(|end| end.saturating_sub(bytes));
        self.end = self.end.map(|end| end.saturating_sub(bytes));
    }
}

impl RegexDelimiter {
    pub(super) fn new(pattern: Arc<Pattern>) -> Self {
        RegexDelimiter { pattern, search: Search::default(), before: None, joined: Vec::new() }
    }

    fn byte_before(&self, buffer: &[u8], at: usize) -> Option<u8> {
        if at > 0 { Some(buffer[at - 1]) } else { self.before }
    }

    /// Turns the end of a delimiter into a cut: finds its beginning and its capture.
    fn cut(&mut self, buffer: &[u8], end: usize) -> Cut {
        if let Some(bytes) = self.pattern.bytes_fixed {
            return Cut { frame_end: end - bytes, next_start: end, search_on: end };
        }
        let from = self.search.start.max(end.saturating_sub(self.pattern.bytes_max));
        let (delimiter, capture) = self.spans(buffer, from..end);
        let (frame_end, next_start) = match (self.pattern.at, capture) {
            (DelimiterAt::End, Some(capture)) => (capture.end, end),
            (DelimiterAt::Start, Some(capture)) => (delimiter.start, capture.start),
            (_, None) => (delimiter.start, end),
        };
        Cut { frame_end, next_start, search_on: end }
    }

    /// Returns the delimiter that ends where `window` does, and what its group captured.
    fn spans(&mut self, buffer: &[u8], window: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
        let mut haystack = buffer;
        let mut shift = 0;
        if let Some(before) = self.before.filter(|_| window.start == 0 && self.pattern.looks_around) {
            let end = buffer.len().min(window.end + 1);
            self.joined.clear();
            self.joined.push(before);
            self.joined.extend_from_slice(&buffer[..end]);
            (haystack, shift) = (&self.joined, 1);
        }
        let input = Input::new(haystack).range(window.start + shift..window.end + shift);
        let mut slots = [None; 4];
        // Its scratch memory is pooled by thread: one per stream would cost thousands of streams much memory.
        self.pattern.regex.search_slots(&input, &mut slots);
        let span = |slot: usize| -> Option<Range<usize>> {
            let offset = |slot: Option<NonMaxUsize>| slot.map(|offset| offset.get() - shift);
            Some(offset(slots[slot])?..offset(slots[slot + 1])?)
        };
        match span(0).filter(|delimiter| delimiter.end == window.end) {
            Some(delimiter) => (delimiter, span(2)),
            // It began before the window: what the window holds of it is the delimiter.
            None => (window, None),
        }
    }
}

impl Delimiter for RegexDelimiter {
    fn find(&mut self, buffer: &[u8], from: usize, ended: bool) -> Result<Cut, usize> {
        if self.search.state.is_none() {
            let before = self.byte_before(buffer, from);
            let state = self.pattern.table.start_state(&start::Config::new().look_behind(before));
            self.search = Search { state: state.ok(), start: from, ..Search::default() };
        }
        let end = match self.search.state {
            Some(state) => self.pattern.search(&mut self.search, state, buffer, from, ended),
            None => None,
        };
        let Some(end) = end else { return Err(buffer.len()) };
        let cut = self.cut(buffer, end);
        self.search = Search::default();
        Ok(cut)
    }

    /// A delimiter as long as can be, seen to its end, and the wait for a longer one.
    fn pending_bytes_max(&self) -> usize {
        2 * self.pattern.bytes_max
    }

    fn consumed(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.before = Some(*last);
        self.search.move_front(bytes.len());
    }

    fn reset(&mut self) {
        self.search = Search::default();
        self.before = None;
    }
}

impl Pattern {
    /// Searches the bytes from `from` on; returns where the delimiter ends, once that can't change any more.
    fn search(
        &self,
        search: &mut Search,
        mut state: StateID,
        buffer: &[u8],
        from: usize,
        ended: bool,
    ) -> Option<usize> {
        let mut at = from;
        while at < buffer.len() {
            state = self.table.next_state(state, buffer[at]);
            if self.table.is_special_state(state) {
                if self.table.is_match_state(state) {
                    // The table tells of a match one byte late.
                    search.first_end.get_or_insert(at);
                    search.end = Some(at);
                } else if self.table.is_dead_state(state) || self.table.is_quit_state(state) {
                    search.state = Some(state);
                    return search.end;
                }
                if self.table.is_accel_state(state) && search.end.is_none() {
                    at = self.next_change(state, buffer, at + 1);
                    continue;
                }
            }
            if search.first_end.is_some_and(|first| at - first >= self.bytes_max) {
                return search.end;
            }
            at += 1;
        }
        search.state = Some(state);
        self.search_end(search, state, buffer.len(), ended)
    }

    /// Returns the next place from `from` on with a byte that leads out of `state`.
    fn next_change(&self, state: StateID, buffer: &[u8], from: usize) -> usize {
        let rest = &buffer[from..];
        let found = match *self.table.accelerator(state) {
            [a] => memchr(a, rest),
            [a, b] => memchr2(a, b, rest),
            [a, b, c] => memchr3(a, b, c, rest),
            _ => Some(0),
        };
        found.map_or(buffer.len(), |found| from + found)
    }

    /// Decides at the end of the bytes that are there.
    fn search_end(&self, search: &Search, state: StateID, len: usize, ended: bool) -> Option<usize> {
        if ended {
            let matches = self.table.is_match_state(self.table.next_eoi_state(state));
            return if matches { Some(len) } else { search.end };
        }
        // With assertions the next byte also decides what the group captures: wait for it.
        if self.looks_around {
            return None;
        }
        if self.foresee(state)? { Some(len) } else { search.end }
    }

    /// Says whether a match ends at `state`, if the next bytes change nothing about it; else `None`.
    fn foresee(&self, state: StateID) -> Option<bool> {
        let matches = self.table.is_match_state(self.table.next_eoi_state(state));
        let classes = self.table.byte_classes();
        let bytes = || classes.representatives(0..=255).filter_map(|unit| unit.as_u8());
        let mut last = None;
        for byte in bytes() {
            let next = self.table.next_state(state, byte);
            if self.table.is_match_state(next) != matches {
                return None;
            }
            if last != Some(next) && !self.table.is_dead_state(next) {
                if bytes().any(|byte| !self.table.is_dead_state(self.table.next_state(next, byte))) {
                    return None;
                }
                last = Some(next);
            }
        }
        Some(matches)
    }
}
