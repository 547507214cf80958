//! A running router goes over to another config: only what changed is replaced, and nothing is lost or comes twice.

use heka_lib::{Change, Reloaded};
use heka_tests::{Capture, Directory, Peer, Started, address_of, assert_balanced, start, wait_until};
use std::io::Write;
use std::net::TcpStream;
use std::thread;

/// An input `in` that takes lines over connections, with `options`.
fn lines(options: &str) -> String {
    format!("[inputs.in]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n{options}\n")
}

/// A chain for every message, with these filters and outputs.
fn all(filters: &str, outputs: &str) -> String {
    format!("[chains.all]\nmatcher = 'TRUE'\nfilters = [{filters}]\noutputs = [{outputs}]\n")
}

/// A connection to the input `in`.
fn connect(started: &Started) -> TcpStream {
    TcpStream::connect(address_of(&started.directory, "in")).expect("connect to the input")
}

fn payloads(capture: &Capture) -> Vec<String> {
    capture.messages().into_iter().map(|message| message.payload).collect()
}

/// Sends text over a connection and waits until the output has got messages with these payloads in all.
fn send(stream: &mut TcpStream, text: &str, capture: &Capture, expected: &[&str]) {
    stream.write_all(text.as_bytes()).expect("send");
    wait_until("the lines arrive", || capture.messages().len() >= expected.len());
    assert_eq!(payloads(capture), expected);
}

/// Names of what had this done to it, in order.
fn names(reloaded: &Reloaded, change: Change) -> Vec<&str> {
    let is_it = |(_, done): &&(String, Change)| *done == change;
    reloaded.changes.iter().filter(is_it).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_config_that_says_the_same_changes_nothing() {
    let out = Capture::new();
    let config = lines("decoder = \"json\"") + &all("\"t\"", "\"out\"") + &out.output("out");
    let config = config + "[filters.t]\nplugin = \"tally\"\nfield = \"n\"\n";
    let started = start(&config, "").unwrap();
    let reloaded = started.reload(&("\n\n".to_owned() + &config), "").unwrap();
    assert_eq!(reloaded.to_string(), "nothing changed; 4 kept");
}

#[test]
fn a_changed_matcher_holds_and_the_connection_stays() {
    let (one, two) = (Capture::new(), Capture::new());
    let config = |matcher: &str| {
        let chains = format!("[chains.some]\nmatcher = '{matcher}'\noutputs = [\"one\"]\n");
        lines("")
            + &chains
            + "[chains.default]\noutputs = [\"two\"]\n"
            + &one.output("one")
            + &two.output("two")
    };
    let started = start(&config("Payload =~ /^a/"), "").unwrap();
    let mut stream = connect(&started);
    send(&mut stream, "a1\n", &one, &["a1"]);
    send(&mut stream, "b1\n", &two, &["b1"]);
    let reloaded = started.reload(&config("Payload =~ /^b/"), "").unwrap();
    assert_eq!(reloaded.to_string(), "adjusted chain `some`; 4 kept");
    send(&mut stream, "b2\n", &one, &["a1", "b2"]);
    send(&mut stream, "a2\n", &two, &["b1", "a2"]);
    assert_balanced(&started.router.stop());
}

#[test]
fn filters_that_did_not_change_keep_their_state() {
    let out = Capture::new();
    let tally = "[filters.t]\nplugin = \"tally\"\nfield = \"n\"\n";
    let old = lines("") + &all("\"t\"", "\"out\"") + tally + &out.output("out");
    let started = start(&old, "").unwrap();
    let mut stream = connect(&started);
    send(&mut stream, "1\n2\n", &out, &["1", "2"]);
    let more = "[filters.u]\nplugin = \"tally\"\nfield = \"u\"\n[outputs.other]\nplugin = \"null\"\n";
    let new = lines("") + &all("\"u\", \"t\"", "\"other\", \"out\"") + tally + more + &out.output("out");
    let reloaded = started.reload(&new, "").unwrap();
    assert_eq!(names(&reloaded, Change::Added), ["filter `u` of chain `all`", "output `other`"]);
    assert_eq!(reloaded.change("filter `t` of chain `all`"), Some(Change::Kept));
    send(&mut stream, "3\n", &out, &["1", "2", "3"]);
    let last = out.messages().pop().unwrap();
    assert_eq!((last.field("n"), last.field("u")), (Some("3"), Some("1")));
    let reloaded = started.reload(&old, "").unwrap();
    assert_eq!(names(&reloaded, Change::Removed), ["filter `u` of chain `all`", "output `other`"]);
    send(&mut stream, "4\n", &out, &["1", "2", "3", "4"]);
    assert_eq!(out.messages().pop().unwrap().field("n"), Some("4"));
    let stats = started.router.stop();
    assert_eq!(stats.output("other").unwrap().delivered, 1, "{stats}");
    assert_balanced(&stats);
}

#[test]
fn a_filter_that_goes_on_finds_the_outputs_that_it_marks() {
    let (out, marked) = (Capture::new(), Capture::new());
    let mark = "[filters.m]\nplugin = \"mark\"\nwhen = 'Payload =~ /x/'\nadd = [\"marked\"]\n";
    let config = |more: &str| {
        lines("") + more + &all("\"m\"", "\"out\"") + mark + &marked.output("marked") + &out.output("out")
    };
    let started = match start(&config(""), "") {
        Ok(started) => started,
        Err(faults) => panic!("{faults}"),
    };
    let mut stream = connect(&started);
    send(&mut stream, "x1\n", &marked, &["x1"]);
    let first = "[outputs.a]\nplugin = \"null\"\n[outputs.b]\nplugin = \"null\"\n";
    let reloaded = started.reload(&config(first), "").unwrap();
    assert_eq!(reloaded.change("filter `m` of chain `all`"), Some(Change::Kept));
    send(&mut stream, "x2\n", &marked, &["x1", "x2"]);
    assert_eq!(payloads(&out), ["x1", "x2"]);
}

#[test]
fn a_changed_filter_first_passes_on_what_it_absorbed() {
    let out = Capture::new();
    let config = |emit_type: &str| {
        let count = format!(
            "[filters.c]\nplugin = \"count\"\ninterval = \"1 h\"\nabsorb = true\nemit_type = \"{emit_type}\"\n"
        );
        lines("") + &all("\"c\"", "\"out\"") + &count + &out.output("out")
    };
    let started = start(&config("old"), "").unwrap();
    connect(&started).write_all(b"1\n2\n3\n").unwrap();
    wait_until("the filter has them", || started.router.stats().chain("all").unwrap().absorbed == 3);
    let reloaded = started.reload(&config("new"), "").unwrap();
    assert_eq!(reloaded.to_string(), "replaced filter `c` of chain `all`; adjusted chain `all`; 2 kept");
    wait_until("the count arrives", || !out.messages().is_empty());
    assert_eq!(out.messages()[0].message_type, "old");
    connect(&started).write_all(b"4\n").unwrap();
    wait_until("the filter has it", || started.router.stats().chain("all").unwrap().absorbed == 4);
    // A chain that goes passes on what its filters hold as well.
    let without = lines("") + "[chains.default]\noutputs = [\"out\"]\n" + &out.output("out");
    started.reload(&without, "").unwrap();
    wait_until("the count arrives", || out.messages().len() == 2);
    assert_eq!(out.messages()[1].message_type, "new");
}

#[test]
fn a_connection_and_half_a_line_survive_changes_of_its_own_input() {
    let out = Capture::new();
    let config = |options: &str, more: &str| {
        lines(options) + "[chains.default]\noutputs = [\"out\"]\n" + &out.output("out") + more
    };
    let started = start(&config("", ""), "").unwrap();
    let mut stream = connect(&started);
    send(&mut stream, "one\ntw", &out, &["one"]);
    let reloaded = started.reload(&config("connections_max = 7", ""), "").unwrap();
    assert_eq!(reloaded.to_string(), "replaced input `in`; 2 kept");
    send(&mut stream, "o\nthr", &out, &["one", "two"]);
    let reloaded = started.reload(&config("connections_max = 7\ndecoder = \"logfmt\"", ""), "").unwrap();
    assert_eq!(reloaded.to_string(), "replaced decoder `logfmt` of input `in`; adjusted input `in`; 2 kept");
    send(&mut stream, "ee=3\nfour=", &out, &["one", "two", "three=3"]);
    assert_eq!(out.messages()[2].field("three"), Some("3"));
    let other = "[inputs.other]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n";
    let reloaded = started.reload(&config("", other), "").unwrap();
    assert_eq!(names(&reloaded, Change::Added), ["input `other`"]);
    send(&mut stream, "4\n", &out, &["one", "two", "three=3", "four=4"]);
    let mut second = TcpStream::connect(address_of(&started.directory, "other")).unwrap();
    send(&mut second, "five\n", &out, &["one", "two", "three=3", "four=4", "five"]);
    let reloaded = started.reload(&config("", ""), "").unwrap();
    assert_eq!(names(&reloaded, Change::Removed), ["input `other`"]);
    send(&mut stream, "six\n", &out, &["one", "two", "three=3", "four=4", "five", "six"]);
    let stats = started.router.stop();
    assert_eq!(stats.input("in").unwrap().plugin["accepted"], 1, "{stats}");
    assert_balanced(&stats);
}

#[test]
fn decode_threads_go_over_with_their_input() {
    let (one, two) = (Capture::new(), Capture::new());
    let config = |capture: &Capture, decoder: &str, refuses: bool| {
        let filter = format!("[filters.s]\nplugin = \"stubborn\"\nrefuses = {refuses}\n");
        let input = lines(&format!("decoder = \"{decoder}\"\ndecode_threads = 2"));
        input + &all("\"s\"", "\"out\"") + &filter + &capture.output("out")
    };
    let started = start(&config(&one, "logfmt", false), "").unwrap();
    let mut stream = connect(&started);
    send(&mut stream, "a=1\n", &one, &["a=1"]);
    let faults = started.reload(&config(&two, "json", true), "").unwrap_err();
    assert!(faults.ends_with("filter `s`: does not want to"), "{faults}");
    send(&mut stream, "a=2\n", &one, &["a=1", "a=2"]);
    assert_eq!(one.messages()[1].field("a"), Some("2"));
    started.reload(&config(&two, "json", false), "").unwrap();
    stream.write_all(b"{\"a\": 3}\n").unwrap();
    wait_until("the line arrives", || two.messages().iter().any(|message| message.field("a") == Some("3")));
    let more = config(&two, "json", false) + "[chains.more]\nmatcher = 'TRUE'\noutputs = [\"out\"]\n";
    started.reload(&more, "").unwrap();
    stream.write_all(b"{\"a\": 4}\n").unwrap();
    wait_until("the line arrives by both chains", || two.messages().len() == 3);
    assert_balanced(&started.router.stop());
}

#[test]
fn another_splitter_goes_on_in_the_middle_of_a_frame() {
    let out = Capture::new();
    let config =
        |options: &str| lines(options) + "[chains.default]\noutputs = [\"out\"]\n" + &out.output("out");
    let started = start(&config(""), "").unwrap();
    let mut stream = connect(&started);
    send(&mut stream, "one\ntw", &out, &["one"]);
    let token = "splitter = { kind = \"token\", token = \";\" }";
    assert_eq!(started.reload(&config(token), "").unwrap().to_string(), "adjusted input `in`; 2 kept");
    send(&mut stream, "o;", &out, &["one", "two"]);
}

#[test]
fn a_file_is_read_on_where_it_was() {
    let (directory, out) = (Directory::new(), Capture::new());
    let input = |options: &str| {
        format!(
            "[inputs.files]\nplugin = \"file\"\npaths = [\"{}/*.log\"]\nfrom = \"beginning\"\n{options}\n\
             [chains.default]\noutputs = [\"out\"]\n",
            directory.path().display()
        ) + &out.output("out")
    };
    directory.write("a.log", "a1\na");
    let started = start(&input(""), "").unwrap();
    wait_until("the line arrives", || payloads(&out) == ["a1"]);
    let reloaded = started.reload(&input("rescan_interval = \"1 s\""), "").unwrap();
    assert_eq!(reloaded.to_string(), "replaced input `files`; 2 kept");
    directory.append("a.log", "2\na3");
    wait_until("the line arrives", || payloads(&out) == ["a1", "a2"]);
    let of_b = input("").replace("*.log", "b.log");
    started.reload(&of_b, "").unwrap();
    directory.append("a.log", "\na4\n");
    directory.write("b.log", "b1\n");
    wait_until("the line arrives", || payloads(&out) == ["a1", "a2", "b1"]);
    started.reload(&input(""), "").unwrap();
    wait_until("the lines arrive", || payloads(&out) == ["a1", "a2", "b1", "a3", "a4"]);
    assert_balanced(&started.router.stop());
}

#[test]
fn what_waits_for_a_dead_output_goes_where_the_new_config_says() {
    let (dead, peer) = (Peer::new().address(), Peer::new());
    peer.read_all();
    let config = |address: String| {
        format!(
            "{}[chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"tcp\"\nencoder = \"payload\"\n\
             address = \"{address}\"\nretry = {{ delay_min = \"1 h\", delay_max = \"1 h\" }}\n",
            lines("")
        )
    };
    let started = start(&config(dead.to_string()), "").unwrap();
    let mut stream = connect(&started);
    let numbers: Vec<String> = (0..10_000).map(|number| format!("line {number}")).collect();
    stream.write_all((numbers.join("\n") + "\n").as_bytes()).unwrap();
    wait_until("the output tries", || started.router.stats().output("out").unwrap().retries > 0);
    let reloaded = started.reload(&config(peer.address().to_string()), "").unwrap();
    assert_eq!(reloaded.to_string(), "replaced output `out`; 2 kept");
    peer.wait_for_lines(numbers.len());
    assert_eq!(peer.lines(), numbers);
}

#[test]
fn inputs_go_on_when_the_dead_output_that_held_them_is_removed() {
    let out = Capture::new();
    let old = "[chains.default]\noutputs = [\"dead\"]\n[outputs.dead]\nplugin = \"retry_always\"\n\
               queue = { kind = \"memory\", max_bytes = \"64 KiB\" }\n";
    let started = start(&(lines("") + old), "shutdown_deadline = \"1 s\"").unwrap();
    let mut stream = connect(&started);
    let sender = thread::spawn(move || {
        (0..50_000).for_each(|number| writeln!(stream, "line {number}").unwrap());
        stream
    });
    wait_until("the output is full", || started.router.stats().output("dead").unwrap().queued() > 1_000);
    let new = lines("") + "[chains.default]\noutputs = [\"out\"]\n" + &out.output("out");
    let reloaded = started.reload(&new, "shutdown_deadline = \"1 s\"").unwrap();
    assert_eq!(names(&reloaded, Change::Removed), ["output `dead`"]);
    let mut stream = sender.join().unwrap();
    writeln!(stream, "last").unwrap();
    wait_until("the last line arrives", || out.messages().last().is_some_and(|last| last.payload == "last"));
    let stats = started.router.stop();
    let (dead, out) = (stats.output("dead").unwrap(), stats.output("out").unwrap());
    assert_eq!(dead.marked + out.marked, 50_001, "{stats}");
    assert_eq!((dead.abandoned, out.delivered), (dead.marked, out.marked), "{stats}");
}

#[test]
fn dead_letters_go_where_the_new_config_says() {
    let (one, two) = (Capture::new(), Capture::new());
    let config = || {
        lines("")
            + &all("\"f\"", "\"out\"")
            + "[filters.f]\nplugin = \"tally\"\nfield = \"n\"\nfail_every = 1\n"
            + "[outputs.out]\nplugin = \"null\"\n"
            + &one.output("one")
            + &two.output("two")
    };
    let started = start(&config(), "dead_letter = \"one\"").unwrap();
    let mut stream = connect(&started);
    send(&mut stream, "1\n", &one, &["1"]);
    started.reload(&config(), "dead_letter = \"two\"").unwrap();
    send(&mut stream, "2\n", &two, &["2"]);
    assert_eq!(payloads(&one), ["1"]);
}

#[test]
fn a_config_with_faults_changes_nothing() {
    let out = Capture::new();
    let config = lines("") + "[chains.default]\noutputs = [\"out\"]\n" + &out.output("out");
    let started = start(&config, "").unwrap();
    let mut stream = connect(&started);
    let mut expected = Vec::new();
    let mut check = |config: &str, more: &str, text: &str| {
        assert_eq!(started.reload(config, more).unwrap_err(), text);
        let line = format!("line {}", expected.len());
        expected.push(line.clone());
        stream.write_all((line + "\n").as_bytes()).unwrap();
        wait_until("the line arrives", || payloads(&out) == expected);
    };
    let unknown = config.replace("outputs = [\"out\"]", "outputs = [\"uot\"]");
    check(&unknown, "", "heka.toml:9:12: chain `default`: no output `uot`; known: out");
    let broken = config.clone() + "[chains.x]\nmatcher = 'Typ == 1'\noutputs = [\"out\"]\n";
    let shown =
        "heka.toml:14:11: chain `x`: matcher: unknown variable `Typ` at column 1; did you mean `Type`";
    let text = started.reload(&broken, "").unwrap_err();
    assert_eq!(text.lines().next().unwrap(), shown);
    check(
        &config,
        "hops_max = 7\nbatch_linger = \"2 ms\"",
        "[heka]: `batch_linger` can't change while the host runs; take the change back, or restart the host\n\
         [heka]: `hops_max` can't change while the host runs; take the change back, or restart the host",
    );
    let queue = config.clone() + "queue = { kind = \"memory\" }\n";
    check(
        &queue,
        "",
        "heka.toml:10:10: output `out`: `queue` can't change while the host runs; restart it, or give the output \
         another name",
    );
}

#[test]
fn when_one_instance_refuses_to_start_all_go_back() {
    let (one, two) = (Capture::new(), Capture::new());
    let config = |capture: &Capture, options: &str, refuses: bool| {
        let filters = format!(
            "[filters.t]\nplugin = \"tally\"\nfield = \"n\"\n[filters.s]\nplugin = \"stubborn\"\nrefuses = {refuses}\n"
        );
        lines(options) + &all("\"t\", \"s\"", "\"out\"") + &filters + &capture.output("out")
    };
    let started = start(&config(&one, "", false), "").unwrap();
    let mut stream = connect(&started);
    send(&mut stream, "1\n2", &one, &["1"]);
    let faults = started.reload(&config(&two, "connections_max = 5", true), "").unwrap_err();
    assert_eq!(faults, "heka.toml:8:9: chain `all`: filter `s`: does not want to");
    send(&mut stream, "2\n", &one, &["1", "22"]);
    assert_eq!(one.messages()[1].field("n"), Some("2"));
    let reloaded = started.reload(&config(&two, "connections_max = 5", false), "").unwrap();
    assert_eq!(reloaded.to_string(), "replaced input `in`, output `out`; 3 kept");
    send(&mut stream, "3\n", &two, &["3"]);
}

#[test]
fn a_stopped_router_reloads_nothing() {
    let config = lines("") + "[chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"null\"\n";
    let started = start(&config, "").unwrap();
    started.router.stop();
    assert_eq!(started.reload(&config, "").unwrap_err(), "the router is stopped");
}
