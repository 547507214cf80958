use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::DecoderTest;
use proptest::prelude::*;

fn decode(toml: &str, line: &[u8]) -> Result<OwnedMessage, String> {
    DecoderTest::<LogfmtDecoder>::open(toml).unwrap().decode(line).map(|mut messages| messages.remove(0))
}

fn check(line: &str, expected: &str) {
    check_with("", line, expected);
}

fn check_with(toml: &str, line: &str, expected: &str) {
    let message = decode(toml, line.as_bytes()).unwrap();
    let fields = message.view().fields();
    let fields = fields
        .map(|field| format!("{}={:?}", String::from_utf8_lossy(field.name()), field.value(0).unwrap()));
    assert_eq!(fields.collect::<Vec<_>>().join("|"), expected, "{line}");
}

#[test]
fn pairs_become_fields() {
    check("a=b", r#"a="b""#);
    check("a=1 b=-2.5 c=true d=x  flag", r#"a=1|b=-2.5|c=true|d="x"|flag=true"#);
    check("a= b=\"\" c=\"1\"", r#"a=""|b=""|c="1""#);
    check(r#"q="say \"hi\"\n\u00e9 \q\\" r=C:\x"#, r#"q="say \"hi\"\né \\q\\"|r="C:\\x""#);
    check("a=b=c url=http://x?y=z", r#"a="b=c"|url="http://x?y=z""#);
    check("a.b/c=1 a.b/c=2", "a.b/c=1|a.b/c=2");
    check("n=nan i=inf h=0x10 v=1.2.3 d=5ms", r#"n="nan"|i="inf"|h="0x10"|v="1.2.3"|d="5ms""#);
    check("\ta=b\0c=d\r\n", r#"a="b"|c="d""#);
    check("a=\"x\"b=1", r#"a="x"|b=1"#);
    check_with("types = 'text'", "a=1 b=true c", r#"a="1"|b="true"|c=true"#);
}

#[test]
fn time_level_and_message_go_to_the_header() {
    let message =
        decode("", br#"ts=2024-02-29T12:00:00Z level=warn msg="it \"broke\"" code=7 ts=x"#).unwrap();
    let message = message.view();
    assert_eq!((message.timestamp(), message.severity()), (1_709_208_000_000_000_000, 4));
    assert_eq!((message.payload(), message.fields().len()), (&br#"it "broke""#[..], 2));
    let message = decode("", b"time=soon lvl=odd x").unwrap();
    assert_eq!((message.view().severity(), message.view().payload()), (7, &b"time=soon lvl=odd x"[..]));
    check("time=soon lvl=odd x", r#"time="soon"|lvl="odd"|x=true"#);
    let keys = "timestamp_keys = ['at']\nseverity_keys = ['sev']\npayload_keys = ['text', 'm']\ntimestamp_format = 'epoch_ms'";
    let message = decode(keys, b"at=1500 sev=2 m=x ts=1 level=info msg=y").unwrap();
    let message = message.view();
    assert_eq!((message.timestamp(), message.severity(), message.payload()), (1_500_000_000, 2, &b"x"[..]));
}

#[test]
fn what_is_no_logfmt_is_refused() {
    let refused =
        |line: &str, reason: &str| assert_eq!(decode("", line.as_bytes()).unwrap_err(), reason, "{line}");
    refused("", "the line is empty");
    refused(" \r\n", "the line is empty");
    refused("a=1 =b", "`=` at column 5 where a key is expected: `=b`");
    refused("a=1 \"b\"", "`\"` at column 5 where a key is expected: `\"b\"`");
    refused("a\"b", "`\"` at column 2 where a key is expected: `\"b`");
    refused("a=\"b\\\"", "no `\"` ends the value that begins at column 3: `\"b\\\"`");
    refused("a=\"b\\", "no `\"` ends the value that begins at column 3: `\"b\\`");
}

#[test]
fn bad_formats_and_zones_are_faults() {
    let faults = DecoderTest::<LogfmtDecoder>::faults("timestamp_format = 'iso'");
    assert!(faults[0].starts_with("timestamp_format: `iso` is not a time format"));
    let faults = DecoderTest::<LogfmtDecoder>::faults("timezone = 'Mars'");
    assert!(faults[0].starts_with("timezone: no time zone `Mars`"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode("", &line);
    }

    #[test]
    fn anything_like_logfmt_is_read_or_refused(line in "[a-c=\" \\\\u0-9]{0,40}") {
        let _ = decode("", line.as_bytes());
    }

    #[test]
    fn quoted_texts_are_read_back(text in any::<String>()) {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let message = decode("", format!("key=\"{quoted}\" x").as_bytes()).unwrap();
        prop_assert_eq!(message.view().value("key"), Some(heka_plugin_api::Value::String(text.as_bytes())));
    }
}
