use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn decode(toml: &str, line: &str) -> Result<OwnedMessage, String> {
    let mut decoder = DecoderTest::<KvDecoder>::open(toml)?;
    decoder.decode(line.as_bytes()).map(|mut messages| messages.remove(0))
}

fn check(toml: &str, line: &str, expected: &[(&str, Value<'_>)]) {
    let message = decode(toml, line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
    let view = message.view();
    let found: Vec<(String, Value<'_>)> = view
        .fields()
        .map(|field| (String::from_utf8_lossy(field.name()).into_owned(), field.value(0).unwrap()))
        .collect();
    let expected: Vec<(String, Value<'_>)> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(found, expected, "{line}");
}

#[test]
fn pairs_have_separators_of_ones_own() {
    let text = |text: &'static str| Value::String(text.as_bytes());
    check(
        "",
        "a=1  b=x\tc= d",
        &[("a", Value::Integer(1)), ("b", text("x")), ("c", text("")), ("d", Value::Bool(true))],
    );
    check(
        "key_separator = ':'\npair_separator = ','",
        "a: 1, b:x y,,c:2",
        &[("a", text(" 1")), ("b", text("x y")), ("c", Value::Integer(2))],
    );
    check(
        "key_separator = ':'\npair_separator = ','\ntrim_values = ' <>'\ntrim_keys = '<>'",
        "<a>: <1> , b : x",
        &[("a", Value::Integer(1)), ("b", text("x"))],
    );
    check(
        "pair_separator = '&'\nprefix = 'q.'",
        "a=1&b=&c",
        &[("q.a", Value::Integer(1)), ("q.b", text("")), ("q.c", Value::Bool(true))],
    );
    check(
        "key_separator = ' => '\npair_separator = ' | '",
        "one => 1 | two => a=b",
        &[("one", Value::Integer(1)), ("two", text("a=b"))],
    );
    check(
        "behind = ']: '",
        "fw[1]: src=192.0.2.1 dpt=22",
        &[("src", text("192.0.2.1")), ("dpt", Value::Integer(22))],
    );
}

#[test]
fn quotes_keep_separators_and_types() {
    let text = |text: &'static str| Value::String(text.as_bytes());
    check(
        "quotes = \"'\\\"\"",
        r#"a="x y" b='1' c="say \"hi\"" d="it's""#,
        &[("a", text("x y")), ("b", text("1")), ("c", text("say \"hi\"")), ("d", text("it's"))],
    );
    check("pair_separator = ','", r#"a="x,y",b=2"#, &[("a", text("x,y")), ("b", Value::Integer(2))]);
    check("quotes = ''", r#"a="x b=""#, &[("a", text("\"x")), ("b", text("\""))]);
}

#[test]
fn keys_may_be_chosen_and_set_the_header() {
    check("include = ['a', 'b']\nexclude = ['b']", "a=1 b=2 c=3", &[("a", Value::Integer(1))]);
    check("lone_keys = 'ignore'\ntypes = 'text'", "word a=1", &[("a", Value::String(b"1"))]);
    let message = decode("prefix = 'x.'", "time=1709208000 level=warn msg=\"it broke\"").unwrap();
    let view = message.view();
    assert_eq!(
        (view.timestamp(), view.severity(), view.payload()),
        (1_709_208_000_000_000_000, 4, &b"it broke"[..])
    );
    assert_eq!(view.fields().len(), 0);
}

#[test]
fn what_is_no_pair_says_why() {
    let check =
        |toml: &str, line: &str, reason: &str| assert_eq!(decode(toml, line).unwrap_err(), reason, "{line}");
    check("", "", "the line has no key");
    check("", "a=1 =2", "no key at column 5: `=2`");
    check("", "a=\"x", "no `\"` ends the value that begins at column 3: `\"x`");
    check("", "a=\"x\"y", "text behind the closing quote at column 5: `y`");
    check("lone_keys = 'refuse'", "a=1 word", "no `=` behind the key at column 5: `word`");
    check("behind = ': '", "a=1", "no `: ` in `a=1`");
}

#[test]
fn bad_options_are_faults() {
    let faults = DecoderTest::<KvDecoder>::faults("key_separator = ''\npair_separator = ''\nquotes = '»'");
    assert_eq!(
        faults,
        [
            "key_separator: must not be empty",
            "pair_separator: must not be empty",
            "quotes: `»` has characters beyond ASCII",
        ]
    );
    let faults = DecoderTest::<KvDecoder>::faults("key_separator = ','\npair_separator = ', '");
    assert_eq!(
        faults,
        ["key_separator: is the same as `pair_separator`; nothing would tell keys from values"]
    );
}

proptest! {
    #[test]
    fn pairs_are_read_back(pairs in proptest::collection::vec(("[a-z]{1,5}", "[a-zA-Z0-9 ,;é\\\\\"]{0,8}"), 1..6)) {
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
        let line: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}=\"{}\"", quoted(value))).collect();
        let options = "payload_keys = []\ntimestamp_keys = []\nseverity_keys = []\npair_separator = ';'";
        let message = decode(options, &line.join(";")).unwrap();
        let view = message.view();
        let found: Vec<(Vec<u8>, Option<Value<'_>>)> = view.fields().map(|field| (field.name().to_vec(), field.value(0))).collect();
        let expected: Vec<(Vec<u8>, Option<Value<'_>>)> =
            pairs.iter().map(|(key, value)| (key.clone().into_bytes(), Some(Value::String(value.as_bytes())))).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'='), Just(b'"'), Just(b' '), Just(b'\\')], 0..60)) {
        for toml in ["", "pair_separator = ', '\ntrim_keys = 'ab'\nprefix = 'x'"] {
            let _ = DecoderTest::<KvDecoder>::open(toml).unwrap().decode(&line);
        }
    }
}
