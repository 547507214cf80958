use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{FilterTest, Processed, message};

type Rollup = FilterTest<StatRollupFilter>;

fn opened(toml: &str) -> Rollup {
    let mut filter = Rollup::open(toml).unwrap();
    filter.start().unwrap();
    filter
}

/// Lets the filter tell the interval; returns the Graphite lines of counts and values.
fn told(filter: &mut Rollup) -> Vec<String> {
    let messages = filter.tick().unwrap();
    let payloads: String =
        messages.iter().map(|one| String::from_utf8_lossy(one.view().payload()).into_owned()).collect();
    let without_time = |line: &str| line.rsplit_once(' ').map(|(line, _)| line.to_owned()).unwrap();
    let is_told = |line: &&str| ![".rate ", ".count_ps ", "numStats"].iter().any(|part| line.contains(part));
    payloads.lines().filter(is_told).map(without_time).collect()
}

fn metlog(message_type: &str, name: &str, payload: &str, rate: f64) -> OwnedMessage {
    message(|one| {
        one.message_type(message_type).payload(payload).field("name", name).field("rate", rate);
    })
}

fn assert_absorbed(processed: &Processed, absorbed: u32) {
    assert_eq!((processed.absorbed, processed.passed.len(), &processed.failed[..]), (absorbed, 0, &[][..]));
}

#[test]
fn metlogs_metrics_are_added_up() {
    let mut filter = opened("");
    let processed = filter.process(&[
        metlog("counter", "hits", "3", 1.0),
        metlog("counter", "hits", "1", 0.1),
        metlog("timer", "t", "10", 0.5),
        metlog("timer", "t", "20", 0.5),
        metlog("gauge", "g", "-7", 1.0),
    ]);
    assert_absorbed(&processed, 5);
    let expected = [
        "stats.counters.hits.count 13",
        "stats.timers.t.count 4",
        "stats.timers.t.lower 10",
        "stats.timers.t.upper 20",
        "stats.timers.t.sum 30",
        "stats.timers.t.mean 15",
        "stats.timers.t.mean_90 15",
        "stats.timers.t.upper_90 20",
        "stats.gauges.g -7",
    ];
    assert_eq!(told(&mut filter), expected);
}

#[test]
fn metlogs_metrics_that_are_none_fail_and_the_others_count() {
    let mut filter = opened("");
    let processed = filter.process(&[
        metlog("counter", "hits", "three", 1.0),
        metlog("counter", "", "3", 1.0),
        metlog("counter", "hits", "3", 0.0),
        metlog("counter", "hits", "3", f64::NAN),
        metlog("counter", "hits", "3", 1.0),
        message(|one| {
            _ = one.message_type("counter").payload("3").field("name", "hits").field("rate", "0.5")
        }),
        message(|one| _ = one.message_type("counter").payload("1").field("name", "hits")),
    ]);
    let reasons: Vec<&str> = processed.failed.iter().map(|(_, reason)| reason.as_str()).collect();
    let rate = "the field `rate` is not a number above 0";
    assert_eq!(
        reasons,
        ["the payload `three` is not a number", "the metric has no field `name`", rate, rate]
    );
    assert_eq!(told(&mut filter), ["stats.counters.hits.count 10"]);
}

const ACCESS: &str = r#"
metric.bytes = { kind = "counter", name = "web.{Fields[host]}.bytes", value = "{Fields[bytes]}", replace_dots = true }
metric.requests = { kind = "counter", name = "requests", tags = { status = "{Fields[status]}", agent = "{Fields[agent]}" } }
metric.time = { kind = "timer", name = "time", value = "{Fields[time]}", rate = "{Fields[rate]}" }
metric.users = { kind = "set", name = "users", value = "{Fields[user]}" }
metric.load = { kind = "gauge", name = "load", value = "{Payload}" }
metric.size = { kind = "histogram", name = "size", value = 2.5 }
"#;

#[test]
fn any_message_becomes_metrics_by_templates() {
    let mut filter = opened(ACCESS);
    let access = |host: &str, bytes: i64, status: i64| {
        message(|one| {
            one.message_type("access").field("host", host).field("bytes", bytes).field("status", status);
            one.field("user", "fred").field("time", 4.0).field("rate", 0.5);
        })
    };
    let processed = filter.process(&[
        access("a.b", 9_007_199_254_740_993, 200),
        access("a.b", 1, 200),
        access("c", 5, 503),
    ]);
    assert_absorbed(&processed, 3);
    let told = told(&mut filter);
    for line in [
        "stats.counters.web.a_b.bytes.count 9007199254740994",
        "stats.counters.web.c.bytes.count 5",
        "stats.counters.requests.count;status=200 2",
        "stats.counters.requests.count;status=503 1",
        "stats.timers.time.count 6",
        "stats.sets.users.count 1",
        "stats.histograms.size.sum 7.5",
    ] {
        assert!(told.iter().any(|one| one == line), "{line} {told:?}");
    }
    assert!(!told.iter().any(|line| line.contains("load")));
}

#[test]
fn what_makes_no_metric_passes() {
    let mut filter =
        opened("metric.a = { kind = \"counter\", name = \"{Fields[x]}\", value = \"{Fields[v]}\" }");
    let processed = filter.process(&[
        message(|one| _ = one.message_type("other").payload("hello")),
        message(|one| _ = one.field("x", "a")),
        message(|one| _ = one.field("x", "a").field("v", "many")),
        message(|one| _ = one.field("x", "a").field("v", "7")),
    ]);
    assert_eq!((processed.passed.len(), processed.absorbed), (3, 1));
    assert_eq!(told(&mut filter), ["stats.counters.a.count 7"]);
    let mut filter = opened("pass = true");
    let processed = filter.process(&[metlog("counter", "hits", "3", 1.0)]);
    assert_eq!((processed.passed.len(), processed.absorbed), (1, 0));
    assert_eq!(told(&mut filter), ["stats.counters.hits.count 3"]);
}

/// What a host tells of these metrics.
fn host(toml: &str, messages: &[OwnedMessage]) -> Vec<OwnedMessage> {
    let mut filter = opened(toml);
    assert_absorbed(&filter.process(messages), messages.len() as u32);
    let told = filter.tick().unwrap();
    // The rollup of another host: its own name would be taken for this one's.
    told.iter().map(|one| one.edited(|edit| edit.set_hostname("agent")).unwrap()).collect()
}

fn samples(name: &str, values: impl Iterator<Item = u32>) -> Vec<OwnedMessage> {
    values.map(|value| metlog("timer", name, &value.to_string(), 1.0)).collect()
}

#[test]
fn hosts_are_merged() {
    let toml = "emit_sketches = true\nmetric.user = { kind = \"set\", name = \"users\", value = \"{Fields[user]}\", tags = { dc = \"x\" } }";
    let users = |users: &[&str]| -> Vec<OwnedMessage> {
        users.iter().map(|user| message(|one| _ = one.field("user", *user))).collect()
    };
    let mut filter = opened("");
    for (from, who) in [(0, ["a", "b"]), (1_000, ["b", "c"]), (2_000, ["c", "d"])] {
        let mut messages = samples("t", from + 1..=from + 1_000);
        messages.extend(users(&who));
        messages.extend([metlog("counter", "hits", "9007199254740993", 1.0), metlog("gauge", "g", "5", 1.0)]);
        assert_absorbed(&filter.process(&host(toml, &messages)), 5);
    }
    assert_eq!(filter.host().counter("without_sketch"), 0);
    let told = told(&mut filter);
    for line in [
        "stats.counters.hits.count 27021597764222979",
        "stats.gauges.g 5",
        "stats.sets.users.count;dc=x 4",
        "stats.timers.t.count 3000",
        "stats.timers.t.sum 4501500",
        "stats.timers.t.mean 1500.5",
        "stats.timers.t.upper 3000",
        "stats.timers.t.lower 1",
    ] {
        assert!(told.iter().any(|one| one == line), "{line} {told:?}");
    }
    let upper = told.iter().find_map(|line| line.strip_prefix("stats.timers.t.upper_90 ")).unwrap();
    assert!((upper.parse::<f64>().unwrap() / 2_700.0 - 1.0).abs() <= 0.01, "{upper}");
}

#[test]
fn without_sketches_there_are_no_percentiles() {
    let mut filter = opened("");
    assert_absorbed(&filter.process(&host("", &samples("t", 1..=10))), 2);
    assert_eq!(filter.host().counter("without_sketch"), 1);
    let expected = ["count 10", "lower 1", "upper 10", "sum 55", "mean 5.5"]
        .map(|line| format!("stats.timers.t.{line}"));
    assert_eq!(told(&mut filter), expected);
}

#[test]
fn what_cannot_be_merged_fails() {
    let mut filter = opened("");
    let metric = |kind: &str| {
        message(|one| {
            _ = one.message_type("heka.statmetric").field("kind", kind).field("name", "x").field("count", 2)
        })
    };
    let broken = message(|one| {
        one.message_type("heka.statmetric")
            .field("kind", "timer")
            .field("name", "x")
            .field("count", 2)
            .field("samples", 2);
        one.field("lower", 1.0)
            .field("upper", 2.0)
            .field("sum", 3.0)
            .field("sketch", Value::Bytes(b"\x05\x01"));
    });
    let processed =
        filter.process(&[metric("set"), metric("gauge"), metric("other"), broken, metric("counter")]);
    let reasons: Vec<&str> = processed.failed.iter().map(|(_, reason)| reason.as_str()).collect();
    let expected = [
        "the set came without its members; set `emit_sketches = true` where it comes from",
        "the field `value` is not a number",
        "the field `kind` is not that of a metric",
        "the sketch is cut off",
    ];
    assert_eq!((reasons, processed.absorbed), (expected.to_vec(), 1));
    assert_eq!(told(&mut filter), ["stats.counters.x.count 2"]);
}

#[test]
fn its_own_messages_that_come_back_pass() {
    let mut filter = opened("");
    filter.process(&[metlog("counter", "hits", "3", 1.0)]);
    let emitted = filter.tick().unwrap();
    let processed = filter.process(&emitted);
    assert_eq!((processed.passed.len(), processed.absorbed), (2, 0));
}

#[test]
fn a_reload_goes_on_with_what_was_added_up() {
    let mut old = opened("");
    old.process(&[metlog("counter", "hits", "3", 1.0)]);
    let mut new = Rollup::open("counter_prefix = \"c\"").unwrap();
    new.start_after(&mut old).unwrap();
    new.process(&[metlog("counter", "hits", "4", 1.0)]);
    assert_eq!(told(&mut new), ["stats.c.hits.count 7"]);
}

#[test]
fn options_are_checked() {
    let check = |toml: &str, faults: &[&str]| assert_eq!(Rollup::faults(toml), faults, "{toml}");
    check("", &[]);
    check(ACCESS, &[]);
    check(
        "metlog = false\nmerge = false",
        &["metric: nothing is added up; name a metric, or leave `metlog` or `merge` on"],
    );
    let known =
        "known: Type, Logger, Payload, EnvVersion, Hostname, Uuid, Timestamp, Severity, Pid, Fields[name]";
    check(
        "metric.a = { kind = \"counter\", name = \"{Typ}\" }\nmetric.b = { kind = \"counter\", name = \"\" }",
        &[
            &format!("metric.a.name: column 1: no variable `Typ`; {known}"),
            "metric.b.name: must not be empty",
        ],
    );
    check(
        "flush_interval = 0\npercent_threshold = [0, 101]\nnames_max = 0\nglobal_prefix = \"a b\"\nemit_sketches = true\none_message = true",
        &[
            "flush_interval: from 10 ms to 1 d",
            "percent_threshold: numbers from -100 to 100, not 0",
            "names_max: from 1 to 10000000",
            "emit_sketches: needs a message for each metric; leave `one_message` out",
            "global_prefix: letters, digits and signs, without spaces and `;`",
        ],
    );
}
