//! What becomes of each frame: read, matched, printed, counted, or reported as broken.

use super::frames::{Found, FrameReader, Gap};
use super::printer::Printer;
use heka_heka::framing::{FrameFault, parse_frame};
use heka_heka::protobuf::{MessageReader, ProtobufFault};
use heka_lib::matcher::Matcher;
use heka_plugin_api::OwnedMessage;
use std::io;

/// How many broken places are reported one by one; the others are only counted.
const REPORTS_MAX: u64 = 100;

/// Why nothing more can be printed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Reading failed, and why.
    Input(String),
    /// Writing failed.
    Output(io::Error),
}

/// Prints the messages of streams.
pub(super) struct Listing {
    printer: Printer,
    matcher: Option<Matcher>,
    reader: MessageReader,
    processed: u64,
    matched: u64,
    broken: u64,
    report: Box<dyn FnMut(&str)>,
}

impl Listing {
    /// Prints the messages that `matcher` accepts; `report` gets a line about each broken place.
    pub(super) fn new(
        printer: Printer,
        matcher: Option<Matcher>,
        report: impl FnMut(&str) + 'static,
    ) -> Listing {
        let (reader, report) = (MessageReader::default(), Box::new(report));
        Listing { printer, matcher, reader, processed: 0, matched: 0, broken: 0, report }
    }

    /// Prints a stream to its end.
    pub(super) fn read_to_end(&mut self, stream: &mut FrameReader) -> Result<(), Failure> {
        self.read_what_is_there(stream)?;
        stream.end();
        self.take_all(stream)
    }

    /// Prints what the stream has; half a frame at its end may still become whole.
    pub(super) fn read_what_is_there(&mut self, stream: &mut FrameReader) -> Result<(), Failure> {
        while stream.fill().map_err(Failure::Input)? > 0 {
            self.take_all(stream)?;
            // The next read may wait, for standard input.
            self.flush()?;
        }
        Ok(())
    }

    fn take_all(&mut self, stream: &mut FrameReader) -> Result<(), Failure> {
        loop {
            let broken = match stream.next() {
                None => return Ok(()),
                Some(Found::Gap(gap)) => Some(gap_text(&gap)),
                Some(Found::Frame { bytes, position }) => {
                    let taken = self.take_frame(bytes)?;
                    taken.err().map(|fault| format!("message at {position}: {fault}; skipped"))
                }
            };
            if let Some(what) = broken {
                self.report_broken(stream.name(), &what);
            }
        }
    }

    /// Prints a message if it matches; the inner error says what is wrong with it.
    fn take_frame(&mut self, frame: &[u8]) -> Result<Result<(), Fault>, Failure> {
        let message = match read_message(&mut self.reader, frame) {
            Ok(message) => message,
            Err(fault) => return Ok(Err(fault)),
        };
        let message = message.view();
        self.processed += 1;
        if self.matcher.as_ref().is_none_or(|matcher| matcher.matches(&message)) {
            self.matched += 1;
            self.printer.print(&message, frame).map_err(Failure::Output)?;
        }
        Ok(Ok(()))
    }

    fn report_broken(&mut self, name: &str, what: &str) {
        self.broken += 1;
        if self.broken <= REPORTS_MAX {
            (self.report)(&format!("{name}: {what}"));
        }
        if self.broken == REPORTS_MAX {
            (self.report)(&format!("{name}: further broken places are only counted"));
        }
    }

    /// Writes out what was printed.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.printer.flush().map_err(Failure::Output)
    }

    /// Ends: prints the counts if that is the format.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        if self.broken > REPORTS_MAX {
            (self.report)(&format!("heka-host: {} broken places", self.broken));
        }
        self.printer.finish(self.processed, self.matched).map_err(Failure::Output)
    }

    /// Tells whether nothing was broken.
    pub(super) fn is_sound(&self) -> bool {
        self.broken == 0
    }
}

fn gap_text(gap: &Gap) -> String {
    let Gap { position, bytes, long_frames, is_long } = *gap;
    match (long_frames, is_long) {
        (0, _) => format!("{bytes} bytes at {position} are no frame; skipped"),
        (1, true) => format!("frame of {bytes} bytes at {position} is over --message-bytes-max; skipped"),
        (_, true) => {
            format!("{bytes} bytes at {position} are {long_frames} frames over --message-bytes-max; skipped")
        }
        (_, false) => format!(
            "{bytes} bytes at {position} are no frame, or {long_frames} over --message-bytes-max; skipped"
        ),
    }
}

/// Says why a frame holds no message.
#[derive(Debug, PartialEq)]
enum Fault {
    Frame(FrameFault),
    Protobuf(ProtobufFault),
    Encoding(u32),
    Message(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Frame(fault) => fault.fmt(f),
            Fault::Protobuf(fault) => fault.fmt(f),
            Fault::Encoding(number) => write!(f, "message encoding {number} of the header is unknown"),
            Fault::Message(why) => f.write_str(why),
        }
    }
}

fn read_message(reader: &mut MessageReader, frame: &[u8]) -> Result<OwnedMessage, Fault> {
    let frame = parse_frame(frame).map_err(Fault::Frame)?;
    if frame.header.message_encoding != 0 {
        return Err(Fault::Encoding(frame.header.message_encoding));
    }
    let mut read = Ok(());
    let built = OwnedMessage::build(|builder| {
        read = reader.read(frame.message, builder).map(|(_, present)| {
            if !present.uuid {
                // Not a random one, which the file doesn't have.
                builder.uuid([0; 16]);
            }
        });
    });
    read.map_err(Fault::Protobuf)?;
    built.map_err(|error| Fault::Message(error.reason().to_owned()))
}
