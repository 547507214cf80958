//! Ruby, with the trace below the message, or above it as some versions had it.
//!
//! ```text
//! app.rb:3:in `run': boom (RuntimeError)
//!     from app.rb:7:in `block in start'
//!     from app.rb:10:in `<main>'
//! ```
//!
//! Below the message there may be an empty line, the line of the program, and one that underlines a part of it.

use super::TraceState::{self, Chain, Exception, Group, Plain, Trace};
use super::{behind_number, contains, is_indented};

pub(super) fn first(line: &[u8]) -> TraceState {
    if line.starts_with(b"Traceback (most recent call last)") {
        Trace
    } else if is_message(line) {
        Exception
    } else {
        Plain
    }
}

pub(super) fn next(state: TraceState, line: &[u8]) -> Option<TraceState> {
    let text = line.trim_ascii_start();
    if state == Trace {
        let number = behind_number(text).filter(|_| is_indented(line));
        if number.is_some_and(|rest| rest.starts_with(b": from ")) {
            return Some(Trace);
        }
        // What happened stands below.
        return contains(line, b": ").then_some(Exception);
    }
    if is_indented(line) && text.starts_with(b"from ") || is_place(text) {
        return Some(Plain);
    }
    match state {
        Exception if text.is_empty() => Some(Chain),
        Chain => Some(Group),
        Group if !text.is_empty() && text.iter().all(|byte| matches!(byte, b'^' | b'~' | b' ')) => {
            Some(Plain)
        }
        _ => text.starts_with(b"Did you mean?").then_some(Plain),
    }
}

/// ``app.rb:3:in `run': boom (RuntimeError)``.
fn is_message(line: &[u8]) -> bool {
    let place = memchr::memmem::find(line, b"': ").is_some_and(|end| is_place(&line[..end + 1]));
    place && line.ends_with(b")")
}

/// ``app/models/user.rb:12:in `save!'`` and nothing else, as loggers print traces.
fn is_place(text: &[u8]) -> bool {
    let quoted = text.strip_suffix(b"'").is_some();
    let Some(at) = memchr::memmem::find(text, b":in ").filter(|_| quoted) else { return false };
    let (place, name) = (&text[..at], &text[at + 4..]);
    let number = place.iter().rposition(|&byte| byte == b':').map(|colon| &place[colon + 1..]);
    let is_line = number.and_then(behind_number).is_some_and(<[u8]>::is_empty);
    is_line && matches!(name.first(), Some(b'`' | b'\''))
}
