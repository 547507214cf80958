use super::HttpPollInput;
use heka_plugin_api::testing::{InputTest, TestStream};
use heka_plugin_api::{OwnedMessage, Read, Value};
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Answers each connection with the same bytes, after having read a head; returns its address and the heads.
fn server(answer: Vec<u8>) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heads) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                head.push(byte[0]);
            }
            let _ = told.send(String::from_utf8(head).unwrap());
            let _ = stream.write_all(&answer);
        }
    });
    (address, heads)
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn polled(
    toml: &str,
    mut enough: impl FnMut(&[TestStream], &[OwnedMessage]) -> bool,
) -> (Vec<TestStream>, Vec<OwnedMessage>) {
    let mut input = InputTest::<HttpPollInput>::open(toml).unwrap();
    input.start().unwrap();
    input.read_until(|streams, messages, _| enough(streams, messages)).unwrap()
}

/// Polls once with a report.
fn report(url: &str, more: &str) -> OwnedMessage {
    let toml = format!("urls = [\"{url}\"]\nreport = \"always\"\n{more}");
    polled(&toml, |_, messages| !messages.is_empty()).1.remove(0)
}

fn failure(message: &OwnedMessage) -> String {
    let value = message.view().value("failure");
    value
        .and_then(|value| value.as_bytes())
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .unwrap_or_default()
}

#[test]
fn bodies_are_handed_on_at_the_interval_and_requests_are_as_the_config_says() {
    let (address, heads) = server(answer("200 OK", "", b"load 1\nload 2\n"));
    let toml = format!(
        "urls = [\"http://{address}/a?b\"]\ninterval = 0.02\nheaders = {{ X-A = \"b\" }}\nuser = \"joe\"\npassword = \"secret\""
    );
    let (streams, messages) =
        polled(&toml, |streams, _| streams.iter().any(|stream| stream.datagrams.len() >= 3));
    assert_eq!((streams.len(), streams[0].name.as_str()), (1, &*format!("http://{address}/a?b")));
    assert_eq!(streams[0].datagrams[2], b"load 1\nload 2\n");
    assert_eq!(messages.len(), 0, "there are reports of failures only");
    let head = heads.recv().unwrap().to_ascii_lowercase();
    for expected in [
        "get /a?b http/1.1\r\n",
        "x-a: b\r\n",
        "authorization: basic am9lonnly3jlda==\r\n",
        "user-agent: heka/",
    ] {
        assert!(head.contains(expected), "{head}");
    }
}

#[test]
fn methods_bodies_and_tokens_are_sent() {
    let (address, heads) = server(answer("201 Created", "", b""));
    let message =
        report(&format!("http://{address}/"), "method = \"POST\"\nbody = \"query\"\ntoken = \"abc\"");
    assert_eq!(message.view().value("status"), Some(Value::Integer(201)));
    let head = heads.recv().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post / ") && head.contains("authorization: bearer abc\r\n"), "{head}");
    assert!(head.contains("content-length: 5\r\n"), "{head}");
}

#[test]
fn other_statuses_are_failures_that_are_told() {
    let (address, _heads) = server(answer("500 Oops", "", b"secret details"));
    let toml = format!("urls = [\"http://{address}/\"]");
    let (streams, messages) = polled(&toml, |_, messages| !messages.is_empty());
    assert_eq!(streams.len(), 0, "what comes with a failure is not handed on");
    let message = messages[0].view();
    assert_eq!((message.message_type(), message.severity()), (&b"http_poll"[..], 4));
    assert_eq!(message.value("status"), Some(Value::Integer(500)));
    assert_eq!(message.field("duration").unwrap().representation(), b"s");
    let text = String::from_utf8_lossy(message.payload()).into_owned();
    assert!(text.starts_with(&format!("GET `http://{address}/`: status 500 after ")), "{text}");
}

#[test]
fn what_goes_wrong_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(failure(&report(&format!("http://{free}/"), "")), "connection refused");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    assert_eq!(failure(&report(&url, "timeout = 0.1")), "no whole answer within `timeout`");
    let (address, _heads) = server(answer("200 OK", "", &[b'x'; 101]));
    let told = failure(&report(&format!("http://{address}/"), "body_bytes_max = 100"));
    assert_eq!(told, "the body is longer than 100 bytes; raise `body_bytes_max`");
    let mut short = answer("200 OK", "", &[b'x'; 100]);
    short.truncate(short.len() - 1);
    let told = failure(&report(&format!("http://{}/", server(short).0), ""));
    assert!(told.starts_with("the body broke off: "), "{told}");
    let told = failure(&report(&format!("http://{}/", server(b"what is this\r\n\r\n".to_vec()).0), ""));
    assert!(!told.is_empty());
    let (address, _heads) = server(answer("302 Found", "Location: /\r\n", b""));
    let told = failure(&report(&format!("http://{address}/"), "redirects_max = 2"));
    assert_eq!(told, "more redirects than `redirects_max`");
    let clear = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = clear.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = clear.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the other side closes.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let told = failure(&report(&format!("https://{address}/"), ""));
    assert_eq!(told, "it doesn't speak TLS, this side does: set `tls` on both sides or on none");
}

#[test]
fn a_compressed_bomb_is_stopped_at_the_limit() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 20 << 20]).unwrap();
    let (address, _heads) = server(answer("200 OK", "Content-Encoding: gzip\r\n", &gzip.finish().unwrap()));
    let told = failure(&report(&format!("http://{address}/"), "body_bytes_max = \"1 MiB\""));
    assert_eq!(told, "the body is longer than 1048576 bytes; raise `body_bytes_max`");
}

#[test]
fn a_slow_server_makes_no_other_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, _heads) = server(answer("200 OK", "", b"quick"));
    let toml = format!(
        "urls = [\"http://{}/\", \"http://{address}/\"]\ninterval = 0.02",
        silent.local_addr().unwrap()
    );
    let started = Instant::now();
    polled(&toml, |streams, _| streams.first().is_some_and(|stream| stream.datagrams.len() >= 5));
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_stop_ends_it_in_the_middle_of_a_fetch() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let toml = format!("urls = [\"http://{}/\"]", silent.local_addr().unwrap());
    let mut input = InputTest::<HttpPollInput>::open(&toml).unwrap();
    input.start().unwrap();
    let _connection = silent.accept().unwrap();
    input.host().stop();
    let started = Instant::now();
    input.read_until(|_, _, read| read == Read::End).unwrap();
    drop(input);
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Python's own server, with TLS, that ends with its standard input.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn pythons_server_is_polled_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key, page] =
        ["certificate.pem", "key.pem", "page"].map(|name| directory.path().join(name));
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    std::fs::write(&page, "a page").unwrap();
    let script = "import http.server, ssl, sys\n\
        s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n\
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
        c.load_cert_chain('certificate.pem', 'key.pem')\n\
        s.socket = c.wrap_socket(s.socket, server_side=True)\n\
        print(s.server_port, flush=True)\n\
        s.serve_forever()";
    let spawned = Command::new("python3")
        .args(["-c", script])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!("SKIPPED: no python3 here");
        return;
    };
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _python = Python(child);
    let url = format!("https://localhost:{}/page", line.trim());
    let toml = format!("urls = [\"{url}\"]\ntls = {{ ca = \"{}\" }}", certificate.display());
    let (streams, _) = polled(&toml, |streams, messages| {
        let failures: Vec<_> = messages.iter().map(failure).collect();
        assert!(failures.is_empty(), "{failures:?}");
        !streams.is_empty()
    });
    assert_eq!(streams[0].datagrams[0], b"a page");
    assert_eq!(failure(&report(&url, "")), "its certificate is not signed by an authority in `ca`");
}

#[test]
fn faults_are_found_at_once() {
    let toml = "urls = [\"ftp://x\", \"http://a:b@c/\", \"\"]\ninterval = 0\nmethod = \"A B\"\nbody = \"x\"\npassword = \"x\"\n\
                token = \"x\"\nheaders = { authorization = \"x\", \"a b\" = \"c\" }\ntls = { key = \"k\" }\nredirects_max = 51";
    assert_eq!(
        InputTest::<HttpPollInput>::faults(toml),
        [
            "urls: `ftp://x`: begin it with `http://HOST` or `https://HOST`",
            "urls: `http://a:b@c/`: it is shown in messages: put name and password into `user` and `password`",
            "urls: ``: not a URL",
            "interval: from 10 ms to 1 d",
            "method: `A B` is no method",
            "headers.a b: is no header",
            "user: is needed with `password`",
            "token: name one of `user`, `token` and a header `Authorization`",
            "tls: `certificate` and `key` need each other",
            "redirects_max: at most 50",
        ]
    );
    assert_eq!(
        InputTest::<HttpPollInput>::faults("urls = [\"http://a\"]\nbody = \"x\""),
        ["body: a GET has none; set `method`"]
    );
}
