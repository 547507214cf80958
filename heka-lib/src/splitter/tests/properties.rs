//! What holds for any bytes, however they arrive.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const DELIMITERS: [&str; 12] = [
    r"\r?\n",
    r"\n+",
    r"\n(a)",
    r"(b)+\n",
    r"a|ab|abb\n",
    r"a+b",
    r"(?m:^)a(b)?",
    r"\n$",
    r"(?-u:\b)\n(a?)",
    r"(?s)a.*b|\n",
    r"(?s)a.{3}|\x1e",
    r"\x1e(?:a|b)?(\n|$)",
];

fn configs() -> impl Strategy<Value = SplitterConfig> {
    let at = select(vec![DelimiterAt::End, DelimiterAt::Start]);
    let order = select(vec![ByteOrder::Big, ByteOrder::Little]);
    let kinds = prop_oneof![
        Just(SplitterConfig::line()),
        (select(vec![&b"\n"[..], b"ab", b"aa", b"a\na", b"aba\r"]), any::<bool>())
            .prop_map(|(bytes, keep)| token(bytes, keep)),
        (select(DELIMITERS.to_vec()), at).prop_map(|(delimiter, at)| regex(delimiter, at)),
        Just(SplitterConfig::heka()),
        (select(vec![1, 2, 4, 8]), order, any::<bool>())
            .prop_map(|(width, order, own)| length(width, order, own)),
        (
            select(vec![Some("^a"), None]),
            select(vec![Some("^b|^$"), None]),
            select(vec!["a$", "x"]),
            1_usize..6
        )
            .prop_map(|(start, continuation, goes_on, lines)| multiline(
                start,
                continuation,
                goes_on,
                lines
            )),
        Just(SplitterConfig::cri(GroupLimits::default())),
        Just(SplitterConfig::journal_export()),
    ];
    let policies = select(vec![LongFrames::Reject, LongFrames::Truncate, LongFrames::DeadLetter]);
    let limits = prop_oneof![1_usize..12, Just(FRAME_BYTES_MAX)];
    (kinds, limits, policies, any::<bool>())
        .prop_map(|(config, max, policy, keep)| limited(config, max, policy).with_keep_empty(keep))
}

/// Streams made of what the delimiters are made of, of small numbers, and of Heka frames, whole and broken.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => select(b"aab\n\n\r".to_vec()).prop_map(|byte| vec![byte]),
        2 => (0_u8..14).prop_map(|byte| vec![byte]),
        1 => select(vec![0x1e_u8, 0x1f, 0xff]).prop_map(|byte| vec![byte]),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|message| heka_frame_of(&message)),
        1 => (1_usize..30, select(vec![b'a', b'\n'])).prop_map(|(bytes, byte)| vec![byte; bytes]),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Cuts `bytes` into reads of the given lengths, over and over.
fn reads<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut reads = Vec::new();
    for len in lengths.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (read, rest) = bytes.split_at(bytes.len().min(*len));
        reads.push(read);
        bytes = rest;
    }
    reads
}

/// What the regular expression makes of the whole stream at once.
fn cut_by_matches(delimiter: &str, at: DelimiterAt, stream: &[u8]) -> Vec<Vec<u8>> {
    let delimiter = ::regex::bytes::Regex::new(delimiter).unwrap();
    let (mut frames, mut start) = (Vec::new(), 0);
    for captures in delimiter.captures_iter(stream) {
        let whole = captures.get(0).unwrap();
        let (end, next) = match (at, captures.get(1)) {
            (DelimiterAt::End, Some(kept)) => (kept.end(), whole.end()),
            (DelimiterAt::Start, Some(kept)) => (whole.start(), kept.start()),
            (_, None) => (whole.start(), whole.end()),
        };
        frames.push(stream[start..end].to_vec());
        start = next;
    }
    frames.extend((start < stream.len()).then(|| stream[start..].to_vec()));
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn reads_do_not_show_in_the_frames(
        config in configs(),
        stream in streams(),
        lengths in prop::collection::vec(1_usize..40, 1..5),
        frames_max in 1_usize..5,
    ) {
        let whole = split_reads(&config, 256, &[&stream]);
        prop_assert_eq!(split_reads(&config, frames_max, &reads(&stream, &lengths)), whole);
    }

    #[test]
    fn any_bytes_are_survived(config in configs(), stream: Vec<u8>, len in 1_usize..9) {
        let whole = split_reads(&config, 256, &[&stream]);
        prop_assert_eq!(split_reads(&config, 256, &reads(&stream, &[len])), whole);
    }

    #[test]
    fn lines_and_newlines_are_the_stream(stream in streams()) {
        let config = SplitterConfig::line().with_keep_empty(true);
        let frames = split(&config, &stream).frames;
        let mut joined = Vec::new();
        for frame in &frames {
            prop_assert_eq!(frame.start, joined.len());
            joined.extend_from_slice(&frame.bytes);
            joined.extend_from_slice(&stream[frame.start + frame.bytes.len()..frame.end]);
            let delimiter = &stream[frame.start + frame.bytes.len()..frame.end];
            prop_assert!(matches!(delimiter, b"\n" | b"\r\n" | b""));
        }
        prop_assert_eq!(joined, stream);
    }

    #[test]
    fn regular_expressions_cut_as_if_the_stream_were_one_text(
        delimiter in select(DELIMITERS.to_vec()),
        at in select(vec![DelimiterAt::End, DelimiterAt::Start]),
        stream in streams(),
    ) {
        let config = regex(delimiter, at).with_keep_empty(true);
        let frames: Vec<_> = split(&config, &stream).frames.into_iter().map(|frame| frame.bytes).collect();
        prop_assert_eq!(frames, cut_by_matches(delimiter, at, &stream));
    }

    #[test]
    fn heka_frames_survive_any_noise(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
        noise in prop::collection::vec(0x20_u8.., 0..50),
    ) {
        let frames: Vec<_> = messages.iter().map(|message| heka_frame_of(message)).collect();
        let mut stream = noise.clone();
        for frame in &frames {
            stream.extend([&frame[..], &noise].concat());
        }
        let outcome = split(&SplitterConfig::heka(), &stream);
        let got: Vec<_> = outcome.frames.into_iter().map(|frame| frame.bytes).collect();
        prop_assert_eq!(got, frames);
        prop_assert_eq!(outcome.counts.broken_bytes, (noise.len() * (messages.len() + 1)) as u64);
    }
}

#[test]
fn a_delimiter_beyond_all_bounds_does_not_depend_on_the_reads_either() {
    let longer = [&b"ab"[..], &[b'-'; 7000], b"\ncd-e\nf-", &[b'x'; 3000], b"\n-\ng"].concat();
    let undecided = [&[b'a'; 5000][..], &[b'-'; 1500], b"\n", &[b'x'; 1500], b"z\n"].concat();
    for delimiter in
        [r"-+\n", r"-+", r"x+|-+\n", r"(-)[-x]*", r"(?s)-.*\n", r"(-+\n)(?:x+y)?", r"(?m:^)-+|\n-+x*$"]
    {
        for (at, max) in [(DelimiterAt::End, 100), (DelimiterAt::Start, 2000), (DelimiterAt::Start, 1 << 20)]
        {
            let config = limited(regex(delimiter, at), max, LongFrames::Truncate);
            for stream in [&longer, &undecided] {
                let whole = split_reads(&config, 256, &[stream]);
                for len in [1, 7, 1000, 2048, 4097] {
                    assert_eq!(split_reads(&config, 256, &reads(stream, &[len])), whole, "{delimiter}");
                }
            }
        }
    }
}

#[test]
fn a_delimiter_that_could_go_on_for_ever_is_decided_in_time() {
    let mut caller = Caller::new(&regex(r"(?s)<.*>", DelimiterAt::End), 256);
    caller.read(b"a<b>");
    caller.read(&[b'x'; 2000]);
    assert!(caller.frames.is_empty());
    caller.read(&[b'x'; 100]);
    assert_eq!(caller.frames.len(), 1);
}
