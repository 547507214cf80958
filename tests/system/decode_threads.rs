//! Inputs whose frames are decoded on threads of their own: nothing is lost, each stream stays in order, and all that
//! can happen to a decoder costs what it costs on the input's thread.

use heka_lib::config::{Config, from_toml_str};
use heka_lib::plugin::Registry;
use heka_lib::{Router, RouterOptions, RouterStats};
use heka_plugin_api::{Context, Decoder, Frame, MessageWriter, PluginError, Schema, export_plugin};
use heka_tests::{
    Capture, Captured, Directory, Host, Peer, address_of, assert_balanced, plugin_dir, probe, send_tcp,
    wait_until,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

export_plugin! { decoder "moody" => MoodyDecoder }

/// Does what a frame says: one that begins with `panic`, `refuse`, `retry` or `fatal`.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct MoodyConfig {}

/// Makes a message of each frame that says nothing; it tells on which thread.
struct MoodyDecoder {
    retried: bool,
}

impl Decoder for MoodyDecoder {
    type Config = MoodyConfig;

    fn open(_: MoodyConfig, _: &mut Context) -> Result<Self, PluginError> {
        Ok(MoodyDecoder { retried: false })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let text = String::from_utf8_lossy(frame.bytes()).into_owned();
        match text.split_whitespace().next() {
            Some("panic") => panic!("asked to"),
            Some("refuse") => return Err(PluginError::message("asked to")),
            Some("fatal") => return Err(PluginError::fatal("asked to")),
            Some("retry") if !std::mem::replace(&mut self.retried, true) => {
                return Err(PluginError::retry("asked to"));
            }
            _ => {}
        }
        let current = std::thread::current();
        let thread = current.name().unwrap_or_default();
        messages.message().payload(&text).field("thread", thread).finish()
    }
}

/// A router in the test's own process, of lines through `moody`.
struct Running {
    router: Router,
    directory: Directory,
    out: Capture,
    dead: Capture,
}

impl Running {
    /// `input` is the rest of the input's section, `more` of `[heka]`.
    fn start(directory: Directory, input: &str, more: &str, once: bool) -> Running {
        Running::start_into(directory, input, more, once, None)
    }

    fn start_into(directory: Directory, input: &str, more: &str, once: bool, out: Option<&str>) -> Running {
        let (captured, dead) = (Capture::new(), Capture::new());
        let text = format!(
            "[heka]\nstate_dir = \"{}\"\ndead_letter = \"dead\"\n{more}\n\
             [inputs.lines]\n{input}\ndecoder = \"moody\"\n[chains.default]\noutputs = [\"out\"]\n{}{}",
            directory.join("state").display(),
            out.map_or_else(|| captured.output("out"), str::to_owned),
            dead.output("dead")
        );
        let config = Config::from_document(&from_toml_str("heka.toml", &text).unwrap()).unwrap();
        let mut registry = Registry::new();
        registry.add_directory(&plugin_dir()).add_static(&probe::PLUGIN_FILE).add_static(&PLUGIN_FILE);
        let mut options = RouterOptions::default();
        options.once = once;
        let router = Router::start(&config, &registry, &options).unwrap();
        Running { router, directory, out: captured, dead }
    }

    fn messages(&self) -> u64 {
        self.router.stats().input("lines").map_or(0, |input| input.messages)
    }

    /// Waits until the input has ended by itself, and stops.
    fn end(self) -> (Vec<Captured>, Vec<Captured>, RouterStats) {
        let ended = self.router.wait(Duration::from_secs(30));
        assert!(ended, "the input goes on:\n{}", self.router.stats());
        self.stop()
    }

    /// Stops; returns what came out, what became dead letters, and the counts.
    fn stop(self) -> (Vec<Captured>, Vec<Captured>, RouterStats) {
        let stats = self.router.stop();
        assert_balanced(&stats);
        (self.out.messages(), self.dead.messages(), stats)
    }
}

const TCP: &str = "plugin = \"tcp\"\naddress = \"127.0.0.1:0\"";

/// An input that reads these lines from a file.
fn lines_of(directory: &Directory, lines: &str, settings: &str) -> String {
    let path = directory.write("in.log", lines);
    format!("plugin = \"file\"\npaths = [\"{}\"]\nfrom = \"beginning\"\n{settings}", path.display())
}

/// Reads lines from a file to their end.
fn read_to_end(lines: &str, settings: &str) -> (Vec<Captured>, Vec<Captured>, RouterStats) {
    let directory = Directory::new();
    let input = lines_of(&directory, lines, settings);
    let (out, dead, stats) = Running::start(directory, &input, "", true).end();
    assert_eq!(stats.left(), 0, "{stats}");
    (out, dead, stats)
}

fn numbered(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "line {number}");
        text
    })
}

fn payloads(messages: &[Captured]) -> Vec<&str> {
    messages.iter().map(|message| message.payload.as_str()).collect()
}

#[test]
fn each_of_eight_connections_arrives_whole_and_in_order() {
    const LINES: usize = 10_000;
    let running = Running::start(Directory::new(), &format!("{TCP}\ndecode_threads = 8"), "", false);
    let address = address_of(&running.directory, "lines");
    std::thread::scope(|scope| {
        for connection in 0..8 {
            let text: String = (0..LINES).map(|line| format!("{connection} {line}\n")).collect();
            scope.spawn(move || send_tcp(address, text.as_bytes()));
        }
    });
    wait_until("everything is decoded", || running.messages() == 8 * LINES as u64);
    let (messages, _, stats) = running.stop();
    assert_eq!(stats.output("out").unwrap().delivered, 8 * LINES as u64, "{stats}");
    let (mut next, mut threads) = (BTreeMap::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for message in messages {
        let (connection, line) = message.payload.split_once(' ').unwrap();
        let next = next.entry(connection.to_owned()).or_insert(0);
        assert_eq!(line.parse(), Ok(*next), "connection {connection} is out of order");
        *next += 1;
        let thread = message.field("thread").unwrap().to_owned();
        threads.entry(connection.to_owned()).or_default().insert(thread);
    }
    assert!(next.len() == 8 && next.values().all(|&lines| lines == LINES), "{next:?}");
    assert!(threads.values().all(|threads| threads.len() == 1), "a stream changed its thread: {threads:?}");
    let used: BTreeSet<_> = threads.values().flatten().collect();
    assert!(used.len() > 1, "all connections on one thread");
    assert!(used.iter().all(|name| name.starts_with("\"decode")), "{used:?}");
}

#[test]
fn a_file_read_once_arrives_in_order_and_is_not_read_again() {
    let directory = Directory::new();
    directory.write("in.log", numbered(0..100_000) + "cut");
    let config = "[inputs.logs]\nplugin = \"file\"\npaths = [\"in.log\"]\nfrom = \"beginning\"\n\
         decoder = \"words\"\ndecode_threads = 4\n\
         [decoders.words]\nplugin = \"regex\"\npattern = '^(?P<word>\\w+)( (?P<number>\\d+))?$'\n\
         [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"file\"\npath = \"out.log\"\n";
    for _ in 0..2 {
        let ended = Host::run_once(&directory, config);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(directory.read("out.log"), numbered(0..100_000) + "cut\n");
    }
}

#[test]
fn a_panic_of_a_decoder_costs_one_frame_which_is_delivered_undecoded() {
    let lines = format!("{}panic 1\n{}panic 2\n", numbered(0..1000), numbered(1000..2000));
    let (out, dead, stats) = read_to_end(&lines, "decode_threads = 2");
    assert_eq!(payloads(&out), lines.lines().collect::<Vec<_>>());
    let undecoded: Vec<_> = out.iter().filter(|message| message.field("decode_error").is_some()).collect();
    assert_eq!(undecoded.len(), 2);
    let error = undecoded[0].field("decode_error").unwrap();
    assert!(error.starts_with("\"panicked") && error.ends_with(": asked to\""), "{error}");
    assert_eq!((dead.len(), stats.input("lines").unwrap().undecoded), (0, 2), "{stats}");
}

#[test]
fn refused_frames_become_dead_letters_and_are_acknowledged() {
    let lines = format!("refuse 1\n{}refuse 2\n", numbered(0..1000));
    let (out, dead, stats) = read_to_end(&lines, "decode_threads = 3\non_decode_error = \"dead_letter\"");
    assert_eq!(out.len(), 1000);
    assert_eq!(payloads(&dead), ["refuse 1", "refuse 2"]);
    assert_eq!(dead[0].field("dead_letter_reason"), Some("\"asked to\""));
    let input = stats.input("lines").unwrap();
    assert_eq!((input.undecoded, input.dead_lettered, input.messages), (2, 2, 1000), "{stats}");
}

#[test]
fn frames_that_are_too_long_become_dead_letters() {
    let lines = format!("{}{}\n{}", numbered(0..10), "x".repeat(100), numbered(10..20));
    let settings = "decode_threads = 1\nframe_bytes_max = 50\nframe_overflow = \"dead_letter\"";
    let (out, dead, _) = read_to_end(&lines, settings);
    assert_eq!((out.len(), payloads(&dead)), (20, vec!["x".repeat(50).as_str()]));
}

#[test]
fn a_decoder_that_asks_to_be_called_again_is() {
    let lines = format!("{}retry\n{}", numbered(0..300), numbered(300..600));
    let (out, _, stats) = read_to_end(&lines, "decode_threads = 1");
    assert_eq!(payloads(&out), lines.lines().collect::<Vec<_>>());
    assert_eq!(stats.input("lines").unwrap().undecoded, 0, "{stats}");
}

#[test]
fn a_decoder_that_gives_up_stops_the_input_and_what_was_read_is_still_delivered() {
    let running = Running::start(Directory::new(), &format!("{TCP}\ndecode_threads = 2"), "", false);
    let lines = format!("{}fatal\n{}", numbered(0..500), numbered(500..1000));
    send_tcp(address_of(&running.directory, "lines"), lines.as_bytes());
    let (messages, _, stats) = running.end();
    assert_eq!(stats.input("lines").unwrap().frames, messages.len() as u64, "{stats}");
    assert_eq!(payloads(&messages)[..], lines.lines().collect::<Vec<_>>()[..messages.len()]);
    let told = |message: &Captured| message.field("decode_error").map(str::to_owned);
    assert!(messages[..500].iter().all(|message| told(message).is_none()));
    assert!(messages[500..].iter().all(|message| told(message).as_deref() == Some("\"asked to\"")));
    assert!(messages.len() > 500);
}

#[test]
fn single_lines_arrive_though_nothing_follows_them() {
    let running = Running::start(Directory::new(), &format!("{TCP}\ndecode_threads = 2"), "", false);
    let address = address_of(&running.directory, "lines");
    for count in 1..=10 {
        send_tcp(address, b"alone\n");
        wait_until("it arrives", || running.out.messages().len() == count);
    }
    running.stop();
}

#[test]
fn what_waits_for_a_dead_output_is_counted_at_the_deadline() {
    let directory = Directory::new();
    let input = lines_of(&directory, &numbered(0..200_000), "decode_threads = 3");
    let out = "[outputs.out]\nplugin = \"retry_always\"\nqueue = { kind = \"memory\" }\n";
    let running = Running::start_into(directory, &input, "shutdown_deadline = \"1 s\"", false, Some(out));
    wait_until("the output tries again", || running.router.stats().output("out").unwrap().retries > 0);
    let began = Instant::now();
    let (_, _, stats) = running.stop();
    assert!(began.elapsed() < Duration::from_secs(4), "stopping took {:?}", began.elapsed());
    let (input, out) = (stats.input("lines").unwrap(), stats.output("out").unwrap());
    assert_eq!((out.delivered, out.queued()), (0, 0), "{stats}");
    assert_eq!((stats.left(), input.frames), (input.messages, input.messages), "{stats}");
}

const DAEMON: &str = "[inputs.lines]\nplugin = \"file\"\npaths = [\"in.log\"]\nfrom = \"beginning\"\n\
     decoder = \"words\"\ndecode_threads = 2\n\
     [decoders.words]\nplugin = \"regex\"\npattern = '^(?P<word>\\w+) (?P<number>\\d+)( x+)?$'\n\
     [chains.default]\noutputs = [\"out\"]\n\
     [outputs.out]\nplugin = \"file\"\npath = \"out.log\"\n";

#[test]
fn a_stop_in_the_middle_is_resumed_without_a_gap_or_a_repetition() {
    let directory = Directory::new();
    directory.write("in.log", numbered(0..400_000));
    let host = Host::run(&directory, DAEMON);
    wait_until("something is delivered", || !directory.read("out.log").is_empty());
    let first = host.stop();
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    let ended = Host::run_once(&directory, DAEMON);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(directory.read("out.log") == numbered(0..400_000), "lines are missing, repeated or out of order");
}

#[test]
fn after_kill_dash_nine_nothing_is_missing() {
    let directory = Directory::new();
    directory.write("in.log", numbered(0..400_000));
    for wanted in [1, 2_000_000] {
        let host = Host::run(&directory, DAEMON);
        wait_until("something is delivered", || directory.read("out.log").len() > wanted);
        host.signal("KILL");
        assert_eq!(host.wait().status, None);
    }
    let ended = Host::run_once(&directory, DAEMON);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    // A kill in the middle of a write leaves the beginning of a line.
    let lines: BTreeSet<String> = directory
        .lines("out.log")
        .iter()
        .map(|line| line[line.rfind("line").unwrap_or(0)..].to_owned())
        .collect();
    let missing = numbered(0..400_000).lines().filter(|line| !lines.contains(*line)).count();
    assert_eq!(missing, 0, "lines are missing");
}

#[test]
fn a_peer_that_does_not_read_pauses_the_input_and_gets_everything_in_order_later() {
    const LINES: usize = 100_000;
    let (directory, peer) = (Directory::new(), Peer::new());
    // More than all sockets and channels hold.
    let lines: Vec<String> = (0..LINES).map(|number| format!("line {number} {}", "x".repeat(200))).collect();
    directory.write("in.log", lines.join("\n") + "\n");
    let to_peer = format!("plugin = \"tcp\"\naddress = \"{}\"", peer.address());
    let host = Host::run(&directory, &DAEMON.replace("plugin = \"file\"\npath = \"out.log\"", &to_peer));
    let connection = peer.accept();
    wait_until("messages wait for the peer", || host.count("output out", "queued") > 100);
    peer.read_from(connection);
    peer.wait_for_lines(LINES);
    assert_eq!(host.stop().status, Some(0));
    assert!(peer.lines() == lines, "out of order");
}

#[test]
fn decode_threads_without_a_decoder_is_a_fault() {
    let directory = Directory::new();
    let config = "[inputs.in]\nplugin = \"generate\"\ncount = 1\ndecode_threads = 2\n\
         [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"null\"\n";
    let ended = Host::run_once(&directory, config);
    let fault = "heka.toml:1:9: input `in`: `decode_threads` without a `decoder`; name one\n";
    assert_eq!((ended.stderr.as_str(), ended.status), (fault, Some(78)));
}
