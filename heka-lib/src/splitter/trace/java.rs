//! Java, and what else runs on its machine.
//!
//! ```text
//! 2024-01-02 10:00:00 ERROR Handler - failed
//! java.lang.IllegalStateException: no session
//!     at com.example.Handler.run(Handler.java:12)
//!     Suppressed: java.io.IOException: closed
//!         ... 3 more
//! Caused by: java.lang.NullPointerException
//!     ... 12 common frames omitted
//! ```

use super::TraceState::{self, Exception, Plain, Trace};
use super::{behind_number, contains, is_indented};

pub(super) fn first(line: &[u8]) -> TraceState {
    let is_head = is_exception(line) || line.starts_with(b"Exception in thread ");
    if is_head { Exception } else { Plain }
}

pub(super) fn next(state: TraceState, line: &[u8]) -> Option<TraceState> {
    let text = line.trim_ascii_start();
    if is_frame(line, text) {
        return Some(Trace);
    }
    if text.starts_with(b"Caused by: ") || is_indented(line) && text.starts_with(b"Suppressed: ") {
        return Some(Exception);
    }
    match state {
        Plain if is_exception(line) => Some(Exception),
        // A message of several lines.
        Exception if is_indented(line) || contains(line, b"nested exception is:") => Some(Exception),
        _ => None,
    }
}

fn is_frame(line: &[u8], text: &[u8]) -> bool {
    let marks =
        [&b"at "[..], b"eval at ", b"--- End of ", b"[CIRCULAR REFERENCE", b"- locked ", b"- waiting "];
    let is_marked = is_indented(line) && marks.iter().any(|mark| text.starts_with(mark));
    is_marked || is_omission(text)
}

/// `... 12 more`, `... 12 common frames omitted`.
fn is_omission(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"... ").and_then(behind_number) else { return false };
    rest.starts_with(b" more") || rest.starts_with(b" common frames omitted") || rest.starts_with(b" frames")
}

/// A class name with a package, or with the class around it, that is called an exception, alone or before a colon.
fn is_exception(line: &[u8]) -> bool {
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$') || *byte >= 0x80;
    let len = line.iter().take_while(|byte| is_part(byte)).count();
    let (class, rest) = line.split_at(len);
    let is_called = [&b"Exception"[..], b"Error", b"Throwable"].iter().any(|name| class.ends_with(name));
    let is_alone = rest.trim_ascii().is_empty() || rest.starts_with(b":");
    let has_owner = class.contains(&b'.') || class.contains(&b'$');
    is_called && is_alone && has_owner && !class.starts_with(b".")
}
