//! The configs in `examples/` do what they say, and the documents name the options that there are.

use heka_tests::{
    Directory, Ended, Host, Peer, address_of, repository, send_tcp, send_udp, wait_for, wait_until,
};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Copies an example, as it is, into a directory of a test's own.
fn example(name: &str) -> Directory {
    let directory = Directory::new();
    copy(&repository().join("examples").join(name), &directory, Path::new(""));
    directory
}

fn copy(from: &Path, into: &Directory, below: &Path) {
    for entry in fs::read_dir(from.join(below)).unwrap().flatten() {
        let name = below.join(entry.file_name());
        if entry.path().is_dir() {
            copy(from, into, &name);
        } else {
            into.write(&name, fs::read(entry.path()).unwrap());
        }
    }
}

/// Runs an example that listens, at a free port in place of the one that it names.
fn listening(name: &str, port: u16, change: impl Fn(String) -> String) -> (Directory, Host) {
    let directory = example(name);
    let named = format!("\"127.0.0.1:{port}\"");
    let config = directory.read("heka.toml");
    assert!(config.contains(&named), "{name} does not listen at {named}");
    let host = Host::run(&directory, &change(config.replacen(&named, "\"127.0.0.1:0\"", 1)));
    (directory, host)
}

fn json(directory: &Directory, path: &str) -> Vec<Value> {
    directory.lines(path).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn run_once(directory: &Directory) -> Ended {
    let ended = Host::spawn(directory, &["run", "heka.toml", "--once"]).wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    ended
}

/// Status and time, as RFC 3339 in UTC, of a line in the combined format.
fn status_and_time(line: &str) -> (i64, String) {
    let quoted: Vec<&str> = line.split('"').collect();
    let status = quoted[2].split_whitespace().next().unwrap().parse().unwrap();
    let time = line.split(['[', ']']).nth(1).unwrap();
    let (day, rest) = time.split_at(2);
    let (month, rest) = (&rest[1..4], &rest[5..]);
    let (year, clock) = (&rest[..4], &rest[5..13]);
    assert_eq!(&rest[14..], "+0000", "the example's times are UTC");
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = 1 + months.iter().position(|name| *name == month).unwrap();
    (status, format!("{year}-{month:02}-{day}T{clock}.000000000Z"))
}

#[test]
fn access_log_sorts_the_errors_out_and_keeps_every_line() {
    let directory = example("access-log");
    let ended = run_once(&directory);
    let log = directory.read("logs/access.log");
    assert_eq!(directory.read("out/all.log"), log, "out/all.log is the log, byte for byte");

    let expected: Vec<(&str, (i64, String))> = log
        .lines()
        .map(|line| (line, status_and_time(line)))
        .filter(|(_, (status, _))| *status >= 500)
        .collect();
    let errors = json(&directory, "out/errors.json");
    assert!(!expected.is_empty());
    assert_eq!(errors.len(), expected.len());
    for (error, (line, (status, time))) in errors.iter().zip(expected) {
        assert_eq!(error["payload"], line);
        assert_eq!(error["timestamp"], time, "{line}");
        assert_eq!(error["type"], "access_log");
        assert_eq!(error["logger"], "logs/access.log");
        assert_eq!(error["uuid"].as_str().unwrap().len(), 36);
        let fields = &error["fields"];
        assert_eq!(fields["status"].as_i64(), Some(status), "an integer stays one: {error}");
        assert!(fields["body_bytes_sent"].is_i64() || fields["body_bytes_sent"].is_null(), "{error}");
        assert_eq!(fields["remote_addr"], line.split(' ').next().unwrap());
        assert_eq!(fields["request"], line.split('"').nth(1).unwrap());
        assert_eq!(fields["method"], line.split('"').nth(1).unwrap().split(' ').next().unwrap());
        let user = line.split(' ').nth(2).unwrap();
        assert_eq!(fields.get("remote_user").and_then(Value::as_str).unwrap_or("-"), user, "`-` is absent");
    }
    let lines = log.lines().count() as u64;
    assert_eq!(ended.count("input access", "messages"), lines);
    assert_eq!(ended.count("chain everything", "passed"), lines);
    assert_eq!(ended.count("chain errors", "passed"), errors.len() as u64);
    assert_eq!(ended.count("chain default", "taken"), 0);
}

#[test]
fn access_log_names_the_fields_as_documented() {
    let directory = example("access-log");
    let line = "203.0.113.7 - ann [10/Oct/2000:13:55:36 -0700] \"GET /a?b=c HTTP/1.1\" 503 2326 \"http://x/\" \"curl/8\"\n";
    directory.write("logs/access.log", line);
    run_once(&directory);
    let errors = json(&directory, "out/errors.json");
    let expected = serde_json::json!({
        "remote_addr": "203.0.113.7", "remote_user": "ann", "time_local": "10/Oct/2000:13:55:36 -0700",
        "request": "GET /a?b=c HTTP/1.1", "method": "GET", "path": "/a?b=c", "protocol": "HTTP/1.1",
        "status": 503, "body_bytes_sent": 2326, "http_referer": "http://x/", "http_user_agent": "curl/8",
    });
    assert_eq!(errors[0]["fields"], expected);
    assert_eq!(errors[0]["timestamp"], "2000-10-10T20:55:36.000000000Z");
}

#[test]
fn access_log_goes_on_following_the_log() {
    let directory = example("access-log");
    let host = Host::spawn(&directory, &["run", "heka.toml"]);
    let before = directory.lines("logs/access.log").len();
    wait_until("the log is read", || directory.lines("out/all.log").len() == before);
    let line = directory.lines("logs/access.log")[0].clone();
    directory.append("logs/access.log", &format!("{line}\n"));
    wait_until("the new line arrives", || directory.lines("out/all.log").len() == before + 1);
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn router_basics_shows_the_count() {
    let directory = example("router-basics");
    let ended = run_once(&directory);
    let shown: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(shown.len(), 1, "{}", ended.stdout);
    assert_eq!((&shown[0]["type"], &shown[0]["fields"]["count"]), (&"heka.count".into(), &100.into()));
}

#[test]
fn tcp_relay_passes_lines_on() {
    let peer = Peer::new();
    let next = peer.address().to_string();
    let (directory, host) = listening("tcp-relay", 5565, |config| config.replace("127.0.0.1:5566", &next));
    peer.read_all();
    send_tcp(address_of(&directory, "lines"), b"hello\nworld\n");
    peer.wait_for_lines(2);
    assert_eq!(peer.lines(), ["hello", "world"]);
    assert_eq!(host.stop().status, Some(0));
}

/// Injects a message as the example's text says.
fn inject(directory: &Directory, address: SocketAddr, arguments: &[&str]) {
    let address = address.to_string();
    let ended = Host::spawn(directory, &[&["inject", &address], arguments].concat()).wait();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn heka_server_sorts_signed_messages_by_type_and_severity() {
    let (directory, host) = listening("heka-server", 5565, |config| config);
    let address = address_of(&directory, "clients");
    let signed = ["--signer", "web", "--key-version", "1", "--key", "secret"];
    inject(
        &directory,
        address,
        &[&["--type", "counter", "--payload", "1", "--field", "name=hits"][..], &signed].concat(),
    );
    inject(&directory, address, &[&["--type", "timer", "--payload", "2"][..], &signed].concat());
    inject(
        &directory,
        address,
        &[&["--type", "crash", "--severity", "2", "--payload", "it broke"][..], &signed].concat(),
    );
    inject(&directory, address, &["--type", "counter", "--payload", "not signed"]);
    wait_until("all are read", || {
        host.count("input clients", "messages") == 3 && host.count("input clients", "undecoded") == 1
    });
    assert_eq!(host.stop().status, Some(0));
    let counters = json(&directory, "out/counter.json");
    assert_eq!(counters.len(), 1);
    assert_eq!(counters[0]["fields"], serde_json::json!({ "name": "hits", "signer": "web" }));
    assert_eq!(json(&directory, "out/timer.json")[0]["payload"], "2");
    let errors = directory.read("out/errors.log");
    assert!(errors.lines().count() == 1 && errors.ends_with(": it broke\n"), "{errors}");
    let shown = Host::spawn(&directory, &["cat", "--format", "payload", "out/messages.heka"]).wait();
    assert_eq!(shown.stdout, "1\n2\nit broke\n", "{}", shown.stderr);
}

#[test]
fn syslog_server_takes_old_and_new_syslog() {
    let (directory, host) = listening("syslog-server", 5514, |config| config);
    let address = address_of(&directory, "devices");
    send_udp(address, b"<34>1 2003-10-11T22:14:15.003Z web1 su 42 ID47 - it failed");
    send_udp(address, b"<13>Oct 11 22:14:15 router7 dhcp[7]: all is well");
    wait_until("both arrive", || directory.lines("out/syslog.json").len() == 2);
    assert_eq!(host.stop().status, Some(0));
    let messages = json(&directory, "out/syslog.json");
    assert_eq!(messages[0]["timestamp"], "2003-10-11T22:14:15.003000000Z");
    let shown: Vec<_> =
        ["hostname", "severity", "payload", "pid"].iter().map(|key| messages[0][key].to_string()).collect();
    assert_eq!(shown, ["\"web1\"", "2", "\"it failed\"", "42"]);
    assert_eq!((&messages[1]["hostname"], &messages[1]["severity"]), (&"router7".into(), &5.into()));
    assert_eq!(messages[1]["fields"]["app_name"], "dhcp");
    assert_eq!(directory.lines("out/errors.log"), ["web1 su: it failed"]);
}

/// Puts another address in place of the one that a config names.
fn move_from(named: &str, directory: &Directory, config: &str, address: &str) {
    let (text, named) = (directory.read(config), format!("\"{named}\""));
    assert!(text.contains(&named), "{config} does not name {named}");
    directory.write(config, text.replace(&named, &format!("\"{address}\"")));
}

#[test]
fn agent_to_grater_brings_every_line_once_also_after_the_grater_was_away() {
    let directory = example("agent-to-grater");
    move_from("127.0.0.1:5566", &directory, "grater.toml", "127.0.0.1:0");
    let shipped = directory.lines("logs/app.log");
    let more = |word: &str| (0..1000).map(|number| format!("{word} {number}\n")).collect::<String>();
    directory.append("logs/app.log", &more("before"));

    let grater = Host::spawn(&directory, &["run", "grater.toml"]);
    let address = directory.join("grater-state/inputs/from_agents/address");
    let address: SocketAddr =
        wait_for("the grater listens", || fs::read_to_string(&address).ok()?.trim().parse().ok());
    let address = address.to_string();
    move_from("127.0.0.1:0", &directory, "grater.toml", &address);
    move_from("127.0.0.1:5566", &directory, "agent.toml", &address);
    let agent = Host::spawn(&directory, &["run", "agent.toml"]);
    wait_until("the first lines arrive", || directory.lines("out/all.log").len() == shipped.len() + 1000);

    assert_eq!(grater.stop().status, Some(0));
    directory.append("logs/app.log", &more("meanwhile"));
    wait_until("the agent has read on", || {
        agent.count("input logs", "messages") == shipped.len() as u64 + 2000
    });
    let grater = Host::spawn(&directory, &["run", "grater.toml"]);
    wait_until("the rest arrives", || directory.lines("out/all.log").len() == shipped.len() + 2000);
    for host in [agent, grater] {
        let ended = host.stop();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("\naccounting balances\n"), "{}", ended.stderr);
    }
    assert_eq!(directory.read("out/all.log"), directory.read("logs/app.log"), "the log, byte for byte");
    assert_eq!(directory.read("out/refused.heka"), "", "nothing is refused");
}

#[test]
fn every_example_is_good_and_tested() {
    let tested = [
        "access-log/heka.toml",
        "agent-to-grater/agent.toml",
        "agent-to-grater/grater.toml",
        "agent.toml",
        "heka-server/heka.toml",
        "router-basics/heka.toml",
        "syslog-server/heka.toml",
        "tcp-relay/heka.toml",
    ];
    let entries =
        |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let examples = repository().join("examples");
    let mut configs: Vec<String> = entries(&examples)
        .flat_map(|path| entries(&path).chain([path.clone()]).collect::<Vec<_>>())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.strip_prefix(&examples).unwrap().display().to_string())
        .collect();
    configs.sort();
    assert_eq!(configs, tested, "each example has a test in this file, or in one of its own");
    let directory = example("");
    for path in configs {
        let ended = Host::spawn(&directory, &["check", &path]).wait();
        assert_eq!(ended.status, Some(0), "{path}: {}", ended.stderr);
        assert!(!ended.stderr.contains("WARN"), "{path}: {}", ended.stderr);
    }
}

/// The keys of the first table in a document behind a text.
fn documented(document: &str, behind: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(document)).unwrap();
    let (_, rest) = text.split_once(behind).unwrap_or_else(|| panic!("no `{behind}` in {document}"));
    let rows = rest.lines().skip_while(|line| !line.starts_with("| `"));
    let key = |row: &str| Some(row.strip_prefix("| `")?.split('`').next()?.to_owned());
    rows.map_while(key).collect()
}

#[test]
fn the_hosts_options_are_documented() {
    let directory = Directory::new();
    let output = "plugin = 'null'\nqueue = { x = 1 }\nretry = { x = 1 }\n";
    directory.write("heka.toml", format!("[heka]\nx = 1\n[heka.admin]\nx = 1\n[outputs.all]\n{output}"));
    let faults = Host::finish(&directory, &["check", "heka.toml"]).stderr;
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let check = |who: &str, document: &str, behind: &str| {
        let line = faults.lines().find(|line| line.contains(&format!("{who}: unknown key `x`")));
        let (_, known) = line.unwrap_or_else(|| panic!("{faults}")).split_once("; known: ").unwrap();
        let known: Vec<&str> = known.split(", ").filter(|key| *key != "admin").collect();
        assert_eq!(documented(document, behind), known, "{document}, behind `{behind}`");
        for key in known {
            assert!(readme.contains(&format!("`{key}`")), "README.md does not name `{key}`");
        }
    };
    check("[heka]", "docs/operation.md", "\n`[heka]`:\n");
    check("[heka]: `admin`", "docs/operation.md", "\n`[heka.admin]`:\n");
    check("output `all`: `queue`", "docs/durability.md", "\n## Queues\n");
    check("output `all`: `retry`", "docs/durability.md", "\n## Trying again\n");
}
