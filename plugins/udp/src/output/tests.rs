use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{OutputTest, message};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

fn opened(address: &str, options: &str) -> OutputTest<UdpOutput> {
    let mut output = OutputTest::open(&format!("address = \"{address}\"\n{options}")).unwrap();
    output.start().unwrap();
    output
}

fn receiving() -> (UdpSocket, String) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = receiver.local_addr().unwrap().to_string();
    (receiver, address)
}

fn encoded<B: AsRef<[u8]>>(datagrams: &[B]) -> Vec<(OwnedMessage, &[u8])> {
    datagrams.iter().map(|bytes| (message(|_| {}), bytes.as_ref())).collect()
}

fn received(receiver: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
    let mut room = vec![0; 70_000];
    let mut one = || receiver.recv(&mut room).map(|len| room[..len].to_vec()).unwrap();
    (0..count).map(|_| one()).collect()
}

#[test]
fn each_encoded_message_is_a_datagram() {
    let (receiver, address) = receiving();
    let mut output = opened(&address, "");
    let sent: Vec<Vec<u8>> = (0..150_usize).map(|number| vec![number as u8; number + 1]).collect();
    assert_eq!(output.deliver(&encoded(&sent)), Ok(vec![]));
    assert_eq!(received(&receiver, 150), sent);
    let bytes = sent.iter().map(|datagram| datagram.len() as u64).sum();
    assert_eq!((output.host().counter("datagrams"), output.host().counter("bytes")), (150, bytes));
}

#[test]
fn without_an_encoder_payloads_are_datagrams() {
    let (receiver, address) = receiving();
    let mut output = opened(&address, "");
    let sent = ["one", "", "two"].map(|text| (message(|m| _ = m.payload(text)), &b""[..]));
    output.deliver(&sent).unwrap();
    assert_eq!(received(&receiver, 3), [&b"one"[..], b"", b"two"]);
}

#[test]
fn messages_that_are_too_long_are_refused_and_the_others_are_sent() {
    let (receiver, address) = receiving();
    let mut output = opened(&address, "datagram_bytes_max = 4");
    let refused = output.deliver(&encoded(&["one", "three", "four", "", "five", "eleven"])).unwrap();
    let text = |len: usize| format!("{len} bytes are more than the 4 of a datagram");
    assert_eq!(refused, [(1, text(5)), (5, text(6))]);
    assert_eq!(received(&receiver, 3), [&b"one"[..], b"four", b"five"]);
}

#[test]
fn the_longest_datagram_is_sent() {
    let (receiver, address) = receiving();
    let mut output = opened(&address, "");
    let refused = output.deliver(&encoded(&[vec![b'x'; 65_507], vec![b'y'; 65_508]])).unwrap();
    assert_eq!(refused, [(1, "65508 bytes are more than the 65507 of a datagram".to_owned())]);
    assert_eq!(received(&receiver, 1)[0].len(), 65_507);
}

#[test]
fn an_absent_receiver_is_counted_and_found_again() {
    let (receiver, address) = receiving();
    let mut output = opened(&address, "");
    drop(receiver);
    output.deliver(&encoded(&["one", "two", "three"])).unwrap();
    assert!(output.host().counter("refused") >= 1);
    let receiver = UdpSocket::bind(&address).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    output.deliver(&encoded(&["four", "five"])).unwrap();
    assert_eq!(received(&receiver, 2), [b"four", b"five"]);
}

#[test]
fn unix_sockets_are_receivers_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receiver.sock");
    let address = format!("unix:{}", path.display());
    let mut output = opened(&address, "");
    let refused = output.deliver(&encoded(&["one"])).unwrap_err();
    assert_eq!(refused, (0, format!("failed to send to `{address}`: no such file or directory")));
    for text in ["one", "two"] {
        let receiver = UnixDatagram::bind(&path).unwrap();
        output.deliver(&encoded(&[text])).unwrap();
        let mut room = [0; 10];
        assert_eq!(receiver.recv(&mut room).map(|len| &room[..len]).unwrap(), text.as_bytes());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_receiver_that_takes_nothing_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receiver.sock");
    let address = format!("unix:{}", path.display());
    let receiver = UnixDatagram::bind(&path).unwrap();
    let check = |output: &mut OutputTest<UdpOutput>, why: &str| {
        let (completed, reason) = output.deliver(&encoded(&[[b'x'; 1_000]; 5_000])).unwrap_err();
        assert_eq!(reason, format!("failed to send to `{address}`: {why}"));
        receiver.set_nonblocking(true).unwrap();
        let taken = std::iter::from_fn(|| receiver.recv(&mut [0; 1_000]).ok()).count();
        assert!(completed > 0 && taken == completed as usize, "{taken} {completed}");
    };
    check(&mut opened(&address, "write_timeout = \"20 ms\""), "nothing was taken within `write_timeout`");
    let mut output = opened(&address, "write_timeout = \"1 h\"");
    output.host().stop();
    check(&mut output, "stopped while nothing was taken");
}

#[test]
fn options_are_checked() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(OutputTest::<UdpOutput>::faults(toml), faults, "{toml}");
    check("address = \"localhost:1\"", &[]);
    check("address = \"unix:/x\"\ndatagram_bytes_max = 100000", &[]);
    check("", &[": missing field `address`"]);
    check(
        "address = \"localhost:0\"\ndatagram_bytes_max = 65508\nwrite_timeout = 0",
        &[
            "address: port 0 is for receiving only",
            "datagram_bytes_max: UDP carries at most 65507 bytes",
            "write_timeout: more than 0 and at most 1 d",
        ],
    );
}
