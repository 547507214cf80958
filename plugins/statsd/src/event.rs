//! Events and service checks of DogStatsD clients, as messages.
//!
//! `_e{5,4}:title|text|d:1656581400|h:host|p:low|t:error|k:group|s:nagios|#env:prod` and
//! `_sc|name|2|d:1656581400|h:host|#env:prod|m:what is wrong`. In texts `\n` stands for a newline.
//!
//! Source: DogStatsD's datagram format.

use heka_plugin_api::{MessageBuilder, Value};

/// Writes an event or a service check as a message.
///
/// # Errors
/// What is wrong with the line; the message is then not to be used.
pub fn write_event(line: &[u8], message: &mut MessageBuilder<'_>) -> Result<(), &'static str> {
    match line.strip_prefix(b"_sc|") {
        Some(check) => write_check(check, message),
        None => write_titled(line, message),
    }
}

fn write_titled(line: &[u8], message: &mut MessageBuilder<'_>) -> Result<(), &'static str> {
    const WRONG: &str = "the lengths of an event's title and text are wrong";
    let rest = line.strip_prefix(b"_e{").ok_or(WRONG)?;
    let end = memchr::memmem::find(rest, b"}:").ok_or(WRONG)?;
    let lengths = std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.split_once(','));
    let (title_len, text_len) = lengths.ok_or(WRONG)?;
    let (title_len, text_len): (usize, usize) =
        title_len.parse().ok().zip(text_len.parse().ok()).ok_or(WRONG)?;
    let body = &rest[end + 2..];
    let title = body.get(..title_len).ok_or(WRONG)?;
    let text = body[title_len..].strip_prefix(b"|").and_then(|text| text.get(..text_len)).ok_or(WRONG)?;
    let sections = &body[title_len + 1 + text_len..];
    if sections.first().is_some_and(|byte| *byte != b'|') {
        return Err(WRONG);
    }
    message
        .message_type("datadog.event")
        .severity(6)
        .payload(unescaped(text))
        .field("title", &*unescaped(title));
    write_sections(sections, message);
    Ok(())
}

fn write_check(check: &[u8], message: &mut MessageBuilder<'_>) -> Result<(), &'static str> {
    let mut parts = check.splitn(3, |byte| *byte == b'|');
    let name = parts.next().unwrap_or_default();
    let (status, severity) = match parts.next() {
        Some(b"0") => (0, 6),
        Some(b"1") => (1, 4),
        Some(b"2") => (2, 3),
        Some(b"3") => (3, 5),
        _ => return Err("the status of a service check is none of 0, 1, 2, 3"),
    };
    message
        .message_type("datadog.check")
        .severity(severity)
        .field("name", Value::String(name))
        .field("status", status);
    write_sections(parts.next().unwrap_or_default(), message);
    Ok(())
}

/// Writes what follows: sections with a letter each, and tags.
fn write_sections(sections: &[u8], message: &mut MessageBuilder<'_>) {
    for section in sections.split(|byte| *byte == b'|') {
        if let Some(tags) = section.strip_prefix(b"#") {
            write_tags(tags, message);
            continue;
        }
        let Some((letter, [b':', value @ ..])) = section.split_first() else { continue };
        match letter {
            b'd' => write_time(value, message),
            b'h' => _ = message.hostname(value),
            b'p' => _ = message.field("priority", Value::String(value)),
            b't' => write_alert(value, message),
            b'k' => _ = message.field("aggregation_key", Value::String(value)),
            b's' => _ = message.field("source_type", Value::String(value)),
            b'm' => _ = message.payload(unescaped(value)),
            _ => {}
        }
    }
}

fn write_time(seconds: &[u8], message: &mut MessageBuilder<'_>) {
    let seconds: Option<i64> = std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
    if let Some(ns) = seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000)) {
        message.timestamp(ns);
    }
}

fn write_alert(alert: &[u8], message: &mut MessageBuilder<'_>) {
    message.field("alert_type", Value::String(alert));
    match alert {
        b"error" => _ = message.severity(3),
        b"warning" => _ = message.severity(4),
        b"success" => _ = message.severity(5),
        _ => {}
    }
}

fn write_tags(tags: &[u8], message: &mut MessageBuilder<'_>) {
    for tag in tags.split(|byte| *byte == b',').filter(|tag| !tag.is_empty()) {
        let (key, value) = match memchr::memchr(b':', tag) {
            Some(colon) => (&tag[..colon], &tag[colon + 1..]),
            None => (tag, &b"true"[..]),
        };
        message.field([b"tag.", key].concat(), Value::String(value));
    }
}

/// Makes newlines of `\n`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"\\n") {
        plain.extend_from_slice(&rest[..at]);
        plain.push(b'\n');
        rest = &rest[at + 2..];
    }
    plain.extend_from_slice(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;
    use proptest::prelude::*;

    fn written(line: &[u8]) -> Result<OwnedMessage, &'static str> {
        let mut result = Ok(());
        let message = OwnedMessage::build(|message| result = write_event(line, message)).unwrap();
        result.map(|()| message)
    }

    fn check(line: &str, expected: &str) {
        let message = written(line.as_bytes()).unwrap();
        let message = message.view();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut shown =
            format!("{} {} {:?}", text(message.message_type()), message.severity(), text(message.payload()));
        for field in message.fields() {
            shown += &format!(" {}={:?}", text(field.name()), field.value(0).unwrap());
        }
        assert_eq!(shown, expected, "{line}");
    }

    #[test]
    fn events_are_messages() {
        check("_e{5,4}:title|text", r#"datadog.event 6 "text" title="title""#);
        check(
            r"_e{3,9}:a|b|one\n|two|h:web1|p:low|t:error|k:g|s:nagios|#env:prod,x|c:abc",
            r#"datadog.event 3 "one\n|two" title="a|b" priority="low" alert_type="error" aggregation_key="g" source_type="nagios" tag.env="prod" tag.x="true""#,
        );
        let message = written(b"_e{1,1}:a|b|d:1656581400|h:web1").unwrap();
        assert_eq!(message.view().timestamp(), 1_656_581_400_000_000_000);
        assert_eq!(message.view().hostname(), b"web1");
    }

    #[test]
    fn service_checks_are_messages() {
        check(
            "_sc|Redis connection|2|#env:dev|m:timed out|after 10s",
            r#"datadog.check 3 "timed out" name="Redis connection" status=2 tag.env="dev""#,
        );
        check("_sc|x|0", r#"datadog.check 6 "" name="x" status=0"#);
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "_e{",
            "_e{5,4}",
            "_e{5,4}:title",
            "_e{5,9}:title|text",
            "_e{1,1}:title|text",
            "_e{x,1}:a|b",
            "_e{1}:a|b",
        ] {
            assert!(written(line.as_bytes()).unwrap_err().starts_with("the lengths"), "{line}");
        }
        for line in ["_sc|", "_sc|x", "_sc|x|4", "_sc|x|two"] {
            assert!(written(line.as_bytes()).unwrap_err().starts_with("the status"), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "(_e\\{[0-9,]{0,5}\\}:|_sc\\|).{0,30}") {
            let _ = written(line.as_bytes());
        }
    }
}
