//! An event as text for people.

use crate::event::Event;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Most frames of a stack that are written; the innermost matter.
const FRAMES_MAX: usize = 100;

/// Returns the message, the culprit, and each exception with its stack, as Python shows them.
///
/// ```text
/// ValueError: bad thing
/// in app.views in index
/// Traceback (most recent call last):
///   File "app/views.py", line 12, in index
///     raise ValueError("bad thing")
/// ValueError: bad thing
/// ```
pub fn readable(event: &Event) -> String {
    let mut text = String::new();
    let exceptions = event.exceptions();
    let title = exceptions.last().map(|exception| title(exception)).unwrap_or_default();
    let message = event.text("message").unwrap_or(&title);
    put_line(&mut text, message);
    if let Some(culprit) = event.text("culprit") {
        put_line(&mut text, &format!("in {culprit}"));
    }
    if exceptions.is_empty() {
        put_frames(&mut text, event.frames(None));
    }
    for exception in exceptions {
        put_frames(&mut text, event.frames(Some(exception)));
        put_line(&mut text, &self::title(exception));
    }
    text.truncate(text.trim_end().len());
    text
}

/// `type: value` of an exception.
fn title(exception: &Map<String, Value>) -> String {
    let part = |name: &str| exception.get(name).and_then(Value::as_str).unwrap_or_default();
    match (part("type"), part("value")) {
        (name, "") => name.to_owned(),
        ("", value) => value.to_owned(),
        (name, value) => format!("{name}: {value}"),
    }
}

fn put_line(text: &mut String, line: &str) {
    if !line.is_empty() {
        text.push_str(line);
        text.push('\n');
    }
}

fn put_frames(text: &mut String, frames: &[Value]) {
    if frames.is_empty() {
        return;
    }
    text.push_str("Traceback (most recent call last):\n");
    let left_out = frames.len().saturating_sub(FRAMES_MAX);
    if left_out > 0 {
        // Writing to a text doesn't fail.
        let _ = writeln!(text, "  … {left_out} frames");
    }
    for frame in &frames[left_out..] {
        let part = |name: &str| frame.get(name).and_then(Value::as_str).unwrap_or("?");
        let file = if frame.get("filename").is_some() { part("filename") } else { part("abs_path") };
        let line = frame.get("lineno").and_then(Value::as_u64).unwrap_or(0);
        let _ = writeln!(text, "  File \"{file}\", line {line}, in {}", part("function"));
        if let Some(source) = frame.get("context_line").and_then(Value::as_str) {
            let _ = writeln!(text, "    {}", source.trim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        assert_eq!(readable(&Event::read(json.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn an_old_event_reads_like_a_traceback() {
        let json = r#"{"message":"ValueError: bad","culprit":"__main__ in inner",
            "sentry.interfaces.Exception":{"type":"ValueError","value":"bad","module":"exceptions"},
            "sentry.interfaces.Stacktrace":{"frames":[
                {"filename":"a.py","lineno":14,"function":"<module>","context_line":"    inner(42)"},
                {"filename":"a.py","lineno":12,"function":"inner"}]}}"#;
        let expected = "ValueError: bad\nin __main__ in inner\nTraceback (most recent call last):\n  \
            File \"a.py\", line 14, in <module>\n    inner(42)\n  File \"a.py\", line 12, in inner\nValueError: bad";
        check(json, expected);
    }

    #[test]
    fn newer_events_have_several_exceptions() {
        let json = r#"{"exception":{"values":[
            {"type":"A","value":"first","stacktrace":{"frames":[{"abs_path":"/x.js"}]}},{"type":"B"}]}}"#;
        let expected = "B\nTraceback (most recent call last):\n  File \"/x.js\", line 0, in ?\nA: first\nB";
        check(json, expected);
    }

    #[test]
    fn what_is_missing_leaves_no_lines() {
        check("{}", "");
        check(r#"{"message":"hello"}"#, "hello");
        check(
            r#"{"stacktrace":{"frames":[1]}}"#,
            "Traceback (most recent call last):\n  File \"?\", line 0, in ?",
        );
        check(r#"{"exception":{"value":"only"},"stacktrace":null}"#, "only\nonly");
    }

    #[test]
    fn a_very_long_stack_is_cut() {
        let frames = vec!["{\"lineno\":1}"; 150].join(",");
        let event = Event::read(format!("{{\"stacktrace\":{{\"frames\":[{frames}]}}}}").as_bytes()).unwrap();
        let text = readable(&event);
        assert_eq!(text.lines().count(), 102);
        assert!(text.contains("  … 50 frames\n"));
    }
}
