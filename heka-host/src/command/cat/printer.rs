//! Messages in the form that was asked for.

use super::text::put_text;
use heka_json::line::LineWriter;
use heka_object::Clock;
use heka_plugin_api::Message;
use std::io::{self, Write};

/// How much is gathered before it is written, in bytes.
const WRITE_BYTES: usize = 64 << 10;

/// The form of a printed message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(in crate::command) enum Format {
    /// A line with the header, then the payload and a line for each field.
    Text,
    /// A JSON object in a line.
    Json,
    /// The payload and a newline.
    Payload,
    /// The frame, byte for byte.
    Heka,
    /// Nothing but the counts at the end.
    Count,
}

/// Writes messages in one format.
pub(in crate::command) struct Printer {
    format: Format,
    out: Box<dyn Write>,
    bytes: Vec<u8>,
    clock: Clock,
    lines: LineWriter,
}

impl Printer {
    pub(in crate::command) fn new(format: Format, out: Box<dyn Write>) -> Printer {
        Printer { format, out, bytes: Vec::new(), clock: Clock::default(), lines: LineWriter::default() }
    }

    /// Prints one message; `frame` are its bytes.
    pub(in crate::command) fn print(&mut self, message: &Message<'_>, frame: &[u8]) -> io::Result<()> {
        match self.format {
            Format::Text => put_text(message, &mut self.clock, &mut self.bytes),
            Format::Json => {
                self.lines.put(message, &mut self.bytes);
                self.bytes.push(b'\n');
            }
            Format::Payload => {
                self.bytes.extend_from_slice(message.payload());
                if !message.payload().ends_with(b"\n") {
                    self.bytes.push(b'\n');
                }
            }
            Format::Heka => self.bytes.extend_from_slice(frame),
            Format::Count => return Ok(()),
        }
        if self.bytes.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes out what was gathered.
    pub(in crate::command) fn flush(&mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            let written = self.out.write_all(&self.bytes).and_then(|()| self.out.flush());
            self.bytes.clear();
            written?;
        }
        Ok(())
    }

    /// Writes out the rest; with [`Format::Count`], the counts.
    pub(in crate::command) fn finish(&mut self, processed: u64, matched: u64) -> io::Result<()> {
        if self.format == Format::Count {
            writeln!(self.bytes, "processed {processed}, matched {matched}")?;
        }
        self.flush()
    }
}
