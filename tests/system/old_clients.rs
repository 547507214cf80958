//! The Metlog and Heka clients of 2012 to 2014, unmodified, each over each transport that it has.
//!
//! A driver in `tests/clients` makes a client send every kind of message that it knows; what must arrive is in
//! `tests/clients/expected`, one JSON object a line, `"*"` for what differs from run to run. Where a client can't run,
//! the bytes that it sent elsewhere (`tests/clients/recorded`) are sent instead.

use heka_tests::{
    Client, Directory, Host, address_of, install_npm_with, install_python2, repository, say_skipped,
    send_tcp, send_udp, wait_until,
};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

const METLOG: [&str; 5] =
    ["metlog-py==0.10.0", "docopt==0.6.2", "metlog-cef==0.2", "metlog-raven==0.5", "pyzmq==19.0.2"];
const HEKA_PY: [&str; 3] = ["heka-py==0.30.3", "docopt==0.6.2", "protobuf==3.17.3"];
/// The override: the client asks for any later protobufjs, whose interface is another one by now.
const OVERRIDE: &str = r#"{"private":true,"overrides":{"protobufjs":"1.1.4"}}"#;

/// Greetings that must have arrived before a client goes on: one of each socket of its pool.
const GREETINGS: usize = 10;

const CONFIG: &str = r#"
[inputs.json]
plugin = "udp"
address = "127.0.0.1:0"
decoder = "json"
[inputs.zmq]
plugin = "zeromq"
bind = ["tcp://127.0.0.1:*"]
handshake = "tcp://127.0.0.1:*"
decoder = "json"
[inputs.datagrams]
plugin = "udp"
address = "127.0.0.1:0"
decoder = "heka"
[inputs.stream]
plugin = "tcp"
address = "127.0.0.1:0"
splitter = "heka"
decoder = "heka"
[inputs.signed]
plugin = "udp"
address = "127.0.0.1:0"
decoder = "signed"
on_decode_error = "drop"
[decoders.signed]
plugin = "heka"
signers = { vic_1 = { key = "secret", hash = "sha1" }, vic_2 = { key = "other", hash = "md5" } }
require_signature = true
signer_field = "signer"
[filters.cef]
[filters.sentry]
[chains.cef]
message_type = ["cef"]
filters = ["cef"]
outputs = ["out"]
[chains.sentry]
message_type = ["sentry"]
filters = ["sentry"]
outputs = ["out"]
[chains.default]
outputs = ["out"]
[outputs.out]
plugin = "file"
path = "out"
encoder = "json"
"#;

/// A host that takes what clients send.
struct Grater {
    directory: Directory,
    host: Host,
}

impl Grater {
    fn new() -> Grater {
        let directory = Directory::new();
        let host = Host::run(&directory, CONFIG);
        Grater { directory, host }
    }

    fn address(&self, input: &str) -> SocketAddr {
        address_of(&self.directory, input)
    }

    /// Host and port as arguments.
    fn place(&self, input: &str) -> [String; 2] {
        let address = self.address(input);
        [address.ip().to_string(), address.port().to_string()]
    }

    /// The endpoints of the input `zmq`: for messages, for handshakes.
    fn endpoints(&self) -> Vec<String> {
        self.directory.lines("state/inputs/zmq/address")
    }

    /// The messages so far: greetings, others.
    fn messages(&self) -> (Vec<Value>, Vec<Value>) {
        // A line may be under way.
        let read = self.directory.read("out");
        let whole = read.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let messages = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
        messages.partition(|message| message["type"] == "greeting")
    }

    /// Makes a client send its messages, and compares them with what is expected.
    fn expect_of(self, mut client: Client, greetings: usize, expected: &str) {
        wait_until("greetings arrive", || {
            assert!(!client.has_ended(), "the client has ended");
            let mut numbers: Vec<String> =
                self.messages().0.iter().map(|greeting| greeting["payload"].to_string()).collect();
            numbers.sort();
            numbers.dedup();
            numbers.len() >= greetings
        });
        client.tell("go");
        let id = client.id();
        self.expect(expected, Some(id));
        client.tell("end");
        client.wait();
        let ended = self.host.stop();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }

    /// Waits for as many messages as are expected, and compares them, in any order.
    fn expect(&self, expected: &str, pid: Option<u32>) {
        let path = repository().join("tests/clients/expected").join(format!("{expected}.jsonl"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let expected: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        wait_until("all messages arrive", || self.messages().1.len() >= expected.len());
        let mut messages = self.messages().1;
        for expected in expected {
            let found = messages.iter().position(|message| matches(&expected, message));
            let Some(index) = found else {
                panic!("no message is {expected}; left are\n{}", shown(&messages));
            };
            let message = messages.swap_remove(index);
            if let Some(pid) = pid {
                assert_eq!(message["pid"], pid, "{message}");
            }
        }
        assert!(messages.is_empty(), "nobody expected\n{}", shown(&messages));
    }
}

fn shown(messages: &[Value]) -> String {
    messages.iter().map(|message| format!("{message}\n")).collect()
}

/// Whether a value is what is expected: equal, or text where `*` stands for any.
fn matches(expected: &Value, value: &Value) -> bool {
    match (expected, value) {
        (Value::String(pattern), Value::String(text)) => matches_text(pattern, text),
        (Value::String(pattern), Value::Number(_)) => pattern == "*",
        (Value::Object(expected), Value::Object(members)) => {
            let has = |(key, expected): (&String, &Value)| {
                members.get(key).is_some_and(|value| matches(expected, value))
            };
            expected.len() == members.len() && expected.iter().all(has)
        }
        (expected, value) => expected == value,
    }
}

/// Whether the parts of a pattern between `*` come in this order.
fn matches_text(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = others.rsplit_once('*').unwrap_or(("", others));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// A file of `tests/clients`.
fn file(name: &str) -> PathBuf {
    repository().join("tests/clients").join(name)
}

/// Runs a driver in Python 2.7 with these packages, or says why that can't be.
fn python_client(packages: &[&str], driver: &str, arguments: &[String]) -> Result<Client, String> {
    let (python, installed) = install_python2(packages)?;
    let mut command = Command::new(python);
    command.arg(file(driver)).args(arguments);
    command.env("PYTHONPATH", installed).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(Client::spawn(&mut command))
}

/// Runs the driver of npm's client, or says why that can't be.
fn node_client(arguments: &[String]) -> Result<Client, String> {
    let installed = install_npm_with(&["heka@0.4.1"], OVERRIDE)?;
    let mut command = Command::new("node");
    command.arg("--no-deprecation").arg(file("heka_client.js")).args(arguments).current_dir(installed);
    Ok(Client::spawn(&mut command))
}

/// What a client sent where it could run: its datagrams, each behind its length in four bytes.
fn recorded(name: &str) -> Vec<Vec<u8>> {
    let path = file(&format!("recorded/{name}.datagrams"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut datagrams = Vec::new();
    let mut rest = &bytes[..];
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let (datagram, behind) = behind.split_at(u32::from_be_bytes(*len) as usize);
        datagrams.push(datagram.to_vec());
        rest = behind;
    }
    assert!(datagrams.len() > 10, "{name}");
    datagrams
}

/// Sends what was recorded, and compares it.
fn replay(input: &str, recording: &str, expected: &str) {
    let grater = Grater::new();
    let address = grater.address(input);
    for datagram in recorded(recording) {
        if input == "stream" {
            send_tcp(address, &datagram);
        } else {
            send_udp(address, &datagram);
        }
    }
    grater.expect(expected, None);
    let ended = grater.host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Lets metlog-py, metlog-cef and metlog-raven send everything over one transport.
fn check_metlog(transport: &str) {
    let grater = Grater::new();
    let mut arguments = words(&[transport]);
    match transport {
        "udp" => arguments.extend(grater.place("json")),
        "zmq" => arguments.extend(grater.endpoints().into_iter().take(1)),
        _ => arguments.extend(grater.endpoints().into_iter().rev()),
    }
    match python_client(&METLOG, "metlog_client.py", &arguments) {
        Ok(client) => grater.expect_of(client, GREETINGS, "metlog"),
        Err(why) => {
            say_skipped(
                &format!("metlog-py over {transport}, its recorded datagrams are sent instead"),
                &why,
            );
            replay("json", "metlog", "metlog");
        }
    }
}

#[test]
fn metlog_py_sends_every_kind_of_message_over_udp() {
    check_metlog("udp");
}

#[test]
fn metlog_py_sends_every_kind_of_message_over_zeromq() {
    check_metlog("zmq");
}

#[test]
fn metlog_py_sends_every_kind_of_message_over_zeromq_after_a_handshake() {
    check_metlog("zmq_handshake");
}

#[test]
fn recorded_metlog_messages_are_the_same() {
    replay("json", "metlog", "metlog");
}

/// Lets heka-py send everything; `signature` is hash function, signer, version, key.
fn check_heka_py(transport: &str, input: &str, signature: &[&str]) {
    let grater = Grater::new();
    let mut arguments = words(&[transport]);
    arguments.extend(grater.place(input));
    arguments.extend(words(signature));
    let signed = signature.first().map(|hash| format!("_{}", hash.to_lowercase())).unwrap_or_default();
    let (recording, expected) = (format!("heka_py{signed}"), format!("heka_py{signed}"));
    match python_client(&HEKA_PY, "heka_client.py", &arguments) {
        Ok(client) => grater.expect_of(client, GREETINGS, &expected),
        Err(why) => {
            say_skipped(&format!("heka-py over {transport}, its recorded datagrams are sent instead"), &why);
            replay(input, &recording, &expected);
        }
    }
}

#[test]
fn heka_py_sends_every_kind_of_message_over_udp() {
    check_heka_py("udp", "datagrams", &[]);
}

#[test]
fn heka_py_sends_every_kind_of_message_over_tcp() {
    check_heka_py("tcp", "stream", &[]);
}

#[test]
fn heka_py_signs_with_sha1_and_md5() {
    check_heka_py("udp", "signed", &["SHA1", "vic", "1", "secret"]);
    check_heka_py("udp", "signed", &["MD5", "vic", "2", "other"]);
}

#[test]
fn recorded_heka_messages_are_the_same() {
    replay("datagrams", "heka_py", "heka_py");
    replay("signed", "heka_py_sha1", "heka_py_sha1");
    replay("signed", "heka_py_md5", "heka_py_md5");
}

/// Lets npm's heka send everything; `options` are encoder and signature.
fn check_heka_js(input: &str, options: &[&str], recording: &str) {
    let grater = Grater::new();
    let mut arguments = words(&["udp"]);
    arguments.extend(grater.place(input));
    arguments.extend(words(options));
    match node_client(&arguments) {
        Ok(client) => grater.expect_of(client, GREETINGS, recording),
        Err(why) => {
            say_skipped(&format!("npm heka ({options:?}), its recorded datagrams are sent instead"), &why);
            replay(input, recording, recording);
        }
    }
}

#[test]
fn npm_heka_sends_every_kind_of_message() {
    check_heka_js("datagrams", &["protobuf"], "heka_js");
}

#[test]
fn npm_heka_sends_every_kind_of_message_as_json() {
    check_heka_js("datagrams", &["json"], "heka_js_json");
}

#[test]
fn npm_heka_signs_with_sha1_and_md5() {
    check_heka_js("signed", &["protobuf", "sha1", "vic", "1", "secret"], "heka_js_sha1");
    check_heka_js("signed", &["protobuf", "md5", "vic", "2", "other"], "heka_js_md5");
}

#[test]
fn recorded_npm_heka_messages_are_the_same() {
    for (input, recording) in [
        ("datagrams", "heka_js"),
        ("datagrams", "heka_js_json"),
        ("signed", "heka_js_sha1"),
        ("signed", "heka_js_md5"),
    ] {
        replay(input, recording, recording);
    }
}
