use super::*;
use heka_plugin_api::testing::message;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn read(body: &[u8]) -> Result<(OwnedMessage, Present), ProtobufFault> {
    let mut result = Err(ProtobufFault::TruncatedVarint { at: 0 });
    let message = OwnedMessage::build(|builder| result = MessageReader::default().read(body, builder));
    result.map(|(_, present)| (message.unwrap(), present))
}

fn written(message: &OwnedMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_message(&message.view(), &mut bytes);
    assert_eq!(bytes.len(), message_len(&message.view()));
    bytes
}

fn shown(message: &OwnedMessage) -> String {
    let view = message.view();
    let fields: Vec<String> = view
        .fields()
        .map(|field| {
            let values: Vec<_> = field.values().collect();
            let name = field.name().escape_ascii();
            format!("{name} ({}) {:?} {values:?}", field.representation().escape_ascii(), field.value_type())
        })
        .collect();
    let texts = [view.message_type(), view.logger(), view.payload(), view.env_version(), view.hostname()];
    let texts = texts.map(|text| text.escape_ascii().to_string());
    format!("{:?}", (view.uuid(), view.timestamp(), view.severity(), view.pid(), texts, fields))
}

/// Fields as (number, value), each value with its tag's wire type.
fn field(parts: &[&[u8]]) -> Vec<u8> {
    let inner = parts.concat();
    [&[0x52, inner.len() as u8], &inner[..]].concat()
}

#[test]
fn the_frame_of_a_counter_is_read() {
    let body = [
        &[0x0a, 16][..],
        &[7; 16],
        b"\x10\x80\xa0\xe2\x94\xf8\xc5\xdf\x99\x17\x1a\x07counter\x22\x05myapp\x28\x06\x32\x013\x3a\x030.8",
        b"\x40\x9e\xf3\x01\x4a\x02vm",
        b"\x52\x14\x0a\x04rate\x10\x03\x1a\x00\x3a\x08\x00\x00\x00\x00\x00\x00\xf0\x3f",
        b"\x52\x10\x0a\x04name\x10\x00\x1a\x00\x22\x04hits",
    ]
    .concat();
    let (message, present) = read(&body).unwrap();
    assert!(present.is_complete());
    let view = message.view();
    assert_eq!((view.uuid(), view.severity(), view.pid()), ([7; 16], 6, 31_134));
    assert_eq!(
        (view.message_type(), view.logger(), view.payload()),
        (&b"counter"[..], &b"myapp"[..], &b"3"[..])
    );
    assert_eq!((view.env_version(), view.hostname()), (&b"0.8"[..], &b"vm"[..]));
    assert_eq!(view.value("rate"), Some(Value::Double(1.0)));
    assert_eq!(view.value("name"), Some(Value::String(b"hits")));
    assert_eq!(shown(&read(&written(&message)).unwrap().0), shown(&message));
}

#[test]
fn absent_severity_is_seven_and_nothing_else_is_needed() {
    let (message, present) = read(b"").unwrap();
    assert_eq!((message.view().severity(), message.view().pid()), (7, 0));
    assert_eq!(present, Present::default());
}

#[test]
fn negative_numbers_have_ten_bytes() {
    let body = b"\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x40\xfe\xff\xff\xff\x0f";
    let (message, _) = read(body).unwrap();
    assert_eq!((message.view().severity(), message.view().pid()), (-1, -2));
    let back = read(&written(&message)).unwrap().0;
    assert_eq!((back.view().severity(), back.view().pid()), (-1, -2));
}

#[test]
fn numbers_are_read_packed_and_unpacked() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x10\x02\x30\x05\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "[5, -1]"),
        (b"\x10\x02\x32\x03\x05\x96\x01", "[5, 150]"),
        (b"\x10\x02\x30\x01\x32\x02\x02\x03\x30\x04", "[1, 2, 3, 4]"),
        (b"\x10\x03\x39\0\0\0\0\0\0\xf0\x3f\x39\0\0\0\0\0\0\0\x40", "[1.0, 2.0]"),
        (b"\x10\x03\x3a\x10\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40", "[1.0, 2.0]"),
        (b"\x10\x04\x40\x01\x42\x02\x00\x01", "[true, false, true]"),
        (b"\x22\x01a\x22\x00\x22\x02bc", r#"["a", "", "bc"]"#),
        (b"\x2a\x02\x00\xff\x10\x01", "[[0, ff]]"),
    ];
    for (parts, values) in cases {
        let (message, _) = read(&field(&[b"\x0a\x01n", parts])).unwrap();
        let view = message.view();
        let found: Vec<_> = view.field("n").unwrap().values().collect();
        assert_eq!(format!("{found:?}"), *values);
    }
}

#[test]
fn values_of_another_type_and_unknown_fields_are_skipped() {
    let body = [
        &field(&[b"\x0a\x01a\x10\x02\x22\x01x\x30\x05"])[..],
        &field(&[b"\x0a\x01b\x10\x02\x22\x01x"]),
        // The value_format of early 2013, and fields that nobody knows.
        &field(&[
            b"\x0a\x01c\x18\x01\x22\x01y\x98\x06\x01\x9d\x06\0\0\0\0\xa1\x06\0\0\0\0\0\0\0\0\xaa\x06\x01z",
        ]),
        b"\x98\x06\x01\x9d\x06\0\0\0\0\xa1\x06\0\0\0\0\0\0\0\0\xaa\x06\x01z\x1a\x01t\x1a\x01u\x18\x05",
    ]
    .concat();
    let (message, _) = read(&body).unwrap();
    let view = message.view();
    assert_eq!(view.fields().len(), 2);
    assert_eq!((view.value("a"), view.value("c")), (Some(Value::Integer(5)), Some(Value::String(b"y"))));
    assert_eq!(view.message_type(), b"u");
}

#[test]
fn a_uuid_of_another_length_is_none() {
    for len in [0, 15, 17] {
        let body = [&[0x0a, len][..], &vec![1; len.into()]].concat();
        assert!(!read(&body).unwrap().1.uuid);
    }
}

#[test]
fn what_is_no_protobuf_says_why() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x10", "not protobuf: the number at byte 1 has no end"),
        (b"\x10\xff\xff", "not protobuf: the number at byte 1 has no end"),
        (
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "not protobuf: the number at byte 1 is longer than 10 bytes",
        ),
        (b"\x1a\x05ab", "not protobuf: 5 bytes should follow at byte 2, but only 2 do"),
        (
            b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "not protobuf: 18446744073709551615 bytes should follow at byte 11, but only 0 do",
        ),
        (b"\x52\x03\x0a\x05n", "not protobuf: 5 bytes should follow at byte 4, but only 1 do"),
        (b"\x52\x03\x39\x00\x00", "not protobuf: 8 bytes should follow at byte 3, but only 2 do"),
        (b"\x0b\x00", "not protobuf: field 1 of wire type 3 before byte 1"),
        (b"\x00\x00", "not protobuf: field 0 of wire type 0 before byte 1"),
        (b"{\"a\":1}", "not protobuf: field 15 of wire type 3 before byte 1"),
    ];
    for (body, reason) in cases {
        assert_eq!(read(body).unwrap_err().to_string(), *reason);
    }
}

#[derive(Clone, Debug)]
enum Values {
    Strings(Vec<Vec<u8>>),
    Bytes(Vec<Vec<u8>>),
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
}

fn values() -> impl Strategy<Value = Values> {
    use prop::collection::vec;
    prop_oneof![
        vec(any::<Vec<u8>>(), 1..4).prop_map(Values::Strings),
        vec(any::<Vec<u8>>(), 1..4).prop_map(Values::Bytes),
        vec(any::<i64>(), 1..4).prop_map(Values::Integers),
        vec(any::<f64>(), 1..4).prop_map(Values::Doubles),
        vec(any::<bool>(), 1..4).prop_map(Values::Bools),
    ]
}

fn add(builder: &mut heka_plugin_api::MessageBuilder<'_>, name: &[u8], unit: &[u8], values: &Values) {
    let values: Vec<Value<'_>> = match values {
        Values::Strings(values) => values.iter().map(|value| Value::String(value)).collect(),
        Values::Bytes(values) => values.iter().map(|value| Value::Bytes(value)).collect(),
        Values::Integers(values) => values.iter().copied().map(Value::Integer).collect(),
        Values::Doubles(values) => values.iter().copied().map(Value::Double).collect(),
        Values::Bools(values) => values.iter().copied().map(Value::Bool).collect(),
    };
    builder.field_values(name, unit, values);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        numbers: (i64, i32, i32),
        texts: [Vec<u8>; 5],
        fields in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>(), values()), 0..6),
    ) {
        let made = message(|builder| {
            builder.uuid([9; 16]).timestamp(numbers.0).severity(numbers.1).pid(numbers.2);
            builder.message_type(&texts[0]).logger(&texts[1]).payload(&texts[2]).env_version(&texts[3]).hostname(&texts[4]);
            for (name, unit, values) in &fields {
                add(builder, name, unit, values);
            }
        });
        let (back, present) = read(&written(&made)).unwrap();
        prop_assert!(present.uuid && present.timestamp);
        prop_assert_eq!(shown(&back), shown(&made));
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let _ = read(&field(&[&bytes[..bytes.len().min(100)]]));
    }

    #[test]
    fn a_broken_message_is_survived(at in 0usize..100, byte: u8, cut in 0usize..100) {
        let made = message(|builder| {
            builder.payload("payload").message_type("type").field("a", 1).field("b", "text").field("c", 2.5);
        });
        let mut bytes = written(&made);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes);
        let _ = read(&bytes[..cut % bytes.len()]);
    }
}
