//! How fast the splitters are: lines of 180 bytes (and as long Heka and length-prefixed frames) in 128 KiB
//! buffers, cut in groups of 256 as a stage does; and one line of 1 MiB that comes in reads of 4 KiB.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use heka_lib::splitter::{
    ByteOrder, DelimiterAt, FrameLimit, FrameSink, GroupLimits, LengthPrefix, LinePatterns, LongFrames,
    SplitterConfig,
};

const LINE_BYTES: usize = 180;
const LINES: usize = 728;

fn main() {
    divan::main();
}

/// Repeats a frame of 180 bytes: `front`, letters, `back`.
fn frames(front: &[u8], back: &[u8]) -> Vec<u8> {
    let letters = b"abcdefgh ".iter().copied().cycle().take(LINE_BYTES - front.len() - back.len());
    let frame: Vec<u8> = front.iter().copied().chain(letters).chain(back.iter().copied()).collect();
    frame.repeat(LINES)
}

fn split(bencher: Bencher, config: Result<SplitterConfig, String>, front: &[u8], back: &[u8]) {
    let Ok(config) = config else { return };
    let buffer = frames(front, back);
    let (mut splitter, mut sink) = (config.splitter(), FrameSink::new(256));
    let run = || {
        let mut rest = black_box(&buffer[..]);
        let mut count = 0;
        loop {
            sink.clear();
            rest = &rest[splitter.split(rest, &mut sink)..];
            count += black_box(sink.frames()).len();
            if !sink.is_full() {
                return count;
            }
        }
    };
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::new(LINE_BYTES * LINES)).bench_local(run);
}

#[divan::bench]
fn line(bencher: Bencher) {
    split(bencher, Ok(SplitterConfig::line()), b"", b"\n");
}

#[divan::bench]
fn line_crlf(bencher: Bencher) {
    split(bencher, Ok(SplitterConfig::line()), b"", b"\r\n");
}

/// Each line a message of its own, as most are.
#[divan::bench]
fn multiline_by_pattern(bencher: Bencher) {
    let patterns = LinePatterns { start: Some("^[0-9]{4}-".to_owned()), ..LinePatterns::default() };
    let config = SplitterConfig::multiline(&patterns, &[], GroupLimits::default());
    split(bencher, config, b"2024-01-02 ", b"\n");
}

#[divan::bench(args = ["java", "python", "go", "ruby"])]
fn multiline_preset(bencher: Bencher, preset: &str) {
    let presets = [preset.to_owned()];
    let config = SplitterConfig::multiline(&LinePatterns::default(), &presets, GroupLimits::default());
    split(bencher, config, b"2024-01-02 ", b"\n");
}

#[divan::bench]
fn token_of_one_byte(bencher: Bencher) {
    split(bencher, SplitterConfig::token(b"\n", false), b"", b"\n");
}

#[divan::bench]
fn token_of_two_bytes(bencher: Bencher) {
    split(bencher, SplitterConfig::token(b"\r\n", false), b"", b"\r\n");
}

#[divan::bench]
fn regex_newlines(bencher: Bencher) {
    split(bencher, SplitterConfig::regex(r"\r?\n", DelimiterAt::End), b"", b"\n");
}

#[divan::bench]
fn regex_date_at_the_start(bencher: Bencher) {
    let config = SplitterConfig::regex(r"\n(\d{4}-\d\d-\d\d)", DelimiterAt::Start);
    split(bencher, config, b"2026-07-01 x", b"\n");
}

#[divan::bench]
fn heka(bencher: Bencher) {
    split(bencher, Ok(SplitterConfig::heka()), b"\x1e\x03\x08\xae\x01\x1f", b"");
}

#[divan::bench]
fn length(bencher: Bencher) {
    let prefix = LengthPrefix { width: 4, order: ByteOrder::Big, counts_itself: true };
    split(bencher, SplitterConfig::length(prefix), b"\0\0\0\xb4", b"");
}

#[divan::bench]
fn one_long_line_in_small_reads(bencher: Bencher) {
    let Ok(limit) = FrameLimit::new(2 << 20, LongFrames::Reject) else { return };
    let mut line = vec![b'a'; 1 << 20];
    line.push(b'\n');
    let mut sink = FrameSink::new(256);
    bencher.counter(BytesCount::new(line.len())).bench_local(|| {
        let mut splitter = SplitterConfig::line().with_limit(limit).splitter();
        sink.clear();
        for end in (4096..line.len()).step_by(4096).chain([line.len()]) {
            splitter.split(black_box(&line[..end]), &mut sink);
        }
        sink.frames().len()
    });
}
