//! Any bytes, in pieces of any size, are cut into frames that lie inside what was given.
#![no_main]

use heka_lib::splitter::{DelimiterAt, FrameLimit, FrameSink, LengthPrefix, LongFrames, SplitterConfig};
use libfuzzer_sys::fuzz_target;

fn config(choice: u8) -> SplitterConfig {
    let length = LengthPrefix { width: 2, order: Default::default(), counts_itself: choice & 8 != 0 };
    let made = match choice % 5 {
        0 => Ok(SplitterConfig::line()),
        1 => SplitterConfig::token(b"ab", choice & 8 != 0),
        2 => SplitterConfig::regex("\n(x+)", DelimiterAt::Start),
        3 => Ok(SplitterConfig::heka()),
        _ => SplitterConfig::length(length),
    };
    let policy = [LongFrames::Reject, LongFrames::Truncate, LongFrames::DeadLetter][usize::from(choice >> 4) % 3];
    made.unwrap().with_limit(FrameLimit::new(64, policy).unwrap())
}

fuzz_target!(|data: &[u8]| {
    let [choice, step, bytes @ ..] = data else { return };
    let mut splitter = config(*choice).splitter();
    let mut sink = FrameSink::new(4);
    let mut buffer: Vec<u8> = Vec::new();
    for piece in bytes.chunks(usize::from(*step).max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            sink.clear();
            let consumed = splitter.split(&buffer, &mut sink);
            sink.frames().iter().for_each(|frame| _ = frame.bytes(&buffer));
            buffer.drain(..consumed);
            if !sink.is_full() {
                break;
            }
        }
    }
});
