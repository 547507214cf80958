use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

const APP: &str = r"
    pattern = '^(?<timestamp>\S+) (?<hostname>\S+) (?<type>\w+)/(?<logger>\w+)\[(?<pid>\w+)\] (?<severity>\w+) (?:took=(?<took>\S+) )?(?:ok=(?<ok>\S+) )?(?:n=(?<n>\S+) )?(?<payload>.*)$'
    types = { took = 'double', ok = 'bool', n = 'integer' }
    severity_map = { SCHLIMM = 1 }
";

fn decode(toml: &str, line: &str) -> Result<OwnedMessage, String> {
    DecoderTest::<RegexDecoder>::open(toml)
        .unwrap()
        .decode(line.as_bytes())
        .map(|mut messages| messages.remove(0))
}

#[test]
fn groups_set_headers_and_fields() {
    let message =
        decode(APP, "2024-02-29T12:00:00Z web1 app/core[42] SCHLIMM took=0.5 ok=yes n=7 it broke").unwrap();
    let message = message.view();
    let headers = [message.hostname(), message.message_type(), message.logger(), message.payload()];
    assert_eq!(headers, [&b"web1"[..], b"app", b"core", b"it broke"]);
    assert_eq!((message.timestamp(), message.pid(), message.severity()), (1_709_208_000_000_000_000, 42, 1));
    assert_eq!(message.value("took"), Some(Value::Double(0.5)));
    assert_eq!(message.value("ok"), Some(Value::Bool(true)));
    assert_eq!(message.value("n"), Some(Value::Integer(7)));
    assert_eq!(message.fields().len(), 3);
}

#[test]
fn what_is_absent_or_unknown_is_left_out_or_kept_as_text() {
    let message = decode(APP, "1709208000 web1 app/core[main] odd n=- rest").unwrap();
    let message = message.view();
    assert_eq!((message.pid(), message.severity()), (0, 7));
    assert_eq!(message.value("pid"), Some(Value::String(b"main")));
    assert_eq!(message.value("severity"), Some(Value::String(b"odd")));
    assert_eq!((message.fields().len(), message.payload()), (2, &b"rest"[..]));
}

#[test]
fn the_payload_is_the_line_unless_told_otherwise() {
    let line = "a=1 b";
    assert_eq!(decode("pattern = 'a=(?<a>.)'", line).unwrap().view().payload(), b"a=1 b");
    assert_eq!(decode("pattern = 'a=(?<a>.)'\nkeep_payload = false", line).unwrap().view().payload(), b"");
}

#[test]
fn times_have_a_format_and_a_zone() {
    let toml = "pattern = '^(?<at>.+) -'\ntimestamp_group = 'at'\ntimestamp_format = '%d.%m.%Y %H:%M'\ntimezone = 'Europe/Berlin'";
    assert_eq!(decode(toml, "29.02.2024 13:00 -").unwrap().view().timestamp(), 1_709_208_000_000_000_000);
    assert_eq!(decode(toml, "x -").unwrap_err(), "group `at` is not a time of `timestamp_format`: `x`");
}

#[test]
fn misfits_are_refused() {
    assert_eq!(decode(APP, "").unwrap_err(), "`pattern` doesn't match ``");
    let line = "0 h t/l[1] info n=x y";
    assert_eq!(decode(APP, line).unwrap_err(), "group `n` is not an integer: `x`");
    let line = "0 h t/l[1] info took=x y";
    assert_eq!(decode(APP, line).unwrap_err(), "group `took` is not a number: `x`");
    let line = "0 h t/l[1] info ok=x y";
    assert_eq!(decode(APP, line).unwrap_err(), "group `ok` is not true or false: `x`");
}

#[test]
fn bad_options_are_faults_in_one_line() {
    let check = |toml: &str, expected: &[&str]| {
        assert_eq!(DecoderTest::<RegexDecoder>::faults(toml), expected, "{toml}");
    };
    check("pattern = 'a(?<b>c'", &["pattern: column 2: unclosed group"]);
    check(
        "pattern = '(?<b>c)[z-a]'",
        &["pattern: column 9: invalid character class range, the start must be <= the end"],
    );
    check("pattern = 'abc'", &["pattern: has no named group; write for example `(?<status>\\d+)`"]);
    check(
        "pattern = '(?<a>b)'\ntypes = { c = 'integer' }\ntimestamp_group = 'd'\nseverity_map = { E = 9 }",
        &[
            "types.c: `pattern` has no group `c`; its groups: a",
            "timestamp_group: `pattern` has no group `d`; its groups: a",
            "severity_map.E: 9 is not a severity; they are 0 to 7",
        ],
    );
    let faults = DecoderTest::<RegexDecoder>::faults("pattern = '(?<a>(?:b{1000}){1000}{1000})'");
    assert!(faults[0].starts_with("pattern: ") && !faults[0].contains('\n'), "{}", faults[0]);
}

#[test]
fn any_bytes_may_match() {
    let mut decoder = DecoderTest::<RegexDecoder>::open("pattern = '(?s-u)^(?<a>.)(?<b>.*)$'").unwrap();
    let messages = decoder.decode(b"\xff\0\n\xfe").unwrap();
    assert_eq!(messages[0].view().value("b"), Some(Value::String(b"\0\n\xfe")));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = DecoderTest::<RegexDecoder>::open(APP).unwrap().decode(&line);
    }
}
