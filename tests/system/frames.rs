//! What becomes of bytes that are not as they should be: counted, and the good ones behind them are delivered.

use heka_tests::{Directory, Ended, Host, address_of, send_tcp, send_udp, wait_until};
use std::fs;

/// How bytes come in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    File,
    Tcp,
    Udp,
}

/// What a run left.
struct Left {
    out: Vec<u8>,
    dead: Vec<u8>,
    ended: Ended,
}

impl Left {
    fn count(&self, what: &str) -> u64 {
        self.ended.count("input in", what)
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.out).lines().map(str::to_owned).collect()
    }

    fn json(&self) -> Vec<serde_json::Value> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Sends bytes into an input with these options, and from there to a file by an encoder.
fn run(way: Way, options: &str, encoder: &str, bytes: &[u8]) -> Left {
    let directory = Directory::new();
    let plugin = match way {
        Way::File => "plugin = \"file\"\npaths = [\"in.bin\"]\nfrom = \"beginning\"",
        Way::Tcp => "plugin = \"tcp\"\naddress = \"127.0.0.1:0\"",
        Way::Udp => "plugin = \"udp\"\naddress = \"127.0.0.1:0\"",
    };
    let config = format!(
        "[heka]\ndead_letter = \"dead\"\n[inputs.in]\n{plugin}\n{options}\n\
         [decoders.signed]\nplugin = \"heka\"\nsigners = {{ web_1 = {{ key = \"secret\" }} }}\nrequire_signature = true\n\
         [chains.default]\noutputs = [\"out\"]\n\
         [outputs.out]\nplugin = \"file\"\npath = \"out\"\nencoder = \"{encoder}\"\n\
         [outputs.dead]\nplugin = \"file\"\npath = \"dead\"\nencoder = \"payload\"\n"
    );
    let ended = if way == Way::File {
        directory.write("in.bin", bytes);
        Host::run_once(&directory, &config)
    } else {
        let host = Host::run(&directory, &config);
        let address = address_of(&directory, "in");
        if way == Way::Tcp {
            send_tcp(address, bytes)
        } else {
            send_udp(address, bytes)
        }
        wait_until("everything is read", || host.count("input in", "bytes") == bytes.len() as u64);
        host.stop()
    };
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let read = |name: &str| fs::read(directory.join(name)).unwrap_or_default();
    Left { out: read("out"), dead: read("dead"), ended }
}

/// Runs lines through each way; expects the same bytes out, dead letters and counts.
fn check(options: &str, bytes: &[u8], out: &[u8], dead: &[u8], counts: &[(&str, u64)]) {
    for way in [Way::File, Way::Tcp] {
        let left = run(way, options, "payload", bytes);
        assert_eq!(left.out.escape_ascii().to_string(), out.escape_ascii().to_string(), "{way:?}");
        assert_eq!(
            left.dead.escape_ascii().to_string(),
            dead.escape_ascii().to_string(),
            "dead letters, {way:?}"
        );
        for (what, count) in counts {
            assert_eq!(left.count(what), *count, "{what}, {way:?}:\n{}", left.ended.stderr);
        }
    }
}

const LONG: &str = "frame_bytes_max = 10\nframe_overflow =";

#[test]
fn a_line_of_the_longest_length_passes_and_a_longer_one_is_rejected() {
    let lines = b"0123456789\n0123456789a\ngood\n";
    check(
        &format!("{LONG} \"reject\""),
        lines,
        b"0123456789\ngood\n",
        b"",
        &[("messages", 2), ("rejected", 1)],
    );
}

#[test]
fn a_longer_line_is_truncated() {
    let counts = [("messages", 3), ("truncated", 1), ("rejected", 0)];
    let lines = b"0123456789\n0123456789abc\ngood\n";
    check(&format!("{LONG} \"truncate\""), lines, b"0123456789\n0123456789\ngood\n", b"", &counts);
}

#[test]
fn a_longer_line_becomes_a_dead_letter() {
    let counts = [("messages", 1), ("dead-lettered", 1)];
    check(&format!("{LONG} \"dead_letter\""), b"0123456789abc\ngood\n", b"good\n", b"0123456789\n", &counts);
}

#[test]
fn a_line_without_end_costs_no_memory_and_not_the_next_line() {
    let mut bytes = vec![b'x'; 8 << 20];
    bytes.extend_from_slice(b"\ngood\n");
    check(&format!("{LONG} \"reject\""), &bytes, b"good\n", b"", &[("messages", 1), ("rejected", 1)]);
}

#[test]
fn a_line_without_end_at_the_end_is_rejected() {
    let mut bytes = b"good\n".to_vec();
    bytes.extend(vec![b'x'; 1 << 20]);
    check(&format!("{LONG} \"reject\""), &bytes, b"good\n", b"", &[("messages", 1), ("rejected", 1)]);
}

#[test]
fn empty_lines_are_left_out_unless_they_are_asked_for() {
    check("", b"\none\n\n\r\ntwo\n\n", b"one\ntwo\n", b"", &[("messages", 2)]);
    let keep = "splitter = { kind = \"line\", keep_empty = true }";
    check(keep, b"\none\n\ntwo\n", b"\none\n\ntwo\n", b"", &[("messages", 4)]);
}

#[test]
fn any_bytes_are_carried_through_unchanged() {
    let every: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').collect();
    let bytes = [&b"NUL \0 inside\n\xff\xfe\xc3(\n"[..], &every, b"\n\xe2\x82\n"].concat();
    check("", &bytes, &bytes, b"", &[("messages", 4)]);
}

#[test]
fn the_json_encoder_replaces_what_is_not_utf8() {
    for way in [Way::File, Way::Tcp, Way::Udp] {
        let json = run(way, "", "json", b"a\xffb\0c").json();
        assert_eq!(json.len(), 1, "{way:?}");
        assert_eq!(json[0]["payload"], "a\u{fffd}b\0c", "{way:?}");
    }
}

#[test]
fn a_datagram_is_a_frame() {
    let left = run(Way::Udp, "", "payload", b"\xff\0 not\nsplit");
    assert_eq!((left.out.as_slice(), left.count("messages")), (&b"\xff\0 not\nsplit\n"[..], 1));
    let left = run(Way::Udp, "splitter = \"line\"\nframe_bytes_max = 5", "payload", b"one\ntoo long\n\nlast");
    assert_eq!(left.out, b"one\nlast\n");
    assert_eq!(left.count("rejected"), 1);
}

#[test]
fn a_datagram_over_the_limit_is_rejected() {
    let left = run(Way::Udp, "frame_bytes_max = 5", "payload", b"too long");
    assert_eq!((left.out.as_slice(), left.count("rejected")), (&b""[..], 1), "{}", left.ended.stderr);
}

/// A Heka frame with a payload.
fn heka_frame(payload: &str) -> Vec<u8> {
    let mut message = vec![0x0a, 16];
    message.extend([7; 16]);
    message.extend([0x10, 1, 0x1a, 4]);
    message.extend(b"test");
    message.extend([0x32, payload.len() as u8]);
    message.extend(payload.as_bytes());
    let mut frame = vec![0x1e, 2, 0x08, message.len() as u8, 0x1f];
    frame.extend(message);
    frame
}

const HEKA: &str = "splitter = \"heka\"\ndecoder = \"heka\"";

#[test]
fn good_heka_frames_behind_broken_ones_are_delivered() {
    let one = heka_frame("one");
    let mut unreadable = heka_frame("x");
    let body = unreadable.len() - 5;
    unreadable[5..].copy_from_slice(&vec![0xff; body]);
    let broken: [(&str, Vec<u8>, [u64; 2]); 4] = [
        ("garbage", b"garbage".to_vec(), [7, 0]),
        ("a separator alone", vec![0x1e], [1, 0]),
        ("a header without end", vec![0x1e, 2, 0x08, 5, 0x20], [5, 0]),
        ("a body that is no message", unreadable, [0, 1]),
    ];
    for (what, broken, [broken_bytes, undecoded]) in broken {
        for way in [Way::File, Way::Tcp] {
            let bytes = [&one[..], &broken, &heka_frame("two"), &heka_frame("three")].concat();
            let options = format!("{HEKA}\non_decode_error = \"drop\"");
            let left = run(way, &options, "payload", &bytes);
            assert_eq!(left.lines(), ["one", "two", "three"], "{what}, {way:?}:\n{}", left.ended.stderr);
            let counted = ["broken bytes", "undecoded"].map(|what| left.count(what));
            assert_eq!(counted, [broken_bytes, undecoded], "{what}, {way:?}:\n{}", left.ended.stderr);
        }
    }
}

#[test]
fn a_heka_frame_that_was_cut_costs_at_most_the_one_behind_it() {
    let cut = &heka_frame("lost")[..20];
    let bytes = [&heka_frame("one")[..], cut, &heka_frame("perhaps"), &heka_frame("two")].concat();
    for way in [Way::File, Way::Tcp] {
        let left = run(way, &format!("{HEKA}\non_decode_error = \"drop\""), "payload", &bytes);
        let lines: Vec<String> = left.lines().into_iter().filter(|line| line != "perhaps").collect();
        assert_eq!(lines, ["one", "two"], "{way:?}:\n{}", left.ended.stderr);
        assert!(left.count("undecoded") + left.count("broken bytes") > 0, "{way:?}:\n{}", left.ended.stderr);
    }
}

/// Frames of the lines `KEY one`, `KEY two`, signed by our own encoder.
fn signed(signer: &str, key: &str) -> Vec<u8> {
    let directory = Directory::new();
    directory.write("in", format!("{key} one\n{key} two\n"));
    let config = format!(
        "[inputs.in]\nplugin = \"file\"\npaths = [\"in\"]\nfrom = \"beginning\"\n[chains.default]\noutputs = [\"out\"]\n\
         [outputs.out]\nplugin = \"file\"\npath = \"out\"\nencoder = \"signing\"\n\
         [encoders.signing]\nplugin = \"heka\"\nsigner = \"{signer}\"\nkey = \"{key}\"\nkey_version = 1\n"
    );
    let ended = Host::run_once(&directory, &config);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    fs::read(directory.join("out")).unwrap()
}

#[test]
fn frames_with_a_wrong_signature_are_refused_and_the_good_ones_pass() {
    let bytes = [
        signed("web", "secret"),
        signed("web", "guessed"),
        signed("nobody", "secret"),
        heka_frame("unsigned"),
        signed("web", "secret"),
    ]
    .concat();
    for way in [Way::File, Way::Tcp] {
        let options = "splitter = \"heka\"\ndecoder = \"signed\"\non_decode_error = \"drop\"";
        let left = run(way, options, "payload", &bytes);
        assert_eq!(left.lines(), ["secret one", "secret two", "secret one", "secret two"], "{way:?}");
        assert_eq!((left.count("undecoded"), left.count("messages")), (5, 4), "{way:?}");
    }
}

#[test]
fn deeply_nested_json_is_refused_and_the_good_ones_pass() {
    const DEPTH: usize = 10_000;
    let good = "{\"payload\":\"good\"}\n";
    let arrays = format!("{{\"a\":{}{}}}\n", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = format!("{}1{}\n", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
    let unclosed = "[".repeat(DEPTH) + "\n";
    let bytes = [good, &arrays, good, &objects, good, &unclosed, good].concat();
    let options = "decoder = \"json\"\non_decode_error = \"drop\"";
    check(options, bytes.as_bytes(), b"good\ngood\ngood\ngood\n", b"", &[("messages", 4), ("undecoded", 3)]);
}

#[test]
fn deeply_nested_messagepack_is_refused_and_the_good_ones_pass() {
    let prefixed = |map: &[u8]| [&(map.len() as u32).to_be_bytes()[..], map].concat();
    let good = prefixed(b"\x81\xa7payload\xa4good");
    let nested = |level: &[u8]| [&b"\x81\xa1a"[..], &level.repeat(10_000), b"\x01"].concat();
    let (arrays, maps) = (prefixed(&nested(b"\x91")), prefixed(&nested(b"\x81\xa1a")));
    let bytes = [&good[..], &arrays, &good, &maps, &good].concat();
    let options = "splitter = \"length\"\ndecoder = \"msgpack\"\non_decode_error = \"drop\"";
    check(options, &bytes, b"good\ngood\ngood\n", b"", &[("messages", 3), ("undecoded", 2)]);
}

#[test]
fn what_the_decoder_refuses_is_treated_as_the_config_says() {
    let lines = b"{\"payload\":\"one\"}\nno json\n{\"payload\":\"two\"}\n";
    let json = "decoder = \"json\"";
    check(json, lines, b"one\nno json\ntwo\n", b"", &[("messages", 3), ("undecoded", 1)]);
    let drop = format!("{json}\non_decode_error = \"drop\"");
    check(&drop, lines, b"one\ntwo\n", b"", &[("messages", 2), ("undecoded", 1)]);
    let counts = [("messages", 2), ("undecoded", 1), ("dead-lettered", 1)];
    check(&format!("{json}\non_decode_error = \"dead_letter\""), lines, b"one\ntwo\n", b"no json\n", &counts);
}

#[test]
fn what_is_delivered_undecoded_says_why() {
    let json = run(Way::File, "decoder = \"json\"", "json", b"no json\n").json();
    assert_eq!((&json[0]["payload"], &json[0]["type"]), (&"no json".into(), &"file".into()));
    assert!(
        json[0]["fields"]["decode_error"].as_str().is_some_and(|reason| !reason.is_empty()),
        "{}",
        json[0]
    );
}

#[test]
fn many_refused_frames_are_reported_at_a_limited_rate() {
    let bytes = "no json\n".repeat(50_000);
    let left = run(Way::File, "decoder = \"json\"\non_decode_error = \"drop\"", "payload", bytes.as_bytes());
    assert_eq!(left.count("undecoded"), 50_000);
    let lines = left.ended.stderr.lines().count();
    assert!(lines < 50, "{lines} lines in the log");
}
