use super::*;
use proptest::prelude::*;

/// Shows what a packet holds, one text for each value.
#[derive(Default)]
struct Shown(Vec<String>);

impl Shown {
    fn push(&mut self, name: &[u8], tags: &[u8], value: &str) {
        let (name, tags) = (String::from_utf8_lossy(name), String::from_utf8_lossy(tags));
        self.0.push(format!("{name}{}{tags} {value}", if tags.is_empty() { "" } else { "#" }));
    }
}

impl LineSink for Shown {
    fn metric(&mut self, name: &[u8], tags: &[u8], value: Value<'_>) {
        let shown = match value {
            Value::Count(Number::Integer(value)) => format!("counter {value}"),
            Value::Count(Number::Double(value)) => format!("counter {value:.3}"),
            Value::Level(number) => format!("gauge {}", number.as_f64()),
            Value::Change(number) => format!("gauge {:+}", number.as_f64()),
            Value::Time { value, weight } => format!("timer {value} x{weight}"),
            Value::Sample { value, weight } => format!("histogram {value} x{weight}"),
            Value::Member(member) => format!("set {}", String::from_utf8_lossy(member)),
        };
        self.push(name, tags, &shown);
    }

    fn integer(&mut self, name: &[u8], kind: Kind, value: i64) {
        self.push(
            name,
            b"",
            &format!(
                "{} {value}{}",
                kind.name(),
                if kind == Kind::Counter || kind == Kind::Gauge { "" } else { " x1" }
            ),
        );
    }

    fn notice(&mut self, line: &[u8]) {
        self.push(line, b"", "notice");
    }

    fn malformed(&mut self, line: &[u8], reason: &'static str) {
        self.0.push(format!("{}: {reason}", String::from_utf8_lossy(line)));
    }
}

fn shown(packet: &[u8]) -> Vec<String> {
    let mut shown = Shown::default();
    parse_packet(packet, &mut shown);
    shown.0
}

fn check(packet: &str, expected: &[&str]) {
    assert_eq!(shown(packet.as_bytes()), expected, "{packet:?}");
}

#[test]
fn lines_are_read() {
    check("hits:1|c", &["hits counter 1"]);
    check("hits:1|c\n", &["hits counter 1"]);
    check("a:1|c\r\nb:2|g\n\n\nc:3|ms", &["a counter 1", "b gauge 2", "c timer 3 x1"]);
    check("a:-5|c", &["a counter -5"]);
    check("a:0.5|c", &["a counter 0.500"]);
    check("a:1|c|@0.1", &["a counter 10"]);
    check("a:1|c|@0.3", &["a counter 3.333"]);
    check("a:+5|g", &["a gauge +5"]);
    check("a:-5|g", &["a gauge -5"]);
    check("a:3.5|ms|@0.1", &["a timer 3.5 x10"]);
    check("a:7|h\na:-7.5|d", &["a histogram 7 x1", "a histogram -7.5 x1"]);
    check("a:fred|s\na:|s\na:7|s", &["a set fred", "a set 0", "a set 7"]);
    check("a:4|m", &["a counter 4"]);
    check("a: 4 |c ", &["a counter 4"]);
    check("a:9999999999999999999|c", &["a counter 10000000000000000000.000"]);
    check("a b/c:1|c", &["a b/c counter 1"]);
}

#[test]
fn a_line_may_have_several_values() {
    check("a:1|c:2|c", &["a counter 1", "a counter 2"]);
    check("a:1|c|@0.5:2|ms", &["a counter 2", "a timer 2 x1"]);
    check("a:1|c:", &["a counter 1", "a:1|c:: there is no `|` and type behind the value"]);
    check("a:1:2:3|ms|@0.5", &["a timer 1 x2", "a timer 2 x2", "a timer 3 x2"]);
    check("a:1|c:x|c:3|c", &["a counter 1", "a:1|c:x|c:3|c: the value is not a number", "a counter 3"]);
}

#[test]
fn tags_hold_for_the_whole_line() {
    check("a:1|c|#x:1,y", &["a#x:1,y counter 1"]);
    check("a:1|c|@0.5|#x:1", &["a#x:1 counter 2"]);
    check("a:1|c:2|c|#x:1", &["a#x:1 counter 1", "a#x:1 counter 2"]);
    check("a:1|c|#url:http://x/|@0.5", &["a#url:http://x/ counter 2"]);
    check("a:1|c|#", &["a counter 1"]);
}

#[test]
fn what_newer_clients_add_is_skipped() {
    check("a:1|c|c:83c0a99c", &["a counter 1"]);
    check("a:1|c|#x:1|c:ci-83c0|T1656581400", &["a#x:1 counter 1"]);
    check("a:1|g|#x:1|e:it-false,cn-nginx|card:low", &["a#x:1 gauge 1"]);
    check("_e{5,4}:title|text|#x:1", &["_e{5,4}:title|text|#x:1 notice"]);
    check("_sc|Redis connection|2|#env:dev", &["_sc|Redis connection|2|#env:dev notice"]);
}

#[test]
fn other_lines_are_malformed_and_the_next_is_read() {
    let check = |line: &str, reason: &str| {
        check(&format!("{line}\nb:1|c"), &[&format!("{line}: {reason}"), "b counter 1"]);
    };
    check("a", "there is no `:` behind the name");
    check(":1|c", "the name is empty");
    check("a:1", "there is no `|` and type behind the value");
    check("a:", "there is no `|` and type behind the value");
    for value in ["", "x", "NaN", "inf", "-inf", "1e400", "0x1F", "1 2"] {
        check(&format!("a:{value}|c"), "the value is not a number");
        check(&format!("a:{value}|g"), "the value is not a number");
        check(&format!("a:{value}|ms"), "the value is not a number");
    }
    check("a:-1|ms", "a time is not negative");
    for rate in ["0", "-1", "", "x", "NaN", "1e-400", "1e-320"] {
        check(&format!("a:1|c|@{rate}"), "the rate is not a number above 0");
    }
    check("a:1e300|c|@1e-300", "the value is beyond all numbers");
    check("a:1|x", "the type is none of c, g, ms, h, d, s, m");
    check("a:1|", "the type is none of c, g, ms, h, d, s, m");
    check("a:1|c|", "what is behind the type is neither `@rate` nor `#tags`");
    check("a:1|c|foo", "what is behind the type is neither `@rate` nor `#tags`");
    check("a:1|c|0.1", "what is behind the type is neither `@rate` nor `#tags`");
}

#[test]
fn long_and_odd_packets_are_read() {
    check("", &[]);
    check("\n\n", &[]);
    let many: String = (0..10_000).map(|number| format!("m{number}:1|c\n")).collect();
    assert_eq!(shown(many.as_bytes()).len(), 10_000);
    let long = format!("{}:1|c", "x".repeat(10_000));
    assert_eq!(shown(long.as_bytes()), [format!("{} counter 1", "x".repeat(10_000))]);
    assert_eq!(shown(b"a\0b:1|c\n\xff\xfe:2|c"), ["a\0b counter 1", "\u{fffd}\u{fffd} counter 2"]);
    assert_eq!(shown(b"whole:1|c\ncut:1").len(), 2);
}

proptest! {
    #[test]
    fn any_packet_is_read(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
        shown(&packet);
    }

    #[test]
    fn anything_like_a_packet_is_read(packet in "([a-c0-9.:|@#\n,+-]|ms|\\|c|\\|g|\\|s|e){0,40}") {
        shown(packet.as_bytes());
    }

    #[test]
    fn the_short_way_says_the_same(name in "[a-z]{1,10}", value in 0_i64..1_000_000_000, kind in "(c|g|ms|h|d)") {
        let plain = shown(format!("{name}:{value}|{kind}").as_bytes());
        // Spaces lead the long way.
        prop_assert_eq!(plain, shown(format!("{name}: {value}|{kind}").as_bytes()));
    }
}
