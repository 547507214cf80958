use super::*;
use heka_plugin_api::OwnedMessage;
use proptest::prelude::*;
use serde_json::Value as Json;

fn options() -> ObjectOptions {
    ObjectOptions { timestamp_key: None, separator: ".".to_owned(), depth_max: 5 }
}

fn read_with(options: ObjectOptions, json: &str) -> Result<(OwnedMessage, Found), String> {
    let mut result = Ok(Found::default());
    let message = OwnedMessage::build(|builder| {
        let text = builder.text(json.as_bytes());
        let mut source = serde_json::Deserializer::from_str(json);
        result = ObjectReader::new(options).read(&mut source, json.as_bytes(), text, builder);
    });
    let found = result.map_err(|error| error.to_string())?;
    Ok((message.map_err(|error| error.to_string())?, found))
}

/// The fields, each as `name=values` or, with a representation, `name(representation)=values`.
fn fields(message: &OwnedMessage) -> Vec<String> {
    let field = |field: heka_plugin_api::Field<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let values: Vec<_> = field.values().collect();
        match field.representation() {
            b"" => format!("{}={values:?}", text(field.name())),
            unit => format!("{}({})={values:?}", text(field.name()), text(unit)),
        }
    };
    message.view().fields().map(field).collect()
}

fn check(json: &str, expected: &[&str]) {
    let (message, _) = read_with(options(), json).unwrap();
    assert_eq!(fields(&message), expected, "{json}");
}

#[test]
fn values_become_fields_of_their_type() {
    check(
        r#"{"a":1,"b":-2,"c":2.5,"d":true,"e":"text","f":null,"g":1.0}"#,
        &["a=[1]", "b=[-2]", "c=[2.5]", "d=[true]", r#"e=["text"]"#, "g=[1.0]"],
    );
    check(
        r#"{"big":9223372036854775807,"bigger":9223372036854775808,"biggest":1e30}"#,
        &["big=[9223372036854775807]", "bigger=[9.223372036854776e18]", "biggest=[1e30]"],
    );
    check(r#"{"a":1,"a":"two"}"#, &["a=[1]", r#"a=["two"]"#]);
    check(r#"{"\u00fc\n":"\u00e4","":""}"#, &["ü\n=[\"ä\"]", r#"=[""]"#]);
    check("{}", &[]);
}

#[test]
fn nested_keys_are_joined() {
    check(
        r#"{"a":{"b":1,"c":{"d":2,"\u0065":3},"f":4},"g":5}"#,
        &["a.b=[1]", "a.c.d=[2]", "a.c.e=[3]", "a.f=[4]", "g=[5]"],
    );
    check(r#"{"fields":{"a":1,"b":{"c":2}},"type":{"x":3}}"#, &["a=[1]", "b.c=[2]", "type.x=[3]"]);
    let (message, _) =
        read_with(ObjectOptions { separator: "::".into(), ..options() }, r#"{"a":{"b":1}}"#).unwrap();
    assert_eq!(fields(&message), ["a::b=[1]"]);
}

#[test]
fn arrays_of_one_type_are_several_values() {
    check(
        r#"{"a":[1,2],"b":["x","\u00fc"],"c":[true],"d":[1,2.5],"e":[]}"#,
        &["a=[1, 2]", r#"b=["x", "ü"]"#, "c=[true]", "d=[1.0, 2.5]"],
    );
}

#[test]
fn other_arrays_are_json_text() {
    check(
        r#"{"a":[1,"\"",null,[2,{"b":[],"c":1.5}],{}],"x":[null]}"#,
        &[r#"a(json)=["[1,\"\\\"\",null,[2,{\"b\":[],\"c\":1.5}],{}]"]"#, r#"x(json)=["[null]"]"#],
    );
}

#[test]
fn the_header_is_set() {
    let (message, found) = read_with(
        options(),
        r#"{"type":"t","logger":"l","severity":3,"payload":"p","timestamp":"1970-01-01T00:00:01Z","hostname":"h",
        "pid":12,"uuid":"00112233-4455-6677-8899-aabbccddeeff","env_version":"0.8","fields":{}}"#,
    )
    .unwrap();
    let view = message.view();
    assert_eq!((view.message_type(), view.logger(), view.payload()), (&b"t"[..], &b"l"[..], &b"p"[..]));
    assert_eq!((view.hostname(), view.env_version(), view.uuid()[15]), (&b"h"[..], &b"0.8"[..], 0xff));
    assert_eq!((view.severity(), view.pid(), view.timestamp()), (3, 12, 1_000_000_000));
    assert_eq!(found, Found { payload: true, envelope: true, odd_timestamp: false });
    assert_eq!(view.fields().len(), 0);
}

#[test]
fn the_names_of_the_metlog_envelope_are_known() {
    for names in ["metlog", "heka"] {
        let json = format!(r#"{{"{names}_pid":5,"{names}_hostname":"vm","pid2":1}}"#);
        let (message, found) = read_with(options(), &json).unwrap();
        assert_eq!((message.view().pid(), message.view().hostname()), (5, &b"vm"[..]));
        assert!(found.envelope && !found.payload);
    }
}

#[test]
fn unsuitable_header_values_become_fields() {
    check(
        r#"{"type":5,"pid":"x","pid":3000000000,"severity":1.5,"uuid":"?","timestamp":"now","logger":null}"#,
        &[
            "type=[5]",
            r#"pid=["x"]"#,
            "pid=[3000000000]",
            "severity=[1.5]",
            r#"uuid=["?"]"#,
            r#"timestamp=["now"]"#,
        ],
    );
    check(r#"{"fields":7,"hostname":["a","b"]}"#, &["fields=[7]", r#"hostname=["a", "b"]"#]);
    assert_eq!(read_with(options(), r#"{"uuid":"?"}"#).unwrap().1, Found::default());
}

#[test]
fn the_last_of_two_header_keys_wins() {
    let (message, _) = read_with(options(), r#"{"type":"a","type":"b","pid":1,"metlog_pid":2}"#).unwrap();
    assert_eq!((message.view().message_type(), message.view().pid()), (&b"b"[..], 2));
}

#[test]
fn every_payload_becomes_text() {
    let cases = [
        ("5", "5"),
        ("-5", "-5"),
        ("1.5", "1.5"),
        ("true", "true"),
        (r#""\u00fc""#, "ü"),
        ("null", ""),
        (r#"{"a": [1, null]}"#, r#"{"a":[1,null]}"#),
        ("[1, 2]", "[1,2]"),
        ("[]", "[]"),
    ];
    for (json, payload) in cases {
        let (message, found) = read_with(options(), &format!(r#"{{"payload":{json}}}"#)).unwrap();
        assert_eq!(message.view().payload(), payload.as_bytes());
        assert!(found.payload && message.view().fields().len() == 0);
    }
}

#[test]
fn times_are_read_from_their_key() {
    let timestamp = |key: Option<&str>, json: &str| {
        let options = ObjectOptions { timestamp_key: key.map(str::to_owned), ..options() };
        let (message, _) = read_with(options, json).unwrap();
        (message.view().timestamp(), fields(&message).len())
    };
    assert_eq!(timestamp(None, r#"{"timestamp":1351534282}"#), (1_351_534_282_000_000_000, 0));
    assert_eq!(timestamp(None, r#"{"timestamp":1351534282.5}"#), (1_351_534_282_500_000_000, 0));
    assert_eq!(timestamp(Some("at"), r#"{"at":7,"timestamp":1}"#), (7_000_000_000, 1));
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(read_with(options(), &nested(5)).is_ok());
    let reason = "nested deeper than `depth_max` (5)";
    assert!(read_with(options(), &nested(6)).unwrap_err().starts_with(reason));
    assert!(read_with(options(), &nested(10_000)).unwrap_err().starts_with(reason));
    let arrays = |depth: usize| format!(r#"{{"a":{}"#, "[".repeat(depth));
    assert!(read_with(options(), &arrays(10_000)).unwrap_err().starts_with(reason));
    let payload = format!(r#"{{"payload":{}"#, r#"{"a":["#.repeat(10_000));
    assert!(read_with(options(), &payload).unwrap_err().starts_with(reason));
}

fn json() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    scalar.prop_recursive(3, 20, 4, |inner| {
        let key = prop_oneof![any::<String>(), "type|pid|fields|payload|timestamp|uuid|severity"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

/// The count of fields that a value makes.
fn field_count(json: &Json) -> usize {
    match json {
        Json::Null => 0,
        Json::Array(elements) => usize::from(!elements.is_empty()),
        Json::Object(members) => members.values().map(field_count).sum(),
        _ => 1,
    }
}

proptest! {
    #[test]
    fn every_value_is_kept(value in json()) {
        let json = format!(r#"{{"fields":{{"x":{value}}}}}"#);
        let (message, _) = read_with(options(), &json).unwrap();
        prop_assert_eq!(message.view().fields().len(), field_count(&value));
    }

    #[test]
    fn every_json_is_survived(value in json()) {
        let is_object = value.is_object();
        prop_assert_eq!(read_with(options(), &value.to_string()).is_ok(), is_object);
    }

    #[test]
    fn mixed_arrays_are_the_same_json(values in prop::collection::vec(json(), 1..4)) {
        let array = Json::from([vec![Json::Null], values].concat());
        let (message, _) = read_with(options(), &format!(r#"{{"x":{array}}}"#)).unwrap();
        let view = message.view();
        let text = view.value("x").and_then(|value| value.as_bytes()).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Json>(text).unwrap(), array);
    }
}
