use super::*;
use crate::decoder::MsgpackDecoder;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{DecoderTest, EncoderTest, message};
use proptest::prelude::*;

fn encode(toml: &str, message: &OwnedMessage) -> Vec<u8> {
    EncoderTest::<MsgpackEncoder>::open(toml).unwrap().encode(message).unwrap()
}

fn back(bytes: &[u8]) -> OwnedMessage {
    DecoderTest::<MsgpackDecoder>::open("").unwrap().decode(bytes).unwrap().remove(0)
}

fn small() -> OwnedMessage {
    message(|builder| {
        builder.uuid([0; 16]).timestamp(-1).severity(6).message_type("t").field("n", 1);
    })
}

#[test]
fn a_message_is_one_map() {
    let expected = [
        &b"\x85\xa4uuid\xd9\x2400000000-0000-0000-0000-000000000000\xa9timestamp\xc7\x0c\xff\x3b\x9a\xc9\xff"
            [..],
        &[0xff; 8],
        b"\xa8severity\x06\xa4type\xa1t\xa6fields\x81\xa1n\x01",
    ]
    .concat();
    assert_eq!(encode("", &small()), expected);
    let prefixed = encode("length_prefix = true", &small());
    assert_eq!(prefixed, [&(expected.len() as u32).to_be_bytes()[..], &expected].concat());
}

#[test]
fn fields_with_the_same_name_share_an_array() {
    let made = message(|builder| {
        builder.field("a", 1).field("b", 2.5).field("a", 3);
    });
    let message = back(&encode("", &made));
    let values = |name: &str| message.view().field(name).unwrap().values().collect::<Vec<_>>();
    assert_eq!(values("a"), [Value::Integer(1), Value::Integer(3)]);
    assert_eq!(values("b"), [Value::Double(2.5)]);
}

#[test]
fn text_that_is_not_utf8_is_written_as_bytes() {
    let made = message(|builder| {
        builder.payload(b"\xff\0").field("s", &b"\xfe"[..]).field("b", Value::Bytes(b"\x01"));
    });
    let message = back(&encode("", &made));
    let view = message.view();
    assert_eq!(view.payload(), b"\xff\0");
    assert_eq!(
        (view.value("s"), view.value("b")),
        (Some(Value::Bytes(b"\xfe")), Some(Value::Bytes(b"\x01")))
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        numbers: (i64, i32, i32),
        uuid: [u8; 16],
        texts: [String; 5],
        fields in prop::collection::hash_map(any::<String>(), (any::<String>(), any::<Vec<u8>>(), any::<Vec<i64>>(), any::<f64>()), 0..20),
    ) {
        let made = message(|builder| {
            builder.uuid(uuid).timestamp(numbers.0).severity(numbers.1).pid(numbers.2);
            builder.message_type(&texts[0]).logger(&texts[1]).payload(&texts[2]).env_version(&texts[3]).hostname(&texts[4]);
            for (name, (text, bytes, integers, double)) in &fields {
                match bytes.len() % 4 {
                    0 => builder.field(name, text),
                    1 => builder.field(name, Value::Bytes(bytes)),
                    2 => builder.field_values(name, "", integers.iter().copied().map(Value::Integer)),
                    _ => builder.field(name, *double),
                };
            }
        });
        let again = back(&encode("", &made));
        prop_assert_eq!(again.view().uuid(), uuid);
        let shown = |message: &OwnedMessage| {
            let mut debug = format!("{:?}", message.view());
            for default in ["\"test\"", "\"stream\"", "\"test-host\""] {
                debug = debug.replace(default, "\"\"");
            }
            debug
        };
        prop_assert_eq!(shown(&again), shown(&made));
    }
}
