//! What parses and what doesn't, and what the parsed decides, as tables.

use super::Matcher;
use heka_plugin_api::{OwnedMessage, Value};

const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// 2024-05-06T07:08:09.123456789Z.
const TIMESTAMP: i64 = 1_714_979_289_123_456_789;

fn sample() -> OwnedMessage {
    let uuid = super::uuid_test::parse(UUID).unwrap();
    OwnedMessage::build(|builder| {
        builder.uuid(uuid).timestamp(TIMESTAMP).severity(4).pid(-17);
        builder.message_type("web.access").logger("front \"end\"").payload("GET /a/b?c=ü\nsecond line");
        builder.env_version("0.8");
        builder.field("status", 503_i64).field("ratio", 0.25).field("ok", true).field("empty", "");
        builder.field("path", "/a/b").field("path", "/other").field("not a number", f64::NAN);
        builder.field_values("raw", "", [Value::Bytes(b"\xff\x00data")]);
        builder.field_values("sizes", "B", [1, i64::MAX, i64::MIN].map(Value::Integer));
        builder.field("two_to_53", 9_007_199_254_740_992.0).field("a.b-c/d e", "odd name");
    })
    .unwrap()
}

#[track_caller]
fn check(expected: bool, texts: &[&str]) {
    let message = sample();
    for text in texts {
        let matcher = Matcher::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(matcher.matches(&message.view()), expected, "{text}");
        assert_eq!(matcher.to_string(), *text);
        let negated = Matcher::parse(&format!("!({text})")).unwrap();
        assert_eq!(negated.matches(&message.view()), !expected, "!({text})");
    }
}

#[track_caller]
fn matches(texts: &[&str]) {
    check(true, texts);
}

#[track_caller]
fn does_not_match(texts: &[&str]) {
    check(false, texts);
}

/// Each with the column and a piece of the reason.
#[track_caller]
fn is_malformed(cases: &[(&str, usize, &str)]) {
    for (text, column, reason) in cases {
        match Matcher::parse(text) {
            Ok(_) => panic!("parses: {text}"),
            Err(error) => {
                assert!(error.message().contains(reason), "{error}\nlacks: {reason}");
                assert_eq!(error.column(), *column, "{error}");
            }
        }
    }
}

#[test]
fn text_compares_by_bytes() {
    matches(&["Type == 'web.access'", "Type != 'web'", "Type > 'web'", "Type >= 'web.access'", "Type < 'x'"]);
    matches(&[
        "Type <= \"web.access\"",
        "EnvVersion == '0.8'",
        "Hostname == ''",
        "Hostname != 'x'",
        "Type<'wec'",
    ]);
    matches(&["Logger == \"front \\\"end\\\"\"", "Logger == 'front \"end\"'", "Payload > 'GET'"]);
    does_not_match(&["Type == 'Web.access'", "Type != 'web.access'", "Type < 'web'", "Type > 'web.access'"]);
    does_not_match(&["EnvVersion > '0.8'", "Logger == 'front'", "Hostname != ''", "Type == 'web.access\\n'"]);
}

#[test]
fn numbers_compare_exactly() {
    matches(&["Severity == 4", "Severity<=4", "Severity < 4.5", "Severity != 4.5", "Pid == -17", "Pid < 0"]);
    matches(&[
        "Fields[status] >= 500",
        "Fields[status] == 503.0",
        "Fields[status] < 5.035e2",
        "Fields[ratio] == .25",
    ]);
    matches(&["Fields[ratio] > 0", "Fields[ratio] < 1", "Fields[sizes][0][1] == 9223372036854775807"]);
    matches(&["Fields[sizes][0][2] == -9223372036854775808", "Fields[sizes][0][1] < 9223372036854775808.0"]);
    matches(&["Fields[two_to_53] == 9007199254740992", "Fields[two_to_53] < 9007199254740993"]);
    does_not_match(&["Fields[sizes][0][1] == 9223372036854775806", "Fields[two_to_53] == 9007199254740993"]);
    does_not_match(&[
        "Severity == 5",
        "Severity > 4",
        "Severity > 1e300",
        "Pid > -17",
        "Fields[status] == 503.5",
    ]);
}

#[test]
fn nan_fails_everything_but_unequal() {
    matches(&["Fields[not a number] != 5", "Fields[not a number] != 0.5", "Fields[not a number] != NIL"]);
    does_not_match(&["Fields[not a number] == 5", "Fields[not a number] < 5", "Fields[not a number] >= 0.5"]);
    does_not_match(&["Fields[not a number] IN (0, 0.5)"]);
}

#[test]
fn timestamps_are_exact_and_may_be_dates() {
    matches(&["Timestamp == 1714979289123456789", "Timestamp < 1714979289123456790", "Timestamp > 1.7e18"]);
    matches(&["Timestamp == '2024-05-06T07:08:09.123456789Z'", "Timestamp < '2024-05-06T09:08:09.2+02:00'"]);
    matches(&["Timestamp IN ('2024-05-06T07:08:09.123456789Z', 0)", "Timestamp != NIL"]);
    does_not_match(&[
        "Timestamp == 1714979289123456788",
        "Timestamp >= '2024-05-06T07:08:10Z'",
        "Timestamp == NIL",
    ]);
}

#[test]
fn uuids_compare_as_canonical_text() {
    matches(&[
        "Uuid == '6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
        "Uuid == '6BA7B810-9DAD-11D1-80B4-00C04FD430C8'",
    ]);
    matches(&["Uuid > '6BA7'", "Uuid < '7'", "Uuid =~ /^6ba7b810-/", "Uuid != ''", "Uuid != NIL"]);
    matches(&["Uuid IN ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', '6ba7b811-9dad-11d1-80b4-00c04fd430c8')"]);
    does_not_match(&["Uuid != '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "Uuid =~ /^6BA7/", "Uuid == NIL"]);
    does_not_match(&["Uuid IN ('6ba7b811-9dad-11d1-80b4-00c04fd430c8')", "Uuid !~ /c8$/"]);
}

#[test]
fn missing_field_fails_all_but_nil() {
    matches(&[
        "Fields[none] == NIL",
        "Fields[path][2] == NIL",
        "Fields[path][0][1] == NIL",
        "Fields[path] != NIL",
    ]);
    matches(&["Fields[empty] != NIL", "Fields[empty] == ''", "!(Fields[none] == 1)"]);
    does_not_match(&["Fields[none] != NIL", "Fields[none] == 1", "Fields[none] != 1", "Fields[none] != 'x'"]);
    does_not_match(&[
        "Fields[none] =~ /x/",
        "Fields[none] !~ /x/",
        "Fields[none] == TRUE",
        "Fields[none] != TRUE",
    ]);
    does_not_match(&[
        "Fields[none] IN (1, 'x')",
        "Fields[path][2] != 'x'",
        "Fields[path] == NIL",
        "Fields[empty] == NIL",
    ]);
}

#[test]
fn mismatched_type_fails_unequal_too() {
    does_not_match(&[
        "Fields[status] == '503'",
        "Fields[status] != 'x'",
        "Fields[path] == 1",
        "Fields[path] != 1",
    ]);
    does_not_match(&["Fields[ok] == 1", "Fields[ok] != 1", "Fields[ok] == 'true'", "Fields[ok] != 'x'"]);
    does_not_match(&["Fields[status] == FALSE", "Fields[status] != FALSE", "Fields[path] == FALSE"]);
    does_not_match(&[
        "Fields[status] =~ /503/",
        "Fields[status] !~ /x/",
        "Fields[ok] =~ /true/",
        "Fields[ok] IN ('TRUE')",
    ]);
    does_not_match(&["Fields[path] IN (1, 2)", "Fields[status] IN ('503')", "Fields[ratio] IN ('x')"]);
}

#[test]
fn booleans_equal_or_do_not() {
    matches(&["Fields[ok] == TRUE", "Fields[ok] != FALSE", "TRUE", "!FALSE", "!!TRUE"]);
    does_not_match(&["Fields[ok] == FALSE", "Fields[ok] != TRUE", "FALSE", "!TRUE"]);
}

#[test]
fn indices_choose_field_and_element() {
    matches(&["Fields[path] == '/a/b'", "Fields[path][0] == '/a/b'", "Fields[path][1][0] == '/other'"]);
    matches(&["Fields[sizes][0][0] == 1", "Fields[a.b-c/d e] == 'odd name'"]);
    does_not_match(&["Fields[path][1] == '/a/b'", "Fields[sizes][1] == 1", "Fields[sizes][0][3] == 1"]);
}

#[test]
fn bytes_compare_as_text() {
    matches(&[
        "Fields[raw] > 'z'",
        "Fields[raw] =~ /data$/",
        "Fields[raw] =~ /(?-u)^\\xff\\x00/",
        "Fields[raw] != 'data'",
    ]);
    does_not_match(&["Fields[raw] == 'data'", "Fields[raw] == NIL"]);
}

#[test]
fn regexes_search() {
    matches(&[
        "Type =~ /access/",
        "Type =~ /^web\\./",
        "Type !~ /^access/",
        "Payload =~ /\\/a\\/b/",
        "Payload =~ /ü$|c=.\\n/",
    ]);
    matches(&[
        "Payload =~ /^GET .*\\nsecond/",
        "Payload =~ /(?i)get/",
        "Fields[path] =~ /^\\/a/",
        "Fields[path] !~ /x/",
    ]);
    matches(&["Type =~ //", "Hostname =~ /^$/", "Type =~ /[\\/.]acc/", "Payload =~ /c=\\w\\s/"]);
    does_not_match(&[
        "Type =~ /ACCESS/",
        "Type !~ /access/",
        "Fields[path] !~ /^\\/a/",
        "Payload =~ /b$/",
        "Hostname =~ /./",
    ]);
}

#[test]
fn lists_hold_values_of_any_type() {
    matches(&[
        "Type IN ('a', 'web.access')",
        "Severity IN (3, 4.0, 5)",
        "Pid IN (-17)",
        "Fields[status] IN ('x', 503, 1)",
    ]);
    matches(&[
        "Fields[ratio] IN (1, 0.25)",
        "Fields[path] IN ('/a/b', 7)",
        "Fields[two_to_53] IN (9007199254740992)",
    ]);
    matches(&["!(Type IN ('a'))", "!Type IN ('a')", "Type IN (\n'a',\n'web.access'\n)"]);
    does_not_match(&[
        "Type IN ('a', 'b')",
        "Severity IN (3, 4.5)",
        "Fields[two_to_53] IN (9007199254740993)",
    ]);
}

#[test]
fn empty_headers_are_nil() {
    matches(&["Hostname == NIL", "Type != NIL", "Pid != NIL"]);
    does_not_match(&["Hostname != NIL", "Type == NIL", "Pid == NIL"]);
}

#[test]
fn and_binds_tighter_than_or() {
    matches(&[
        "TRUE || FALSE && FALSE",
        "FALSE && FALSE || TRUE",
        "TRUE||Type=='x'&&FALSE",
        "!FALSE && TRUE",
    ]);
    matches(&["(Severity == 7 || Type == 'web.access') && Pid < 0", "\n\tTRUE\r\n &&\n TRUE"]);
    matches(&["!(Type == 'x' || Pid > 0) && (Severity == 4 && (TRUE && !FALSE))", "!Type == 'x'"]);
    does_not_match(&["(TRUE || FALSE) && FALSE", "!(TRUE || FALSE)", "!FALSE && FALSE", "!TRUE || FALSE"]);
}

#[test]
fn wrong_grammar_is_refused() {
    is_malformed(&[
        ("", 1, "empty matcher"),
        (" \n ", 2, "empty matcher"),
        ("bogus", 1, "unknown variable `bogus`; known: Uuid"),
        ("Typ == 'x'", 1, "unknown variable `Typ`; did you mean `Type`?"),
        ("type == 'x'", 1, "did you mean `Type`?"),
        ("true", 1, "did you mean `TRUE`?"),
        ("TRUE && Sevrity < 3", 9, "did you mean `Severity`?"),
        ("TRUE TRUE", 6, "expected `&&`, `||` or the end, found `TRUE`"),
        ("Type == 'x' Pid == 1", 13, "found `Pid`"),
        ("TRUE &&", 8, "found the end"),
        ("&& TRUE", 1, "found `&&`"),
        ("TRUE & TRUE", 6, "combine with `&&`"),
        ("TRUE | TRUE", 6, "combine with `||`"),
        ("Type = 'x'", 6, "compare with `==`"),
        ("Type ~ /x/", 6, "match a regex with `=~`"),
        ("Type", 5, "expected `==`"),
        ("Type 'x'", 6, "expected `==`"),
        ("Type ==", 8, "found the end"),
        ("Type == Logger", 9, "expected a text or a number, found `Logger`"),
        ("'x' == Type", 1, "expected a test"),
        ("(TRUE", 1, "`(` without its closing `)`"),
        ("TRUE)", 5, "`)` without its opening `(`"),
        ("(TRUE TRUE)", 7, "expected `&&`, `||` or `)`"),
        ("()", 2, "found `)`"),
        ("!", 2, "found the end"),
        ("Type IN ()", 10, "expected a text or a number"),
        ("Type IN ('a' 'b')", 14, "expected `,` or `)`"),
        ("Type IN ('a',)", 14, "expected a text or a number"),
        ("Type IN 'a'", 9, "expected `(`"),
        ("Type IN ('a'", 13, "expected `,` or `)`, found the end"),
        ("Type == 'ü' §", 13, "unexpected `§`"),
        ("TRUE\0", 5, "unexpected `\\0`"),
    ]);
}

#[test]
fn wrong_tokens_are_refused() {
    is_malformed(&[
        ("Type == 'x", 9, "text without its closing `'`"),
        ("Type == 'x\"", 9, "text without its closing `'`"),
        ("Type == 'x\\'", 9, "text without its closing"),
        ("Type =~ /x", 9, "regex without its closing `/`"),
        ("Type =~ /x\ny/", 9, "regex without its closing `/`"),
        ("Type =~ /x\\/", 9, "regex without its closing `/`"),
        ("Fields == 1", 7, "needs a name in brackets"),
        ("Fields[] == 1", 7, "empty field name"),
        ("Fields[x == 1", 7, "bracket without its closing `]`"),
        ("Fields[x][] == 1", 10, "an index is a number"),
        ("Fields[x][a] == 1", 10, "an index is a number"),
        ("Fields[x][-1] == 1", 10, "an index is a number"),
        ("Fields[x][+1] == 1", 10, "an index is a number"),
        ("Fields[x][0][4294967296] == 1", 13, "an index is a number"),
        ("Fields[x][0][0][0] == 1", 16, "too many indices"),
        ("Pid == 1x", 8, "`1x` is not a number"),
        ("Pid == 1.2.3", 8, "is not a number"),
        ("Pid == 1e", 8, "is not a number"),
        ("Pid == -", 8, "`-` is not a number"),
        ("Pid == --1", 8, "is not a number"),
        ("Pid == +1", 8, "is not a number"),
        ("Pid == -inf", 8, "is not a number"),
        ("Pid == .", 8, "is not a number"),
        ("Pid == 9223372036854775808", 8, "does not fit into 64 bits"),
        ("Pid == 1e400", 8, "too large"),
    ]);
}

#[test]
fn values_must_fit_their_variable() {
    is_malformed(&[
        ("Type == 1", 9, "`Type` is text"),
        ("Type IN ('a', 1)", 15, "`Type` is text"),
        ("Type == TRUE", 9, "`Type` is text"),
        ("Type < NIL", 8, "compare by `==` and `!=` only"),
        ("Fields[x] < NIL", 13, "compare by `==` and `!=` only"),
        ("Fields[x] >= TRUE", 14, "compare by `==` and `!=` only"),
        ("Fields[x] IN (NIL)", 15, "texts and numbers only"),
        ("Fields[x] IN (1, TRUE)", 18, "texts and numbers only"),
        ("Severity == 'x'", 13, "`Severity` is a number"),
        ("Severity == NIL", 13, "`Severity` always has a value"),
        ("Pid IN (1, '2')", 12, "`Pid` is a number"),
        ("Pid =~ /6/", 8, "`Pid` is a number; a regex matches text"),
        ("Pid !~ /6/", 8, "a regex matches text"),
        ("Pid =~ 6", 8, "expected a regex"),
        ("Type =~ 'x'", 9, "expected a regex"),
        ("Type == /x/", 9, "a regex goes with `=~`"),
        ("Timestamp > 'yesterday'", 13, "not a date and time"),
        ("Timestamp > '2024-05-06T07:08:09'", 13, "not a date and time"),
        ("Timestamp > '1024-05-06T07:08:09Z'", 13, "outside the years"),
        ("Uuid == 'x'", 9, "not a UUID"),
        ("Uuid IN ('', 'x')", 14, "not a UUID"),
        ("Uuid < 1", 8, "`Uuid` is text"),
    ]);
}

#[test]
fn wrong_regexes_are_refused_with_their_place() {
    is_malformed(&[
        ("Type =~ /a(b/", 11, "unclosed group"),
        ("Type =~ /\\ytest/", 10, "unrecognized escape"),
        ("Type =~ /ab**?+{/", 16, "repetition"),
        ("Type =~ /(?P<a>x)(?P<a>y)/", 22, "duplicate capture group"),
        ("Type =~ /x(?=y)/", 11, "look-around"),
        ("Type =~ /\\p{Nonsense}/", 10, "Unicode property"),
        ("Type =~ /((a{500}){500}){500}/", 10, "repeat less"),
    ]);
    let many = vec!["Type =~ /a.b/"; 101].join(" || ");
    assert!(Matcher::parse(&many).unwrap_err().message().contains("more than 100 regexes"));
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |depth: usize| format!("{}TRUE{}", "(!".repeat(depth), ")".repeat(depth));
    matches(&[&nested(super::parser::DEPTH_MAX - 2)]);
    is_malformed(&[(&nested(super::parser::DEPTH_MAX + 1), 401, "nested deeper than 200")]);
    is_malformed(&[
        (&"(".repeat(65_536), 201, "nested deeper"),
        (&"!".repeat(65_536), 65_537, "found the end"),
    ]);
    is_malformed(&[(&" ".repeat(65_537), 1, "65536 are the most")]);
    matches(&[&format!("{}TRUE", "!".repeat(60_000)), &vec!["Pid<0"; 7_000].join("&&")]);
    does_not_match(&[&vec!["Pid>0"; 7_000].join("||"), &vec!["(Pid>0)&&TRUE"; 3_000].join("||")]);
}

#[test]
fn error_shows_the_text_with_a_caret() {
    let error = Matcher::parse("TRUE && Typ == 'x'").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown variable `Typ`; did you mean `Type`?\nTRUE && Typ == 'x'\n        ^"
    );
    assert_eq!((error.line(), error.column(), error.offset()), (1, 9, 8));
}

#[test]
fn hostile_regex_takes_linear_time() {
    let payload = "a".repeat(1 << 20);
    let message = OwnedMessage::build(|builder| {
        builder.payload(&payload);
    })
    .unwrap();
    for text in ["Payload =~ /^(a+)+$/", "Payload !~ /(a|aa)+b/", "Payload =~ /(a*)*(a*)*c?$/"] {
        assert!(Matcher::parse(text).unwrap().matches(&message.view()), "{text}");
    }
}
