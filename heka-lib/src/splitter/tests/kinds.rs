//! Each kind by a table.

use super::*;

/// The stream, and the frames it gives.
type Case = (&'static [u8], &'static [&'static [u8]]);

#[test]
fn lines_end_at_a_newline() {
    let cases: &[Case] = &[
        (b"", &[]),
        (b"a", &[b"a"]),
        (b"a\nb\n", &[b"a", b"b"]),
        (b"a\r\nb\r", &[b"a", b"b\r"]),
        (b"a\r\r\n", &[b"a\r"]),
        (b"a\rb\n", &[b"a\rb"]),
        (b"\n\r\n\n", &[]),
        (b"\0\xff\n\0", &[b"\0\xff", b"\0"]),
    ];
    for (input, frames) in cases {
        check(&SplitterConfig::default(), input, frames);
    }
}

#[test]
fn empty_lines_are_kept_when_wanted() {
    let keeping = SplitterConfig::line().with_keep_empty(true);
    check(&keeping, b"\na\r\n\r\n", &[b"", b"a", b""]);
    let counts = split(&SplitterConfig::line(), b"\na\r\n\r\n").counts;
    assert_eq!(counts, SplitCounts { frames: 1, empty: 2, ..SplitCounts::default() });
}

#[test]
fn entries_of_the_journal_end_at_an_empty_line() {
    let config = SplitterConfig::journal_export();
    check(&config, b"A=1\nB=2\n\nA=3\n\n\nC=", &[b"A=1\nB=2\n", b"A=3\n", b"C="]);
    let binary = b"A=1\nB\n\x05\0\0\0\0\0\0\0x\n\n=y\nC=2\n";
    check(&config, &[&binary[..], b"\n", binary].concat(), &[binary, binary]);
    check(
        &config,
        b"A\n\xff\xff\xff\xff\xff\xff\xff\xff\nB=1\n\nC=1\n",
        &[b"A\n\xff\xff\xff\xff\xff\xff\xff\xff\nB=1\n", b"C=1\n"],
    );
    check(&limited(config, 10, LongFrames::Reject), b"A=1\nB=22222222222\n\nC=3\n\n", &[b"C=3\n"]);
}

#[test]
fn tokens_are_dropped_or_kept() {
    let cases: &[(&[u8], bool, Case)] = &[
        (b";", false, (b"a;b;;c", &[b"a", b"b", b"c"])),
        (b";", true, (b"a;;c", &[b"a;", b";", b"c"])),
        (b"\0", false, (b"a\0b", &[b"a", b"b"])),
        (b"--\n", false, (b"a-\n---\nb--\n", &[b"a-\n-", b"b"])),
        (b"--\n", true, (b"a--\nb--", &[b"a--\n", b"b--"])),
        (b"aa", false, (b"xaaay", &[b"x", b"ay"])),
        (b"0123456789abcdef", false, (b"x0123456789abcdefy", &[b"x", b"y"])),
    ];
    for (delimiter, keep, (input, frames)) in cases {
        check(&token(delimiter, *keep), input, frames);
    }
}

#[test]
fn regular_expressions_keep_what_they_capture() {
    use DelimiterAt::*;
    let cases: &[(&str, DelimiterAt, Case)] = &[
        (r"\r?\n", End, (b"a\r\nb\nc", &[b"a", b"b", b"c"])),
        (r"\r?\n", Start, (b"a\r\nb\nc", &[b"a", b"b", b"c"])),
        (r"\n+", End, (b"a\n\n\nb\n", &[b"a", b"b"])),
        (r"([;!])\s*", End, (b"a;  b!c", &[b"a;", b"b!", b"c"])),
        (r"\s*([;!])", Start, (b"a  ;b!c", &[b"a", b";b", b"!c"])),
        (r"\n(\d\d)-", Start, (b"11-a\n b\n12-c\n13-d\n", &[b"11-a\n b", b"12-c", b"13-d\n"])),
        (r"\n(\d\d)-", End, (b"a\n12-c", &[b"a\n12", b"c"])),
        (r"\n(x)?", End, (b"a\nb\nxc", &[b"a", b"b\nx", b"c"])),
        (r"(?m:^)>", End, (b">a>b\n>c", &[b"a>b\n", b"c"])),
        (r"(?m:^)(>)", Start, (b">a>b\n>c", &[b">a>b\n", b">c"])),
        (r"^>", End, (b">a\n>>b", &[b"a\n>>b"])),
        (r";$", End, (b"a;b;", &[b"a;b"])),
        (r";(?-u:\b)", End, (b"a; b;c;", &[b"a; b", b"c;"])),
        (r"(;)(?-u:\b)|;", End, (b"a;b; c;", &[b"a;", b"b", b" c"])),
        (r"a|ab", End, (b"1ab2", &[b"1", b"b2"])),
        (r"ab|a", End, (b"1ab2a", &[b"1", b"2"])),
        (r"x\d*y|x", End, (b"1x22z3x4y5x6", &[b"1", b"22z3", b"5", b"6"])),
        (r"(?-u:\xff)", End, (b"a\xffb\0", &[b"a", b"b\0"])),
        (r"(?s)<.*>", End, (b"a<b>c<d>e", &[b"a", b"e"])),
    ];
    for (delimiter, at, (input, frames)) in cases {
        check(&regex(delimiter, *at), input, frames);
    }
}

#[test]
fn a_match_that_nothing_can_change_is_not_waited_for() {
    for (delimiter, read, frames) in
        [(r"\r?\n", "a\r\nb\n", 2), (r"(;)", "a;", 1), (r"\n{1,2}", "a\n\nb\n", 1)]
    {
        let mut caller = Caller::new(&regex(delimiter, DelimiterAt::End), 256);
        caller.read(read.as_bytes());
        assert_eq!(caller.frames.len(), frames, "{delimiter}");
    }
}

#[test]
fn lengths_go_before_the_body() {
    use ByteOrder::*;
    let cases: &[(usize, ByteOrder, bool, Case)] = &[
        (1, Big, false, (b"\x01a\x00\x02bc", &[b"a", b"bc"])),
        (2, Big, false, (b"\x00\x01a\x00\x02bc", &[b"a", b"bc"])),
        (2, Little, true, (b"\x03\x00a\x04\x00bc", &[b"a", b"bc"])),
        (4, Big, true, (b"\x00\x00\x00\x05a", &[b"a"])),
        (4, Little, false, (b"\x03\x00\x00\x00\0\n\xff", &[b"\0\n\xff"])),
        (8, Big, false, (b"\x00\x00\x00\x00\x00\x00\x00\x01a", &[b"a"])),
        (8, Little, true, (b"\x09\x00\x00\x00\x00\x00\x00\x00a\x0a", &[b"a"])),
    ];
    for (width, order, counts_itself, (input, frames)) in cases {
        check(&length(*width, *order, *counts_itself), input, frames);
    }
}

#[test]
fn heka_frames_are_handed_on_whole() {
    let signed = [&b"\x1e\x0b\x08\x02\x18\x01\x22\x01v\x32\x02\x01\x02\x1f"[..], b"ok"].concat();
    let frames = [heka_frame_of(b"hello"), heka_frame_of(b""), signed, heka_frame_of(&[0x1e; 300])];
    let expected: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    check(&SplitterConfig::heka(), &frames.concat(), &expected);
    for frame in &frames {
        assert!(heka_frame::parse(frame).is_ok());
    }
}

#[test]
fn without_a_splitter_each_read_is_a_frame() {
    let outcome = split_reads(&SplitterConfig::none(), 256, &[b"a\nb", b"", b"\0"]);
    let frames: Vec<&[u8]> = outcome.frames.iter().map(|frame| &frame.bytes[..]).collect();
    assert_eq!(frames, [&b"a\nb"[..], b"\0"]);
}

#[test]
fn positions_lie_behind_the_delimiter() {
    let places = |config: &SplitterConfig, input: &[u8]| -> Vec<(usize, usize)> {
        split(config, input).frames.iter().map(|frame| (frame.start, frame.end)).collect()
    };
    assert_eq!(places(&SplitterConfig::line(), b"ab\r\n\nc\nd"), [(0, 4), (5, 7), (7, 8)]);
    assert_eq!(places(&token(b"::", false), b"a::b"), [(0, 3), (3, 4)]);
    assert_eq!(places(&regex(r"\n(>)", DelimiterAt::Start), b"a\n>b"), [(0, 2), (2, 4)]);
    assert_eq!(places(&length(1, ByteOrder::Big, false), b"\x01a\x01b"), [(1, 2), (3, 4)]);
}

#[test]
fn after_its_end_a_splitter_takes_the_next_stream() {
    let configs = [SplitterConfig::line(), token(b"\n", false), regex(r"^x|\n", DelimiterAt::End)];
    for config in configs {
        let mut caller = Caller::new(&limited(config, 4, LongFrames::Reject), 256);
        for stream in [&b"xa\nb"[..], b"xc", b"too long to keep", b"xd\n"] {
            caller.read(stream);
            caller.finish();
        }
        let frames = caller.frames.iter().filter(|frame| frame.bytes.ends_with(b"d")).count();
        assert_eq!((frames, caller.splitter.counts().rejected), (1, 1));
    }
}

#[test]
fn bad_options_are_refused() {
    let regex = |delimiter| SplitterConfig::regex(delimiter, DelimiterAt::End).unwrap_err();
    let prefix = LengthPrefix { width: 3, order: ByteOrder::Big, counts_itself: false };
    let cases = [
        (
            SplitterConfig::token(b"", false).unwrap_err(),
            "delimiter ``: is 0 bytes long; a token has 1 to 16",
        ),
        (
            SplitterConfig::token(b"0123456789abcdef\n", true).unwrap_err(),
            "delimiter `0123456789abcdef\\n`: is 17 bytes long; a token has 1 to 16",
        ),
        (SplitterConfig::length(prefix).unwrap_err(), "a length prefix is 1, 2, 4 or 8 bytes wide, not 3"),
        (regex("(a)(b)"), "delimiter `(a)(b)`: has 2 capture groups; write all but one as `(?:…)`"),
        (regex("x*"), "delimiter `x*`: can match between any two bytes; make it match at least one"),
        (
            FrameLimit::new(0, LongFrames::Reject).unwrap_err(),
            "a frame's limit is 1 to 1073741824 bytes, not 0",
        ),
        (
            "drop".parse::<LongFrames>().unwrap_err(),
            "no policy `drop` for long frames; known: reject, truncate, dead_letter",
        ),
        (
            "middle".parse::<DelimiterAt>().unwrap_err(),
            "no place `middle` for a delimiter; known: end, start",
        ),
    ];
    for (fault, expected) in cases {
        assert_eq!(fault, expected);
    }
    let place = "delimiter `a(b`: not a regular expression: unclosed group\n    a(b\n     ^";
    assert_eq!(regex("a(b"), place);
    assert!(regex(r";\b").contains("use ASCII classes"), "{}", regex(r";\b"));
    assert!(regex(r"a.{500}b").contains("smaller repetitions"), "{}", regex(r"a.{500}b"));
}
