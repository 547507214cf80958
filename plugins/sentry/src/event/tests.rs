use super::*;
use proptest::prelude::*;

fn event(json: &str) -> Event {
    Event::read(json.as_bytes()).unwrap()
}

fn shown(json: &str) -> Vec<String> {
    event(json).fields().iter().map(|(name, value)| format!("{name} {value:?}")).collect()
}

#[test]
fn members_become_fields() {
    let json = r#"{"project":"2","sentry.interfaces.Exception":{"type":"ValueError","module":"exceptions","value":"bad"},
        "sentry.interfaces.Stacktrace":{"frames":[{"lineno":1}]},"sentry.interfaces.Http":{"url":"/"},
        "tags":{},"extra":{"sys.argv":["a",1],"deep":{"er":true}},"time_spent":null,"level":40,"ratio":1.5}"#;
    let expected = [
        r#"project Text("2")"#,
        r#"http.url Text("/")"#,
        r#"extra.sys.argv Text("[\"a\",1]")"#,
        r#"extra.deep.er Bool(true)"#,
        r#"level Integer(40)"#,
        r#"ratio Double(1.5)"#,
        r#"exception.type Text("ValueError")"#,
        r#"exception.module Text("exceptions")"#,
        r#"exception.value Text("bad")"#,
    ];
    assert_eq!(shown(json), expected);
}

#[test]
fn of_several_exceptions_the_last_is_the_field() {
    let json = r#"{"exception":{"values":[{"type":"A"},{"type":"B","stacktrace":{"frames":[]}}]}}"#;
    assert_eq!(shown(json), [r#"exception.type Text("B")"#]);
    assert_eq!(event(json).exceptions().len(), 2);
    assert_eq!(event(r#"{"exception":[{"type":"A"}]}"#).exceptions().len(), 1);
    assert_eq!(event(r#"{"exception":"odd"}"#).exceptions().len(), 0);
}

#[test]
fn the_header_is_found() {
    let json =
        r#"{"timestamp":"2012-11-23T02:20:18Z","event_id":"8e344ba91c8d4c019c061417e6143f5a","level":40}"#;
    let found = event(json);
    assert_eq!(found.timestamp(), Some(1_353_637_218_000_000_000));
    assert_eq!(found.uuid().map(|uuid| uuid[0]), Some(0x8e));
    assert_eq!(found.severity(), Some(3));
    let nonsense = event(r#"{"timestamp":"soon","event_id":"x","level":"loud"}"#);
    assert_eq!((nonsense.timestamp(), nonsense.uuid(), nonsense.severity()), (None, None, None));
    assert_eq!(
        event(r#"{"timestamp":1353637218.5,"level":"fatal"}"#).timestamp(),
        Some(1_353_637_218_500_000_000)
    );
    assert_eq!(event(r#"{"timestamp":1e300,"level":"warning"}"#).timestamp(), None);
    let severity = |level: &str| event(&format!(r#"{{"level":{level}}}"#)).severity();
    assert_eq!(
        [severity("50"), severity("30"), severity("20"), severity("10")],
        [Some(2), Some(4), Some(6), Some(7)]
    );
    assert_eq!([severity("-1"), severity("\"error\"")], [None, Some(3)]);
}

#[test]
fn very_many_members_are_cut_and_counted() {
    let members: Vec<String> = (0..1_500).map(|number| format!("\"m{number}\":1")).collect();
    let fields = event(&format!("{{{}}}", members.join(","))).fields();
    assert_eq!(fields.len(), 1_001);
    assert_eq!(fields[1_000], ("fields_left_out".to_owned(), FieldValue::Integer(500)));
}

#[test]
fn what_is_no_object_says_why() {
    let refused = |json: &str| Event::read(json.as_bytes()).unwrap_err();
    assert!(refused("").starts_with("not a JSON object: EOF"));
    assert!(refused("[]").starts_with("not a JSON object: invalid type"));
    assert!(refused(r#"{"a":"\ud800"}"#).starts_with("not a JSON object: "));
    assert!(refused(&"{\"a\":".repeat(1_000)).starts_with("not a JSON object: recursion limit"));
    assert!(shown(r#"{"a":123456789012345678901234567890,"a":1,"b":"\u0000"}"#).len() == 2);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, json in r#"(\{|\}|\[|\]|:|,|"(exception|values|stacktrace|frames|level|a)"|1|null){0,30}"#) {
        for json in [&bytes[..], json.as_bytes(), format!("{{\"exception\":{json}}}").as_bytes()] {
            if let Ok(event) = Event::read(json) {
                let _ = (event.fields(), event.timestamp(), event.severity(), crate::text::readable(&event));
            }
        }
    }
}
