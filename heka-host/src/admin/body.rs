//! The messages of an `/inject` body: Heka frames, or JSON objects, one a line.
//!
//! The whole body is checked before its first message is injected, so that a body with a fault changes nothing and can
//! be corrected and sent again.

use heka_heka::framing::parse_frame;
use heka_heka::protobuf::MessageReader;
use heka_json::object::{DEPTH_MAX, JsonReader};
use heka_lib::splitter::heka_frame::RECORD_SEPARATOR;
use heka_lib::splitter::{FrameLimit, FrameSink, LongFrames, Splitter, SplitterConfig};
use heka_lib::{InjectError, Router};
use heka_object::ObjectOptions;
use heka_plugin_api::{Message, OwnedMessage, now, random_uuid};
use std::time::{Duration, Instant};

/// Messages that may wait in the injection lane before more are injected.
const WAITING_MAX: u64 = 10_000;
/// How often, in messages, the lane is looked at.
const LOOK_EVERY: u64 = 1000;
/// How long the lane may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a full lane is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Why not all of a body was injected.
#[derive(PartialEq, Debug)]
pub(super) struct InjectFault {
    pub(super) error: String,
    /// Messages that were injected before.
    pub(super) injected: u64,
}

/// How a message is put into the router.
pub(super) type Put = fn(&Router, &Message<'_>) -> Result<(), InjectError>;

/// Puts a body's messages into the router; returns how many.
pub(super) fn inject(body: &[u8], router: &Router, put: Put) -> Result<u64, InjectFault> {
    let mut number = 0;
    each_message(body, |_| Ok(())).map_err(|error| InjectFault { error, injected: 0 })?;
    let injected = each_message(body, |message| {
        if number % LOOK_EVERY == 0 {
            wait_for_room(router)?;
        }
        put(router, &message.view()).map_err(|error| format!("message {}: {error}", number + 1))?;
        number += 1;
        Ok(())
    });
    injected.map_err(|error| InjectFault { error, injected: number })?;
    Ok(number)
}

fn wait_for_room(router: &Router) -> Result<(), String> {
    let asked = Instant::now();
    let waiting = || {
        let injection = router.stats().injection;
        injection.injected.saturating_sub(injection.routed)
    };
    while waiting() > WAITING_MAX {
        if router.is_stopping() {
            return Err("the router is stopping".to_owned());
        }
        if asked.elapsed() >= PATIENCE {
            return Err("the injection lane is full; send the rest later".to_owned());
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Reads a body's messages one after the other.
fn each_message(
    body: &[u8],
    mut take: impl FnMut(&OwnedMessage) -> Result<(), String>,
) -> Result<(), String> {
    match body.trim_ascii_start().first() {
        None => Err("the body is empty; send Heka frames, or JSON objects, one a line".to_owned()),
        Some(&RECORD_SEPARATOR) => each_frame(body.trim_ascii_start(), &mut take),
        Some(b'{') => each_line(body, &mut take),
        Some(_) => Err("the body begins with neither a Heka frame nor a JSON object".to_owned()),
    }
}

fn each_frame(body: &[u8], take: &mut dyn FnMut(&OwnedMessage) -> Result<(), String>) -> Result<(), String> {
    let limit = FrameLimit::new(body.len().max(1 << 10), LongFrames::Reject)?;
    let mut splitter = SplitterConfig::heka().with_limit(limit).splitter();
    let (mut sink, mut reader) = (FrameSink::new(1), MessageReader::default());
    let (mut number, mut rest) = (0, body);
    while !rest.is_empty() {
        sink.clear();
        let cut = splitter.finish(rest, &mut sink);
        if let Some(span) = sink.frames().first() {
            number += 1;
            let message = read_frame(&mut reader, span.bytes(rest));
            take(&message.map_err(|why| format!("message {number}: {why}"))?)?;
        }
        refuse_broken(&splitter, number)?;
        if cut == 0 {
            break;
        }
        rest = rest.get(cut..).unwrap_or_default();
    }
    Ok(())
}

fn refuse_broken(splitter: &Splitter, number: u64) -> Result<(), String> {
    let counts = splitter.counts();
    match counts.broken_bytes + counts.rejected {
        0 => Ok(()),
        _ => Err(format!("behind message {number}: bytes that are no Heka frame")),
    }
}

fn read_frame(reader: &mut MessageReader, frame: &[u8]) -> Result<OwnedMessage, String> {
    let frame = parse_frame(frame).map_err(|fault| fault.to_string())?;
    if frame.header.message_encoding != 0 {
        return Err(format!("message encoding {} of the header is unknown", frame.header.message_encoding));
    }
    let mut read = Ok(());
    let built = OwnedMessage::build(|builder| {
        builder.uuid(random_uuid()).timestamp(now());
        read = reader.read(frame.message, builder).map(|_| ());
    });
    read.map_err(|fault| fault.to_string())?;
    built.map_err(|error| error.reason().to_owned())
}

fn each_line(body: &[u8], take: &mut dyn FnMut(&OwnedMessage) -> Result<(), String>) -> Result<(), String> {
    let options = ObjectOptions { timestamp_key: None, separator: ".".to_owned(), depth_max: DEPTH_MAX };
    let mut reader = JsonReader::new(options, true);
    let lines = body.split(|&byte| byte == b'\n').enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        let mut read = Ok(());
        let built = OwnedMessage::build(|builder| {
            builder.uuid(random_uuid()).timestamp(now());
            read = reader.read(line, builder).map(|_| ());
        });
        let message = read.and(built).map_err(|error| format!("line {}: {}", index + 1, error.reason()))?;
        take(&message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_heka::framing::write_frame;
    use heka_heka::protobuf::put_message;
    use proptest::prelude::*;

    fn frame(payload: &str) -> Vec<u8> {
        let message = OwnedMessage::build(|builder| {
            builder.uuid([7; 16]).timestamp(5).payload(payload);
        });
        let (mut body, mut frame) = (Vec::new(), Vec::new());
        put_message(&message.unwrap().view(), &mut body);
        write_frame(&body, None, &mut frame);
        frame
    }

    fn payloads(body: &[u8]) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        each_message(body, |message| {
            found.push(String::from_utf8_lossy(message.view().payload()).into_owned());
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn frames_and_lines_are_read() {
        let frames = [frame("a"), frame("b")].concat();
        assert_eq!(payloads(&frames), Ok(vec!["a".to_owned(), "b".to_owned()]));
        let lines = "{\"payload\":\"a\"}\n\n {\"payload\":\"b\"}\r\n{\"n\":1}";
        assert_eq!(payloads(lines.as_bytes()), Ok(["a", "b", "{\"n\":1}"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn messages_without_time_or_uuid_get_them() {
        each_message(b"{}", |message| {
            assert!(message.view().timestamp() > 0 && message.view().uuid() != [0; 16]);
            Ok(())
        })
        .unwrap();
        each_message(&frame("x"), |message| {
            assert_eq!((message.view().uuid(), message.view().timestamp()), ([7; 16], 5));
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_body_with_a_fault_says_where_it_is() {
        let check = |body: &[u8], expected: &str| {
            let fault = payloads(body).unwrap_err();
            assert!(fault.starts_with(expected), "{fault}");
        };
        check(b" \n", "the body is empty");
        check(b"hello", "the body begins with neither a Heka frame nor a JSON object");
        check(b"{}\n{]", "line 2: not a JSON object");
        check(b"{}\n7", "line 2: not a JSON object");
        check(&[frame("a"), b"rubbish".to_vec()].concat(), "behind message 1: bytes that are no Heka frame");
        let cut = frame("abc");
        check(&cut[..cut.len() - 1], "behind message 0: bytes that are no Heka frame");
        let mut torn = [frame("a"), frame("b")].concat();
        torn.truncate(torn.len() - 2);
        check(&torn, "behind message 1: bytes that are no Heka frame");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = payloads(&bytes);
            let _ = payloads(&[frame("a"), bytes.clone()].concat());
            let _ = payloads(&[b"{\"a\":".to_vec(), bytes].concat());
        }
    }
}
