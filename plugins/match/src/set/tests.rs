use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{FilterTest, message};

fn sample() -> OwnedMessage {
    message(|message| {
        message.message_type("access").logger("web").payload("GET /").hostname("a1").severity(6);
        message.field("status", 503).field("level", "3").field("user", "ann").field("user", "bob");
    })
}

fn changed(toml: &str, message: OwnedMessage) -> OwnedMessage {
    let seen = FilterTest::<SetFilter>::open(toml).unwrap().process(&[message]);
    assert_eq!((seen.failure, seen.failed.len()), (None, 0), "{toml}");
    seen.passed[0].clone()
}

/// Compares all fields of the sample after the change.
fn check_fields(toml: &str, expected: &str) {
    let message = changed(toml, sample());
    let shown = message
        .view()
        .fields()
        .map(|field| format!("{}={:?}", String::from_utf8_lossy(field.name()), field.value(0).unwrap()));
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{toml}");
}

/// Compares type, logger, payload, hostname and severity of the sample after the change.
fn check_headers(toml: &str, expected: [&str; 5]) {
    let message = changed(toml, sample());
    let view = message.view();
    let severity = view.severity().to_string();
    let headers = [view.message_type(), view.logger(), view.payload(), view.hostname(), severity.as_bytes()];
    assert_eq!(headers.map(String::from_utf8_lossy), expected, "{toml}");
}

#[test]
fn fields_are_set_with_their_types() {
    check_fields(
        "set = { env = 'prod', retries = 3, ratio = 0.5, ok = true }",
        r#"status=503 level="3" user="ann" user="bob" env="prod" ok=true ratio=0.5 retries=3"#,
    );
    check_fields(
        "set = { status = '{Fields[status]} !' }",
        r#"status="503 !" level="3" user="ann" user="bob""#,
    );
    check_fields(
        "set = { code = '{Fields[status]}', at = '{Hostname}:{Fields[user]}', gone = '{Fields[x]}' }",
        r#"status=503 level="3" user="ann" user="bob" at="a1:ann" code=503"#,
    );
}

#[test]
fn fields_are_removed_and_renamed_all_of_a_name() {
    check_fields("remove = ['user', 'x']", r#"status=503 level="3""#);
    check_fields("rename = { user = 'who', x = 'y' }", r#"status=503 level="3" who="ann" who="bob""#);
}

#[test]
fn values_are_read_before_anything_changes() {
    check_fields(
        "set = { level = '{Fields[status]}', status = '{Fields[level]}' }\nremove = ['level']",
        r#"status="3" user="ann" user="bob" level=503"#,
    );
    check_fields(
        "set = { b = '{Fields[user]}' }\nrename = { user = 'b' }",
        r#"status=503 level="3" b="ann" b="bob""#,
    );
    check_headers("logger = '{Type}'\nmessage_type = '{Logger}'", ["web", "access", "GET /", "a1", "6"]);
}

#[test]
fn headers_are_set() {
    check_headers(
        "message_type = 'x.{Fields[status]}'\nlogger = ''\npayload = '{Fields[status]}'\nhostname = 'b.{Hostname}'",
        ["x.503", "", "503", "b.a1", "6"],
    );
    check_headers("payload = '{Fields[missing]}'", ["access", "web", "GET /", "a1", "6"]);
    check_headers("severity = 0", ["access", "web", "GET /", "a1", "0"]);
    check_headers("severity = '{Fields[level]}'", ["access", "web", "GET /", "a1", "3"]);
    check_headers("severity = '{Fields[status]}'", ["access", "web", "GET /", "a1", "6"]);
}

#[test]
fn only_what_matches_is_changed() {
    check_headers("logger = 'x'\nwhen = 'Severity == 6'", ["access", "x", "GET /", "a1", "6"]);
    check_headers("logger = 'x'\nwhen = 'Severity == 5'", ["access", "web", "GET /", "a1", "6"]);
}

#[test]
fn all_faults_are_found() {
    let faults = FilterTest::<SetFilter>::faults;
    assert!(faults("")[0].starts_with(": sets nothing: "));
    let toml = "set = { a = '{', b = '{Host}' }\nlogger = '}'\nseverity = 8\nwhen = 'x'\nrename = { a = 'b', b = 'c' }";
    let found = faults(toml);
    let keys: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["set.a", "set.b", "logger", "severity", "rename.a", "when"], "{found:?}");
    assert_eq!(faults("severity = 'high'").len(), 1);
    assert_eq!(faults("severity = true").len(), 1);
    let odd = faults("set = { a = [1] }");
    assert!(
        odd[0].starts_with("set.a: ") && odd[0].ends_with("expected a text, a number or a bool"),
        "{odd:?}"
    );
}
