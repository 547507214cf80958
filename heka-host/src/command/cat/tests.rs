use super::*;
use clap::Parser;
use heka_heka::framing::{FrameSignature, write_frame};
use heka_heka::protobuf::put_message;
use heka_heka::signing::{Digest, HashFunction};
use heka_plugin_api::OwnedMessage;
use proptest::prelude::*;
use std::cell::RefCell;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use tempfile::NamedTempFile;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    cat: Arguments,
}

fn arguments(file: &Path, more: &[&str]) -> Arguments {
    let program = [&["cat", file.to_str().unwrap()], more].concat();
    Program::try_parse_from(program).map_err(|error| error.to_string()).unwrap().cat
}

/// A frame whose message has the status and the payload.
fn frame(status: i64, payload: &str) -> Vec<u8> {
    let message = OwnedMessage::build(|builder| {
        builder
            .uuid([1; 16])
            .timestamp(1)
            .severity(6)
            .message_type("t")
            .payload(payload)
            .field("status", status);
    });
    let (mut body, mut frame) = (Vec::new(), Vec::new());
    put_message(&message.unwrap().view(), &mut body);
    write_frame(&body, None, &mut frame);
    frame
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lists a file; returns what was printed, and the reports without the file's name.
fn listed(bytes: &[u8], more: &[&str]) -> (Vec<u8>, Vec<String>) {
    let file = file(bytes);
    let arguments = arguments(file.path(), more);
    let format = if arguments.count { Format::Count } else { arguments.format };
    let (out, reports) = (Shared::default(), Shared::default());
    let (printer, mut kept) = (Printer::new(format, Box::new(out.clone())), reports.clone());
    let name = format!("{}: ", file.path().display());
    let report = move |line: &str| writeln!(kept, "{}", line.replace(&name, "")).unwrap();
    let mut listing = Listing::new(printer, arguments.matcher.clone(), report);
    for mut stream in open(&arguments).unwrap() {
        listing.read_to_end(&mut stream).unwrap();
    }
    listing.finish().unwrap();
    let reports: Vec<String> =
        String::from_utf8(reports.0.take()).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(listing.is_sound(), reports.is_empty());
    (out.0.take(), reports)
}

#[test]
fn every_format_prints_the_messages_that_match() {
    let bytes = [frame(200, "good"), frame(500, "bad\n"), frame(503, "worse")].concat();
    let shown = |more: &[&str]| {
        let (out, reports) = listed(&bytes, more);
        assert_eq!(reports, Vec::<String>::new());
        String::from_utf8_lossy(&out).into_owned()
    };
    assert_eq!(shown(&["--format=payload"]), "good\nbad\nworse\n");
    assert_eq!(shown(&["--format=payload", "--match=Fields[status] >= 500"]), "bad\nworse\n");
    assert_eq!(shown(&["--count"]), "processed 3, matched 3\n");
    assert_eq!(shown(&["--format=count", "--match=Fields[status] == 500"]), "processed 3, matched 1\n");
    let text = shown(&["--match=Fields[status] == 200"]);
    let uuid = "01010101-0101-0101-0101-010101010101";
    let head = format!("1970-01-01T00:00:00.000000001Z t severity=6 uuid={uuid}");
    assert_eq!(text, format!("{head}\n  | good\n  status: 200\n\n"));
    let json = shown(&["--format=json", "--match=Fields[status] == 200"]);
    assert_eq!(
        json,
        format!(
            "{{\"uuid\":\"{uuid}\",\"timestamp\":\"1970-01-01T00:00:00.000000001Z\",\"type\":\"t\",\"severity\":6,\"payload\":\"good\",\"fields\":{{\"status\":200}}}}\n"
        )
    );
    let (frames, _) = listed(&bytes, &["--format=heka", "--match=Fields[status] >= 500"]);
    assert_eq!(frames, [frame(500, "bad\n"), frame(503, "worse")].concat());
}

#[test]
fn signed_frames_are_copied_with_their_signature() {
    let mut signed = Vec::new();
    let digest = Digest::zero(HashFunction::Sha1);
    write_frame(b"\x1a\x01t", Some(&FrameSignature::new(b"vic", 1, &digest)), &mut signed);
    assert_eq!(listed(&signed, &["--format=heka"]), (signed.clone(), Vec::new()));
    let text = String::from_utf8(listed(&signed, &[]).0).unwrap();
    assert_eq!(text, "1970-01-01T00:00:00.000000000Z t severity=7\n\n");
}

#[test]
fn what_is_no_frame_is_reported_and_skipped() {
    let (one, two) = (frame(1, "one"), frame(2, "two"));
    let broken_body = b"\x1e\x02\x08\x02\x1f\x1a\x09";
    let big = frame(3, &"x".repeat(3_000));
    let cases: &[(&[&[u8]], &[String])] = &[
        (&[&one, b"noise", &two], &[format!("5 bytes at {} are no frame; skipped", one.len())]),
        (&[b"noise", &one, &two], &["5 bytes at 0 are no frame; skipped".to_owned()]),
        (
            &[&one, &two, &one[..20]],
            &[format!("20 bytes at {} are no frame; skipped", one.len() + two.len())],
        ),
        (&[&one, b"\x1e\x1e\x1e", &two], &[format!("3 bytes at {} are no frame; skipped", one.len())]),
        (
            &[&one, broken_body, &two],
            &[format!(
                "message at {}: not protobuf: 9 bytes should follow at byte 2, but only 0 do; skipped",
                one.len()
            )],
        ),
        (
            &[&one, b"\x1e\x04\x08\x02\x10\x07\x1f{}", &two],
            &[format!("message at {}: message encoding 7 of the header is unknown; skipped", one.len())],
        ),
        (
            &[&one, &big, &two],
            &[format!("frame of {} bytes at {} is over --message-bytes-max; skipped", big.len(), one.len())],
        ),
        (
            &[&one, &big, &big, &two, b"!"],
            &[
                format!(
                    "{} bytes at {} are 2 frames over --message-bytes-max; skipped",
                    2 * big.len(),
                    one.len()
                ),
                format!("1 bytes at {} are no frame; skipped", one.len() + 2 * big.len() + two.len()),
            ],
        ),
        (
            &[&one, &big, b"!", &two],
            &[format!(
                "{} bytes at {} are no frame, or 1 over --message-bytes-max; skipped",
                big.len() + 1,
                one.len()
            )],
        ),
    ];
    for (parts, expected) in cases {
        let (out, reports) = listed(&parts.concat(), &["--format=payload", "--message-bytes-max=2 KB"]);
        assert_eq!(reports, *expected);
        let is_cut = parts[2].len() == 20;
        assert!(is_cut || String::from_utf8(out).unwrap() == "one\ntwo\n");
    }
}

#[test]
fn only_the_first_broken_places_are_reported() {
    let bytes = [&b"x"[..], &frame(1, "")].concat().repeat(250);
    let (out, reports) = listed(&bytes, &["--count"]);
    assert_eq!(out, b"processed 250, matched 250\n");
    assert_eq!(reports.len(), 102);
    assert_eq!(reports[100..], ["further broken places are only counted", "heka-host: 250 broken places"]);
}

#[test]
fn frames_longer_than_a_read_are_whole() {
    let payload = "y".repeat(3 << 20);
    let bytes = [frame(1, "a"), frame(2, &payload), frame(3, "b")].concat();
    assert_eq!(listed(&bytes, &["--format=heka"]), (bytes, Vec::new()));
}

#[test]
fn an_offset_begins_there() {
    let bytes = [frame(1, "one"), frame(2, "two"), b"!".to_vec()].concat();
    let at = frame(1, "one").len().to_string();
    let (out, reports) = listed(&bytes, &["--format=payload", "--offset", &at]);
    assert_eq!(out, b"two\n");
    assert_eq!(reports, [format!("1 bytes at {} are no frame; skipped", bytes.len() - 1)]);
    let file = file(b"123");
    let failed = open(&arguments(file.path(), &["--offset=4"])).err().unwrap();
    assert_eq!(failed, format!("`{}` has 3 bytes; the offset 4 is behind its end", file.path().display()));
}

#[test]
fn what_can_not_be_read_or_written_says_why() {
    let file = file(b"");
    let failed = |path: &Path, more: &[&str]| cat(&arguments(path, more)).unwrap_err();
    assert_eq!(failed(Path::new("/no/such"), &[]), "failed to open `/no/such`: no such file or directory");
    assert_eq!(failed(Path::new("/"), &[]), "failed to read `/`: is a directory");
    let own = file.path().display();
    let emptied = format!("the output `{own}` is the input `{own}`: it would be emptied; name another");
    assert_eq!(failed(file.path(), &["--output", file.path().to_str().unwrap()]), emptied);
    let refused = failed(file.path(), &["--output=/no/such"]);
    assert_eq!(refused, "failed to create `/no/such`: no such file or directory");
    let full = super::tests::file(&frame(1, "x"));
    let refused = failed(full.path(), &["--output=/dev/full"]);
    assert_eq!(refused, "failed to write to `/dev/full`: no space left on device");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let file = file(&frame(1, "x"));
    let printer = Printer::new(Format::Text, Box::new(writer));
    let mut listing = Listing::new(printer, None, |_| {});
    let mut stream = open(&arguments(file.path(), &[])).unwrap().remove(0);
    let failed = listing.read_to_end(&mut stream).unwrap_err();
    assert!(matches!(failed, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe));
}

#[test]
fn a_followed_file_is_printed_as_it_grows_and_after_it_was_cut() {
    let file = file(&frame(1, "one"));
    let path = file.path().to_owned();
    let append = |bytes: &[u8]| {
        let mut file = std::fs::OpenOptions::new().append(true).open(file.path()).unwrap();
        file.write_all(bytes).unwrap();
    };
    let (mut reader, writer) = UnixStream::pair().unwrap();
    reader.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        let mut listing = Listing::new(Printer::new(Format::Payload, Box::new(writer)), None, |_| {});
        follow(open(&arguments(&path, &["--follow"])).unwrap(), &mut listing, &stopped).unwrap();
        listing.is_sound()
    });
    let mut expect = |text: &str| {
        let mut found = vec![0; text.len()];
        reader.read_exact(&mut found).unwrap();
        assert_eq!(found, text.as_bytes());
    };
    expect("one\n");
    let two = frame(2, "two");
    append(&two[..10]);
    append(&two[10..]);
    expect("two\n");
    std::fs::write(file.path(), frame(4, "4")).unwrap();
    expect("4\n");
    stop.store(true, Ordering::Release);
    assert!(thread.join().unwrap());
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_accounted_for(parts in prop::collection::vec(
        prop_oneof![any::<Vec<u8>>(), any::<u8>().prop_map(|number| frame(number.into(), "p"))], 0..20)
    ) {
        let bytes = parts.concat();
        let file = file(&bytes);
        let mut stream = FrameReader::open(file.path(), 0, 1 << 20).unwrap();
        let mut told = 0;
        loop {
            let filled = stream.fill().unwrap();
            if filled == 0 {
                stream.end();
            }
            while let Some(found) = stream.next() {
                let (position, len) = match found {
                    frames::Found::Frame { bytes: frame, position } => {
                        prop_assert_eq!(frame, &bytes[position as usize..][..frame.len()]);
                        (position, frame.len() as u64)
                    }
                    frames::Found::Gap(gap) => (gap.position, gap.bytes),
                };
                prop_assert_eq!(position, told);
                told += len;
            }
            if filled == 0 {
                break;
            }
        }
        prop_assert_eq!(told, bytes.len() as u64);
    }
}
