use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{OutputTest, message};
use std::time::Instant;
use zmq::Socket;

fn run(options: &str) -> (OutputTest<ZeromqOutput>, String) {
    let mut output = OutputTest::<ZeromqOutput>::open(options).unwrap();
    output.start().unwrap();
    let file = output.host().state_dir().join(heka_socket::ADDRESS_FILE);
    let bound = std::fs::read_to_string(file).unwrap().trim().to_owned();
    (output, bound)
}

fn peer(kind: zmq::SocketType, endpoint: &str) -> Socket {
    let socket = zmq::Context::new().socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(10_000).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

fn sent(payload: &str) -> OwnedMessage {
    message(|message| {
        message.message_type("kind").payload(payload).field("app", "web");
    })
}

#[test]
fn a_pusher_gives_every_message_to_a_puller() {
    let (mut output, bound) = run("socket = 'push'\nbind = ['tcp://127.0.0.1:*']");
    let puller = peer(zmq::PULL, &bound);
    let failed = output.deliver(&[(sent("one"), b"1"), (sent("none"), b""), (sent("two"), b"2")]);
    assert_eq!(failed, Ok(vec![]));
    output.deliver(&[(sent("as it is"), b"")]).unwrap();
    for expected in ["1", "2", "as it is"] {
        assert_eq!(puller.recv_bytes(0).unwrap(), expected.as_bytes());
    }
    assert_eq!(output.host().counter("messages sent"), 3);
}

#[test]
fn without_a_peer_a_pusher_keeps_its_messages() {
    let (mut output, bound) = run("socket = 'push'\nbind = ['tcp://127.0.0.1:*']\nwrite_timeout = '20 ms'");
    let failed = output.deliver(&[(sent("one"), b"1")]);
    assert_eq!(failed, Err((0, "no peer took anything within `write_timeout`".to_owned())));
    let puller = peer(zmq::PULL, &bound);
    let deadline = Instant::now() + Duration::from_secs(10);
    while output.deliver(&[(sent("one"), b"1")]).is_err() {
        assert!(Instant::now() < deadline, "the puller doesn't come");
    }
    assert_eq!(puller.recv_bytes(0).unwrap(), b"1");
}

#[test]
fn a_pusher_that_waits_can_be_stopped() {
    let (mut output, _) = run("socket = 'push'\nconnect = ['tcp://127.0.0.1:9']");
    output.host().stop();
    let failed = output.deliver(&[(sent("one"), b"1")]);
    assert_eq!(failed, Err((0, "stopped while no peer took anything".to_owned())));
}

#[test]
fn a_publisher_serves_subscribers_by_topic_and_waits_for_nobody() {
    let (mut output, bound) = run("bind = ['tcp://127.0.0.1:*']\ntopic = '{Type}/{Fields[app]}'");
    for _ in 0..3 {
        assert_eq!(output.deliver(&[(sent("nobody"), b"nobody")]), Ok(vec![]));
    }
    let subscriber = peer(zmq::SUB, &bound);
    subscriber.set_subscribe(b"kind/").unwrap();
    subscriber.set_rcvtimeo(50).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let got = loop {
        assert!(Instant::now() < deadline, "nothing arrives");
        output.deliver(&[(sent("x"), b"body")]).unwrap();
        if let Ok(parts) = subscriber.recv_multipart(0) {
            break parts;
        }
    };
    assert_eq!(got, [&b"kind/web"[..], b"body"]);
}

#[test]
fn a_reload_keeps_the_socket() {
    let (mut old, bound) = run("socket = 'push'\nbind = ['tcp://127.0.0.1:*']");
    let puller = peer(zmq::PULL, &bound);
    let mut new =
        OutputTest::<ZeromqOutput>::open("socket = 'push'\nbind = ['tcp://127.0.0.1:*']\nlinger = 0")
            .unwrap();
    new.start_after(&mut old).unwrap();
    drop(old);
    new.deliver(&[(sent("x"), b"still there")]).unwrap();
    assert_eq!(puller.recv_bytes(0).unwrap(), b"still there");
}

#[test]
fn all_faults_are_found_together() {
    let faults = OutputTest::<ZeromqOutput>::faults(
        "connect = ['tcp://a:*']\nhigh_water_mark = 0\ntopic = '{Typ}'\nwrite_timeout = 0\nlinger = '2 d'",
    );
    assert_eq!(
        faults[..2],
        ["connect: `tcp://a:*` is for binding only", "high_water_mark: from 1 to 1000000"]
    );
    assert!(faults[2].starts_with("topic: column 1: no variable `Typ`"), "{faults:?}");
    assert_eq!(faults[3..], ["write_timeout: more than 0 and at most 1 d", "linger: at most 1 d"]);
}
