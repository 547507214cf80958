//! Go: what a panic or a fatal error prints, with all goroutines.
//!
//! ```text
//! panic: runtime error: index out of range [5] with length 3
//!
//! goroutine 1 [running]:
//! main.(*Server).run(0xc000012345, {0x1, 0x2})
//!     /src/main.go:8 +0x1d
//! created by main.main in goroutine 1
//! exit status 2
//! ```

use super::TraceState::{self, Exception, Plain, Trace};
use super::{behind_number, contains, is_blank, is_indented};

pub(super) fn first(line: &[u8]) -> TraceState {
    let heads = [&b"panic: "[..], b"fatal error: ", b"SIGQUIT: ", b"SIGABRT: "];
    if heads.iter().any(|head| line.starts_with(head)) || contains(line, b"panic serving ") {
        Exception
    } else if is_goroutine(line) {
        Trace
    } else {
        Plain
    }
}

pub(super) fn next(state: TraceState, line: &[u8]) -> Option<TraceState> {
    match state {
        Exception | Trace if is_goroutine(line) => Some(Trace),
        Exception | Trace if is_blank(line) || is_indented(line) => Some(state),
        Exception if is_remark(line) => Some(Exception),
        Trace if is_call(line) || is_end(line) => Some(Trace),
        _ => None,
    }
}

fn is_goroutine(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"goroutine ").and_then(behind_number);
    rest.is_some_and(|rest| rest.starts_with(b" ") && rest.ends_with(b":"))
        || line.starts_with(b"runtime stack:")
}

/// What stands between the first line and the goroutines.
fn is_remark(line: &[u8]) -> bool {
    let heads = [&b"[signal "[..], b"[recovered", b"PC=", b"runtime: ", b"panic: "];
    heads.iter().any(|head| line.starts_with(head))
}

/// `main.(*Server).run(0x1, …)`, `created by main.main in goroutine 1`, `...additional frames elided...`.
fn is_call(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| !matches!(byte, b' ' | b'\t')).count();
    let is_called = line[..name].contains(&b'(') && line.ends_with(b")");
    is_called && name > 1 || line.starts_with(b"created by ") || line.starts_with(b"...")
}

/// `exit status 2`, and the registers.
fn is_end(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let is_register = |name: &[u8], value: &[u8]| name.len() <= 6 && value.starts_with(b"0x");
    line.starts_with(b"exit status ")
        || matches!((words.next(), words.next(), words.next()), (Some(name), Some(value), None) if is_register(name, value))
}
