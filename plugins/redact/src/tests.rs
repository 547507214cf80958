//! Whole messages through the filter.

use super::*;
use heka_plugin_api::testing::{FilterTest, message};
use heka_plugin_api::{OwnedMessage, Value};

fn sample() -> OwnedMessage {
    message(|m| {
        m.logger("jo@b.io").payload("paid with 4111111111111111, password=hunter2").severity(3);
        m.field("url", "http://u:pw@h/").field("n", 4111111111111111i64).field("plain", "nothing");
        m.field_values("mail", "", ["a@b.io", "none", "c@d.io"].map(Value::from));
        m.field("mail", "e@f.io").field("raw", Value::Bytes(b"a@b.io"));
    })
}

fn redacted(toml: &str) -> (FilterTest<RedactFilter>, OwnedMessage) {
    let mut filter = FilterTest::<RedactFilter>::open(toml).unwrap();
    let mut seen = filter.process(&[sample()]);
    assert_eq!((seen.passed.len(), seen.failure, seen.failed), (1, None, vec![]), "{toml}");
    let passed = seen.passed.remove(0);
    (filter, passed)
}

fn check_payload(toml: &str, expected: &str) {
    let (_, message) = redacted(toml);
    assert_eq!(String::from_utf8_lossy(message.view().payload()), expected, "{toml}");
}

#[test]
fn payload_and_fields_are_redacted() {
    let (filter, changed) = redacted("");
    let view = changed.view();
    assert_eq!(view.payload(), b"paid with [card], password=[password]");
    let values: Vec<_> = view.fields().flat_map(|field| field.values()).collect();
    let expected = [
        "http://u:[url_password]@h/".into(),
        Value::Integer(4111111111111111),
        "nothing".into(),
        "[email]".into(),
        "none".into(),
        "[email]".into(),
        "[email]".into(),
        Value::Bytes(b"a@b.io"),
    ];
    assert_eq!(values, expected);
    assert_eq!((view.logger(), view.severity()), (&b"jo@b.io"[..], 3));
    let counted = ["card", "password", "url_password", "email", "jwt"];
    let counted = counted.map(|name| filter.host().counter(&format!("redacted_{name}")));
    assert_eq!(counted, [1, 1, 1, 3, 0]);
}

#[test]
fn places_are_chosen() {
    let (_, changed) = redacted("places = ['Logger', 'Fields[url]']");
    let view = changed.view();
    assert_eq!((view.logger(), view.payload()), (&b"[email]"[..], sample().view().payload()));
    assert_eq!(view.value("url"), Some("http://u:[url_password]@h/".into()));
    assert_eq!(view.value("mail"), Some("a@b.io".into()));
}

#[test]
fn actions_are_chosen() {
    check_payload("find = ['cards']", "paid with [card], password=hunter2");
    check_payload("action = 'mask'\nkeep_last = 4", "paid with ************1111, password=*******");
    check_payload(
        "replacement = '<{kind}>'\nfind = ['passwords']",
        "paid with 4111111111111111, password=<password>",
    );
    check_payload(
        "find = []\npatterns = { verb = '^(\\w+) with' }",
        "[verb] with 4111111111111111, password=hunter2",
    );
    let (_, hashed) = redacted("action = 'hash'\nhash_key = '0123456789abcdef'\nfind = ['cards']");
    let payload = String::from_utf8_lossy(hashed.view().payload()).into_owned();
    assert!(payload.starts_with("paid with [card:") && payload.contains("], password=hunter2"), "{payload}");
}

#[test]
fn a_message_without_secrets_is_not_copied() {
    let plain = message(|m| _ = m.payload("GET /index.html 200").field("host", "web1"));
    let mut filter = FilterTest::<RedactFilter>::open("find = ['cards', 'ip_addresses']").unwrap();
    let seen = filter.process(std::slice::from_ref(&plain));
    assert_eq!(seen.passed[0].view().record_bytes(), plain.view().record_bytes());
}

#[test]
fn all_faults_are_found() {
    let toml = "find = []\nplaces = ['Payload', 'Uuid']\naction = 'hash'";
    let faults = FilterTest::<RedactFilter>::faults(toml);
    let known = "Payload, Type, Logger, Hostname, Fields, Fields[name]";
    let expected = [
        "find: must name something, or `patterns` must".to_owned(),
        format!("places[1]: no place `Uuid`; known: {known}"),
        "hash_key: is needed for `hash`".to_owned(),
    ];
    assert_eq!(faults, expected);
    let toml = "patterns = { a = '(', b = 'x*' }\nreplacement = '{x}'";
    let faults = FilterTest::<RedactFilter>::faults(toml);
    let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["patterns.a", "patterns.b", "replacement"], "{faults:?}");
    let faults = FilterTest::<RedactFilter>::faults("action = 'hash'\nhash_key = 'short'");
    assert_eq!(faults, ["hash_key: must have at least 16 bytes"]);
}
