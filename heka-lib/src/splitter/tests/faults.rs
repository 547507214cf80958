//! Long, endless and broken frames.

use super::*;

/// Returns frames with their flags, and the counts of what was rejected, truncated and dead-lettered.
fn long(config: SplitterConfig, policy: LongFrames, input: &[u8]) -> (Vec<(Vec<u8>, u32)>, [u64; 3]) {
    let Outcome { frames, counts } = split(&limited(config, 3, policy), input);
    let frames = frames.into_iter().map(|frame| (frame.bytes, frame.flags)).collect();
    (frames, [counts.rejected, counts.truncated, counts.dead_lettered])
}

/// Checks what the policies make of `long_one` between `abc`, as long as may be, and `d`.
fn check_policies(config: &SplitterConfig, input: &[u8], abc: &[u8], shortened: &[u8], d: &[u8]) {
    let frame = |bytes: &[u8], flags| (bytes.to_vec(), flags);
    let between = |flags| vec![frame(abc, 0), frame(shortened, flags), frame(d, 0)];
    let rejected = (vec![frame(abc, 0), frame(d, 0)], [1, 0, 0]);
    assert_eq!(long(config.clone(), LongFrames::Reject, input), rejected, "{config:?}");
    assert_eq!(long(config.clone(), LongFrames::Truncate, input), (between(1), [0, 1, 0]), "{config:?}");
    assert_eq!(long(config.clone(), LongFrames::DeadLetter, input), (between(3), [0, 0, 1]), "{config:?}");
}

#[test]
fn a_frame_over_the_limit_is_treated_by_the_policy() {
    let configs = [
        (SplitterConfig::line(), &b"abc\r\nefgh\r\nd"[..]),
        (SplitterConfig::line(), b"abc\nefgh\nd\n"),
        (token(b"::", false), b"abc::efgh::d"),
        (regex(r"\s+", DelimiterAt::End), b"abc  efgh   d"),
        (regex(r"\n|;\n", DelimiterAt::Start), b"abc;\nefgh\nd"),
        (length(1, ByteOrder::Big, false), b"\x03abc\x04efgh\x01d"),
        (
            length(8, ByteOrder::Little, true),
            b"\x0b\0\0\0\0\0\0\0abc\x0c\0\0\0\0\0\0\0efgh\x09\0\0\0\0\0\0\0d",
        ),
    ];
    for (config, input) in configs {
        check_policies(&config, input, b"abc", b"efg", b"d");
    }
}

#[test]
fn a_long_frame_is_not_done_with_before_its_end() {
    for config in [SplitterConfig::line(), token(b"\n", false), regex("\n", DelimiterAt::End)] {
        for policy in [LongFrames::Reject, LongFrames::Truncate] {
            let mut splitter = limited(config.clone(), 3, policy).splitter();
            let mut frames = FrameSink::new(16);
            let long = [b"ab\n".to_vec(), vec![b'x'; 100_000]].concat();
            let done = splitter.split(&long, &mut frames) as u64;
            assert_eq!(done - splitter.skipped_bytes(), 3, "{config:?}");
            splitter.split(b"more\nok\n", &mut frames);
            assert_eq!(splitter.skipped_bytes(), 0, "{config:?}");
        }
    }
}

#[test]
fn a_kept_delimiter_counts() {
    check_policies(&token(b";", true), b"ab;efg;d;", b"ab;", b"efg", b"d;");
    check_policies(&regex("(;)", DelimiterAt::End), b"ab;efg;d;", b"ab;", b"efg", b"d;");
    check_policies(&regex("(;)", DelimiterAt::Start), b"abc;efg;d", b"abc", b";ef", b";d");
}

#[test]
fn a_heka_frames_message_counts() {
    let frames = [heka_frame_of(b"abc"), heka_frame_of(b"efgh"), heka_frame_of(b"d")];
    let shortened = &frames[1][..frames[1].len() - 1];
    check_policies(&SplitterConfig::heka(), &frames.concat(), &frames[0], shortened, &frames[2]);
    assert_eq!(heka_frame::parse(shortened), Err(heka_frame::HekaFrameFault::Incomplete));
}

#[test]
fn what_a_long_heka_message_holds_is_not_split() {
    let long = heka_frame_of(&[heka_frame_of(b"in"), b"side".to_vec()].concat());
    let good = heka_frame_of(b"ok");
    let config = limited(SplitterConfig::heka(), 3, LongFrames::Reject);
    check(&config, &[&long[..], &good].concat(), &[&good]);
}

#[test]
fn a_frame_without_end_never_grows_the_buffer() {
    let configs = [
        SplitterConfig::line(),
        token(b"END", true),
        regex(r"\n(x)", DelimiterAt::Start),
        regex(r"(?s)<.*>", DelimiterAt::End),
        length(4, ByteOrder::Big, false),
        SplitterConfig::heka(),
    ];
    for config in configs {
        let mut caller = Caller::new(&limited(config, 1000, LongFrames::Truncate), 256);
        for _ in 0..100 {
            caller.read(&[b'<'; 500]);
        }
        caller.finish();
        assert!(caller.frames.len() <= 1);
    }
}

#[test]
fn good_heka_frames_behind_broken_ones_are_found() {
    let good = heka_frame_of(b"good");
    let broken: &[&[u8]] = &[
        b"noise",
        b"\x1e",
        b"\x1e\x00",
        b"\x1e\xff",
        b"\x1e\x02\x08\x04 no separator",
        b"\x1e\x02\x10\x04\x1f no length",
        b"\x1e\x02\xff\xff\x1f no protobuf",
        b"\x1e\x06\x08\xff\xff\xff\xff\x0f\x1f too long to be true",
        b"\x1e\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1f",
        b"\x1e\x1e\x1e\x1f\x1f",
    ];
    for bytes in broken {
        let input = [&good, *bytes, &good, &good, *bytes].concat();
        check(&SplitterConfig::heka(), &input, &[&good, &good, &good]);
        let counts = split(&SplitterConfig::heka(), &input).counts;
        assert_eq!(counts.broken_bytes, 2 * bytes.len() as u64, "{}", bytes.escape_ascii());
    }
}

#[test]
fn half_a_frame_at_the_end_is_broken() {
    let good = heka_frame_of(b"good");
    let cases = [
        (SplitterConfig::heka(), [&good, &good[..6]].concat(), 6),
        (SplitterConfig::heka(), [&good[..], b"\x1e\x02\x08\x70\x1f"].concat(), 5),
        (length(2, ByteOrder::Big, false), b"\x00\x01a\x00\x02b".to_vec(), 3),
        (length(2, ByteOrder::Big, false), b"\x00\x01a\x00".to_vec(), 1),
        (length(2, ByteOrder::Big, true), b"\x00\x01\x00\x03a".to_vec(), 2),
    ];
    for (config, input, broken_bytes) in cases {
        let counts = split(&config, &input).counts;
        assert_eq!((counts.frames, counts.broken_bytes), (1, broken_bytes), "{}", input.escape_ascii());
    }
}

#[test]
fn whole_frames_in_a_cut_off_one_are_found_at_the_end() {
    let good = heka_frame_of(b"good");
    check(&SplitterConfig::heka(), &[&b"\x1e\x02\x08\x70\x1fcut"[..], &good].concat(), &[&good]);
}

#[test]
fn problems_say_what_where_and_how_it_begins() {
    let problem = |config: &SplitterConfig, input: &[u8]| {
        let mut caller = Caller::new(config, 256);
        caller.read(input);
        let problem = caller.splitter.take_problem().unwrap();
        assert!(caller.splitter.take_problem().is_none());
        problem.to_string()
    };
    let text = "frame at byte 4 is longer than 3 bytes: rejected; it begins `\\xfflong\\n`";
    assert_eq!(problem(&limited(SplitterConfig::line(), 3, LongFrames::Reject), b"abc\n\xfflong\n"), text);
    let text = "frame at byte 0 is longer than 3 bytes: truncated; it begins `long`";
    assert_eq!(problem(&limited(SplitterConfig::none(), 3, LongFrames::Truncate), b"long"), text);
    let text = "frame at byte 1 is longer than 3 bytes: made a dead letter; it begins `long`";
    let prefixed = length(1, ByteOrder::Big, false);
    assert_eq!(problem(&limited(prefixed, 3, LongFrames::DeadLetter), b"\x04long"), text);
    let text = "broken frame at byte 5, skipped to the next good one; it begins `noise`";
    let input = [&heka_frame_of(b"")[..], b"noise"].concat();
    assert_eq!(problem(&SplitterConfig::heka(), &input), text);
}
