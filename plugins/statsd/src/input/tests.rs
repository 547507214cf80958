use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::InputTest;
use heka_socket::ADDRESS_FILE;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};

type Statsd = InputTest<StatsdInput>;

fn started(toml: &str) -> Statsd {
    let mut input = Statsd::open(toml).unwrap();
    input.start().unwrap();
    input
}

/// An input at port 0 that doesn't flush before it is stopped.
fn on_port_zero(options: &str) -> Statsd {
    started(&format!("address = \"127.0.0.1:0\"\nflush_interval = \"1 h\"\n{options}"))
}

fn address(input: &Statsd, file: &str) -> String {
    std::fs::read_to_string(input.host().state_dir().join(file)).unwrap().trim_end().to_owned()
}

fn sender(input: &Statsd) -> UdpSocket {
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(address(input, ADDRESS_FILE)).unwrap();
    sender
}

/// Stops the input; returns all that it emits.
fn ended(input: &mut Statsd) -> Vec<OwnedMessage> {
    input.host().stop();
    input.read_until(|_, _, read| read == Read::End).unwrap().1
}

/// The Graphite lines of counts and values.
fn lines(messages: &[OwnedMessage]) -> Vec<String> {
    let payloads = messages.iter().map(|one| String::from_utf8_lossy(one.view().payload()).into_owned());
    let is_told = |line: &&str| ![".rate ", ".count_ps ", "numStats"].iter().any(|part| line.contains(part));
    let without_time = |line: &str| line.rsplit_once(' ').map(|(line, _)| line.to_owned()).unwrap();
    payloads.collect::<String>().lines().filter(is_told).map(without_time).collect()
}

fn reads_until(input: &mut Statsd, counter: &str, count: u64) {
    let mut seen = 0;
    for _ in 0..1_000 {
        input.read_until(|_, _, _| true).unwrap();
        seen = input.host().counter(counter);
        if seen >= count {
            return;
        }
    }
    panic!("{counter} is {seen} instead of {count}");
}

#[test]
fn datagrams_are_added_up_and_the_last_interval_is_told_at_the_end() {
    let mut input = on_port_zero("");
    let sender = sender(&input);
    for _ in 0..100 {
        sender.send(b"hits:1|c\nhits:2|c\nload:3|g").unwrap();
    }
    sender.send(b"").unwrap();
    let messages = ended(&mut input);
    assert_eq!(lines(&messages), ["stats.counters.hits.count 300", "stats.gauges.load 3"]);
    assert_eq!(messages[0].view().message_type(), b"heka.statmetric");
    let host = input.host();
    assert_eq!((host.counter("datagrams"), host.counter("metrics"), host.counter("flushes")), (101, 300, 1));
}

#[test]
fn an_interval_is_told_when_it_is_over() {
    let mut input = started("address = \"127.0.0.1:0\"\nflush_interval = \"200 ms\"\nalign = true");
    sender(&input).send(b"hits:1|c").unwrap();
    let count = |one: &OwnedMessage| one.view().value("count").and_then(|value| value.as_integer());
    let is_aligned = |one: &OwnedMessage| one.view().timestamp() % 200_000_000 == 0;
    // A flush that a busy machine delays has its true time; another one is on time.
    let is_told = |messages: &[OwnedMessage]| {
        messages.iter().any(|one| count(one) == Some(1)) && messages.iter().any(is_aligned)
    };
    input.read_until(|_, messages, _| is_told(messages)).unwrap();
}

#[test]
fn connections_bring_lines() {
    let mut input = on_port_zero("stream_address = \"127.0.0.1:0\"\ndatagrams = false");
    let mut stream = TcpStream::connect(address(&input, STREAM_ADDRESS_FILE)).unwrap();
    stream.write_all(b"hits:1|c\nhi").unwrap();
    reads_until(&mut input, "metrics", 1);
    stream.write_all(b"ts:2|c\nhits:4|c").unwrap();
    drop(stream);
    reads_until(&mut input, "metrics", 3);
    assert_eq!(lines(&ended(&mut input)), ["stats.counters.hits.count 7"]);
}

#[test]
fn a_last_line_without_newline_counts_at_the_end() {
    let mut input = on_port_zero("stream_address = \"127.0.0.1:0\"");
    let mut stream = TcpStream::connect(address(&input, STREAM_ADDRESS_FILE)).unwrap();
    stream.write_all(b"a:1|c\nhits:4|c").unwrap();
    reads_until(&mut input, "metrics", 1);
    assert_eq!(lines(&ended(&mut input)), ["stats.counters.a.count 1", "stats.counters.hits.count 4"]);
}

#[test]
fn connections_are_limited() {
    let mut input = on_port_zero("stream_address = \"127.0.0.1:0\"\nconnections_max = 1");
    let address = address(&input, STREAM_ADDRESS_FILE);
    let streams: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
    reads_until(&mut input, "connections_refused", 2);
    drop(streams);
    let mut stream = None;
    for _ in 0..1_000 {
        input.read_until(|_, _, _| true).unwrap();
        let mut one = TcpStream::connect(&address).unwrap();
        _ = one.write_all(b"hits:1|c\n");
        input.read_until(|_, _, _| true).unwrap();
        input.read_until(|_, _, _| true).unwrap();
        stream = Some(one);
        if input.host().counter("metrics") > 0 {
            break;
        }
    }
    assert!(stream.is_some() && input.host().counter("metrics") > 0);
}

#[test]
fn unix_sockets_take_datagrams_and_connections() {
    let directory = tempfile::tempdir().unwrap();
    let [datagrams, stream] = ["d.sock", "s.sock"].map(|name| directory.path().join(name));
    let toml = format!(
        "address = \"unix:{}\"\nstream_address = \"unix:{}\"\nflush_interval = \"1 h\"",
        datagrams.display(),
        stream.display()
    );
    let mut input = started(&toml);
    UnixDatagram::unbound().unwrap().send_to(b"hits:1|c", &datagrams).unwrap();
    UnixStream::connect(&stream).unwrap().write_all(b"hits:2|c\n").unwrap();
    reads_until(&mut input, "metrics", 2);
    assert_eq!(lines(&ended(&mut input)), ["stats.counters.hits.count 3"]);
    drop(input);
    assert!(!datagrams.exists() && !stream.exists());
}

#[test]
fn bad_lines_are_counted_and_the_good_ones_are_told() {
    let mut input = on_port_zero("names_max = 2");
    let sender = sender(&input);
    let packets: [&[u8]; 10] = [
        b"hits:1|c\nhits:x|c\nhits:2|c",
        b"nothing",
        b"a\0b:1|c|@0\n\xff\xfe:1|c",
        b"hits:NaN|c\nhits:inf|g\nhits:1e400|ms",
        b"hits:1|c|@-1",
        b"\n\n",
        b"new:1|c",
        b"newer:1|c",
        b"newest:1|c",
        b"cut:1",
    ];
    packets.iter().for_each(|packet| _ = sender.send(packet).unwrap());
    sender.send(format!("{}:1|c", "x".repeat(10_000)).as_bytes()).unwrap();
    sender.send(&vec![b'y'; 65_507]).unwrap();
    let many: String = (0..4_000).map(|_| "hits:1|c\n").collect();
    sender.send(many.as_bytes()).unwrap();
    let messages = ended(&mut input);
    assert_eq!(lines(&messages), ["stats.counters.hits.count 4003", "stats.counters.new.count 1"]);
    let host = input.host();
    assert_eq!((host.counter("malformed"), host.counter("names_refused")), (9, 4));
}

#[test]
fn events_and_service_checks_are_messages_at_once() {
    let mut input = on_port_zero("");
    let sender = sender(&input);
    for line in ["_e{5,4}:title|text|#env:prod", "_sc|db|2|m:down", "_e{9,9}:x|y"] {
        sender.send(line.as_bytes()).unwrap();
    }
    let messages = input.read_until(|_, messages, _| messages.len() >= 2).unwrap().1;
    assert_eq!(messages[0].view().message_type(), b"datadog.event");
    assert_eq!(messages[1].view().payload(), b"down");
    let rest = ended(&mut input);
    assert_eq!((rest.len(), input.host().counter("malformed")), (1, 1));
}

#[test]
fn a_reload_goes_on_with_sockets_and_sums() {
    let mut old = on_port_zero("stream_address = \"127.0.0.1:0\"");
    let sender = sender(&old);
    let mut stream = TcpStream::connect(address(&old, STREAM_ADDRESS_FILE)).unwrap();
    sender.send(b"hits:1|c").unwrap();
    stream.write_all(b"hits:2|c\n").unwrap();
    reads_until(&mut old, "metrics", 2);
    let toml = "address = \"127.0.0.1:0\"\nstream_address = \"127.0.0.1:0\"\nflush_interval = \"1 h\"\ncounter_prefix = \"c\"";
    let mut new = Statsd::open(toml).unwrap();
    new.start_after(&mut old).unwrap();
    sender.send(b"hits:4|c").unwrap();
    stream.write_all(b"hits:8|c\n").unwrap();
    reads_until(&mut new, "metrics", 2);
    assert_eq!(lines(&ended(&mut new)), ["stats.c.hits.count 15"]);
}

#[test]
fn what_the_buffer_had_no_room_for_is_counted() {
    let mut input = on_port_zero("receive_buffer = \"4 KiB\"");
    let sender = sender(&input);
    for _ in 0..1_000 {
        sender.send(format!("hits:1|c\n{}:1|c", "x".repeat(900)).as_bytes()).unwrap();
    }
    input.read_until(|_, _, read| read == Read::Idle).unwrap();
    ended(&mut input);
    let host = input.host();
    assert!(host.counter("kernel_drops") > 0);
    assert_eq!(host.counter("datagrams") + host.counter("kernel_drops"), 1_000);
}

#[test]
fn options_are_checked() {
    let check = |toml: &str, faults: &[&str]| assert_eq!(Statsd::faults(toml), faults, "{toml}");
    check("", &[]);
    check("address = \"unix:/x\"\nstream_address = \"[::]:8125\"", &[]);
    check(
        "datagrams = false\nreceive_buffer = 0\nsockets = 17\ndatagrams_per_read = 0\nconnections_max = 0\nmode = \"x\"\nset_members_max = 0",
        &[
            "set_members_max: at least 1",
            "receive_buffer: from 1 B to 1 GiB",
            "sockets: from 1 to 16",
            "datagrams_per_read: from 1 to 256",
            "connections_max: at least 1",
            "datagrams: nothing is left to receive at; name a `stream_address`",
            "mode: `x` is not a mode; write it in octal, such as `0660`",
        ],
    );
}
