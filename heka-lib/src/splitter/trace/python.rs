//! Python, with chained exceptions and groups of them.
//!
//! ```text
//! ERROR:root:failed
//! Traceback (most recent call last):
//!   File "app.py", line 3, in <module>
//!     run()
//! ValueError: no
//!
//! During handling of the above exception, another exception occurred:
//!
//! Traceback (most recent call last):
//! …
//! ```

use super::TraceState::{self, Chain, Exception, Group, Plain, Trace};
use super::{is_blank, is_indented};

const HEAD: &[u8] = b"Traceback (most recent call last):";
const GROUP_HEAD: &[u8] = b"+ Exception Group Traceback (most recent call last):";

pub(super) fn first(line: &[u8]) -> TraceState {
    let text = line.trim_ascii();
    if text.starts_with(GROUP_HEAD) {
        Group
    } else if text.ends_with(HEAD) {
        // Also behind the text of a log line.
        Trace
    } else {
        Plain
    }
}

pub(super) fn next(state: TraceState, line: &[u8]) -> Option<TraceState> {
    let text = line.trim_ascii_start();
    match state {
        Plain | Chain if text.starts_with(GROUP_HEAD) => Some(Group),
        Plain | Chain if line.starts_with(HEAD) => Some(Trace),
        Trace if is_indented(line) || is_blank(line) => Some(Trace),
        // The line that says what happened ends the trace, whatever it looks like.
        Trace => Some(Exception),
        Group if is_indented(line) && matches!(text.first(), Some(b'|' | b'+')) => Some(Group),
        Group | Exception if is_blank(line) => Some(Chain),
        Chain if is_blank(line) || is_chain(line) => Some(Chain),
        _ => None,
    }
}

fn is_chain(line: &[u8]) -> bool {
    line.starts_with(b"During handling of the above exception")
        || line.starts_with(b"The above exception was the direct cause")
}
