use super::*;
use clap::Parser;
use heka_heka::framing::parse_frame;
use heka_heka::protobuf::MessageReader;
use heka_plugin_api::{OwnedMessage, Value};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::thread::spawn;

/// How long a test waits for what should come at once.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flood: Arguments,
}

fn arguments(address: &str, more: &str) -> Result<Arguments, String> {
    let program = Program::try_parse_from(["flood", address].into_iter().chain(more.split_whitespace()));
    program.map(|program| program.flood).map_err(|error| error.to_string())
}

/// Floods a listener; returns the report and the bytes of each connection.
fn flooded(more: &str) -> (Report, Vec<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let arguments = arguments(&listener.local_addr().unwrap().to_string(), more).unwrap();
    let connections = arguments.connections;
    let readers = spawn(move || {
        let accept = |_| {
            let mut stream = listener.accept().unwrap().0;
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            spawn(move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                bytes
            })
        };
        let readers: Vec<_> = (0..connections).map(accept).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let (report, broken) = flood(&arguments, &AtomicBool::new(false)).unwrap();
    assert_eq!(broken, Vec::<String>::new());
    (report, readers.join().unwrap())
}

/// Floods a UDP socket and returns the datagrams.
fn datagrams(more: &str, count: usize) -> Vec<Vec<u8>> {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(TIMEOUT)).unwrap();
    let arguments = arguments(&receiver.local_addr().unwrap().to_string(), &format!("--udp {more}")).unwrap();
    let (_, broken) = flood(&arguments, &AtomicBool::new(false)).unwrap();
    assert_eq!(broken, Vec::<String>::new());
    let receive = |_| {
        let mut datagram = vec![0; 1 << 16];
        let len = receiver.recv(&mut datagram).unwrap();
        datagram.truncate(len);
        datagram
    };
    (0..count).map(receive).collect()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn lines_arrive_as_many_and_as_long_as_asked_for() {
    let (report, received) = flooded("--count 10000 --bytes 200");
    assert_eq!((report.messages, report.bytes), (10_000, 2_000_000));
    assert_eq!(received[0].len(), 2_000_000);
    assert!(lines(&received[0]).iter().all(|line| line.len() == 199));
}

#[test]
fn numbers_of_all_connections_are_those_below_the_count() {
    let (report, received) = flooded("--count 10001 --bytes 40 --numbered --connections 3");
    let mut numbers: Vec<u64> =
        received.iter().flat_map(|bytes| lines(bytes)).map(|line| line[..12].parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10_001).collect::<Vec<_>>());
    assert_eq!((report.messages, report.bytes), (10_001, 400_040));
}

#[test]
fn lines_of_a_file_come_again_and_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "one\n\nthree\n").unwrap();
    let path = file.path().display();
    let (_, received) = flooded(&format!("--count 7 --lines {path}"));
    assert_eq!(lines(&received[0]), ["one", "", "three", "one", "", "three", "one"]);
    let (_, received) = flooded(&format!("--count 2 --numbered --lines {path}"));
    assert_eq!(lines(&received[0]), ["000000000000 one", "000000000001 "]);
}

#[test]
fn heka_frames_have_six_fields_and_statuses_in_turn() {
    let (report, received) = flooded("--count 3000 --bytes 100 --format heka --type x --numbered");
    let (mut rest, mut count) = (&received[0][..], 0_i64);
    while !rest.is_empty() {
        let frame = parse_frame(rest).unwrap();
        let mut reader = MessageReader::default();
        let message =
            OwnedMessage::build(|builder| _ = reader.read(frame.message, builder).unwrap()).unwrap();
        let view = message.view();
        assert_eq!((view.message_type(), view.fields().len(), view.payload().len()), (&b"x"[..], 6, 100));
        assert_eq!(view.value("status"), Some(Value::Integer(200 + count % 2 * 300)));
        assert!(view.payload().starts_with(format!("{count:012}").as_bytes()));
        (rest, count) = (&rest[frame.len..], count + 1);
    }
    assert_eq!((count, report.messages), (3_000, 3_000));
}

#[test]
fn json_lines_are_the_same_messages() {
    let (_, received) = flooded("--count 2 --bytes 20 --format json --numbered");
    let lines = lines(&received[0]);
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1].contains(r#""type":"flood","#) && lines[1].contains(r#""payload":"000000000001the quic","#)
    );
    assert!(lines[1].contains(r#""fields":{"status":500,"method":"GET","#), "{}", lines[1]);
}

#[test]
fn datagrams_hold_one_line_or_as_many_as_fit() {
    let alone = datagrams("--count 100 --bytes 30 --numbered", 100);
    let numbers: Vec<u64> = alone.iter().map(|line| lines(line)[0][..12].parse().unwrap()).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    let packed = datagrams("--count 10 --bytes 30 --datagram-bytes 100", 4);
    assert_eq!(packed.iter().map(Vec::len).collect::<Vec<_>>(), [90, 90, 90, 30]);
    let statsd = datagrams("--count 130 --format statsd --datagram-bytes 1390", 2);
    assert_eq!(statsd.iter().map(|datagram| lines(datagram).len()).sum::<usize>(), 130);
    assert_eq!(lines(&statsd[0])[1], "flood.0000001:1|c");
}

#[test]
fn datagrams_of_unequal_lines_hold_whole_ones() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "aaaa\nb\ncccccccccccc\n").unwrap();
    let path = file.path().display();
    let found = datagrams(&format!("--count 4 --lines {path} --datagram-bytes 10"), 3);
    assert_eq!(found, [&b"aaaa\nb\n"[..], b"cccccccccccc\n", b"aaaa\n"]);
}

#[test]
fn the_rate_and_the_time_are_kept() {
    let (report, received) = flooded("--rate 1000 --seconds 300ms --bytes 10 --connections 2");
    assert!((100..=304).contains(&report.messages), "{report}");
    assert_eq!(received.iter().map(Vec::len).sum::<usize>() as u64, report.bytes);
}

#[test]
fn a_broken_connection_ends_it_and_says_how_much_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let arguments = arguments(&listener.local_addr().unwrap().to_string(), "--count 0").unwrap();
    let closer = spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.read_exact(&mut [0; 100_000]).unwrap();
    });
    let (report, broken) = flood(&arguments, &AtomicBool::new(false)).unwrap();
    closer.join().unwrap();
    assert_eq!(broken.len(), 1);
    assert!(
        broken[0].starts_with(&format!("the connection to `{}` broke: ", arguments.peer)),
        "{}",
        broken[0]
    );
    assert!(broken[0].ends_with(&format!(" after {} messages", report.messages)), "{}", broken[0]);
    assert!(report.messages >= 500);
}

#[test]
fn a_peer_that_takes_nothing_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let arguments = arguments(&listener.local_addr().unwrap().to_string(), "--seconds 200ms").unwrap();
    let (report, broken) = flood(&arguments, &AtomicBool::new(false)).unwrap();
    assert!(broken.is_empty() && report.bytes >= report.messages * 200, "{report}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let failed = |more| flood(&arguments("127.0.0.1:1", more).unwrap(), &AtomicBool::new(false)).unwrap_err();
    assert_eq!(failed("--bytes 12 --numbered"), "--bytes 12 is not from 13 to 1 GiB");
    assert_eq!(failed("--bytes 0"), "--bytes 0 is not from 1 to 1 GiB");
    assert!(
        failed("--format statsd --numbered").starts_with("statsd counters have neither numbers nor lines")
    );
    assert!(failed("--lines /no/such").starts_with("failed to read lines from `/no/such`: no such file"));
    for more in ["--connections 0", "--datagram-bytes 10", "--names 0", "--seconds x", "--format xml"] {
        assert!(arguments("127.0.0.1:1", more).is_err(), "{more}");
    }
}
