use super::*;
use heka_plugin_api::testing::{InputTest, TestStream};
use std::time::Instant;
use zmq::Socket;

struct Running {
    input: InputTest<ZeromqInput>,
    bound: Vec<String>,
    context: zmq::Context,
    streams: Vec<TestStream>,
    /// How many frames were looked at.
    taken: usize,
}

fn bound(input: &InputTest<ZeromqInput>) -> Vec<String> {
    let file = input.host().state_dir().join(heka_socket::ADDRESS_FILE);
    std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

fn run(options: &str) -> Running {
    let mut input = InputTest::<ZeromqInput>::open(options).unwrap();
    input.start().unwrap();
    Running { bound: bound(&input), input, context: zmq::Context::new(), streams: Vec::new(), taken: 0 }
}

impl Running {
    /// A peer that has connected to the input's endpoint number `index`.
    fn peer(&self, kind: zmq::SocketType, index: usize) -> Socket {
        let socket = self.context.socket(kind).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_sndtimeo(5_000).unwrap();
        socket.set_rcvtimeo(5_000).unwrap();
        socket.connect(&self.bound[index]).unwrap();
        socket
    }

    /// Reads until enough has come.
    fn read_until(&mut self, mut enough: impl FnMut(&[Vec<u8>], Read) -> bool) {
        let streams = std::mem::take(&mut self.streams);
        let frames = |streams: &[TestStream]| -> Vec<Vec<u8>> {
            streams.first().map(|stream| stream.datagrams.clone()).unwrap_or_default()
        };
        let read = self.input.read_on_until(streams, |streams, _, read| enough(&frames(streams), read));
        (self.streams, _) = read.unwrap();
    }

    /// Calls `read` once or twice.
    fn read_once(&mut self) {
        let mut reads = 0;
        self.read_until(|_, _| std::mem::replace(&mut reads, 1) == 1);
    }

    /// The next frames: at least `count`.
    fn frames(&mut self, count: usize) -> Vec<Vec<u8>> {
        let taken = self.taken;
        self.read_until(|frames, _| frames.len() >= taken + count);
        let frames = self.streams[0].datagrams[taken..].to_vec();
        self.taken += frames.len();
        frames
    }
}

/// Publishes until the subscription has arrived, then returns the publisher.
fn publisher(running: &mut Running) -> Socket {
    let publisher = running.peer(zmq::PUB, 0);
    let deadline = Instant::now() + Duration::from_secs(10);
    while running.streams.is_empty() {
        assert!(Instant::now() < deadline, "the subscription doesn't arrive");
        publisher.send("hello", 0).unwrap();
        running.read_once();
    }
    // What else of the greeting is under way.
    running.read_until(|_, read| read == Read::Idle);
    running.taken = running.streams[0].datagrams.len();
    publisher
}

const PULL: &str = "socket = 'pull'\nbind = ['tcp://127.0.0.1:*']\n";

#[test]
fn a_bound_subscriber_takes_what_connected_publishers_send() {
    let mut running = run("bind = ['tcp://127.0.0.1:*']");
    let publisher = publisher(&mut running);
    for body in [&b"one"[..], b"", b"\xff\0\xfe"] {
        publisher.send(body, 0).unwrap();
    }
    assert_eq!(running.frames(3), [&b"one"[..], b"", b"\xff\0\xfe"]);
    assert!(running.input.host().counter("messages received") >= 4);
}

#[test]
fn a_subscriber_connects_to_publishers_that_bind_later() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", directory.path().join("socket").display());
    let mut running = run(&format!("connect = ['{endpoint}']\nsubscriptions = ['want']"));
    let publisher = running.context.socket(zmq::XPUB).unwrap();
    publisher.set_linger(0).unwrap();
    publisher.set_rcvtimeo(10_000).unwrap();
    publisher.bind(&endpoint).unwrap();
    assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01want");
    publisher.send("unwanted", 0).unwrap();
    publisher.send("wanted", 0).unwrap();
    assert_eq!(running.frames(1), [b"wanted"]);
}

#[test]
fn a_puller_takes_from_several_endpoints() {
    let mut running = run("socket = 'pull'\nbind = ['tcp://127.0.0.1:*', 'tcp://127.0.0.1:0']");
    for index in [0, 1] {
        let pusher = running.peer(zmq::PUSH, index);
        pusher.send(format!("{index}").as_str(), 0).unwrap();
        assert_eq!(running.frames(1), [format!("{index}").into_bytes()]);
    }
}

fn check_parts(options: &str, expected: &[&[u8]]) {
    let mut running = run(&format!("{PULL}{options}"));
    let pusher = running.peer(zmq::PUSH, 0);
    pusher.send_multipart([&b"topic"[..], b"", b"body"], 0).unwrap();
    pusher.send("single", 0).unwrap();
    assert_eq!(running.frames(expected.len()), expected, "{options}");
    assert_eq!(running.input.host().counter("messages received"), 2);
}

#[test]
fn messages_of_several_parts_become_frames_as_the_option_says() {
    check_parts("", &[b"topicbody", b"single"]);
    check_parts("part_separator = '|'", &[b"topic||body", b"single"]);
    check_parts("parts = 'each'", &[b"topic", b"", b"body", b"single"]);
    check_parts("parts = 'last'", &[b"body", b"single"]);
}

#[test]
fn a_message_of_very_many_parts_loses_none() {
    let mut running = run(&format!("{PULL}parts = 'each'"));
    let pusher = running.peer(zmq::PUSH, 0);
    let parts: Vec<Vec<u8>> = (0..1_000).map(|number: i32| number.to_string().into_bytes()).collect();
    pusher.send_multipart(&parts, 0).unwrap();
    assert_eq!(running.frames(1_000), parts);
}

#[test]
fn what_is_too_long_is_left_out_and_counted() {
    let mut running = run(&format!("{PULL}message_bytes_max = '1 KiB'"));
    let pusher = running.peer(zmq::PUSH, 0);
    let (half, more) = ([b'x'; 512], [b'y'; 513]);
    pusher.send_multipart([&half[..], &more], 0).unwrap();
    pusher.send_multipart([&half[..], &half], 0).unwrap();
    assert_eq!(running.frames(1), [[b'x'; 1_024]]);
    assert_eq!(running.input.host().counter("too_long"), 1);
    // A longer part ends the connection, not the others.
    pusher.send(&[b'z'; 1_025][..], 0).unwrap();
    let another = running.peer(zmq::PUSH, 0);
    another.send("good", 0).unwrap();
    assert_eq!(running.frames(1), [b"good"]);
}

#[test]
fn peers_that_vanish_cost_nothing() {
    let mut running = run(PULL);
    for _ in 0..20 {
        let vanishing = running.peer(zmq::PUSH, 0);
        vanishing.set_immediate(true).unwrap();
        vanishing.send("x", 0).unwrap();
    }
    // No peer at all, and nonsense.
    let address = running.bound[0].strip_prefix("tcp://").unwrap().to_owned();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 70], b"\xff\0\0\0\0\0\0\0\x01\x7f\xff\xff\xff"] {
        use std::io::Write;
        std::net::TcpStream::connect(&address).unwrap().write_all(nonsense).unwrap();
    }
    let staying = running.peer(zmq::PUSH, 0);
    staying.send("stays", 0).unwrap();
    running.read_until(|frames, _| frames.iter().any(|frame| frame == b"stays"));
    assert!(running.streams[0].datagrams.iter().all(|frame| frame == b"x" || frame == b"stays"));
}

#[test]
fn clients_that_ask_are_answered() {
    let mut running = run("bind = ['tcp://127.0.0.1:*']\nhandshake = 'tcp://127.0.0.1:*'");
    let client = running.peer(zmq::REQ, 1);
    for _ in 0..3 {
        client.send_multipart(["", "more"], 0).unwrap();
        let answered = running.input.host().counter("handshakes") + 1;
        while running.input.host().counter("handshakes") < answered {
            running.read_once();
        }
        assert_eq!(client.recv_bytes(0).unwrap(), b"");
    }
}

#[test]
fn a_stop_ends_the_wait_at_once() {
    let running = run(PULL);
    let mut input = running.input;
    let started = Instant::now();
    input.host().stop();
    input.read_until(|_, _, read| read == Read::Idle).unwrap();
    drop(input);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_reload_keeps_the_socket_and_goes_over_to_other_endpoints() {
    let mut old = run("bind = ['tcp://127.0.0.1:*']");
    let publisher = publisher(&mut old);
    let options = "bind = ['tcp://127.0.0.1:*', 'tcp://127.0.0.1:0']\nhandshake = 'tcp://127.0.0.1:*'";
    let mut input = InputTest::<ZeromqInput>::open(options).unwrap();
    input.start_after(&mut old.input).unwrap();
    let both = bound(&input);
    assert_eq!((both.len(), &both[0]), (3, &old.bound[0]));
    let streams = std::mem::take(&mut old.streams);
    let mut new = Running { bound: both, input, streams, taken: old.taken, context: old.context.clone() };
    publisher.send("after", 0).unwrap();
    assert_eq!(new.frames(1), [b"after"]);
}

#[test]
fn all_faults_are_found_together() {
    let faults = InputTest::<ZeromqInput>::faults(
        "socket = 'pull'\nsubscriptions = ['a']\nhigh_water_mark = 0\nmessage_bytes_max = 0",
    );
    assert_eq!(
        faults,
        [
            ": neither `bind` nor `connect` names an endpoint; give at least one",
            "high_water_mark: from 1 to 1000000",
            "message_bytes_max: from 1 KiB to 1 GiB",
            "subscriptions: only for `socket = \"sub\"`",
        ]
    );
    let faults = InputTest::<ZeromqInput>::faults(
        "connect = ['tcp://*:1', 'tcp://a:1', 'tcp://a:1']\nsubscriptions = []",
    );
    assert_eq!(
        faults,
        [
            "connect: `tcp://*:1` is for binding only",
            "connect: `tcp://a:1` stands there twice",
            "subscriptions: nothing would come; `['']` is every message",
        ]
    );
}
