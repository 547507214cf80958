use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn check(toml: &str, frame: &[u8]) -> Result<OwnedMessage, String> {
    let mut messages = DecoderTest::<JsonDecoder>::open(toml).unwrap().decode(frame)?;
    assert_eq!(messages.len(), 1);
    Ok(messages.remove(0))
}

#[test]
fn the_envelope_of_a_python_client_is_read() {
    let frame = br#"{"severity": 6, "timestamp": "2026-11-22T09:26:37.541873Z", "metlog_hostname": "vm", "fields": {"rate": 1.0, "name": "hits"}, "metlog_pid": 25221, "logger": "myapp", "type": "counter", "payload": "3", "env_version": "0.8"}"#;
    let message = check("", frame).unwrap();
    let view = message.view();
    assert_eq!(
        (view.message_type(), view.logger(), view.payload()),
        (&b"counter"[..], &b"myapp"[..], &b"3"[..])
    );
    assert_eq!((view.severity(), view.pid(), view.timestamp()), (6, 25_221, 1_795_339_597_541_873_000));
    assert_eq!((view.hostname(), view.env_version()), (&b"vm"[..], &b"0.8"[..]));
    assert_eq!(
        (view.value("rate"), view.value("name")),
        (Some(Value::Double(1.0)), Some(Value::String(b"hits")))
    );
    assert_eq!(view.fields().len(), 2);
}

#[test]
fn the_envelope_of_a_node_client_is_read() {
    let frame = b"{\"type\":\"counter\",\"timestamp\":\"2026-11-22T09:29:29Z\",\"logger\":\"nodeapp\",\"severity\":5,\"payload\":\"3\",\"fields\":{\"name\":\"hits\",\"rate\":1},\"env_version\":\"0.8\",\"metlog_pid\":5257,\"metlog_hostname\":\"vm\"}\n";
    let message = check("", frame).unwrap();
    let view = message.view();
    assert_eq!((view.pid(), view.payload(), view.value("rate")), (5_257, &b"3"[..], Some(Value::Integer(1))));
}

#[test]
fn nested_fields_and_numbers_as_payload_are_read() {
    let frame = br#"{"type": "cef", "fields": {"cef_meta": {"syslog_priority": "ERR", "syslog_ident": null}}, "payload": 12.5, "env_version": "0.8"}"#;
    let message = check("", frame).unwrap();
    let view = message.view();
    assert_eq!(
        (view.payload(), view.value("cef_meta.syslog_priority")),
        (&b"12.5"[..], Some(Value::String(b"ERR")))
    );
    assert_eq!(view.fields().len(), 1);
}

#[test]
fn a_plain_object_keeps_its_text_as_payload() {
    let frame = b" {\"status\": 500, \"path\": \"/a\"}\r\n";
    assert_eq!(check("", frame).unwrap().view().payload(), frame.trim_ascii());
    let message = check("keep_payload = false", frame).unwrap();
    assert_eq!(
        (message.view().payload(), message.view().value("status")),
        (&b""[..], Some(Value::Integer(500)))
    );
    assert_eq!(check("", br#"{"fields":{}}"#).unwrap().view().payload(), b"");
}

#[test]
fn the_options_are_followed() {
    let message = check("timestamp_key = 'at'\nflatten_separator = '_'", br#"{"at":1,"a":{"b":2}}"#).unwrap();
    assert_eq!(
        (message.view().timestamp(), message.view().value("a_b")),
        (1_000_000_000, Some(Value::Integer(2)))
    );
    assert!(check("depth_max = 1", br#"{"a":{}}"#).is_err());
    let faults = DecoderTest::<JsonDecoder>::faults("timestamp_key = ''\ndepth_max = 121");
    assert_eq!(faults, ["timestamp_key: must not be empty", "depth_max: from 1 to 120"]);
}

#[test]
fn what_is_no_object_says_why() {
    let refused = |frame: &[u8]| check("", frame).unwrap_err();
    let cases: &[(&[u8], &str)] = &[
        (b"", "not a JSON object: EOF while parsing a value at line 1 column 0"),
        (b"[1]", "not a JSON object: invalid type: sequence, expected an object at line 1 column 0"),
        (b"5", "not a JSON object: invalid type: integer `5`, expected an object at line 1 column 1"),
        (b"{\"a\":1", "not a JSON object: EOF while parsing an object at line 1 column 6"),
        (b"{\"a\":\"\xff\"}", "not a JSON object: invalid unicode code point at line 1 column 7"),
        (b"{\"a\":1}{}", "not a JSON object: trailing characters at line 1 column 8"),
    ];
    for (frame, reason) in cases {
        assert_eq!(refused(frame), *reason);
    }
    let deep = [br#"{"a":"#.repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat();
    let reason = "not a JSON object: nested deeper than `depth_max` (64)";
    assert!(refused(&deep).starts_with(reason));
    assert!(refused(&[&b"{\"a\":"[..], &b"[".repeat(10_000)].concat()).starts_with(reason));
    let greatest = DecoderTest::<JsonDecoder>::open("depth_max = 120").unwrap().decode(&deep).unwrap_err();
    assert!(greatest.starts_with("not a JSON object: nested deeper than `depth_max` (120)"), "{greatest}");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, text in r#"[\{\}\[\]:,"\\a0-9.eu \n-]{0,60}"#) {
        let _ = check("", &bytes);
        let _ = check("", text.as_bytes());
        let _ = check("", format!(r#"{{"a":{text}}}"#).as_bytes());
    }
}

#[test]
fn odd_parts_of_an_envelope_are_kept_as_fields_and_counted() {
    let mut decoder = DecoderTest::<JsonDecoder>::open("").unwrap();
    let frame = br#"{"timestamp":"yesterday","severity":"high","metlog_pid":99999999999,"payload":"p","payload":"q","fields":{"a":1,"a":"b","n":123456789012345678901234567890,"u":18446744073709551615,"z":"\u0000"}}"#;
    let messages = decoder.decode(frame).unwrap();
    let view = messages[0].view();
    assert_eq!((view.timestamp(), view.severity(), view.pid(), view.payload()), (0, 7, 0, &b"q"[..]));
    let fields: Vec<String> =
        view.fields().map(|field| format!("{} {:?}", field.name().escape_ascii(), field.value(0))).collect();
    let expected = [
        r#"timestamp Some("yesterday")"#,
        r#"severity Some("high")"#,
        r#"metlog_pid Some(99999999999)"#,
        r#"a Some(1)"#,
        r#"a Some("b")"#,
        r#"n Some(1.2345678901234568e29)"#,
        r#"u Some(1.8446744073709552e19)"#,
        r#"z Some("\0")"#,
    ];
    assert_eq!(fields, expected);
    assert_eq!(decoder.host().counter("odd_timestamps"), 1);
    for refused in [&br#"{"a":"\ud800"}"#[..], br#"{"a":1e400}"#, b"{\"a\":\"\xff\"}"] {
        assert!(decoder.decode(refused).unwrap_err().starts_with("not a JSON object: "));
    }
}
