use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;
use serde::Serialize;

fn decode(toml: &str, frame: &[u8]) -> Result<Vec<OwnedMessage>, String> {
    DecoderTest::<MsgpackDecoder>::open(toml).unwrap().decode(frame)
}

fn check(frame: &[u8], expected: &[&str]) {
    let message = decode("", frame).unwrap().remove(0);
    let fields = message.view().fields().map(|field| {
        let values: Vec<_> = field.values().collect();
        format!("{}={values:?}", String::from_utf8_lossy(field.name()))
    });
    assert_eq!(fields.collect::<Vec<_>>(), expected);
}

#[test]
fn every_kind_of_value_is_read() {
    check(
        b"\x84\xa1a\x01\xa1b\xe0\xa1c\xcb\x3f\xf8\0\0\0\0\0\0\xa1d\xc3",
        &["a=[1]", "b=[-32]", "c=[1.5]", "d=[true]"],
    );
    check(b"\x82\xa1a\xa2hi\xa1b\xc4\x02\0\xff", &[r#"a=["hi"]"#, "b=[[0, ff]]"]);
    check(b"\x82\xa1a\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1b\xc0", &["a=[1.8446744073709552e19]"]);
    check(b"\x81\xa1a\x82\xa1b\x01\x05\x93\x01\x02\x03", &["a.b=[1]", "a.5=[1, 2, 3]"]);
    check(b"\x81\xa1a\x92\x01\xa1x", &[r#"a=["[1,\"x\"]"]"#]);
    check(
        b"\x83\xa1a\xd4\x05\x07\xa1b\xd6\xff\0\0\0\x01\xa1c\x91\xd4\x05\x07",
        &["a=[[7]]", "b=[1000000000]", "c=[[7]]"],
    );
    check(b"\x81\xa1a\xa2\xff\xfe", &["a=[[ff, fe]]"]);
    check(b"\x80", &[]);
}

#[test]
fn every_form_of_a_time_is_read() {
    let cases: &[(&[u8], i64)] = &[
        (b"\xd6\xff\0\0\0\x02", 2_000_000_000),
        (b"\xd7\xff\0\0\0\x04\0\0\0\x02", 2_000_000_001),
        (b"\xc7\x0c\xff\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff", -999_999_999),
        (b"\x02", 2_000_000_000),
        (b"\xb41970-01-01T00:00:02Z", 2_000_000_000),
    ];
    for (value, ns) in cases {
        let frame = [b"\x81\xa9timestamp", *value].concat();
        assert_eq!(decode("", &frame).unwrap()[0].view().timestamp(), *ns);
        let frame = [b"\x81\xa2at", *value].concat();
        assert_eq!(decode("timestamp_key = 'at'", &frame).unwrap()[0].view().timestamp(), *ns);
    }
}

#[derive(Serialize)]
struct Envelope {
    #[serde(rename = "type")]
    message_type: &'static str,
    payload: f64,
    metlog_pid: i32,
    metlog_hostname: &'static str,
    fields: Fields,
}

#[derive(Serialize)]
struct Fields {
    name: &'static str,
}

#[test]
fn the_envelope_of_json_is_known() {
    let fields = Fields { name: "hits" };
    let envelope =
        Envelope { message_type: "counter", payload: 1.5, metlog_pid: 7, metlog_hostname: "vm", fields };
    let messages = decode("", &rmp_serde::to_vec_named(&envelope).unwrap()).unwrap();
    let view = messages[0].view();
    assert_eq!(
        (view.message_type(), view.payload(), view.hostname()),
        (&b"counter"[..], &b"1.5"[..], &b"vm"[..])
    );
    assert_eq!((view.pid(), view.value("name")), (7, Some(Value::String(b"hits"))));
}

#[test]
fn several_maps_in_a_frame_are_several_messages() {
    let mut decoder = DecoderTest::<MsgpackDecoder>::open("").unwrap();
    assert_eq!(decoder.decode(b"\x81\xa1a\x01\x80\x81\xa1a\x02").unwrap().len(), 3);
    assert_eq!(decoder.decode(b"\x81\xa1a\x01\x05\x80\x81\xa1").unwrap().len(), 2);
    assert_eq!(decoder.host().counter("broken"), 2);
}

#[test]
fn what_is_no_map_says_why() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "not a MessagePack map: ends in the middle"),
        (b"\x82\xa1a\x01", "not a MessagePack map: ends in the middle"),
        (b"\x81\xa1a\xdb\xff\xff\xff\xffx", "not a MessagePack map: ends in the middle"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff\x01", "not a MessagePack map: ends in the middle"),
        (b"\x01", "not a MessagePack map: invalid type: integer `1`, expected an object"),
        (b"\x90", "not a MessagePack map: invalid type: sequence, expected an object"),
    ];
    for (frame, reason) in cases {
        assert_eq!(decode("", frame).unwrap_err(), *reason);
    }
}

#[test]
fn deep_nesting_is_refused() {
    let reason = "not a MessagePack map: nested deeper than `depth_max` (64)";
    let maps = [&b"\x81\xa1a".repeat(10_000)[..], b"\x01"].concat();
    assert_eq!(decode("", &maps).unwrap_err(), reason);
    let arrays = [&b"\x81\xa1a"[..], &b"\x91".repeat(10_000), b"\x01"].concat();
    assert_eq!(decode("", &arrays).unwrap_err(), reason);
    let payload = [&b"\x81\xa7payload"[..], &b"\x91\x81\x01".repeat(10_000), b"\x01"].concat();
    assert_eq!(decode("", &payload).unwrap_err(), reason);
    let keys = b"\x81".repeat(10_000);
    assert!(decode("", &keys).is_err());
    let faults = DecoderTest::<MsgpackDecoder>::faults("timestamp_key = ''\ndepth_max = 0");
    assert_eq!(faults, ["timestamp_key: must not be empty", "depth_max: from 1 to 120"]);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = decode("", &bytes);
        let _ = decode("", &[b"\x81\xa1a", &bytes[..]].concat());
    }
}
