//! Tests of all kinds: a caller's loop, tables, properties.

mod faults;
mod groups;
mod kinds;
mod properties;

use super::*;

/// One frame as the caller got it: its bytes, its flags, and its place in the stream.
#[derive(Clone, Debug, PartialEq)]
struct Got {
    bytes: Vec<u8>,
    flags: u32,
    start: usize,
    end: usize,
}

/// What a whole stream gave.
#[derive(Debug, PartialEq)]
struct Outcome {
    frames: Vec<Got>,
    counts: SplitCounts,
}

/// A caller's buffer, sink and loop.
struct Caller {
    splitter: Splitter,
    sink: FrameSink,
    buffer: Vec<u8>,
    position: usize,
    frames: Vec<Got>,
}

impl Caller {
    fn new(config: &SplitterConfig, frames_max: usize) -> Self {
        let (splitter, sink) = (config.splitter(), FrameSink::new(frames_max));
        Caller { splitter, sink, buffer: Vec::new(), position: 0, frames: Vec::new() }
    }

    fn take(&mut self, consumed: usize) {
        for frame in self.sink.frames() {
            assert!(frame.end as usize <= self.buffer.len());
            self.frames.push(Got {
                bytes: frame.bytes(&self.buffer).to_vec(),
                flags: frame.flags,
                start: self.position + frame.start as usize,
                end: self.position + frame.end as usize,
            });
        }
        self.sink.clear();
        self.buffer.drain(..consumed);
        self.position += consumed;
    }

    fn read(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        loop {
            let consumed = self.splitter.split(&self.buffer, &mut self.sink);
            let was_full = self.sink.is_full();
            self.take(consumed);
            if !was_full {
                break;
            }
        }
        assert!(
            self.buffer.len() <= self.splitter.buffer_bytes_max(),
            "{} bytes are left",
            self.buffer.len()
        );
    }

    fn finish(&mut self) {
        loop {
            let consumed = self.splitter.finish(&self.buffer, &mut self.sink);
            self.take(consumed);
            if self.buffer.is_empty() {
                break;
            }
        }
    }
}

fn split_reads(config: &SplitterConfig, frames_max: usize, reads: &[&[u8]]) -> Outcome {
    let mut caller = Caller::new(config, frames_max);
    for read in reads {
        caller.read(read);
    }
    caller.finish();
    Outcome { counts: caller.splitter.counts(), frames: caller.frames }
}

/// Splits `input` in one read, byte by byte, and with a sink for one frame; all must give the same.
fn split(config: &SplitterConfig, input: &[u8]) -> Outcome {
    let whole = split_reads(config, 256, &[input]);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(split_reads(config, 256, &bytes), whole, "byte by byte");
    assert_eq!(split_reads(config, 1, &[input]), whole, "one frame at a time");
    whole
}

/// Checks the frames' bytes.
fn check(config: &SplitterConfig, input: &[u8], expected: &[&[u8]]) {
    let outcome = split(config, input);
    let frames: Vec<_> = outcome.frames.iter().map(|frame| frame.bytes.escape_ascii().to_string()).collect();
    let expected: Vec<_> = expected.iter().map(|frame| frame.escape_ascii().to_string()).collect();
    assert_eq!(frames, expected, "{} cut by {config:?}", input.escape_ascii());
}

fn limited(config: SplitterConfig, bytes_max: usize, policy: LongFrames) -> SplitterConfig {
    config.with_limit(FrameLimit::new(bytes_max, policy).unwrap())
}

fn token(token: &[u8], keep_delimiter: bool) -> SplitterConfig {
    SplitterConfig::token(token, keep_delimiter).unwrap()
}

fn regex(delimiter: &str, at: DelimiterAt) -> SplitterConfig {
    SplitterConfig::regex(delimiter, at).unwrap()
}

fn length(width: usize, order: ByteOrder, counts_itself: bool) -> SplitterConfig {
    SplitterConfig::length(LengthPrefix { width, order, counts_itself }).unwrap()
}

fn multiline(
    start: Option<&str>,
    continuation: Option<&str>,
    goes_on: &str,
    lines_max: usize,
) -> SplitterConfig {
    let patterns = LinePatterns {
        start: start.map(str::to_owned),
        continuation: continuation.map(str::to_owned),
        goes_on: Some(goes_on.to_owned()),
    };
    let limits = GroupLimits { lines_max, ..GroupLimits::default() };
    SplitterConfig::multiline(&patterns, &[], limits).unwrap()
}

/// Frames `message` as a Heka client does.
fn heka_frame_of(message: &[u8]) -> Vec<u8> {
    let mut header = vec![0x08];
    let mut length = message.len();
    while length >= 0x80 {
        header.push(length as u8 | 0x80);
        length >>= 7;
    }
    header.push(length as u8);
    [&[0x1e, header.len() as u8], &header[..], &[0x1f], message].concat()
}
