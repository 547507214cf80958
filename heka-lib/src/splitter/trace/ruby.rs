//! Ruby, with the trace below the message, or above it as some versions had it.
//!
//! ```text
//! app.rb:3:in `run': boom (RuntimeError)
//!     from app.rb:7:in `block in start'
//!     from app.rb:10:in `<main>'
//! ```

use super::TraceState::{self, Exception, Plain, Trace};
use super::{behind_number, contains, is_indented};

pub(super) fn first(line: &[u8]) -> TraceState {
    if line.starts_with(b"Traceback (most recent call last)") { Trace } else { Plain }
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
    (is_indented(line) && text.starts_with(b"from ") || is_place(text)).then_some(Plain)
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
