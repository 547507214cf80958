use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn decode(line: &[u8]) -> Result<OwnedMessage, String> {
    let mut decoder = DecoderTest::<NginxErrorDecoder>::open("timezone = '+01:00'").unwrap();
    decoder.decode(line).map(|mut messages| messages.remove(0))
}

/// Checks the payload and the fields, as `name=value` in order.
fn check(line: &str, payload: &str, expected: &[&str]) {
    let message = decode(line.as_bytes()).unwrap_or_else(|reason| panic!("{line}: {reason}"));
    let view = message.view();
    let shown = |value: Value<'_>| match value {
        Value::String(text) => String::from_utf8_lossy(text).into_owned(),
        value => format!("{value:?}"),
    };
    let fields: Vec<String> = view
        .fields()
        .map(|field| format!("{}={}", String::from_utf8_lossy(field.name()), shown(field.value(0).unwrap())))
        .collect();
    assert_eq!(fields, expected, "{line}");
    assert_eq!(String::from_utf8_lossy(view.payload()), payload, "{line}");
    assert_eq!((view.timestamp(), view.pid()), (1_709_204_400_000_000_000, 12), "{line}");
}

#[test]
fn all_parts_become_fields() {
    check(
        r#"2024/02/29 12:00:00 [error] 12#34: *56 open() "/srv/a" failed (2: No such file or directory), client: 192.0.2.1, server: www.example.com, request: "GET /a?b HTTP/1.1", host: "www.example.com", referrer: "https://example.com/""#,
        r#"open() "/srv/a" failed (2: No such file or directory)"#,
        &[
            "thread_id=34",
            "connection=56",
            "errno=2",
            "client=192.0.2.1",
            "server=www.example.com",
            "method=GET",
            "path=/a?b",
            "protocol=HTTP/1.1",
            "request=GET /a?b HTTP/1.1",
            "host=www.example.com",
            "referrer=https://example.com/",
        ],
    );
    check(
        r#"2024/02/29 12:00:00 [warn] 12#12: *5 upstream server temporarily disabled while connecting to upstream, client: ::1, server: _, request: "POST / HTTP/2.0", subrequest: "/auth", upstream: "http://[::1]:81/", host: "a""#,
        "upstream server temporarily disabled while connecting to upstream",
        &[
            "thread_id=12",
            "connection=5",
            "client=::1",
            "server=_",
            "method=POST",
            "path=/",
            "protocol=HTTP/2.0",
            "request=POST / HTTP/2.0",
            "subrequest=/auth",
            "upstream=http://[::1]:81/",
            "host=a",
        ],
    );
    check(
        "2024/02/29 12:00:00 [notice] 12#12: start worker process 7",
        "start worker process 7",
        &["thread_id=12"],
    );
    check(
        "2024/02/29 12:00:00 [info] 12#12: *7 client closed connection, client: 192.0.2.1, server: 0.0.0.0:443",
        "client closed connection",
        &["thread_id=12", "connection=7", "client=192.0.2.1", "server=0.0.0.0:443"],
    );
}

#[test]
fn streams_and_mails_have_parts_of_their_own() {
    check(
        r#"2024/02/29 12:00:00 [error] 12#12: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: 0.0.0.0:80, upstream: "10.0.0.1:80", bytes from/to client:0/0, bytes from/to upstream:1/2"#,
        "connect() failed (111: Connection refused) while connecting to upstream",
        &[
            "thread_id=12",
            "connection=5",
            "errno=111",
            "client=192.0.2.1",
            "server=0.0.0.0:80",
            "upstream=10.0.0.1:80",
            "client_bytes=0/0",
            "upstream_bytes=1/2",
        ],
    );
    check(
        r#"2024/02/29 12:00:00 [info] 12#12: *5 client logged in, client: 192.0.2.1, server: 0.0.0.0:143, login: "ann", upstream: 10.0.0.1:143"#,
        "client logged in",
        &[
            "thread_id=12",
            "connection=5",
            "client=192.0.2.1",
            "server=0.0.0.0:143",
            "login=ann",
            "upstream=10.0.0.1:143",
        ],
    );
}

#[test]
fn what_clients_write_into_paths_names_no_other_client() {
    check(
        r#"2024/02/29 12:00:00 [error] 12#12: *5 open() "/srv/x, client: 6.6.6.6" failed (2: No), client: 192.0.2.1, server: s, request: "GET /x,%20client:%206.6.6.6 HTTP/1.1", host: "h""#,
        r#"open() "/srv/x, client: 6.6.6.6" failed (2: No)"#,
        &[
            "thread_id=12",
            "connection=5",
            "errno=2",
            "client=192.0.2.1",
            "server=s",
            "method=GET",
            "path=/x,%20client:%206.6.6.6",
            "protocol=HTTP/1.1",
            "request=GET /x,%20client:%206.6.6.6 HTTP/1.1",
            "host=h",
        ],
    );
    check(
        r#"2024/02/29 12:00:00 [info] 12#12: *5 client sent invalid request, client: 192.0.2.1, server: s, request: "a "b", client: 6.6.6.6""#,
        "client sent invalid request",
        &["thread_id=12", "connection=5", "client=192.0.2.1", "server=s", "request=a \"b\", client: 6.6.6.6"],
    );
}

#[test]
fn other_lines_say_why() {
    let refused = |line: &str| decode(line.as_bytes()).unwrap_err();
    assert_eq!(refused(""), "no time such as `2026/11/23 02:03:34`, and level in brackets at column 1: ``");
    assert_eq!(
        refused("2024/02/30 12:00:00 [error] 1#1: x"),
        "no time at column 1: `2024/02/30 12:00:00 [error] 1#1: x`"
    );
    assert_eq!(refused("2024/02/29 12:00:00 [bad] 1#1: x"), "no level at column 22: `bad] 1#1: x`");
    assert_eq!(
        refused("2024/02/29 12:00:00 [error] x#1: x"),
        "no process and thread such as ` 12#34: ` at column 28: ` x#1: x`"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..80), text in "[a-z, :\"()*0-9]{0,80}") {
        let _ = decode(&line);
        let _ = decode(format!("2024/02/29 12:00:00 [error] 1#1: {text}, client: {text}, request: \"{text}").as_bytes());
    }
}
