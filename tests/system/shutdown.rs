//! How the daemon ends: what is under way is delivered, what can't be is counted.

use heka_tests::{Directory, Host, Peer, address_of, send_tcp, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;

const LINES: usize = 20_000;

const TCP_TO_FILE: &str = "[inputs.lines]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
     [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"file\"\npath = \"out.log\"\n";

const FILE_TO_JSON: &str = "[inputs.logs]\nplugin = \"file\"\npaths = [\"in.log\"]\nfrom = \"beginning\"\n\
     [chains.default]\noutputs = [\"out\"]\n\
     [outputs.out]\nplugin = \"file\"\npath = \"out.json\"\nencoder = \"json\"\n";

fn numbered(count: usize) -> String {
    (0..count).map(|number| format!("line {number}\n")).collect()
}

fn assert_numbered(lines: &[String], count: usize) {
    assert_eq!(lines.len(), count);
    assert!(lines.iter().enumerate().all(|(number, line)| *line == format!("line {number}")), "out of order");
}

/// Sends lines over a connection that stays open, ends the daemon by `signal` when it has read them, and expects all
/// of them in the file.
fn check_signal(signal: &str) {
    let directory = Directory::new();
    let host = Host::run(&directory, TCP_TO_FILE);
    let mut client = TcpStream::connect(address_of(&directory, "lines")).unwrap();
    client.write_all(numbered(LINES).as_bytes()).unwrap();
    wait_until("everything is read", || host.count("input lines", "messages") == LINES as u64);
    host.signal(signal);
    let ended = host.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_numbered(&directory.lines("out.log"), LINES);
    assert_eq!(ended.count("output out", "delivered"), LINES as u64);
}

#[test]
fn sigterm_delivers_what_is_under_way() {
    check_signal("TERM");
}

#[test]
fn sigint_delivers_what_is_under_way() {
    check_signal("INT");
}

#[test]
fn what_has_arrived_at_the_socket_is_read_after_the_signal() {
    let directory = Directory::new();
    let host = Host::run(&directory, TCP_TO_FILE);
    let mut client = TcpStream::connect(address_of(&directory, "lines")).unwrap();
    client.write_all(b"first\n").unwrap();
    wait_until("the connection is known", || host.count("input lines", "messages") == 1);
    client.write_all(numbered(LINES).as_bytes()).unwrap();
    client.write_all(b"cut").unwrap();
    // While the connection is open.
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let lines = directory.lines("out.log");
    assert_numbered(&lines[1..=LINES], LINES);
    assert_eq!(lines[LINES + 1..], ["cut"]);
}

#[test]
fn a_stop_in_the_middle_delivers_exactly_what_was_read() {
    let (directory, peer) = (Directory::new(), Peer::new());
    let config = format!(
        "[inputs.made]\nplugin = \"generate\"\npayload_bytes = 500\n[chains.default]\nfilters = [\"all\"]\n\
         outputs = [\"peer\"]\n[filters.all]\nplugin = \"match\"\nkeep = 'TRUE'\n\
         [outputs.peer]\nplugin = \"tcp\"\naddress = \"{}\"\n",
        peer.address()
    );
    let host = Host::run(&directory, &config);
    let connection = peer.accept();
    wait_until("messages wait for the peer", || host.count("output peer", "queued") > 100);
    host.signal("TERM");
    wait_until("it stops", || host.stderr().contains("stopping"));
    peer.read_from(connection);
    let ended = host.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    peer.wait_for_lines(ended.count("input made", "messages") as usize);
    assert_eq!(peer.lines().len() as u64, ended.count("input made", "messages"));
}

/// A daemon that has read lines for a peer that is not there.
fn with_dead_peer(directory: &Directory, deadline: &str) -> Host {
    let dead = Peer::new().address();
    let config = format!(
        "[heka]\nshutdown_deadline = \"{deadline}\"\n[inputs.lines]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
         [chains.default]\nfilters = [\"all\"]\noutputs = [\"peer\"]\n\
         [filters.all]\nplugin = \"match\"\nkeep = 'TRUE'\n\
         [outputs.peer]\nplugin = \"tcp\"\naddress = \"{dead}\"\n"
    );
    let host = Host::run(directory, &config);
    send_tcp(address_of(directory, "lines"), numbered(1000).as_bytes());
    wait_until("everything is read", || host.count("input lines", "messages") == 1000);
    host
}

#[test]
fn a_second_signal_ends_at_once() {
    let directory = Directory::new();
    let host = with_dead_peer(&directory, "1 h");
    host.signal("TERM");
    wait_until("it stops", || host.stderr().contains("stopping"));
    host.signal("TERM");
    assert_eq!(host.wait().status, Some(128 + 15));
}

#[test]
fn a_dead_peer_delays_the_end_to_the_deadline_and_what_is_left_is_counted() {
    let directory = Directory::new();
    let ended = with_dead_peer(&directory, "300 ms").stop();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("heka-host: 1000 messages wait on the disk"), "{}", ended.stderr);
}

#[test]
fn what_waits_everywhere_for_a_peer_that_does_not_read_is_counted_at_the_deadline() {
    let (directory, peer) = (Directory::new(), Peer::new());
    let config = format!(
        "[heka]\nshutdown_deadline = \"300 ms\"\n[inputs.made]\nplugin = \"generate\"\npayload_bytes = 500\n\
         [chains.default]\nfilters = [\"most\"]\noutputs = [\"peer\"]\n\
         [filters.most]\nplugin = \"sample\"\nkeep_one_in = 3\n\
         [outputs.peer]\nplugin = \"tcp\"\naddress = \"{}\"\nqueue = {{ kind = \"memory\", max_bytes = \"1 MiB\" }}\n",
        peer.address()
    );
    let host = Host::run(&directory, &config);
    let _connection = peer.accept();
    wait_until("messages wait for the peer", || host.count("output peer", "queued") > 1000);
    let ended = host.stop();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let of_chain = |what: &str| ended.count("chain default", what);
    let of_output = |what: &str| ended.count("output peer", what);
    let left = of_chain("in flight") + of_output("abandoned") + of_output("queued");
    let done = of_chain("destroyed") + of_output("delivered");
    assert_eq!(ended.count("input made", "messages"), done + left, "{}", ended.stderr);
    let text = format!("heka-host: {left} messages were not delivered");
    assert!(ended.stderr.contains(&text), "no `{text}` in:\n{}", ended.stderr);
}

#[test]
fn an_incomplete_last_line_is_delivered_when_the_connection_closes() {
    let directory = Directory::new();
    let host = Host::run(&directory, TCP_TO_FILE);
    send_tcp(address_of(&directory, "lines"), b"whole\nhalf");
    wait_until("both arrive", || directory.lines("out.log") == ["whole", "half"]);
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn a_clean_restart_reads_nothing_twice_and_misses_nothing() {
    let directory = Directory::new();
    directory.write("in.log", numbered(LINES));
    let payloads = || payloads(&directory).into_iter().map(|(payload, _)| payload).collect::<Vec<_>>();
    for run in 1..=3 {
        let host = Host::run(&directory, FILE_TO_JSON);
        if run == 2 {
            directory
                .append("in.log", &(LINES..2 * LINES).map(|n| format!("line {n}\n")).collect::<String>());
        }
        // The third run finds nothing new: it must not read anything either.
        wait_until("everything is read", || directory.lines("out.json").len() >= LINES * run.min(2));
        assert_eq!(host.stop().status, Some(0));
    }
    assert_numbered(&payloads(), 2 * LINES);
}

#[test]
fn a_stop_in_the_middle_of_a_file_is_resumed_without_a_gap_or_a_repetition() {
    let directory = Directory::new();
    directory.write("in.log", numbered(20 * LINES));
    let first = Host::run(&directory, FILE_TO_JSON);
    wait_until("something is delivered", || !directory.read("out.json").is_empty());
    let first = first.stop();
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    let ended = Host::run_once(&directory, FILE_TO_JSON);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_numbered(
        &payloads(&directory).into_iter().map(|(payload, _)| payload).collect::<Vec<_>>(),
        20 * LINES,
    );
}

#[test]
fn after_kill_dash_nine_nothing_is_missing_and_a_repeated_line_has_the_same_uuid() {
    let directory = Directory::new();
    directory.write("in.log", numbered(20 * LINES));
    for wanted in [1, 100_000] {
        let host = Host::run(&directory, FILE_TO_JSON);
        wait_until("something is delivered", || directory.read("out.json").len() > wanted * 100);
        host.signal("KILL");
        assert_eq!(host.wait().status, None);
    }
    let ended = Host::run_once(&directory, FILE_TO_JSON);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let mut uuids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut torn = 0;
    for line in directory.lines("out.json") {
        // A kill in the middle of a write leaves the beginning of a record; the next run's first stands behind it.
        let start = line.rfind("{\"uuid\"").unwrap();
        torn += usize::from(start > 0);
        let (payload, uuid) = payload_and_uuid(&line[start..]);
        uuids.entry(payload).or_default().insert(uuid);
    }
    assert!(torn <= 2, "{torn} torn records after 2 kills");
    let missing = (0..20 * LINES).filter(|number| !uuids.contains_key(&format!("line {number}"))).count();
    assert_eq!(missing, 0, "lines are missing");
    assert!(uuids.values().all(|uuids| uuids.len() == 1), "a repeated line has another UUID");
    let different: BTreeSet<&String> = uuids.values().flatten().collect();
    assert_eq!(different.len(), 20 * LINES, "different lines have different UUIDs");
}

/// Payload and UUID of each message in the output.
fn payloads(directory: &Directory) -> Vec<(String, String)> {
    directory.lines("out.json").iter().map(|line| payload_and_uuid(line)).collect()
}

fn payload_and_uuid(line: &str) -> (String, String) {
    let message: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    [&message["payload"], &message["uuid"]].map(|text| text.as_str().unwrap().to_owned()).into()
}
