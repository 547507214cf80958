//! HTTP requests are answered when what they say is true: handed on, or safe at the outputs.

use heka_tests::{Directory, Host, Peer, address_of, wait_until};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn post(address: SocketAddr, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let len = body.len();
    write!(stream, "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_acknowledged_request_is_at_the_output_before_it_is_answered() {
    let directory = Directory::new();
    let peer = Peer::new();
    let config = format!(
        "[inputs.web]\nplugin = \"http_listen\"\naddress = \"127.0.0.1:0\"\nacknowledge = true\nsplitter = \"line\"\n\
         [chains.default]\noutputs = [\"out\"]\n\
         [outputs.out]\nplugin = \"tcp\"\naddress = \"{}\"\nqueue = {{ kind = \"memory\" }}\n",
        peer.address()
    );
    let host = Host::run(&directory, &config);
    let address = address_of(&directory, "web");
    // Two lines, and a body of which no frame is made.
    let (stream, empty) = (post(address, "one\ntwo\n"), post(address, "\n"));
    peer.read_all();
    peer.wait_for_lines(2);
    assert!(answer(stream).starts_with("HTTP/1.1 200"));
    assert!(answer(empty).starts_with("HTTP/1.1 200"));
    assert_eq!(peer.lines()[..2], ["one", "two"]);
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn nothing_is_answered_while_the_output_has_not_taken_it() {
    let directory = Directory::new();
    // Nobody listens there: the output tries again and again.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "[heka]\nshutdown_deadline = 1\n[inputs.web]\nplugin = \"http_listen\"\naddress = \"127.0.0.1:0\"\nacknowledge = true\n\
         answer_timeout = 3\n[chains.default]\noutputs = [\"out\"]\n\
         [outputs.out]\nplugin = \"tcp\"\naddress = \"{free}\"\nqueue = {{ kind = \"memory\" }}\n"
    );
    let host = Host::run(&directory, &config);
    let mut stream = post(address_of(&directory, "web"), "one");
    wait_until("it is handed on", || host.count("input web", "messages") == 1);
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let early = stream.read(&mut [0]).map_err(|why| why.kind());
    assert!(matches!(early, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{early:?}");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(answer(stream).starts_with("HTTP/1.1 503"));
    host.stop();
}

#[test]
fn what_is_sent_is_polled_and_decoded() {
    let directory = Directory::new();
    let config = "[inputs.web]\nplugin = \"http_listen\"\naddress = \"127.0.0.1:0\"\nmethods = [\"POST\"]\ndecoder = \"json\"\n\
                  [chains.default]\noutputs = [\"out\"]\n\
                  [outputs.out]\nplugin = \"file\"\npath = \"out\"\nencoder = \"json\"\n";
    let host = Host::run(&directory, config);
    let stream = post(address_of(&directory, "web"), "{\"status\": 500}");
    assert!(answer(stream).starts_with("HTTP/1.1 200"));
    wait_until("it arrives", || {
        fs::read_to_string(directory.join("out")).is_ok_and(|text| text.contains("500"))
    });
    assert_eq!(host.stop().status, Some(0));
}
