use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

const NGINX: &str = r#"203.0.113.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "http://x.example/s" "Mozilla/5.0 (X11)""#;
const TIMED: &str = r#"$remote_addr [$time_local] "$request" $status rt=$request_time urt="$upstream_response_time" c=${connection}"#;

fn open(format: &str) -> DecoderTest<AccessLogDecoder> {
    DecoderTest::open(&format!("format = {}", toml_text(format))).unwrap()
}

fn toml_text(text: &str) -> String {
    format!("'''{text}'''")
}

fn shown(message: &OwnedMessage) -> String {
    let value = |value: Value<'_>| match value {
        Value::String(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    };
    let fields = message.view().fields();
    let fields = fields
        .map(|field| format!("{}={}", String::from_utf8_lossy(field.name()), value(field.value(0).unwrap())));
    fields.collect::<Vec<_>>().join("|")
}

fn check(format: &str, line: &str, expected: &str) {
    check_bytes(format, line.as_bytes(), expected);
}

fn check_bytes(format: &str, line: &[u8], expected: &str) {
    let messages = open(format).decode(line).unwrap();
    assert_eq!(shown(&messages[0]), expected, "{format}");
    assert_eq!(messages[0].view().payload(), line);
}

fn refused(format: &str, line: &str, reason: &str) {
    assert_eq!(open(format).decode(line.as_bytes()).unwrap_err(), reason, "{format}: {line}");
}

#[test]
fn combined_lines_are_read() {
    check(
        "combined",
        NGINX,
        "remote_addr=203.0.113.7|time_local=10/Oct/2000:13:55:36 -0700|request=GET /a?b=c HTTP/1.1|method=GET|path=/a?b=c|protocol=HTTP/1.1|status=200|body_bytes_sent=2326|http_referer=http://x.example/s|http_user_agent=Mozilla/5.0 (X11)",
    );
    let message = open("combined").decode(NGINX.as_bytes()).unwrap().remove(0);
    let message = message.view();
    assert_eq!(message.timestamp(), 971_211_336_000_000_000);
    assert_eq!((message.message_type(), message.logger()), (&b"test"[..], &b"stream"[..]));
    assert_eq!(message.value("status"), Some(Value::Integer(200)));
}

#[test]
fn odd_combined_lines_are_read() {
    let check = |line: &str, expected: &str| {
        let line = line.replace("TIME", "[10/Oct/2000:13:55:36 +0000]");
        check("combined", &line, &expected.replace("TIME", "time_local=10/Oct/2000:13:55:36 +0000"));
    };
    check(
        r#"::1 ident frank smith TIME "-" 408 - "-" "-""#,
        "remote_addr=::1|remote_logname=ident|remote_user=frank smith|TIME|status=408",
    );
    check(
        r#"::1 - - TIME "\x16\x03\x01" 400 0 "" "say \"hi\" \\""#,
        r#"remote_addr=::1|TIME|request=\x16\x03\x01|status=400|body_bytes_sent=0|http_user_agent=say \"hi\" \\"#,
    );
    check(
        r#"::1 - - TIME "GET /a b HTTP/1.0" 200 1 "-" "-""#,
        "remote_addr=::1|TIME|request=GET /a b HTTP/1.0|method=GET|path=/a b|protocol=HTTP/1.0|status=200|body_bytes_sent=1",
    );
    for request in
        ["GET /", "GET", " / HTTP/1.1", "GET  HTTP/1.1", "GET HTTP/1.1", "get / HTTP/1.1", "GET / FTP/1"]
    {
        let line = format!(r#"::1 - - TIME "{request}" 200 1 "-" "-""#);
        check(&line, &format!("remote_addr=::1|TIME|request={request}|status=200|body_bytes_sent=1"));
    }
}

#[test]
fn any_bytes_may_stand_in_a_value() {
    let line = b"::1 - - [10/Oct/2000:13:55:36 +0000] \"GET /\0\xff HTTP/1.1\" 200 1 \"-\" \"\xc3\x28\"\r";
    let messages = open("combined").decode(line).unwrap();
    let message = messages[0].view();
    assert_eq!(message.value("path"), Some(Value::String(b"/\0\xff")));
    assert_eq!(message.value("http_user_agent"), Some(Value::String(b"\xc3\x28")));
    let long = NGINX.replace("/a?b=c", &"/a".repeat(100_000));
    let messages = open("combined").decode(long.as_bytes()).unwrap();
    assert_eq!(messages[0].view().value("path"), Some(Value::String("/a".repeat(100_000).as_bytes())));
}

#[test]
fn formats_of_nginx_are_compiled() {
    check(
        TIMED,
        r#"::1 [10/Oct/2000:13:55:36 +0000] "PUT /x HTTP/2.0" 201 rt=0.250 urt="0.1, 0.2" c=77"#,
        "remote_addr=::1|time_local=10/Oct/2000:13:55:36 +0000|request=PUT /x HTTP/2.0|method=PUT|path=/x|protocol=HTTP/2.0|status=201|request_time=0.25|upstream_response_time=0.1, 0.2|connection=77",
    );
    check(
        TIMED,
        r#"::1 [10/Oct/2000:13:55:36 +0000] "x" 201 rt=- urt="0.125" c=77"#,
        "remote_addr=::1|time_local=10/Oct/2000:13:55:36 +0000|request=x|status=201|upstream_response_time=0.125|connection=77",
    );
    check("<$host>", "<a b>", "host=a b");
    check(
        r#"{"host":"$host","u":"$uri$is_args$args"}"#,
        r#"{"host":"h\"","u":"/x?y=1&z=?"}"#,
        r#"host=h\"|uri=/x|args=y=1&z=?"#,
    );
    check("$a--$b", "1-2--3--4", "a=1-2|b=3--4");
}

#[test]
fn formats_of_apache_are_compiled() {
    check(
        r#"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%400,501{User-agent}i\""#,
        r#"www.x.example:443 ::1 - bob [10/Oct/2000:13:55:36 +0000] "HEAD / HTTP/1.1" 304 17 "-" "curl/8""#,
        "server_name=www.x.example|server_port=443|remote_addr=::1|remote_user=bob|time_local=10/Oct/2000:13:55:36 +0000|request=HEAD / HTTP/1.1|method=HEAD|path=/|protocol=HTTP/1.1|status=304|bytes_sent=17|http_user_agent=curl/8",
    );
    check(
        "%m %U%q %H %X %k %A %a %I %D %T %{ms}T %P %%",
        "GET /x?y=1 HTTP/1.1 + 3 10.0.0.1 ::1 99 1500 1 2 4711 %",
        "request_method=GET|uri=/x|args=y=1|server_protocol=HTTP/1.1|connection_status=+|connection_requests=3|server_addr=10.0.0.1|remote_addr=::1|request_length=99|request_time_us=1500|request_time=1.0|request_time_ms=2|pid=4711 %".trim_end_matches(" %"),
    );
    check(
        r"%{X-Id}i\t%{Set-Cookie}o\t%{sid}C\t%{n}n\t%{E}e",
        "a\tb\tc\td\te",
        "http_x_id=a|sent_http_set_cookie=b|cookie_sid=c|note_n=d|env_E=e",
    );
}

#[test]
fn the_time_comes_from_the_best_clock() {
    let check = |format: &str, line: &str, utc: &str| {
        let messages = open(format).decode(line.as_bytes()).unwrap();
        let time = jiff::Timestamp::from_nanosecond(messages[0].view().timestamp().into()).unwrap();
        assert_eq!(time.to_string(), utc, "{format}");
    };
    check("$time_iso8601 $status", "2000-10-10T13:55:36-07:00 200", "2000-10-10T20:55:36Z");
    check("[$time_local] $msec", "[10/Oct/2000:13:55:36 -0700] 971211336.123", "2000-10-10T20:55:36.123Z");
    check("$msec [$time_local]", "971211336.123 [-]", "2000-10-10T20:55:36.123Z");
    check("%{sec}t %>s", "971211336 200", "2000-10-10T20:55:36Z");
    check("%{begin:msec}t %>s", "971211336123 200", "2000-10-10T20:55:36.123Z");
    check("%{usec}t %>s", "971211336123456 200", "2000-10-10T20:55:36.123456Z");
    check(
        "[%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t] %s",
        "[10/Oct/2000 13:55:36.123 -0700] 200",
        "2000-10-10T20:55:36.123Z",
    );
    check("%{%d %b %Y}t %{%T}t %s", "10 Oct 2000 13:55:36 200", "2000-10-10T13:55:36Z");
    check("%{%z}t %s", "+0200 200", "1970-01-01T00:00:00Z");
    check("[%{%Y-%m-%d %T}t] %s", "[2000-10-10 13:55:36] 200", "2000-10-10T13:55:36Z");
}

#[test]
fn misfits_say_where() {
    refused("combined", "", "the line is empty");
    refused("combined", "hello", "no ` ` behind field `remote_addr`, which begins at column 1: `hello`");
    refused(
        "combined",
        r#"::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" OK 1 "-" "-""#,
        "field `status` at column 55 is not a whole number: `OK`",
    );
    refused(
        "combined",
        r#"::1 - - [yesterday] "GET / HTTP/1.1" 200 1 "-" "-""#,
        "field `time_local` at column 10 is not a time: `yesterday`",
    );
    refused(
        "combined",
        &format!("{NGINX} 0.1"),
        "more than the format behind field `http_user_agent`, at column 117: ` 0.1`",
    );
    refused("[$status]", "200", "the line begins with `200` instead of `[`");
    refused(
        "a=$status",
        "a=99999999999999999999",
        "field `status` at column 3 is not a whole number: `99999999999999999999`",
    );
    let message = open("combined").decode(&[b"\n\0"[..].to_vec(), vec![b'x'; 99]].concat()).unwrap_err();
    assert_eq!(
        message,
        format!(
            "no ` ` behind field `remote_addr`, which begins at column 1: `\u{fffd}\u{fffd}{}…`",
            "x".repeat(38)
        )
    );
}

#[test]
fn without_keep_payload_there_is_none() {
    let mut decoder = DecoderTest::<AccessLogDecoder>::open("keep_payload = false").unwrap();
    let messages = decoder.decode(NGINX.as_bytes()).unwrap();
    assert_eq!(messages[0].view().payload(), b"");
    assert_eq!(messages[0].view().value("method"), Some(Value::String(b"GET")));
}

#[test]
fn bad_formats_are_faults() {
    let check = |format: &str, fault: &str| {
        let faults = DecoderTest::<AccessLogDecoder>::faults(&format!("format = {}", toml_text(format)));
        assert_eq!(faults.len(), 1, "{format}");
        assert!(faults[0].starts_with(&format!("format: {fault}")), "{format}: {}", faults[0]);
    };
    check("combind", "`combind` names no field; write `combined`, `common`, or ");
    check("$a$b", "nothing separates `a` and `b`");
    check("%s%b", "nothing separates `status` and `body_bytes_sent`");
    check("$status$", "column 8: `$` without the name of a variable");
    check("$status ${", "column 9: `$` without the name of a variable");
    check("%h %Z", "column 4: unknown directive `%Z`");
    check("%h %{x}y", "column 4: unknown directive `%{x}y`");
    check("%h %{x", "column 4: `{` without `}`");
    check("%h %", "column 4: `%` without a directive at the end");
    let faults = DecoderTest::<AccessLogDecoder>::faults("timezone = 'Mars'");
    assert!(faults[0].starts_with("timezone: no time zone `Mars`"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in ["combined", TIMED, "%{%d %b}t %U%q"] {
            let _ = open(format).decode(&line);
        }
    }

    #[test]
    fn lines_with_a_byte_changed_are_read_or_refused(at in 0..NGINX.len(), byte in any::<u8>()) {
        let mut line = NGINX.as_bytes().to_vec();
        line[at] = byte;
        let _ = open("combined").decode(&line);
    }

    #[test]
    fn any_format_compiles_or_is_refused_in_one_line(format in "[$%{}a-z \"\\\\\\[<>!^0-9]{0,40}") {
        if let Err(reason) = format::LineFormat::compile(&format) {
            prop_assert!(!reason.is_empty() && !reason.contains('\n'));
        }
    }

    #[test]
    fn what_a_format_writes_is_read_back(
        values in proptest::collection::vec("[a-z/.:=?0-9]{1,40}", 1..12),
        separators in proptest::collection::vec("[ ,;|]{1,3}|\" \"", 11),
        status in any::<i64>(),
    ) {
        let (mut format, mut line) = ("$status|".to_owned(), format!("{status}|"));
        for (index, value) in values.iter().enumerate() {
            format.push_str(&format!("$v{index}{}", separators[index % 11]));
            line.push_str(&format!("{value}{}", separators[index % 11]));
        }
        let messages = open(&format).decode(line.as_bytes()).unwrap();
        let message = messages[0].view();
        prop_assert_eq!(message.value("status"), Some(Value::Integer(status)));
        for (index, value) in values.iter().enumerate() {
            prop_assert_eq!(message.value(format!("v{index}")), Some(Value::String(value.as_bytes())));
        }
    }
}
