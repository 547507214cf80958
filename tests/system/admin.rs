//! The admin endpoint, and the lock of the state directory.

use heka_tests::{Directory, Host, Peer, wait_for, wait_until};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

const TOKEN: &str = "0123456789abcdef";

/// Nothing comes from its input; what is injected goes to `out.log`.
const QUIET: &str = "[inputs.lines]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
     [chains.default]\nfilters = [\"all\"]\noutputs = [\"out\"]\n[filters.all]\nplugin = \"match\"\nkeep = 'TRUE'\n\
     [outputs.out]\nplugin = \"file\"\npath = \"out.log\"\nencoder = \"payload\"\n";

fn with(heka: &str) -> String {
    format!("[heka]\n{heka}\n{QUIET}")
}

/// Sends a request; returns the status and the body.
fn exchange(mut stream: impl Read + Write, request: &[u8]) -> (u16, Value) {
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn ask(directory: &Directory, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let stream = UnixStream::connect(directory.join("state/admin.sock")).unwrap();
    exchange(stream, &request(method, path, "", body))
}

/// The address that the endpoint listens at over TCP.
fn tcp_address(host: &Host) -> String {
    let stderr = host.stderr();
    let (_, rest) = stderr.split_once("admin endpoint: http://").unwrap_or_else(|| panic!("{stderr}"));
    rest.lines().next().unwrap().to_owned()
}

#[test]
fn stats_say_what_each_stage_counted_and_that_it_balances() {
    let directory = Directory::new();
    let host = Host::run(&directory, QUIET);
    assert_eq!(ask(&directory, "POST", "/inject", b"{\"payload\":\"a\"}\n{\"payload\":\"b\"}\n").0, 200);
    let stats = wait_for("both are delivered", || {
        let (status, stats) = ask(&directory, "GET", "/stats", b"");
        assert_eq!(status, 200, "{stats}");
        (stats["outputs"][0]["delivered"] == 2).then_some(stats)
    });
    assert_eq!(stats["pid"], host.id());
    assert_eq!((&stats["chains"][0]["taken"], &stats["chains"][0]["passed"]), (&2.into(), &2.into()));
    assert_eq!(stats["accounting"]["balances"], true, "{stats}");
    let equations = stats["accounting"]["equations"].as_array().unwrap();
    let names: Vec<_> = equations.iter().map(|equation| (&equation["kind"], &equation["name"])).collect();
    assert_eq!(names, [(&"chain".into(), &"default".into()), (&"output".into(), &"out".into())]);
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let expected = "accounting chain `default`: 2 taken = 2 passed\n\
                    accounting output `out`: 2 marked = 2 delivered\naccounting balances\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn heka_frames_are_injected_byte_for_byte_as_cat_reads_them() {
    let directory = Directory::new();
    directory.write("in.log", "one\ntwo\nthree\n");
    let made = "[inputs.in]\nplugin = \"file\"\npaths = [\"in.log\"]\nfrom = \"beginning\"\n\
         [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"file\"\npath = \"made.heka\"\nencoder = \"heka\"\n";
    assert_eq!(Host::run_once(&directory, made).status, Some(0));
    let host = Host::run(&directory, QUIET);
    let (status, answer) =
        ask(&directory, "POST", "/inject", &fs::read(directory.join("made.heka")).unwrap());
    assert_eq!((status, &answer["injected"]), (200, &3.into()), "{answer}");
    wait_until("all are delivered", || host.count("output out", "delivered") == 3);
    assert_eq!(host.stop().status, Some(0));
    assert_eq!(directory.lines("out.log"), ["one", "two", "three"]);
}

#[test]
fn a_body_with_a_fault_injects_nothing() {
    let directory = Directory::new();
    let host = Host::run(&directory, QUIET);
    let (status, answer) = ask(&directory, "POST", "/inject", b"{\"payload\":\"a\"}\n{oops\n");
    assert_eq!((status, &answer["injected"]), (400, &0.into()), "{answer}");
    assert!(answer["error"].as_str().unwrap().starts_with("line 2: not a JSON object"), "{answer}");
    assert_eq!(ask(&directory, "POST", "/inject", b"").0, 400);
    assert_eq!(host.stop().count("injection", "injected"), 0);
}

#[test]
fn many_messages_are_injected_without_one_becoming_a_dead_letter() {
    let directory = Directory::new();
    let host = Host::run(&directory, &with("inject_lane_bytes_max = \"64 MiB\""));
    let body: String = (0..200_000).map(|number| format!("{{\"payload\":\"{number}\"}}\n")).collect();
    let (status, answer) = ask(&directory, "POST", "/inject", body.as_bytes());
    assert_eq!((status, &answer["injected"]), (200, &200_000.into()), "{answer}");
    wait_until("all are delivered", || host.count("output out", "delivered") == 200_000);
    assert_eq!(host.stop().count("injection", "dead-lettered"), 0);
}

#[test]
fn what_is_no_known_request_is_refused_in_json() {
    let directory = Directory::new();
    let _host = Host::run(&directory, QUIET);
    let check = |bytes: &[u8], status: u16, error: &str| {
        let stream = UnixStream::connect(directory.join("state/admin.sock")).unwrap();
        let (found, answer) = exchange(stream, bytes);
        assert_eq!((found, answer["error"].as_str().unwrap()), (status, error));
    };
    check(
        &request("GET", "/", "", b""),
        404,
        "nothing at `/`; there are GET /stats, GET /health, POST /reload, POST /reopen, POST /inject, POST /replay",
    );
    check(&request("GET", "/inject", "", b""), 405, "`/inject` is asked with POST");
    check(b"rubbish\r\n\r\n", 400, "not an HTTP request: invalid token");
    check(b"GET /stats HTTP/2.0\r\n\r\n", 505, "HTTP/1.1 or 1.0 is spoken here");
    check(b"POST /inject HTTP/1.1\r\n\r\n", 411, "send a body, with its Content-Length");
    check(
        b"POST /inject HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        411,
        "send the body with a Content-Length, not in chunks",
    );
    check(
        b"POST /inject HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        413,
        "the body is longer than 16777216 bytes; send it in parts",
    );
    let long = [b"GET / HTTP/1.1\r\nA: ".to_vec(), vec![b'a'; 20_000]].concat();
    check(&long, 431, "the head is longer than 16384 bytes");
}

#[test]
fn a_peer_that_sends_nothing_or_goes_away_keeps_nobody_waiting() {
    let directory = Directory::new();
    let _host = Host::run(&directory, QUIET);
    let silent: Vec<UnixStream> =
        (0..4).map(|_| UnixStream::connect(directory.join("state/admin.sock")).unwrap()).collect();
    for stream in &silent[..2] {
        (&*stream).write_all(b"POST /inject HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    }
    assert_eq!(ask(&directory, "GET", "/health", b"").0, 200);
    drop(silent);
    assert_eq!(ask(&directory, "GET", "/health", b"").0, 200);
}

#[test]
fn the_health_tells_who_is_not_ok_and_why() {
    let (directory, peer) = (Directory::new(), Peer::new());
    let address = peer.address();
    drop(peer);
    let config = format!(
        "{QUIET}[chains.also]\nmatcher = 'TRUE'\noutputs = [\"peer\", \"out\"]\n\
         [outputs.peer]\nplugin = \"tcp\"\naddress = \"{address}\"\n"
    );
    let _host = Host::run(&directory, &config);
    let health = || ask(&directory, "GET", "/health", b"");
    ask(&directory, "POST", "/inject", b"{\"payload\":\"a\"}");
    let peer_of = |answer: &Value| {
        let instances = answer["instances"].as_array().unwrap();
        instances.iter().find(|instance| instance["name"] == "peer").unwrap().clone()
    };
    let (status, answer) = wait_for("the peer is missed", || {
        let (status, answer) = health();
        (peer_of(&answer)["state"] == "retrying").then_some((status, answer))
    });
    assert_eq!((status, &answer["status"]), (503, &"degraded".into()), "{answer}");
    assert!(peer_of(&answer)["reason"].as_str().unwrap().contains("refused"), "{answer}");
    let listed: Vec<_> =
        answer["instances"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(listed, ["input", "filter", "output", "encoder", "output"], "{answer}");
    let there = Peer::at(address);
    there.read_all();
    wait_until("all is well", || health().0 == 200);
}

#[test]
fn a_filter_that_panicked_too_often_is_stopped() {
    let directory = Directory::new();
    let config = "[inputs.lines]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
         [chains.default]\nfilters = [\"bad\"]\noutputs = [\"out\"]\n\
         [filters.bad]\nplugin = \"panic_at\"\nat = 1\non_panic = \"stop\"\n[outputs.out]\nplugin = \"null\"\n";
    let _host = Host::run(&directory, config);
    ask(&directory, "POST", "/inject", b"{\"payload\":\"panic\"}");
    let filter = wait_for("the filter is stopped", || {
        let (_, answer) = ask(&directory, "GET", "/health", b"");
        let instances = answer["instances"].as_array().unwrap();
        let filter = instances.iter().find(|instance| instance["kind"] == "filter").unwrap().clone();
        (filter["state"] == "stopped").then_some(filter)
    });
    assert_eq!((&filter["name"], &filter["of"]), (&"bad".into(), &"default".into()));
    assert!(filter["reason"].as_str().unwrap().contains("panicked"), "{filter}");
}

#[test]
fn reload_says_what_changed_and_reopen_opens_a_moved_file_anew() {
    let directory = Directory::new();
    let host = Host::run(&directory, QUIET);
    ask(&directory, "POST", "/inject", b"{\"payload\":\"before\"}");
    wait_until("it is written", || directory.lines("out.log") == ["before"]);
    fs::rename(directory.join("out.log"), directory.join("old.log")).unwrap();
    assert_eq!(ask(&directory, "POST", "/reopen", b"").0, 202);
    wait_until("the file is there again", || {
        ask(&directory, "POST", "/inject", b"{\"payload\":\"behind\"}");
        directory.join("out.log").exists()
    });
    let (status, answer) = ask(&directory, "POST", "/reload", b"");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn the_socket_is_our_own_and_gone_at_the_end_and_a_dead_one_is_replaced() {
    let directory = Directory::new();
    let socket = directory.join("state/admin.sock");
    fs::create_dir(directory.join("state")).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    let host = Host::run(&directory, QUIET);
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(ask(&directory, "GET", "/health", b"").0, 200);
    host.signal("KILL");
    host.wait();
    assert!(socket.exists(), "nobody could remove it");
    let host = Host::run(&directory, QUIET);
    assert_eq!(ask(&directory, "GET", "/health", b"").0, 200);
    assert_eq!(host.stop().status, Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_live_socket_is_refused_and_so_is_what_is_no_socket() {
    let directory = Directory::new();
    let _live = UnixListener::bind(directory.join("live.sock")).unwrap();
    directory.write("file", "precious");
    let check = |socket: &str, why: &str| {
        let ended = Host::run_once(&directory, &with(&format!("admin.socket = \"{socket}\"")));
        let line = format!("heka-host: admin endpoint: failed to listen at `{socket}`: {why}\n");
        assert!(ended.stderr.ends_with(&line), "{}", ended.stderr);
        assert_eq!(ended.status, Some(1));
    };
    check("live.sock", "another process listens there; stop it, or name another socket");
    check("file", "it is not a socket; remove it, or name another");
    assert_eq!(directory.read("file"), "precious");
}

#[test]
fn without_a_socket_there_is_none() {
    let directory = Directory::new();
    let host = Host::run(&directory, &with("admin.socket = false"));
    assert!(!directory.join("state/admin.sock").exists());
    assert!(!host.stderr().contains("admin endpoint"), "{}", host.stderr());
    let ended = Host::finish(&directory, &["admin", "stats", "--config", "heka.toml"]);
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (Some(1), "heka-host: the config has no admin endpoint: `socket = false` in [heka.admin]\n")
    );
}

#[test]
fn tcp_wants_the_token() {
    let directory = Directory::new();
    directory.write("token", format!("{TOKEN}\n"));
    let admin = "admin = { socket = false, listen = \"127.0.0.1:0\", token_file = \"token\" }";
    let host = Host::run(&directory, &with(admin));
    let address = tcp_address(&host);
    let check = |header: &str, expected: u16| {
        let stream = TcpStream::connect(&address).unwrap();
        let (status, answer) = exchange(stream, &request("GET", "/stats", header, b""));
        assert_eq!(status, expected, "{header}: {answer}");
        assert_eq!(answer["error"].is_string(), expected == 401, "{answer}");
    };
    check(&format!("Authorization: Bearer {TOKEN}\r\n"), 200);
    check("", 401);
    check("Authorization: Bearer 0123456789abcdeX\r\n", 401);
    check(&format!("Authorization: Basic {TOKEN}\r\n"), 401);
    check(&format!("Authorization: Bearer {TOKEN}x\r\n"), 401);
    // A path that does not exist is not told to strangers.
    let stream = TcpStream::connect(&address).unwrap();
    assert_eq!(exchange(stream, &request("GET", "/nothing", "", b"")).0, 401);
}

#[test]
fn a_token_that_can_not_be_read_is_a_fault_of_the_config() {
    let directory = Directory::new();
    let admin = "admin = { listen = \"127.0.0.1:0\", token_file = \"token\" }";
    let ended = Host::run_once(&directory, &with(admin));
    let expected = "[heka]: `admin`: `token_file`: failed to read `token`: no such file or directory\n";
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(78), expected));
}

#[test]
fn the_command_asks_and_prints_tables_or_json() {
    let directory = Directory::new();
    let host = Host::run(&directory, QUIET);
    let run = |arguments: &[&str]| Host::finish(&directory, arguments);
    ask(&directory, "POST", "/inject", b"{\"payload\":\"a\"}");
    wait_until("it is delivered", || host.count("output out", "delivered") == 1);
    let stats = run(&["admin", "stats"]);
    assert_eq!(stats.status, Some(0), "{}", stats.stderr);
    let shown: Vec<String> =
        stats.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["chain taken passed in flight", "default 1 1 0", "accounting balances"] {
        assert!(shown.iter().any(|shown| shown == line), "no `{line}` in:\n{}", stats.stdout);
    }
    let json = run(&["admin", "health", "--json", "--socket", "state/admin.sock"]);
    let health: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.status, &health["status"]), (Some(0), &"ok".into()));
    let health = run(&["admin", "health", "--config", "heka.toml"]);
    assert!(health.stdout.starts_with("ok\nkind"), "{}", health.stdout);
    assert_eq!(run(&["admin", "reopen"]).status, Some(0));
    let reload = run(&["admin", "reload"]);
    assert_eq!(reload.status, Some(0), "{}", reload.stderr);
    assert!(reload.stdout.starts_with("reloaded: "), "{}", reload.stdout);
    host.stop();
    let gone = run(&["admin", "stats"]);
    let expected =
        "heka-host: no host answers at `state/admin.sock`; is it running? name its --config or --socket\n";
    assert_eq!((gone.status, gone.stderr.as_str()), (Some(1), expected));
}

#[test]
fn inject_needs_no_input_at_the_admin_socket() {
    let directory = Directory::new();
    let host = Host::run(&directory, QUIET);
    let ended = Host::finish(&directory, &["inject", "admin:state/admin.sock", "--payload", "hello"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    wait_until("it is delivered", || host.count("output out", "delivered") == 1);
    assert_eq!(directory.lines("out.log"), ["hello"]);
    host.stop();
    let ended = Host::finish(&directory, &["inject", "admin:state/admin.sock"]);
    assert!(ended.stderr.starts_with("heka-host: no host answers at `state/admin.sock`"), "{}", ended.stderr);
    let ended = Host::finish(&directory, &["flood", "admin:state/admin.sock"]);
    assert!(ended.stderr.contains("is an admin socket; only `inject` sends there"), "{}", ended.stderr);
}

#[test]
fn a_second_host_on_the_same_state_directory_says_so_and_exits() {
    let directory = Directory::new();
    let first = Host::run(&directory, QUIET);
    let second = Host::finish(&directory, &["run", "heka.toml"]);
    let expected = format!(
        "state_dir `state`: in use by another process (pid {}); stop that one, or give this one a `state_dir` of its \
         own\n",
        first.id()
    );
    assert_eq!((second.status, second.stderr), (Some(75), expected));
    assert_eq!(ask(&directory, "GET", "/health", b"").0, 200);
    first.signal("KILL");
    first.wait();
    let third = Host::run(&directory, QUIET);
    assert_eq!(third.stop().status, Some(0));
}

#[test]
fn a_state_directory_that_can_not_be_used_is_said() {
    let directory = Directory::new();
    directory.write("file", "");
    let check = |state_dir: &str, expected: &str| {
        let ended = Host::run_once(&directory, &with(&format!("state_dir = \"{state_dir}\"")));
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(78), expected));
    };
    check("file", "state_dir `file`: is not a directory; remove it, or name another `state_dir`\n");
    check(
        "file/below",
        "state_dir `file/below`: failed to make it: `file` is not a directory; name another `state_dir`\n",
    );
    fs::create_dir(directory.join("theirs")).unwrap();
    if std::os::unix::fs::chown(directory.join("theirs"), Some(12_345), None).is_ok() {
        check(
            "theirs",
            "state_dir `theirs`: belongs to user 12345, and this process runs as user 0; run it as that user, or \
             change the owner\n",
        );
    } else {
        eprintln!("not tested: only root can give a directory to another user");
    }
}
