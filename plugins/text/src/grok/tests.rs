use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn decode(toml: &str, line: &str) -> Result<OwnedMessage, String> {
    let mut decoder = DecoderTest::<GrokDecoder>::open(toml)?;
    decoder.decode(line.as_bytes()).map(|mut messages| messages.remove(0))
}

/// All fields as `name=value`, in order.
fn fields(message: &OwnedMessage) -> String {
    let shown = |value: Value<'_>| match value {
        Value::String(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Integer(value) => format!("#{value}"),
        Value::Double(value) => format!("#{value:?}"),
        value => format!("{value:?}"),
    };
    let view = message.view();
    let fields: Vec<String> = view
        .fields()
        .map(|field| {
            format!(
                "{}={}",
                String::from_utf8_lossy(field.name()),
                field.value(0).map(shown).unwrap_or_default()
            )
        })
        .collect();
    fields.join("|")
}

#[test]
fn fields_have_names_and_types() {
    let toml =
        r#"pattern = '^%{IPORHOST:client} %{WORD:[http][method]} %{NUMBER:bytes:int} %{NUMBER:took:float}$'"#;
    let message = decode(toml, "192.0.2.1 GET 12 0.5").unwrap();
    assert_eq!(fields(&message), "client=192.0.2.1|http.method=GET|bytes=#12|took=#0.5");
    assert_eq!(message.view().payload(), b"192.0.2.1 GET 12 0.5");
    assert_eq!(decode(toml, "nothing").unwrap_err(), "no pattern matches `nothing`");
}

#[test]
fn patterns_are_tried_in_order_and_may_be_ones_own() {
    let toml = r#"
        pattern = ["^%{TICKET:ticket}: %{GREEDYDATA:payload}$", "^%{WORD:a} (?<b>\\d+)"]
        definitions = { TICKET = "[A-Z]+-%{INT:number:int}" }
        types = { b = "integer" }
    "#;
    let message = decode(toml, "OPS-12: it broke").unwrap();
    assert_eq!(
        (fields(&message).as_str(), message.view().payload()),
        ("ticket=OPS-12|number=#12", &b"it broke"[..])
    );
    assert_eq!(fields(&decode(toml, "x 5 y").unwrap()), "a=x|b=#5");
}

#[test]
fn the_combined_format_is_read() {
    let toml = r#"pattern = "%{COMBINEDAPACHELOG}""#;
    let line =
        r#"2001:db8::7 - ann [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "-" "cu\"rl/8.5""#;
    let message = decode(toml, line).unwrap();
    assert_eq!(
        fields(&message),
        r#"clientip=2001:db8::7|ident=-|auth=ann|verb=GET|request=/a?b=c|httpversion=1.1|response=200|bytes=2326|referrer="-"|agent="cu\"rl/8.5""#
    );
    assert_eq!(message.view().timestamp(), 971_211_336_000_000_000);
    let message = decode(toml, r#"h - - [10/Oct/2000:13:55:36 -0700] "\x16\x03" 400 - "-" "-""#).unwrap();
    assert!(fields(&message).contains(r"rawrequest=\x16\x03|response=400|"), "{}", fields(&message));
}

#[test]
fn the_time_and_the_severity_go_to_the_header() {
    let toml = "pattern = '%{SYSLOGTIMESTAMP:at} %{LOGLEVEL:level} %{GREEDYDATA:payload}'\ntimestamp_field = 'at'\nseverity_field = 'level'\nkeep_payload = false";
    let message = decode(toml, "Feb 29 12:00:00 WARN careful").unwrap();
    assert_eq!((message.view().severity(), message.view().payload()), (4, &b"careful"[..]));
    assert!(message.view().timestamp() > 1_700_000_000_000_000_000);
    let toml = "pattern = '%{NOTSPACE:timestamp} '";
    assert_eq!(
        decode(toml, "x y").unwrap_err(),
        "field `timestamp` is not a time of `timestamp_format`: `x`"
    );
}

/// Every usual pattern with a text that it matches whole, and one of which it matches no whole.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("USER", "ann.b-c_1", "ann b"),
    ("EMAILADDRESS", "a.b+c@mail.example.com", "a@@b"),
    ("INT", "-12", "1.5"),
    ("NUMBER", "+1.5", "1."),
    ("BASE16NUM", "0xfF", "0xg"),
    ("BASE16FLOAT", "0xf.f", "x.x"),
    ("POSINT", "10", "010"),
    ("NONNEGINT", "010", "-1"),
    ("WORD", "café_1", "a-b"),
    ("NOTSPACE", "a-b", "a b"),
    ("SPACE", " \t", "a"),
    ("DATA", "a b", "a\nb"),
    ("GREEDYDATA", "a b", "a\nb"),
    ("QS", r#""a \" b""#, r#""a " b""#),
    ("QUOTEDSTRING", "'a'", "'a\""),
    ("UUID", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
    ("URN", "urn:isbn:0451450523", "urn:a"),
    ("MAC", "00:1b:63:84:45:e6", "00:1b"),
    ("MAC", "001b.6384.45e6", "001b-6384-45e6"),
    ("MAC", "00-1b-63-84-45-e6", "00-1b-63-84-45-eg"),
    ("IPV4", "192.0.2.255", "192.0.2.256"),
    ("IPV6", "2001:db8::1", "2001:db8"),
    ("IPV6", "::ffff:192.0.2.1", "::ffff:192.0.2.x"),
    ("IPV6", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9"),
    ("IPV6", "fe80::1%eth0", "fe80::1::2"),
    ("IP", "::", ":"),
    ("HOSTNAME", "web-1.example.com", "web_1"),
    ("IPORHOST", "web1", "-"),
    ("HOSTPORT", "web1:80", "web1"),
    ("UNIXPATH", "/var/log/a b".split_at(10).0, "var"),
    ("WINPATH", r"C:\logs\a.txt", "C:/logs"),
    ("PATH", "/a", "a"),
    ("TTY", "/dev/pts/3", "/dev/sda"),
    ("URI", "https://ann:x@www.example.com:8443/a/b?c=d", "www.example.com"),
    ("URIPATHPARAM", "/a/b?c=d&e", "a"),
    ("MONTH", "September", "Sept."),
    ("MONTHNUM", "12", "13"),
    ("MONTHDAY", "31", "32"),
    ("DAY", "Wed", "We"),
    ("YEAR", "2024", "204"),
    ("TIME", "23:59:60", "24:00:00"),
    ("DATE_US", "02/29/2024", "29/02/2024"),
    ("DATE_EU", "29.02.2024", "02.29.2024"),
    ("ISO8601_TIMEZONE", "+05:30", "05:30"),
    ("TIMESTAMP_ISO8601", "2024-02-29T12:00:00.250+01:00", "29.02.2024"),
    ("DATESTAMP", "02/29/2024 12:00:00", "12:00:00"),
    ("DATESTAMP_RFC822", "Thu Feb 29 2024 12:00:00 CET", "Thu"),
    ("DATESTAMP_RFC2822", "Thu, 29 Feb 2024 12:00:00 +0100", "Thu"),
    ("DATESTAMP_OTHER", "Thu Feb 29 12:00:00 CET 2024", "Thu"),
    ("DATESTAMP_EVENTLOG", "20240229120000", "2024"),
    ("HTTPDERROR_DATE", "Thu Feb 29 12:00:00.123456 2024", "Thu"),
    ("HTTPDATE", "29/Feb/2024:12:00:00 +0100", "29/Feb/2024"),
    ("SYSLOGTIMESTAMP", "Feb  9 12:00:00", "Feb 12:00:00"),
    ("PROG", "postfix/smtpd", "a[1]"),
    ("SYSLOGPROG", "sshd[12]", "sshd[x]"),
    ("SYSLOGFACILITY", "<4.6>", "<4>"),
    ("SYSLOGBASE", "Feb 29 12:00:00 web1 sshd[12]:", "Feb 29 12:00:00 web1"),
    ("SYSLOGLINE", "2024-02-29T12:00:00Z web1 sshd[12]: it broke", "it broke"),
    ("SYSLOG5424LINE", r#"<34>1 2003-10-11T22:14:15.003Z web1 su - ID47 [x iut="3"] it failed"#, "<34> x"),
    (
        "SYSLOGPAMSESSION",
        "Feb 29 12:00:00 web1 su[1]: pam_unix(su:session): session opened for user root by ann(uid=1)",
        "x",
    ),
    ("CRONLOG", "Feb 29 12:00:00 web1 CRON[12]: (root) CMD (run-parts /etc/cron.hourly)", "x"),
    ("LOGLEVEL", "WARNING", "warnings"),
    ("COMMONAPACHELOG", r#"h - - [29/Feb/2024:12:00:00 +0100] "GET / HTTP/1.0" 200 -"#, "h"),
    ("HTTPD_ERRORLOG", "[Thu Feb 29 12:00:00 2024] [error] [client 192.0.2.1] File does not exist", "[x]"),
    (
        "HTTPD_ERRORLOG",
        "[Thu Feb 29 12:00:00.123456 2024] [core:error] [pid 12:tid 34] (13)Permission denied: [client 192.0.2.1:5] AH00132: denied",
        "[x]",
    ),
    (
        "ELB_ACCESS_LOG",
        r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1""#,
        "x",
    ),
    (
        "S3_ACCESS_LOG",
        r#"79a5 mybucket [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a5 3E57427F3EXAMPLE REST.GET.VERSIONING - "GET /mybucket?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" -"#,
        "x",
    ),
    (
        "HAPROXYHTTP",
        r#"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#,
        "x",
    ),
    (
        "HAPROXYTCP",
        "Feb  6 12:12:56 localhost haproxy[14387]: 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
        "x",
    ),
    (
        "SQUID3",
        "1286536309.586 921 192.168.0.68 TCP_MISS/200 507 GET http://example.com/a - DIRECT/192.0.2.1 text/html",
        "x",
    ),
    ("POSTGRESQL", "02/29/2024 12:00:00 UTC ann 5f 12", "x"),
    ("REDISLOG", "[4018] 14 Nov 07:01:22.119 * ", "x"),
    ("REDISMONLOG", r#"1339518083.107412 [0 127.0.0.1:60866] "keys" "*""#, "x"),
    ("MONGO_LOG", "Feb 29 12:00:00 [conn1] end connection", "x"),
    ("MONGO3_LOG", "2014-02-03T20:48:41.000+0100 I NETWORK  [conn1] end connection", "x"),
    ("JAVASTACKTRACEPART", "\tat com.example.Main$Inner.<init>(Main.java:12)", "at x"),
    ("JAVATHREAD", "TP-Processor12", "main"),
    ("CATALINALOG", "Feb 29, 2024 12:00:00 PM org.apache.Foo it started", "x"),
    ("TOMCATLOG", "2024-02-29 12:00:00,250 +0100 | ERROR | com.example.Main - it broke", "x"),
    ("RUBY_LOGGER", "E, [2024-02-29T12:00:00.123456 #12] ERROR -- app: it broke", "x"),
];

#[test]
fn every_usual_pattern_compiles_and_matches_what_it_stands_for() {
    let definitions = Definitions::usual();
    let whole = |name: &str, text: &str| {
        let expansion = expand(&format!("^%{{{name}:all}}$"), &definitions).unwrap();
        let mut finder =
            GroupFinder::new(&expansion.expression, false).unwrap_or_else(|error| panic!("{name}: {error}"));
        finder.find(text.as_bytes())
    };
    for (name, matched, other) in EXAMPLES {
        assert!(whole(name, matched), "%{{{name}}} doesn't match `{matched}`");
        assert!(!whole(name, other), "%{{{name}}} matches `{other}`");
    }
    for name in definitions.names() {
        whole(name, "x");
    }
    let mut lines = Definitions::usual();
    assert_eq!(lines.add_lines(include_str!("patterns")), Ok(()));
    assert_eq!(lines.add_lines("# ok\nA b\n\nwrong"), Err(4));
}

#[test]
fn definitions_come_from_files_at_the_start() {
    let directory = std::env::temp_dir().join(format!("heka-grok-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("own");
    fs::write(&path, "# own\nSHIP [A-Z]{3}-%{INT:hull:int}\n").unwrap();
    let toml = format!("pattern = '%{{SHIP:ship}}'\ndefinition_files = ['{}']", path.display());
    let mut decoder = DecoderTest::<GrokDecoder>::open(&toml).unwrap();
    decoder.start().unwrap();
    assert_eq!(fields(&decoder.decode(b"NCC-1701").unwrap()[0]), "ship=NCC-1701|hull=#1701");
    fs::write(&path, "SHIP\n").unwrap();
    let reason = DecoderTest::<GrokDecoder>::open(&toml).unwrap().start().unwrap_err();
    assert_eq!(reason, format!("{}:1: not a definition; write `NAME PATTERN`", path.display()));
    fs::remove_dir_all(&directory).unwrap();
    let reason = DecoderTest::<GrokDecoder>::open(&toml).unwrap().start().unwrap_err();
    assert!(reason.starts_with(&format!("failed to read `{}`: ", path.display())), "{reason}");
}

#[test]
fn bad_options_are_faults_in_one_line() {
    let check = |toml: &str, expected: &[&str]| {
        assert_eq!(DecoderTest::<GrokDecoder>::faults(toml), expected, "{toml}");
    };
    check("pattern = '%{WROD:a}'", &["pattern: no pattern `WROD` for `%{WROD:a}`; did you mean `WORD`"]);
    check("pattern = []", &["pattern: there is none; write at least one"]);
    check("pattern = 'abc'", &["pattern: it has no field; write for example `%{NUMBER:bytes:int}`"]);
    check("pattern = '%{INT:a}('", &["pattern: `%{INT:a}(`: unclosed group"]);
    check(
        "pattern = ['%{INT:a}', '%{X']\ndefinitions = { 'a b' = 'x' }\nseverity_map = { E = 9 }\ntimezone = 'Mars'",
        &[
            "definitions.a b: not a name; it has letters, digits, `_`, `-` and `.`",
            "severity_map.E: 9 is not a severity; they are 0 to 7",
            "timezone: no time zone `Mars`; write `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`",
        ],
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        thread_local! {
            static DECODER: std::cell::RefCell<DecoderTest<GrokDecoder>> = std::cell::RefCell::new(
                DecoderTest::open("pattern = ['%{COMBINEDAPACHELOG}', '%{SYSLOGLINE}', '^%{DATA:a},%{GREEDYDATA:b}']").unwrap()
            );
        }
        DECODER.with_borrow_mut(|decoder| _ = decoder.decode(&line));
    }
}
