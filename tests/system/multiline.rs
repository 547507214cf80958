//! Lines that make one message: from files and connections, when the stream falls silent, and over kills.

use heka_lib::config::{Config, from_toml_str};
use heka_lib::plugin::Registry;
use heka_lib::{Router, RouterOptions};
use heka_tests::{Capture, Directory, Host, address_of, plugin_dir, probe, send_tcp, wait_until};
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

const JAVA: &str = "splitter = { kind = \"multiline\", preset = \"java\", timeout = \"200 ms\" }";

/// A router with one input, in the test's own process.
fn start(directory: &Directory, input: &str, once: bool) -> (Router, Capture) {
    let out = Capture::new();
    let text = format!(
        "[heka]\nstate_dir = \"{}\"\n[inputs.lines]\n{input}\n[chains.default]\noutputs = [\"out\"]\n{}",
        directory.join("state").display(),
        out.output("out")
    );
    let config = Config::from_document(&from_toml_str("heka.toml", &text).unwrap()).unwrap();
    let mut registry = Registry::new();
    registry.add_directory(&plugin_dir()).add_static(&probe::PLUGIN_FILE);
    let mut options = RouterOptions::default();
    options.once = once;
    (Router::start(&config, &registry, &options).unwrap(), out)
}

fn payloads(out: &Capture) -> Vec<String> {
    out.messages().into_iter().map(|message| message.payload).collect()
}

fn file_input(directory: &Directory, splitter: &str) -> String {
    format!(
        "plugin = \"file\"\npaths = [\"{}\"]\nfrom = \"beginning\"\n{splitter}",
        directory.join("in.log").display()
    )
}

#[test]
fn a_silent_file_hands_on_its_last_message_and_a_half_line_waits() {
    let directory = Directory::new();
    directory.write("in.log", "a\nb.X.Error: x\n\tat b.X.y(X.java:1)\nhal");
    let (router, out) = start(&directory, &file_input(&directory, JAVA), false);
    wait_until("the message is there", || out.messages().len() == 1);
    assert_eq!(payloads(&out), ["a\nb.X.Error: x\n\tat b.X.y(X.java:1)"]);
    directory.append("in.log", "f\nnext\n");
    wait_until("the next ones are", || out.messages().len() == 3);
    assert_eq!(payloads(&out)[1..], ["half", "next"]);
    router.stop();
}

#[test]
fn a_held_message_is_read_again_after_a_restart() {
    let directory = Directory::new();
    directory.write("in.log", "one\ntwo\n\tat x\n");
    let long = JAVA.replace("200 ms", "1 h");
    let (router, out) = start(&directory, &file_input(&directory, &long), false);
    wait_until("the first is there", || out.messages().len() == 1);
    router.stop();
    assert_eq!(payloads(&out), ["one"]);
    directory.append("in.log", "\tat y\nthree\n");
    let (router, out) = start(&directory, &file_input(&directory, JAVA), false);
    wait_until("all is there", || out.messages().len() == 2);
    router.stop();
    assert_eq!(payloads(&out), ["two\n\tat x\n\tat y", "three"]);
}

#[test]
fn a_run_to_the_end_hands_on_everything() {
    let directory = Directory::new();
    directory.write("in.log", "one\n\tat x\n");
    let (router, out) = start(&directory, &file_input(&directory, &JAVA.replace("200 ms", "1 h")), true);
    assert!(router.wait(Duration::from_secs(30)));
    router.stop();
    assert_eq!(payloads(&out), ["one\n\tat x"]);
}

#[test]
fn connections_hand_on_what_they_hold_when_they_are_silent_and_when_they_end() {
    let directory = Directory::new();
    let tcp = "plugin = \"tcp\"\naddress = \"127.0.0.1:0\"";
    let (router, out) = start(&directory, &format!("{tcp}\n{JAVA}"), false);
    let address = address_of(&directory, "lines");
    let mut open = std::net::TcpStream::connect(address).unwrap();
    open.write_all(b"silent\n\tat x\n").unwrap();
    wait_until("the silent one is there", || out.messages().len() == 1);
    send_tcp(address, b"ended\n\tat y\n");
    wait_until("the ended one is there", || out.messages().len() == 2);
    router.stop();
    assert_eq!(payloads(&out), ["silent\n\tat x", "ended\n\tat y"]);
}

const KILLED: &str = r#"
[inputs.logs]
plugin = "file"
paths = ["in.log"]
from = "beginning"
splitter = { kind = "multiline", start = "^[0-9]+ begin", timeout = "20 ms" }

[chains.default]
outputs = ["all"]

[outputs.all]
plugin = "file"
path = "all.log"
encoder = "payload"
queue = { kind = "disk" }
"#;

#[test]
fn no_line_is_lost_or_doubled_over_kills_though_silence_cuts_messages() {
    const KILLS: u64 = 12;
    let directory = Directory::new();
    directory.write("heka.toml", KILLED);
    let mut file = OpenOptions::new().create(true).append(true).open(directory.join("in.log")).unwrap();
    let (mut lines, mut host) = (0_u64, Host::spawn(&directory, &["run", "heka.toml"]));
    for round in 0..KILLS {
        let until = Instant::now() + Duration::from_millis(700 + round * 37 % 300);
        while Instant::now() < until {
            // Messages of seven lines; the pauses are shorter and longer than the timeout.
            for _ in 0..1 + lines * 31 % 4 {
                let word = if lines.is_multiple_of(7) { "begin" } else { "goes on" };
                writeln!(file, "{lines} {word}").unwrap();
                lines += 1;
            }
            std::thread::park_timeout(Duration::from_millis(lines * 13 % 110));
        }
        host.signal("KILL");
        assert_eq!(host.wait().status, None);
        host = Host::spawn(&directory, &["run", "heka.toml"]);
    }
    let expected: Vec<String> =
        std::fs::read_to_string(directory.join("in.log")).unwrap().lines().map(str::to_owned).collect();
    let arrived = || match directory.join("all.log").exists() {
        true => directory.lines("all.log"),
        false => Vec::new(),
    };
    wait_until("all has arrived", || arrived().len() >= expected.len());
    let ended = host.stop();
    assert!(arrived() == expected, "{} of {lines} lines\n{}", arrived().len(), ended.stderr);
    assert!(directory.join("state/inputs/logs/cuts").exists(), "nothing was cut by silence");
}
