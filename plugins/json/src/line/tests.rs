use super::*;
use crate::object::JsonReader;
use heka_object::ObjectOptions;
use heka_plugin_api::testing::message;
use heka_plugin_api::{MessageBuilder, OwnedMessage};
use proptest::prelude::*;

fn line(message: &OwnedMessage) -> String {
    let mut out = Vec::new();
    LineWriter::default().put(&message.view(), &mut out);
    String::from_utf8(out).unwrap()
}

fn check(build: impl FnOnce(&mut MessageBuilder<'_>), end: &str) {
    let sent = message(|builder| {
        builder.uuid([0; 16]);
        build(builder);
    });
    let start =
        r#"{"uuid":"00000000-0000-0000-0000-000000000000","timestamp":"1970-01-01T00:00:00.000000000Z","#;
    assert_eq!(line(&sent), format!("{start}{end}"));
}

#[test]
fn all_parts_are_written_in_order() {
    let sent = message(|builder| {
        builder.uuid(core::array::from_fn(|index| index as u8)).timestamp(1_351_534_282_123_456_789);
        builder
            .message_type("t")
            .logger("l")
            .severity(6)
            .payload("a \"b\"\n")
            .env_version("0.8")
            .pid(-5)
            .hostname("h");
        builder
            .field("i", i64::MAX)
            .field("d", 1.0)
            .field("b", true)
            .field("s", "ü")
            .field("y", Value::Bytes(b"\0\xff"));
        builder.field_values("m", "", [1.into(), 2.into()]);
    });
    let expected = concat!(
        r#"{"uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f","timestamp":"2012-10-29T18:11:22.123456789Z","#,
        r#""type":"t","logger":"l","severity":6,"payload":"a \"b\"\n","env_version":"0.8","pid":-5,"hostname":"h","#,
        r#""fields":{"i":9223372036854775807,"d":1.0,"b":true,"s":"ü","y":"AP8=","m":[1,2]}}"#,
    );
    assert_eq!(line(&sent), expected);
}

#[test]
fn absent_parts_are_left_out() {
    check(|_| {}, r#""severity":7}"#);
}

#[test]
fn what_json_has_no_form_for_is_replaced() {
    check(
        |builder| _ = builder.payload(b"\xff\0").field("n", f64::NAN).field("i", f64::NEG_INFINITY),
        "\"severity\":7,\"payload\":\"\u{fffd}\\u0000\",\"fields\":{\"n\":null,\"i\":null}}",
    );
}

#[test]
fn fields_with_the_same_name_share_an_array() {
    check(
        |builder| {
            _ = builder.field("a", 1).field("b", 2).field("a", "x").field_values(
                "a",
                "",
                [true.into(), false.into()],
            )
        },
        r#""severity":7,"fields":{"a":[1,"x",true,false],"b":2}}"#,
    );
}

fn back(json: &str) -> OwnedMessage {
    let options = ObjectOptions { timestamp_key: None, separator: ".".into(), depth_max: 64 };
    let mut reader = JsonReader::new(options, true);
    message(|builder| _ = reader.read(json.as_bytes(), builder).unwrap())
}

fn values() -> impl Strategy<Value = Vec<(String, Scalars)>> {
    use prop::collection::vec;
    let scalars = prop_oneof![
        vec(any::<String>(), 1..3).prop_map(Scalars::Texts),
        vec(any::<i64>(), 1..3).prop_map(Scalars::Integers),
        vec(-1e300..1e300, 1..3).prop_map(Scalars::Doubles),
        vec(any::<bool>(), 1..3).prop_map(Scalars::Bools),
    ];
    vec((any::<String>(), scalars), 0..12)
}

#[derive(Clone, Debug)]
enum Scalars {
    Texts(Vec<String>),
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
}

impl Scalars {
    fn values(&self) -> Vec<Value<'_>> {
        match self {
            Scalars::Texts(values) => values.iter().map(Value::from).collect(),
            Scalars::Integers(values) => values.iter().copied().map(Value::from).collect(),
            Scalars::Doubles(values) => values.iter().copied().map(Value::from).collect(),
            Scalars::Bools(values) => values.iter().copied().map(Value::from).collect(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        numbers: (i64, i32, i32),
        uuid: [u8; 16],
        texts: [String; 5],
        mut fields in values(),
    ) {
        let mut names = std::collections::HashSet::new();
        fields.retain(|(name, _)| names.insert(name.clone()));
        let sent = message(|builder| {
            builder.uuid(uuid).timestamp(numbers.0).severity(numbers.1).pid(numbers.2);
            builder.message_type(&texts[0]).logger(&texts[1]).payload(&texts[2]).env_version(&texts[3]).hostname(&texts[4]);
            for (name, scalars) in &fields {
                builder.field_values(name, "", scalars.values());
            }
        });
        let json = line(&sent);
        let again = back(&json);
        prop_assert_eq!(line(&again), json);
        let (one, two) = (sent.view(), again.view());
        prop_assert_eq!((one.uuid(), one.timestamp()), (two.uuid(), two.timestamp()));
        prop_assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }

    #[test]
    fn any_text_makes_one_line_of_json(payload: Vec<u8>, names in prop::collection::vec(any::<Vec<u8>>(), 0..8)) {
        let sent = message(|builder| {
            builder.payload(&payload);
            for name in &names {
                builder.field(name, &payload[..]);
            }
        });
        let json = line(&sent);
        prop_assert!(!json.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(value["payload"].as_str().unwrap_or_default(), String::from_utf8_lossy(&payload));
    }
}
