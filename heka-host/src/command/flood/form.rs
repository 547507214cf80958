//! The messages, in the form in which a host takes them.

use super::Shape;
use super::block::{Block, NUMBER_DIGITS};
use super::content::{filler, read_lines};
use crate::command::inject::own_hostname;
use heka_heka::framing::write_head;
use heka_heka::protobuf::{message_len, put_message};
use heka_json::line::LineWriter;
use heka_plugin_api::{OwnedMessage, now, random_uuid};
use memchr::memmem;

/// The form of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// Plain lines.
    Lines,
    /// Heka's protobuf in Heka's framing, with 6 fields; `status` is 200 and 500 in turn.
    Heka,
    /// The same messages as JSON, a line each.
    Json,
    /// Counters, `flood.0000042:1|c`, a line each.
    Statsd,
}

/// Stands where a message's number will.
const PLACE: &[u8; NUMBER_DIGITS] = b"############";

/// Makes the messages; enough of them to fill a large write.
///
/// # Errors
/// If they can't be made as they should be, and why.
pub(super) fn block(shape: &Shape) -> Result<Block, String> {
    let contents = contents(shape)?;
    let mut form = Form::new(shape);
    let mut block = Block::default();
    let step = contents.len().max(2);
    while !block.is_large() || !block.len().is_multiple_of(step) {
        let index = block.len();
        let message = form.message(index, contents.get(index % contents.len()).map_or(&[], Vec::as_slice))?;
        let place = |message: &[u8]| if shape.numbered { memmem::find(message, PLACE) } else { None };
        block.add(|bytes| bytes.extend_from_slice(message), place);
    }
    Ok(block)
}

/// Returns the lines or payloads, with a place for the number.
fn contents(shape: &Shape) -> Result<Vec<Vec<u8>>, String> {
    let own = if shape.numbered { PLACE.len() } else { 0 };
    let newline = usize::from(shape.format == Format::Lines);
    let least = (own + newline).max(1);
    let mut contents = match &shape.lines {
        _ if shape.format == Format::Statsd && (shape.numbered || shape.lines.is_some()) => {
            return Err(
                "statsd counters have neither numbers nor lines; leave out --numbered and --lines".to_owned()
            );
        }
        _ if shape.format == Format::Statsd => {
            (0..shape.names).map(|name| format!("flood.{name:07}:1|c").into_bytes()).collect()
        }
        Some(path) => read_lines(path)?,
        None if !(least..=1 << 30).contains(&shape.bytes) => {
            return Err(format!("--bytes {} is not from {least} to 1 GiB", shape.bytes));
        }
        None => vec![filler(shape.bytes - own - newline)],
    };
    if shape.numbered {
        let space: &[u8] = if shape.lines.is_some() { b" " } else { b"" };
        contents.iter_mut().for_each(|content| drop(content.splice(..0, PLACE.iter().chain(space).copied())));
    }
    Ok(contents)
}

/// Writes messages in one form.
struct Form<'a> {
    format: Format,
    message_type: &'a str,
    hostname: String,
    json: LineWriter,
    bytes: Vec<u8>,
}

impl<'a> Form<'a> {
    fn new(shape: &'a Shape) -> Form<'a> {
        Form {
            format: shape.format,
            message_type: &shape.message_type,
            hostname: own_hostname(),
            json: LineWriter::default(),
            bytes: Vec::new(),
        }
    }

    /// Returns message `index` as it goes over the wire.
    fn message(&mut self, index: usize, content: &[u8]) -> Result<&[u8], String> {
        self.bytes.clear();
        match self.format {
            Format::Lines | Format::Statsd => {
                self.bytes.extend_from_slice(content);
                self.bytes.push(b'\n');
            }
            Format::Heka => {
                let message = self.heka_message(index, content)?;
                write_head(message_len(&message.view()) as u32, None, &mut self.bytes);
                put_message(&message.view(), &mut self.bytes);
            }
            Format::Json => {
                let message = self.heka_message(index, content)?;
                self.json.put(&message.view(), &mut self.bytes);
                self.bytes.push(b'\n');
            }
        }
        Ok(&self.bytes)
    }

    fn heka_message(&self, index: usize, content: &[u8]) -> Result<OwnedMessage, String> {
        let built = OwnedMessage::build(|builder| {
            builder.uuid(random_uuid()).timestamp(now()).severity(6).pid(std::process::id() as i32);
            builder.message_type(self.message_type).logger("heka-host").hostname(&self.hostname);
            builder.payload(content);
            builder.field("status", if index.is_multiple_of(2) { 200 } else { 500 });
            builder.field("method", "GET").field("path", "/index.html").field("remote_addr", "192.0.2.17");
            builder.field_as("body_bytes_sent", "B", 5_120).field_as("request_time", "s", 0.25);
        });
        built.map_err(|error| format!("failed to make a message: {}", error.reason()))
    }
}
