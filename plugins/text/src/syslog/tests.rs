use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

const FULL: &str = "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 42 ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"App\\\"l\\]\\\\\\x\"][flag][examplePriority@32473 class=\"high\"] \u{feff}An event";

fn decode(toml: &str, line: &[u8]) -> Result<OwnedMessage, String> {
    DecoderTest::<SyslogDecoder>::open(toml).unwrap().decode(line).map(|mut messages| messages.remove(0))
}

/// Shows `severity host pid|fields|payload`, without the time.
fn shown(message: &OwnedMessage) -> String {
    let message = message.view();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = |value: Value<'_>| value.as_bytes().map_or(format!("{value:?}"), text);
    let fields =
        message.fields().map(|field| format!("{}={}", text(field.name()), value(field.value(0).unwrap())));
    let fields = fields.collect::<Vec<_>>().join(" ");
    let (host, payload) = (text(message.hostname()), text(message.payload()));
    format!("{} {host} {}|{fields}|{payload}", message.severity(), message.pid())
}

fn check(line: &str, expected: &str) {
    assert_eq!(shown(&decode("", line.as_bytes()).unwrap()), expected, "{line}");
}

fn time(toml: &str, line: &str) -> String {
    let ns = decode(toml, line.as_bytes()).unwrap().view().timestamp();
    jiff::Timestamp::from_nanosecond(ns.into()).unwrap().to_string()
}

fn refused(toml: &str, line: &str, reason: &str) {
    assert_eq!(decode(toml, line.as_bytes()).unwrap_err(), reason, "{line}");
}

#[test]
fn rfc5424_is_read() {
    check(
        FULL,
        "5 mymachine.example.com 42|facility=local4 app_name=evntslog proc_id=42 msg_id=ID47 exampleSDID@32473.iut=3 exampleSDID@32473.eventSource=App\"l]\\\\x flag=true examplePriority@32473.class=high|An event",
    );
    assert_eq!(time("", FULL), "2003-10-11T22:14:15.003Z");
    check("<34>1 - - - - - -", "2 test-host 0|facility=auth|");
    check(
        "<34>1 - h su - ID47 - 'su root' failed\n",
        "2 h 0|facility=auth app_name=su msg_id=ID47|'su root' failed",
    );
    check("<0>1 - h a b-1 - - \0x\0", "0 h 0|facility=kern app_name=a proc_id=b-1|\0x");
    check("<13>1 - h a 1 - [x a=\"\" a=\"2\" ] y", "5 h 1|facility=user app_name=a proc_id=1 x.a= x.a=2|y");
    assert_eq!(time("", "<34>1 2003-08-24T05:14:15.000003-07:00 - - - - -"), "2003-08-24T12:14:15.000003Z");
}

#[test]
fn broken_rfc5424_is_refused() {
    let five = "format = 'rfc5424'";
    refused("", "", "the message is empty");
    refused("", "\n", "the message is empty");
    refused(five, "x", "no priority such as `<13>` at column 1");
    refused(
        "",
        "<192>1 - - - - - -",
        "`<192>1 - - - - - -` does not begin with a priority, `<0>` to `<191>`",
    );
    refused("", "<>x", "`<>x` does not begin with a priority, `<0>` to `<191>`");
    refused("", "<1234>x", "`<1234>x` does not begin with a priority, `<0>` to `<191>`");
    refused(five, "<1>Oct 11", "column 4: `Oct 11` where a version such as `1 ` is expected");
    refused(
        "",
        "<1>1 now - - - - -",
        "column 6: `now - - - - -` where a time such as `2003-10-11T22:14:15Z` is expected",
    );
    refused("", "<1>1 - h a", "column 11: `` where host, application, process and message id is expected");
    refused("", "<1>1 - - - - -", "column 15: `` where structured data or `-` is expected");
    refused("", "<1>1 - - - - - x", "column 16: `x` where structured data or `-` is expected");
    refused("", "<1>1 - - - - - -x", "column 17: `x` where a space behind the structured data is expected");
    refused("", "<1>1 - - - - - [", "column 17: `` where the id of an element is expected");
    refused("", "<1>1 - - - - - [a", "column 18: `` where a space or `]` is expected");
    refused("", "<1>1 - - - - - [a b", "column 20: `` where `=\"` is expected");
    refused(
        "",
        "<1>1 - - - - - [a b=\"c\\\"]",
        "column 21: `\"c\\\"]` where a value that ends with `\"` is expected",
    );
}

#[test]
fn rfc3164_is_read() {
    check(
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
        "2 mymachine 0|facility=auth app_name=su|'su root' failed",
    );
    check("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "5 10.0.0.99 0|facility=user|Use the BFG!");
    check("Jan  1 00:00:00 web1 sshd[4711]: x y", "7 web1 4711|app_name=sshd proc_id=4711|x y");
    check(
        "<30>Jan  1 00:00:00 cron[99]: no host",
        "6 test-host 99|facility=daemon app_name=cron proc_id=99|no host",
    );
    check("<30>Jan  1 00:00:00 cron: no host", "6 test-host 0|facility=daemon app_name=cron|no host");
    check("<30>tag: no time", "6 test-host 0|facility=daemon app_name=tag|no time");
    check("<30>no time, no tag", "6 test-host 0|facility=daemon|no time, no tag");
    check("<30>", "6 test-host 0|facility=daemon|");
    check(
        "<86>Dec 12 09:01:02 web-1 postfix/smtpd[1]:x",
        "6 web-1 1|facility=authpriv app_name=postfix/smtpd proc_id=1|x",
    );
    check("<86>Dec 12 09:01:02 h app[main]: x", "6 h 0|facility=authpriv app_name=app proc_id=main|x");
    check("<86>Dec 12 09:01:02 h app[1] x", "6 h 1|facility=authpriv app_name=app proc_id=1|x");
    check("<86>Dec 12 09:01:02 h http://x", "6 h 0|facility=authpriv|http://x");
    check("<86>Dec 12 09:01:02 h app[1", "6 h 0|facility=authpriv|app[1");
    check("<86>Dec 12 09:01:02", "6 test-host 0|facility=authpriv|");
    check("<86>Dec 12 09:01:02 h", "6 test-host 0|facility=authpriv|h");
    check(
        "<86>Dec 12 09:01:02 h last message repeated 2 times",
        "6 h 0|facility=authpriv|last message repeated 2 times",
    );
    check(
        "<86>Dec 12 09:01:02 Message forwarded from aix1: su: x",
        "6 aix1 0|facility=authpriv app_name=su|x",
    );
    check("<14>2003-10-11T22:14:15.003+02:00 h app: x", "6 h 0|facility=user app_name=app|x");
}

#[test]
fn oddities_of_devices_are_tolerated() {
    let config = "app_name=%SYS-5-CONFIG_I|Configured";
    check(
        "<189>29: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: Configured",
        &format!("5 test-host 0|facility=local7 {config}"),
    );
    check(
        "<189>29: .Mar  1 18:46:11: %SYS-5-CONFIG_I: Configured",
        &format!("5 test-host 0|facility=local7 {config}"),
    );
    check(
        "<189>Mar  1 2024 18:46:11: %ASA-6-302013: Built",
        "5 test-host 0|facility=local7 app_name=%ASA-6-302013|Built",
    );
    check(
        "<189>Mar  1 18:46:11 fw1 %ASA-6-302013: Built",
        "5 fw1 0|facility=local7 app_name=%ASA-6-302013|Built",
    );
    check(
        "<189>Mar  1 18:46:12 sw1 29: Mar  1 18:46:11.5 CET: %SYS-5-CONFIG_I: Configured",
        &format!("5 sw1 0|facility=local7 {config}"),
    );
    check(
        "<189>: 2024 Mar  1 18:46:11 UTC: %X: y",
        "5 test-host 0|facility=local7|: 2024 Mar  1 18:46:11 UTC: %X: y",
    );
}

#[test]
fn times_have_a_year_and_a_zone() {
    assert_eq!(time("", "<1>Mar  1 2024 18:46:11.25: x"), "2024-03-01T18:46:11.25Z");
    assert_eq!(time("timezone = 'Europe/Berlin'", "Jul  1 2024 18:46:11 h x"), "2024-07-01T16:46:11Z");
    assert_eq!(time("", "<14>2003-10-11T22:14:15.003+02:00 h app: x"), "2003-10-11T20:14:15.003Z");
    let now = jiff::Timestamp::now();
    let recent = now.strftime("<14>%b %e %H:%M:%S h x").to_string();
    assert_eq!(time("", &recent)[..19], now.to_string()[..19]);
}

#[test]
fn a_line_without_priority_needs_a_time() {
    refused("", "hello: world", "neither a priority nor a time begins `hello: world`");
    let message = decode("format = 'rfc3164'", b"<13>1 - - - - - -").unwrap();
    assert_eq!(message.view().payload(), b"1 - - - - - -");
}

#[test]
fn the_raw_line_is_kept_if_asked_for() {
    let message = decode("keep_raw = true", b"<13>a: \xff\n").unwrap();
    assert_eq!(message.view().value("raw"), Some(Value::String(b"<13>a: \xff\n")));
    assert_eq!(message.view().payload(), b"\xff");
    let long = [b"<13>a: ".to_vec(), vec![b'x'; 500_000]].concat();
    assert_eq!(decode("", &long).unwrap().view().payload().len(), 500_000);
}

#[test]
fn bad_zones_are_faults() {
    let faults = DecoderTest::<SyslogDecoder>::faults("timezone = 'Mars'");
    assert!(faults[0].starts_with("timezone: no time zone `Mars`"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode("", &line);
    }

    #[test]
    fn anything_like_syslog_is_read_or_refused(line in "(<[0-9]{0,4}>)?(1 - )?(Oct 11 22:14:15)?[a-b \\[\\]:\"=\\\\-]{0,40}") {
        for format in ["auto", "rfc5424", "rfc3164"] {
            let _ = decode(&format!("format = '{format}'"), line.as_bytes());
        }
    }

    #[test]
    fn lines_with_a_byte_changed_are_read_or_refused(at in 0..FULL.len(), byte in any::<u8>()) {
        let mut line = FULL.as_bytes().to_vec();
        line[at] = byte;
        let _ = decode("", &line);
    }
}
