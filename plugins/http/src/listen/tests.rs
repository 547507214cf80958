use super::HttpListenInput;
use heka_plugin_api::testing::{InputTest, TestStream};
use heka_plugin_api::{OwnedMessage, Read, Value};
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// An input that listens, and what it has handed on so far.
struct Listening {
    input: InputTest<HttpListenInput>,
    address: SocketAddr,
    streams: Vec<TestStream>,
    messages: Vec<OwnedMessage>,
}

impl Listening {
    fn new(options: &str) -> Listening {
        let toml = format!("address = \"127.0.0.1:0\"\n{options}");
        let mut input = InputTest::<HttpListenInput>::open(&toml).unwrap();
        input.start().unwrap();
        let bound = std::fs::read_to_string(input.host().state_dir().join("address")).unwrap();
        Listening { input, address: bound.trim().parse().unwrap(), streams: Vec::new(), messages: Vec::new() }
    }

    fn read_until(&mut self, mut enough: impl FnMut(&[TestStream], Read) -> bool) {
        let streams = std::mem::take(&mut self.streams);
        let (streams, messages) =
            self.input.read_on_until(streams, |streams, _, read| enough(streams, read)).unwrap();
        self.streams = streams;
        self.messages.extend(messages);
    }

    /// Reads until a client is done; returns what it brings.
    fn serve<T>(&mut self, client: JoinHandle<T>) -> T {
        self.read_until(|_, _| client.is_finished());
        client.join().unwrap()
    }

    /// Sends bytes over a connection of their own and returns all that comes back.
    fn exchange(&mut self, sent: impl Into<Vec<u8>>) -> String {
        let (address, sent) = (self.address, sent.into());
        self.serve(thread::spawn(move || {
            let mut stream = connect(address);
            stream.write_all(&sent).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            // A reset may come behind the answer.
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        }))
    }

    fn bodies(&self) -> Vec<String> {
        let bodies = self.streams.iter().flat_map(|stream| &stream.datagrams);
        bodies.map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }

    fn counter(&mut self, name: &str) -> u64 {
        self.read_until(|_, _| true);
        self.input.host().counter(name)
    }

    /// Runs curl against the input.
    fn curl(&mut self, arguments: &[&str]) -> Option<Output> {
        if Command::new("curl").arg("--version").output().is_err() {
            eprintln!("SKIPPED: no curl here");
            return None;
        }
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "10"]).args(arguments);
        Some(self.serve(thread::spawn(move || command.output().unwrap())))
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn post(body: &str, headers: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

#[test]
fn bodies_are_handed_on_and_connections_kept() {
    let mut listening = Listening::new("");
    let answer = listening.exchange(format!("{}{}{}", post("one", ""), post("", ""), post("two\nlines", "")));
    assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{answer}");
    assert_eq!(
        (listening.bodies(), listening.streams.len()),
        (vec!["one".to_owned(), "two\nlines".to_owned()], 1)
    );
    assert_eq!(listening.streams[0].name, "127.0.0.1");
    assert_eq!((listening.counter("requests"), listening.counter("bytes")), (3, 12));
    listening.read_until(|streams, _| streams[0].closed == Some(true));
    assert_eq!(listening.counter("connections"), 0);
}

#[test]
fn chunks_and_100_continue_work_byte_by_byte() {
    let mut listening = Listening::new("");
    let address = listening.address;
    let answers = listening.serve(thread::spawn(move || {
        let mut stream = connect(address);
        let head = "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
        head.bytes().for_each(|byte| stream.write_all(&[byte]).unwrap());
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        b"4\r\nabcd\r\n1\r\n!\r\n0\r\n\r\n".iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        (first, rest)
    }));
    assert_eq!(answers.0, "HTTP/1.1 100 Continue\r\n");
    assert!(answers.1.contains("HTTP/1.1 200 OK\r\n"), "{}", answers.1);
    assert_eq!(listening.bodies(), ["abcd!"]);
}

#[test]
fn bad_requests_are_refused_and_good_ones_go_on() {
    let mut listening =
        Listening::new("head_bytes_max = \"1 KiB\"\nbody_bytes_max = 10\nrequest_timeout = 0.3");
    let mut check = |sent: &[u8], expected: u16| {
        let answer = listening.exchange(sent);
        assert_eq!(status(&answer), expected, "{}: {answer}", String::from_utf8_lossy(sent));
    };
    check(b"\x16\x03\x01\x02\x00\x01\x00", 400);
    check(b"nonsense\r\n\r\n", 400);
    check(b"what is this\r\n\r\n", 505);
    check(b"GET / HTTP/1.1\r\n\r\n", 405);
    check(b"POST / HTTP/3.0\r\n\r\n", 505);
    check(format!("POST / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(2_000)).as_bytes(), 431);
    check(format!("POST / HTTP/1.1\r\nA: {}", "x".repeat(200_000)).as_bytes(), 431);
    check(post("12345678901", "").as_bytes(), 413);
    check(post("x", "Content-Length: 2\r\n").as_bytes(), 400);
    check(post("x", "Transfer-Encoding: chunked\r\n").as_bytes(), 400);
    check(post("x", "Content-Encoding: br\r\n").as_bytes(), 415);
    check(post("no gzip", "Content-Encoding: gzip\r\n").as_bytes(), 400);
    check(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400);
    check(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", 0);
    check(b"", 0);
    check(post("good", "").as_bytes(), 200);
    assert_eq!(listening.bodies(), ["good"]);
    assert_eq!((listening.counter("lost"), listening.counter("connections")), (1, 0));
    assert_eq!(listening.counter("refused"), 13);
}

#[test]
fn slow_requests_are_ended() {
    let mut listening = Listening::new("request_timeout = 0.2\nidle_timeout = 0.2");
    let address = listening.address;
    let started = Instant::now();
    let answers = listening.serve(thread::spawn(move || {
        ["POST / HTTP/1.1\r\nA: ", "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", ""].map(|sent| {
            let mut stream = connect(address);
            stream.write_all(sent.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
    }));
    assert_eq!(answers.map(|answer| status(&answer)), [408, 408, 0]);
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(listening.counter("timeouts"), 2);
}

#[test]
fn with_acknowledge_the_answer_waits_for_the_outputs() {
    let mut listening = Listening::new("acknowledge = true\nstatus = 202");
    let address = listening.address;
    let client = thread::spawn(move || {
        let mut stream = connect(address);
        stream
            .write_all(format!("{}{}", post("a", ""), post("b", "Connection: close\r\n")).as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    for count in 1..=2 {
        listening
            .read_until(|streams, _| streams.first().is_some_and(|stream| stream.handed_on.len() == count));
        assert!(!client.is_finished());
        assert_eq!(listening.bodies().len(), count, "the second waits for the first one's answer");
        let (id, end) = (listening.streams[0].id, listening.streams[0].handed_on[count - 1].0);
        listening.input.acknowledged(id, end - 1);
        listening.input.acknowledged(id, end);
    }
    let answer = listening.serve(client);
    assert_eq!(answer.matches("HTTP/1.1 202 Accepted\r\n").count(), 2, "{answer}");
}

#[test]
fn what_is_not_acknowledged_in_time_is_to_be_sent_again() {
    let mut listening = Listening::new("acknowledge = true\nanswer_timeout = 0.2");
    let answer = listening.exchange(post("a", ""));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1\r\n"), "{answer}");
    assert_eq!(listening.bodies(), ["a"]);
}

#[test]
fn a_full_pipeline_is_told_and_hands_nothing_on_later() {
    let mut listening = Listening::new("answer_timeout = 0.3\nmemory_max = 100\nbody_bytes_max = 100");
    let address = listening.address;
    // Nobody reads: the input's thread waits for the outputs behind.
    let send = |body: String| {
        thread::spawn(move || {
            let mut stream = connect(address);
            stream.write_all(post(&body, "").as_bytes()).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        })
    };
    let first = send("x".repeat(90));
    let deadline = Instant::now() + Duration::from_secs(10);
    let second = loop {
        let answer = send("y".repeat(20)).join().unwrap();
        if answer.contains("too much is under way") || Instant::now() > deadline {
            break answer;
        }
    };
    assert_eq!(status(&second), 503, "{second}");
    let first = first.join().unwrap();
    assert!(first.contains("the pipeline is full"), "{first}");
    assert_eq!(status(&listening.exchange(post("z", ""))), 200);
    let bodies = listening.bodies();
    assert!(bodies.contains(&"z".to_owned()) && !bodies.contains(&"x".repeat(90)), "{bodies:?}");
    assert!(listening.counter("overloads") >= 1);
}

#[test]
fn connections_are_limited() {
    let mut listening = Listening::new("connections_max = 2");
    let _open = [connect(listening.address), connect(listening.address)];
    listening.read_until(|_, _| true);
    let address = listening.address;
    let closed = thread::spawn(move || connect(address).read(&mut [0]).unwrap_or(0));
    assert_eq!(listening.serve(closed), 0);
    assert_eq!((listening.counter("refused_connections"), listening.counter("connections")), (1, 2));
}

#[test]
fn whole_requests_become_messages_with_fields() {
    let mut listening = Listening::new("messages = \"requests\"\nheaders = [\"X-Request-Id\"]");
    let request = "PUT /a/b?c=d HTTP/1.1\r\nX-request-id: 7\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(status(&listening.exchange(request)), 200);
    let message = listening.messages[0].view();
    assert_eq!((message.payload(), message.logger()), (&b"body"[..], &b"127.0.0.1"[..]));
    let check = |name: &str, value: &str| {
        assert_eq!(message.value(name), Some(Value::String(value.as_bytes())), "{name}");
    };
    check("method", "PUT");
    check("path", "/a/b");
    check("query", "c=d");
    check("peer", "127.0.0.1");
    check("header_x_request_id", "7");
    assert_eq!(listening.streams[0].handed_on[0].1, 1);
}

#[test]
fn a_stop_serves_what_has_arrived_and_refuses_the_rest() {
    let mut listening = Listening::new("acknowledge = true");
    let address = listening.address;
    let client = thread::spawn(move || {
        let mut stream = connect(address);
        stream.write_all(post("a", "").as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    });
    listening.read_until(|streams, _| !streams.is_empty());
    listening.input.host().stop();
    listening.read_until(|_, read| read == Read::End);
    let (id, end) = (listening.streams[0].id, listening.streams[0].handed_on[0].0);
    listening.input.acknowledged(id, end);
    let answer = client.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Connection: close"), "{answer}");
    drop(listening);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_reload_keeps_connections_and_takes_new_rules() {
    let mut listening = Listening::new("");
    let address = listening.address;
    let mut stream = connect(address);
    stream.write_all(post("old", "").as_bytes()).unwrap();
    listening.read_until(|streams, _| !streams.is_empty());
    let mut new =
        InputTest::<HttpListenInput>::open("address = \"127.0.0.1:0\"\nmethods = [\"PATCH\"]").unwrap();
    new.start_after(&mut listening.input).unwrap();
    drop(std::mem::replace(&mut listening.input, new));
    stream.write_all(post("refused", "").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("HTTP/1.1 405"), "{answer}");
    assert_eq!(status(&listening.exchange(post("x", "").replace("POST", "PATCH"))), 200);
    assert_eq!(listening.bodies(), ["old", "x"]);
}

#[test]
fn curl_is_served_with_compression_and_secrets() {
    let mut listening = Listening::new("users = { joe = \"secret\" }\ntokens = [\"abc\"]");
    let directory = tempfile::tempdir().unwrap();
    let text = "a line of text\n".repeat(20_000);
    let zstd = directory.path().join("body.zst");
    std::fs::write(&zstd, zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
    let url = format!("http://{}/logs", listening.address);
    let body = format!("@{}", zstd.display());
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    let mut check = |arguments: &[&str], expected: &str| {
        let arguments: Vec<&str> = status.iter().chain(arguments).copied().chain([&*url]).collect();
        if let Some(output) = listening.curl(&arguments) {
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{arguments:?}");
        }
    };
    check(&["-d", "x"], "401");
    check(&["-u", "joe:wrong", "-d", "x"], "401");
    check(&["-u", "joe:secret", "-d", "with a password"], "200");
    check(&["-H", "Authorization: Bearer abc", "-H", "Transfer-Encoding: chunked", "-d", "in chunks"], "200");
    check(
        &["-H", "Authorization: Bearer abc", "-H", "Content-Encoding: zstd", "--data-binary", &body],
        "200",
    );
    let bodies = listening.bodies();
    if !bodies.is_empty() {
        assert!(
            bodies.len() == 3
                && bodies[0] == "with a password"
                && bodies[1] == "in chunks"
                && bodies[2] == text
        );
    }
}

#[test]
fn tls_is_spoken_with_curl() {
    let directory = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.path().join(name));
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let mut listening =
        Listening::new(&format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}"));
    let port = listening.address.port();
    let (url, resolve) = (format!("https://localhost:{port}/"), format!("localhost:{port}:127.0.0.1"));
    let text = "x".repeat(1_000_000);
    let file = directory.path().join("body");
    std::fs::write(&file, &text).unwrap();
    let body = format!("@{}", file.display());
    let arguments =
        ["--cacert", &certificate, "--resolve", &resolve, "--data-binary", &body, "-w", "%{http_code}", &url];
    if let Some(output) = listening.curl(&arguments) {
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "200", "{told}");
        assert!(listening.bodies() == [text]);
    }
    assert_eq!(listening.exchange(post("in the clear", "")).len(), 7, "an alert");
}

#[test]
fn pythons_urllib_is_served() {
    let mut listening = Listening::new("");
    let script = format!(
        "import gzip, urllib.request\n\
         r = urllib.request.Request('http://{}/', gzip.compress(b'from python'), {{'Content-Encoding': 'gzip'}})\n\
         print(urllib.request.urlopen(r, timeout=10).status)",
        listening.address
    );
    let python = thread::spawn(move || Command::new("python3").args(["-c", &script]).output());
    match listening.serve(python) {
        Ok(output) => {
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                "200\n",
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert_eq!(listening.bodies(), ["from python"]);
        }
        Err(why) => eprintln!("SKIPPED: no python3 here: {why}"),
    }
}

#[test]
fn many_connections_are_served_at_once() {
    let mut listening = Listening::new("");
    let address = listening.address;
    let client = thread::spawn(move || {
        let mut open: Vec<TcpStream> = (0..200).map(|_| connect(address)).collect();
        for round in 0..3 {
            open.iter_mut()
                .for_each(|stream| stream.write_all(post(&format!("{round}"), "").as_bytes()).unwrap());
            for stream in &mut open {
                let (mut answer, mut byte) = (Vec::new(), [0]);
                while !answer.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    answer.push(byte[0]);
                }
                assert_eq!(status(std::str::from_utf8(&answer).unwrap()), 200);
            }
        }
    });
    listening.serve(client);
    assert_eq!((listening.bodies().len(), listening.counter("accepted")), (600, 200));
}

#[test]
fn faults_are_found_at_once() {
    let toml = "users = { \"a:b\" = \"c\" }\ntokens = [\"\"]\nmethods = []\npaths = [\"x\"]\nheaders = [\"a\"]\n\
                status = 500\nmemory_max = 5\nconnections_max = 0\nidle_timeout = 0\nmode = \"9\"\ntls = {}";
    assert_eq!(
        InputTest::<HttpListenInput>::faults(toml),
        [
            "tls.certificate: is needed: those who connect must know whom they talk to",
            "tls.key: is needed: those who connect must know whom they talk to",
            "users: a name must not be empty, nor hold a colon",
            "tokens: a token is of visible ASCII letters, at least one",
            "methods: name at least one",
            "paths: a path begins with `/`",
            "headers: only with `messages = \"requests\"`: frames have no room for them",
            "status: one of 200, 201, 202, 204",
            "memory_max: at least `body_bytes_max`",
            "idle_timeout: from 10 ms to 1 d",
            "connections_max: at least 1",
            "mode: `9` is not a mode; write it in octal, such as `0660`",
        ]
    );
}
