//! `<34>Oct 11 22:14:15 host tag[123]: text`, and what devices make of it.
//!
//! Source: RFC 3164, 4 and 5.4; Cisco IOS "Configuring System Message Logging".

use super::{APP_NAME, Target};
use heka_plugin_api::{PluginError, now};
use heka_scalar::quote;
use heka_scalar::timestamp::{SyslogTime, SyslogTimeReader, Zone, rfc3339};
use std::ops::Range;

/// Longest name of a program that is taken for one.
const TAG_BYTES_MAX: usize = 64;

/// Reads what stands behind the priority. With a priority any text is a message; without one it needs a time.
pub fn read(
    target: &mut Target<'_, '_, '_>,
    start: usize,
    reader: &mut SyslogTimeReader,
    zone: &Zone,
) -> Result<(), PluginError> {
    let line = target.line;
    let after_sequence = skip_sequence(line, start);
    let Some((ns, mut at)) = time(line, after_sequence, reader, zone) else {
        if start == 0 {
            return Err(PluginError::Message(format!(
                "neither a priority nor a time begins `{}`",
                quote(line)
            )));
        }
        program(target, start);
        return Ok(());
    };
    target.message.timestamp(ns);
    // `Mar  1 18:46:11 UTC: %SYS-5-CONFIG_I: …`: the colon says that no host follows.
    let after_zone = skip_zone(line, at);
    if line.get(after_zone) == Some(&b':') {
        program(target, skip_spaces(line, after_zone + 1));
        return Ok(());
    }
    at = skip_spaces(line, at);
    if line[at..].starts_with(b"Message forwarded from ") {
        at += b"Message forwarded from ".len();
        let len = line[at..].iter().position(|byte| matches!(byte, b':' | b' ')).unwrap_or(line.len() - at);
        target.hostname(at..at + len);
        program(target, skip_spaces(line, (at + len + 1).min(line.len())));
        return Ok(());
    }
    if let Some(host) = host(line, at) {
        at = skip_spaces(line, host.end);
        target.hostname(host);
        at = skip_second_time(line, at, reader, zone);
    }
    program(target, at);
    Ok(())
}

/// Skips a sequence number, `1234: `, and the mark of a clock that isn't set, `*` or `.`.
fn skip_sequence(line: &[u8], start: usize) -> usize {
    let digits = line[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = start;
    if digits > 0 && line.get(start + digits) == Some(&b':') {
        at = skip_spaces(line, start + digits + 1);
    }
    at + usize::from(matches!(line.get(at), Some(b'*' | b'.')))
}

/// Skips the sequence number and the time that a device has put behind those of the relay.
fn skip_second_time(line: &[u8], start: usize, reader: &mut SyslogTimeReader, zone: &Zone) -> usize {
    let sequence = skip_sequence(line, start);
    match time(line, sequence, reader, zone) {
        Some((_, end)) => {
            let end = skip_zone(line, end);
            if line.get(end) == Some(&b':') { skip_spaces(line, end + 1) } else { start }
        }
        None => start,
    }
}

fn skip_spaces(line: &[u8], start: usize) -> usize {
    start + line[start..].iter().take_while(|byte| **byte == b' ').count()
}

/// Skips ` UTC`: capital letters behind a space.
fn skip_zone(line: &[u8], start: usize) -> usize {
    if line.get(start) != Some(&b' ') {
        return start;
    }
    let letters = line[start + 1..].iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if (2..=5).contains(&letters) && line.get(start + 1 + letters) == Some(&b':') {
        start + 1 + letters
    } else {
        start
    }
}

/// Reads a time of BSD syslog or RFC 3339; tells where it ends.
fn time(line: &[u8], start: usize, reader: &mut SyslogTimeReader, zone: &Zone) -> Option<(i64, usize)> {
    let rest = &line[start..];
    if let Some((time, len)) = SyslogTime::read(rest) {
        return Some((reader.utc_ns(&time, now)?, start + len));
    }
    let len = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    let word = rest[..len].strip_suffix(b":").unwrap_or(&rest[..len]);
    Some((rfc3339(word, zone)?, start + word.len()))
}

/// Finds the name of the machine: a word that isn't the program's tag.
fn host(line: &[u8], start: usize) -> Option<Range<usize>> {
    let len = line[start..].iter().position(|byte| matches!(byte, b' ' | b'['))?;
    let word = &line[start..start + len];
    let is_host = !word.is_empty() && line[start + len] == b' ' && !word.ends_with(b":") && word[0] != b'%';
    is_host.then_some(start..start + len)
}

/// Reads `tag[pid]: text`, `tag: text`, or text alone.
fn program(target: &mut Target<'_, '_, '_>, start: usize) {
    let line = target.line;
    let rest = &line[start..];
    let is_tag = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./%+@#()".contains(byte);
    let len = rest.iter().take(TAG_BYTES_MAX + 1).take_while(|byte| is_tag(byte)).count();
    let tag = start..start + len;
    let mut process = 0..0;
    let mut at = tag.end;
    if line.get(at) == Some(&b'[') {
        let Some(len) = line[at..].iter().position(|byte| matches!(byte, b']' | b' ')) else {
            return target.payload(start..line.len());
        };
        process = at + 1..at + len;
        at += len + usize::from(line[at + len] == b']');
    }
    let is_program = !tag.is_empty() && tag.len() <= TAG_BYTES_MAX;
    match line.get(at) {
        Some(b':') if is_program => at += 1,
        // `tag[pid] text` is seen, `tag text` can't be told from text.
        Some(b' ') | None if is_program && !process.is_empty() => {}
        _ => return target.payload(start..line.len()),
    }
    // `::` and a path's colon belong to the text.
    if line.get(at).is_some_and(|byte| *byte != b' ') && process.is_empty() {
        return target.payload(start..line.len());
    }
    target.named(APP_NAME, tag);
    if !process.is_empty() {
        target.process(process);
    }
    let text = at + usize::from(line.get(at) == Some(&b' '));
    target.payload(text..line.len());
}
