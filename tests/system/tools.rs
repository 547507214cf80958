//! The commands beside `run`: `cat`, `inject`, `flood`.

use heka_tests::{Directory, Ended, Host, address_of, wait_until};
use std::collections::BTreeSet;
use std::fs;

fn command(directory: &Directory, arguments: &[&str]) -> Ended {
    Host::spawn(directory, arguments).wait()
}

/// A directory with a file `messages.heka`: one message for each number and type.
fn with_messages(messages: &[(i64, &str)]) -> Directory {
    let directory = Directory::new();
    let lines: String = messages
        .iter()
        .map(|(number, name)| {
            format!("{{\"type\":\"{name}\",\"payload\":\"number {number}\",\"fields\":{{\"n\":{number}}}}}\n")
        })
        .collect();
    directory.write("in.json", lines);
    let config = "[inputs.in]\nplugin = \"file\"\npaths = [\"in.json\"]\nfrom = \"beginning\"\ndecoder = \"json\"\n\
                  [chains.default]\noutputs = [\"out\"]\n\
                  [outputs.out]\nplugin = \"file\"\npath = \"messages.heka\"\nencoder = \"heka\"\n";
    let ended = Host::run_once(&directory, config);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    directory
}

const MESSAGES: [(i64, &str); 4] = [(1, "a"), (2, "b"), (3, "a"), (4, "b")];

#[test]
fn cat_shows_messages_as_text_json_and_payload() {
    let directory = with_messages(&MESSAGES);
    let text = command(&directory, &["cat", "messages.heka"]);
    assert_eq!(text.status, Some(0), "{}", text.stderr);
    for (number, _) in MESSAGES {
        assert!(text.stdout.contains(&format!("number {number}\n")), "{}", text.stdout);
    }
    let json = command(&directory, &["cat", "--format", "json", "messages.heka"]);
    let parsed: Vec<serde_json::Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<(i64, &str)> = parsed
        .iter()
        .map(|message| (message["fields"]["n"].as_i64().unwrap(), message["type"].as_str().unwrap()))
        .collect();
    assert_eq!(shown, MESSAGES);
    let payload = command(&directory, &["cat", "--format", "payload", "messages.heka"]);
    assert_eq!(payload.stdout, "number 1\nnumber 2\nnumber 3\nnumber 4\n");
}

#[test]
fn cat_shows_what_a_matcher_accepts() {
    let directory = with_messages(&MESSAGES);
    let matcher = "Type == \"b\" && Fields[n] > 2";
    let ended = command(&directory, &["cat", "--match", matcher, "--format", "payload", "messages.heka"]);
    assert_eq!((ended.stdout.as_str(), ended.status), ("number 4\n", Some(0)), "{}", ended.stderr);
}

#[test]
fn cat_counts() {
    let directory = with_messages(&MESSAGES);
    let ended = command(&directory, &["cat", "--count", "--match", "Type == \"a\"", "messages.heka"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let shown = ended.stdout + &ended.stderr;
    assert!(
        shown.split(|c: char| !c.is_ascii_digit()).any(|number| number == "2"),
        "no count 2 in `{shown}`"
    );
}

#[test]
fn cat_copies_frames_byte_for_byte() {
    let directory = with_messages(&MESSAGES);
    let ended = command(&directory, &["cat", "--format", "heka", "-o", "copy.heka", "messages.heka"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let [copy, original] = ["copy.heka", "messages.heka"].map(|name| fs::read(directory.join(name)).unwrap());
    assert!(!original.is_empty() && copy == original);
}

#[test]
fn cat_skips_what_is_broken_says_so_and_shows_the_rest() {
    let directory = with_messages(&MESSAGES);
    let good = fs::read(directory.join("messages.heka")).unwrap();
    directory.write("broken.heka", [&good[..], b"garbage", &good].concat());
    let ended = command(&directory, &["cat", "--format", "payload", "broken.heka"]);
    assert_eq!(ended.stdout.lines().count(), 8, "{}", ended.stdout);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("broken.heka") && !ended.stderr.trim().is_empty(), "{}", ended.stderr);
}

#[test]
fn cat_of_a_missing_file_fails_and_names_it() {
    let ended = command(&Directory::new(), &["cat", "nothing.heka"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("nothing.heka"), "{}", ended.stderr);
}

#[test]
fn a_wrong_matcher_of_cat_is_shown_with_its_place() {
    let directory = with_messages(&MESSAGES[..1]);
    let ended = command(&directory, &["cat", "--match", "Typ == 'a'", "messages.heka"]);
    assert_ne!(ended.status, Some(0));
    assert!(ended.stderr.contains("Typ") && ended.stderr.contains('^'), "{}", ended.stderr);
}

#[test]
fn cat_follows_a_growing_file() {
    let directory = with_messages(&MESSAGES);
    let all = fs::read(directory.join("messages.heka")).unwrap();
    let (first, rest) = all.split_at(all.len() / 2);
    let path = directory.write("growing.heka", first);
    let host =
        Host::spawn(&directory, &["cat", "--follow", "--format", "payload", "-o", "shown", "growing.heka"]);
    wait_until("the first half is shown", || !directory.read("shown").is_empty());
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, rest).unwrap();
    wait_until("all are shown", || directory.lines("shown").len() == 4);
    host.signal("INT");
    host.wait();
}

/// A running daemon that writes what comes as Heka frames over TCP to `out.json`, and lines over UDP and TCP to `lines`.
fn daemon(directory: &Directory) -> Host {
    Host::run(
        directory,
        "[inputs.heka]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\nsplitter = \"heka\"\ndecoder = \"heka\"\n\
         [inputs.lines]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
         [inputs.datagrams]\nplugin = \"udp\"\naddress = \"127.0.0.1:0\"\nsplitter = \"line\"\n\
         [chains.messages]\nmatcher = 'Type != \"tcp\" && Type != \"udp\"'\noutputs = [\"messages\"]\n\
         [chains.lines]\nmatcher = 'Type == \"tcp\" || Type == \"udp\"'\noutputs = [\"lines\"]\n\
         [outputs.messages]\nplugin = \"file\"\npath = \"out.json\"\nencoder = \"json\"\n\
         [outputs.lines]\nplugin = \"file\"\npath = \"lines\"\nencoder = \"payload\"\n",
    )
}

#[test]
fn inject_sends_a_message_to_a_running_host() {
    let directory = Directory::new();
    let host = daemon(&directory);
    let address = address_of(&directory, "heka").to_string();
    let ended = command(
        &directory,
        &[
            "inject",
            &address,
            "--type",
            "deploy",
            "--payload",
            "v12 is out",
            "--severity",
            "4",
            "--logger",
            "ci",
            "--field",
            "build=1207",
            "--field",
            "ok=true",
            "--field",
            "name:=7",
        ],
    );
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    wait_until("it arrives", || directory.lines("out.json").len() == 1);
    let message: serde_json::Value = serde_json::from_str(&directory.lines("out.json")[0]).unwrap();
    let uuid = message["uuid"].as_str().unwrap();
    assert!(ended.stdout.contains(uuid), "the printed UUID is the message's: {}", ended.stdout);
    let header = ["type", "payload", "logger", "severity"].map(|key| message[key].to_string());
    assert_eq!(header, ["\"deploy\"", "\"v12 is out\"", "\"ci\"", "4"]);
    assert_eq!(message["fields"], serde_json::json!({ "build": 1207, "ok": true, "name": "7" }));
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn inject_into_nothing_fails_and_says_where() {
    let address = heka_tests::Peer::new().address().to_string();
    let ended = command(&Directory::new(), &["inject", &address, "--payload", "x"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
}

/// Floods an input of a running daemon; expects exactly `count` messages there.
fn check_flood(input: &str, arguments: &[&str], out: &str, count: usize) -> Vec<String> {
    let directory = Directory::new();
    let host = daemon(&directory);
    let (address, count_text) = (address_of(&directory, input).to_string(), count.to_string());
    let all = [&["flood", &address, "--count", &count_text], arguments].concat();
    let ended = command(&directory, &all);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!((ended.stdout + &ended.stderr).contains(&count_text), "the count is printed");
    let stage = format!("input {input}");
    wait_until("all arrive", || host.count(&stage, "messages") as usize >= count);
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.count(&stage, "messages") as usize, count);
    let lines = directory.lines(out);
    assert_eq!(lines.len(), count);
    lines
}

#[test]
fn flood_sends_exactly_as_many_lines_over_one_connection() {
    let lines = check_flood("lines", &["--bytes", "100", "--numbered"], "lines", 20_000);
    assert!(lines.iter().enumerate().all(|(number, line)| line.starts_with(&format!("{number:012}"))));
    assert!(lines.iter().all(|line| line.len() == 99), "100 bytes with the newline");
}

#[test]
fn flood_sends_each_line_once_over_several_connections() {
    let lines =
        check_flood("lines", &["--bytes", "100", "--numbered", "--connections", "4"], "lines", 20_001);
    let numbers: BTreeSet<&str> = lines.iter().map(|line| &line[..12]).collect();
    assert_eq!(numbers.len(), 20_001);
}

#[test]
fn flood_sends_heka_frames() {
    let lines = check_flood("heka", &["--format", "heka", "--bytes", "50"], "out.json", 5_000);
    let of_500 = lines.iter().filter(|line| line.contains("\"status\":500")).count();
    assert_eq!(of_500, 2_500, "`status` is 200 and 500 in turn");
}

#[test]
fn flood_sends_datagrams() {
    // Slow enough that the kernel's buffer holds what comes, however busy this machine is.
    check_flood("datagrams", &["--udp", "--bytes", "50", "--rate", "5000"], "lines", 2_000);
    check_flood(
        "datagrams",
        &["--udp", "--bytes", "50", "--datagram-bytes", "1390", "--rate", "20000"],
        "lines",
        2_000,
    );
}
