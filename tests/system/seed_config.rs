//! The JSON shape of the seed era runs as it stands.

use heka_tests::{Directory, Host, wait_until};
use std::net::UdpSocket;

/// A configuration as it was written then, with a port and paths of the test's own.
fn config(port: u16) -> String {
    format!(
        r#"{{
    // comments were always allowed
    "inputs": [
        {{"name": "udp:{port}", "type": "UdpInput", "Address": "127.0.0.1:{port}"}},
        {{"type": "LogfileInput", "LogFiles": [["logs/app.log"]], "from": "beginning"}}
    ],
    "decoders": [
        {{"type": "JsonDecoder", "default": true}},
        {{"type": "MsgPackDecoder"}}
    ],
    "filters": [
        {{"type": "NamedOutputFilter", "name": "to_counts", "outputs": ["counts"]}}
    ],
    "outputs": [
        {{"type": "FileOutput", "name": "plain", "Path": "out/plain.log"}},
        {{"type": "FileOutput", "name": "objects", "path": "out/objects.json", "format": "json", "perm": "0600"}},
        {{"type": "FileOutput", "name": "times", "path": "out/times.log", "format": "text", "prefix_ts": true}},
        {{"type": "CounterOutput", "name": "counts"}}
    ],
    "chains": {{
        "default": {{"outputs": ["plain"]}},
        "numbers": {{"message_type": ["counter", "timer"], "outputs": ["objects"]}},
        "marked": {{"type": "marked", "filters": ["to_counts"], "outputs": ["plain"]}},
        "timed": {{"message_filter": "Type == \"timer\"", "outputs": ["times"]}}
    }}
}}
"#
    )
}

/// A Metlog envelope.
fn envelope(message_type: &str, payload: &str) -> String {
    format!(
        r#"{{"type":"{message_type}","timestamp":"2012-10-01T12:00:00.000000","logger":"app","severity":6,
            "payload":"{payload}","env_version":"0.8","metlog_pid":7,"metlog_hostname":"web1","fields":{{"rate":1.0}}}}"#
    )
}

#[test]
fn a_configuration_of_the_seed_era_runs() {
    let directory = Directory::new();
    let port = free_port();
    directory.write("logs/app.log", "one line\nanother\n");
    directory.write("heka.json", config(port));
    let ended = Host::finish(&directory, &["check", "heka.json"]);
    let good = "heka.json: good: 2 inputs, 4 chains, 4 outputs\n";
    assert_eq!((ended.stderr.as_str(), ended.stdout.as_str()), ("", good));

    let host = Host::spawn(&directory, &["run", "heka.json"]);
    wait_until("the daemon runs", || host.stderr().contains("running: "));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (message_type, payload) in
        [("counter", "1"), ("timer", "20"), ("marked", "m"), ("other", "plain text")]
    {
        socket.send_to(envelope(message_type, payload).as_bytes(), ("127.0.0.1", port)).unwrap();
    }
    let arrived = |name: &str, lines: usize| wait_until(name, || directory.lines(name).len() >= lines);
    arrived("out/plain.log", 3);
    arrived("out/objects.json", 2);
    arrived("out/times.log", 1);
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);

    let mut plain = directory.lines("out/plain.log");
    plain.sort();
    assert_eq!(plain, ["another", "one line", "plain text"]);
    let objects = directory.lines("out/objects.json");
    let objects: Vec<serde_json::Value> =
        objects.iter().map(|object| serde_json::from_str(object).unwrap()).collect();
    let shown: Vec<_> =
        objects.iter().map(|object| (object["type"].as_str(), object["payload"].as_str())).collect();
    assert_eq!(shown, [(Some("counter"), Some("1")), (Some("timer"), Some("20"))]);
    assert_eq!((&objects[0]["hostname"], &objects[0]["pid"]), (&"web1".into(), &7.into()));
    assert_eq!(objects[0]["timestamp"], "2012-10-01T12:00:00.000000000Z");
    let times = directory.read("out/times.log");
    assert_eq!(times, "[2012/Oct/01:12:00:00 +0000] 20\n");
    let mode = std::fs::metadata(directory.join("out/objects.json")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    assert!(
        ended.stderr.contains("output    counts                marked 1  delivered 1\n"),
        "{}",
        ended.stderr
    );
}

/// A port that nobody listens at just now.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
