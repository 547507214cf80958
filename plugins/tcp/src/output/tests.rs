use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{OutputTest, message};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;

fn opened(address: &str, options: &str) -> OutputTest<TcpOutput> {
    let mut output = OutputTest::open(&format!("address = \"{address}\"\n{options}")).unwrap();
    output.start().unwrap();
    output
}

fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn encoded<'b>(texts: &[&'b str]) -> Vec<(OwnedMessage, &'b [u8])> {
    texts.iter().map(|text| (message(|_| {}), text.as_bytes())).collect()
}

fn lines(peer: &TcpStream, count: usize) -> Vec<String> {
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    BufReader::new(peer).lines().take(count).map(Result::unwrap).collect()
}

#[test]
fn encoded_messages_are_written_as_they_are() {
    let (listener, address) = listening();
    let mut output = opened(&address, "");
    output.deliver(&encoded(&["one\n", "", "two\n"])).unwrap();
    output.deliver(&encoded(&["three\n"])).unwrap();
    let peer = listener.accept().unwrap().0;
    assert_eq!(lines(&peer, 3), ["one", "two", "three"]);
    assert_eq!((output.host().counter("connects"), output.host().counter("bytes")), (1, 14));
}

#[test]
fn without_an_encoder_payloads_are_lines() {
    let (listener, address) = listening();
    let mut output = opened(&address, "");
    let sent = ["one", "two"].map(|text| (message(|m| _ = m.payload(text)), &b""[..]));
    output.deliver(&sent).unwrap();
    assert_eq!(lines(&listener.accept().unwrap().0, 2), ["one", "two"]);
}

#[test]
fn a_peer_that_comes_back_gets_what_is_delivered_then() {
    let (listener, address) = listening();
    let mut output = opened(&address, "");
    output.deliver(&encoded(&["one\n"])).unwrap();
    let peer = listener.accept().unwrap().0;
    assert_eq!(lines(&peer, 1), ["one"]);
    drop((peer, listener));
    let refused = output.deliver(&encoded(&["two\n", "three\n"])).unwrap_err();
    assert_eq!(refused, (0, format!("failed to connect to `{address}`: connection refused")));
    let listener = TcpListener::bind(&address).unwrap();
    output.deliver(&encoded(&["two\n", "three\n"])).unwrap();
    assert_eq!(lines(&listener.accept().unwrap().0, 2), ["two", "three"]);
    assert_eq!(output.host().counter("connects"), 2);
}

#[test]
fn a_peer_that_talks_back_is_heard_and_not_minded() {
    let (listener, address) = listening();
    let mut output = opened(&address, "");
    output.deliver(&encoded(&["one\n"])).unwrap();
    let mut peer = listener.accept().unwrap().0;
    std::io::Write::write_all(&mut peer, &[b'x'; 5_000]).unwrap();
    output.deliver(&encoded(&["two\n"])).unwrap();
    assert_eq!(lines(&peer, 2), ["one", "two"]);
}

/// Delivers to a peer that reads nothing; checks that what it can read afterwards are the completed messages.
fn check_blocked(options: &str, stop: bool, why: &str) {
    let (listener, address) = listening();
    let mut output = opened(&address, options);
    if stop {
        output.deliver(&encoded(&["x\n"])).unwrap();
        output.host().stop();
    }
    let text = format!("{}\n", "x".repeat(99_999));
    let all = encoded(&[&*text; 200]);
    let (completed, reason) = output.deliver(&all).unwrap_err();
    let told = format!("failed to write to `{address}`: {why}; {completed} of 200 messages are written");
    assert_eq!(reason, told);
    let mut bytes = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
    let newlines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(newlines, completed as usize + usize::from(stop));
    assert!((1..200).contains(&completed));
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    check_blocked("write_timeout = \"30 ms\"", false, "the peer took nothing within `write_timeout`");
}

#[test]
fn stop_ends_a_blocked_write() {
    check_blocked("write_timeout = \"1 h\"", true, "stopped while the peer took nothing");
}

#[test]
fn a_connection_that_breaks_within_a_batch_counts_whole_messages() {
    let (listener, address) = listening();
    let mut output = opened(&address, "");
    let reader = std::thread::spawn(move || {
        let mut peer = listener.accept().unwrap().0;
        peer.read_exact(&mut [0; 1_000_000]).unwrap();
    });
    let text = "x".repeat(1_000_000);
    let (completed, reason) = output.deliver(&encoded(&[&*text; 100])).unwrap_err();
    reader.join().unwrap();
    assert!((1..100).contains(&completed), "{completed}");
    let why = if reason.contains("broken pipe") { "broken pipe" } else { "connection reset by peer" };
    let told = format!("failed to write to `{address}`: {why}; {completed} of 100 messages are written");
    assert_eq!(reason, told);
}

#[test]
fn unix_sockets_are_peers_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peer.sock");
    let address = format!("unix:{}", path.display());
    let mut output = opened(&address, "");
    let refused = output.deliver(&encoded(&["one\n"])).unwrap_err();
    assert_eq!(refused, (0, format!("failed to connect to `{address}`: no such file or directory")));
    let listener = UnixListener::bind(&path).unwrap();
    output.deliver(&encoded(&["one\n"])).unwrap();
    drop(output);
    let mut text = String::new();
    listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one\n");
}

#[test]
fn options_are_checked() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(OutputTest::<TcpOutput>::faults(toml), faults, "{toml}");
    check("address = \"localhost:1\"", &[]);
    check("", &[": missing field `address`"]);
    check(
        "address = \"localhost:0\"\nconnect_timeout = 0\nwrite_timeout = \"2 d\"",
        &[
            "address: port 0 is for listening only",
            "connect_timeout: more than 0 and at most 1 d",
            "write_timeout: more than 0 and at most 1 d",
        ],
    );
}
