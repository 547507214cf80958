//! `examples/agent.toml` sends a grater everything that it says it does.

use crate::ledger::free_address;
use heka_tests::{Directory, Host, address_of, repository, send_udp, wait_until};
use serde_json::Value;
use std::fs;

const GRATER: &str = "[inputs.agents]\nplugin = \"hop\"\naddress = \"ADDRESS\"\n\
                      [chains.default]\noutputs = [\"all\"]\n\
                      [outputs.all]\nplugin = \"file\"\npath = \"all.json\"\nencoder = \"json\"\n";

/// The example with files and ports of the test's own, and shorter intervals.
fn agent(grater: &str) -> String {
    let text = fs::read_to_string(repository().join("examples/agent.toml")).unwrap();
    let text = text.replace("\"agent-state\"", "\"state\"").replace("/var/log/", "logs/");
    let text = text.replace("127.0.0.1:5566", grater).replace("\"10 s\"", "\"200 ms\"");
    let text = text.replace("align = true\nemit", "flush_interval = \"200 ms\"\nemit");
    ["5565", "8125"].iter().fold(text, |text, port| text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0"))
}

fn fields(message: &Value, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| message["fields"][*name].clone()).collect()
}

/// Tells whether a message is the one that is waited for.
type Wanted = fn(&Value) -> bool;

#[test]
fn the_agent_sends_logs_metrics_clients_and_the_machine() {
    let directory = Directory::new();
    directory.write("logs/.keep", "");
    for folder in ["nginx", "applications"] {
        directory.write(format!("logs/{folder}/.keep"), "");
    }
    let (free, far) = (free_address(), Directory::new());
    let grater = Host::run(&far, &GRATER.replace("ADDRESS", &free));
    let agent = Host::run(&directory, &agent(&free));
    let trace = "Exception in thread \"main\" java.lang.IllegalStateException: full\n\tat a.B.c(B.java:1)\n";
    directory.write("logs/syslog", "<13>1 2026-11-22T10:00:00Z web1 sshd 7 - - hello\n");
    directory.write(
        "logs/nginx/access.log",
        "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 503 5 \"-\" \"x\"\n",
    );
    directory.write("logs/applications/shop.log", format!("{trace}next line\n"));
    send_udp(address_of(&directory, "stats"), b"hits:3|c\nquery:12|ms");
    let counter = r#"{"type":"counter","payload":"4","fields":{"name":"logins","rate":1},"timestamp":"2026-11-22T10:00:00Z","logger":"app","severity":6}"#;
    send_udp(address_of(&directory, "metlog"), counter.as_bytes());
    let cef = counter.replace("\"counter\"", "\"cef\"");
    let cef = cef.replace("\"4\"", "\"Nov 22 10:00:00 vm CEF:0|mozilla|weave|3|sig|bad login|5|suser=me\"");
    send_udp(address_of(&directory, "metlog"), cef.as_bytes());
    let inject = ["inject", "ADDRESS", "--type", "oldstyle", "--payload", "from heka"];
    let address = address_of(&directory, "heka").to_string();
    let inject = inject.map(|argument| if argument == "ADDRESS" { address.as_str() } else { argument });
    assert_eq!(Host::finish(&directory, &inject).status, Some(0));

    let all = || -> Vec<Value> {
        far.lines("all.json").iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let wanted: [(&str, Wanted); 9] = [
        ("a line of syslog", |m| m["type"] == "syslog" && m["payload"] == "hello" && m["hostname"] == "web1"),
        ("a request", |m| m["type"] == "access_log" && m["fields"]["status"] == 503),
        ("a trace", |m| {
            m["type"] == "application"
                && m["payload"].as_str().is_some_and(|text| text.contains("\n\tat a.B.c"))
        }),
        ("a counter of statsd", |m| {
            fields(m, &["name", "kind", "count"]) == ["hits".into(), "counter".into(), Value::from(3)]
        }),
        ("a timer of statsd", |m| m["fields"]["kind"] == "timer" && m["fields"]["upper_90"] == 12.0),
        ("a counter of Metlog", |m| fields(m, &["name", "count"]) == ["logins".into(), Value::from(4)]),
        ("a security event", |m| m["type"] == "cef" && m["fields"]["suser"] == "me"),
        ("a message of a Heka client", |m| m["type"] == "oldstyle" && m["payload"] == "from heka"),
        ("the machine", |m| m["type"] == "host.load" && m["fields"]["load_1"].is_number()),
    ];
    for (what, is_it) in wanted {
        wait_until(what, || all().iter().any(is_it));
    }
    for ended in [agent.stop(), grater.stop()] {
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("accounting balances"), "{}", ended.stderr);
    }
}
