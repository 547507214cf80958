use super::*;
use crate::flush::Emitter;
use crate::line::{LineSink, parse_packet};
use heka_plugin_api::{MessageBuilder, OwnedMessage, PluginError};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// The options that an empty config gives.
pub fn settings() -> Settings {
    Settings {
        flush_interval: Duration::from_secs(10),
        align: false,
        percent_threshold: vec![90.0],
        timer_statistics: crate::settings::Statistics::Usual,
        namespaces: crate::settings::Namespaces::Current,
        global_prefix: "stats".to_owned(),
        counter_prefix: "counters".to_owned(),
        gauge_prefix: "gauges".to_owned(),
        timer_prefix: "timers".to_owned(),
        histogram_prefix: "histograms".to_owned(),
        set_prefix: "sets".to_owned(),
        own_prefix: "statsd".to_owned(),
        delete_idle_stats: false,
        forget_after: Duration::ZERO,
        names_max: 1_000,
        name_bytes_max: 1_024,
        timer_samples_max: 1_000,
        samples_memory: 1 << 20,
        set_members_max: 1_000,
        emit_sketches: false,
        keep_tags: true,
        one_message: false,
    }
}

/// Keeps what is emitted.
#[derive(Default)]
pub struct Kept(pub Vec<OwnedMessage>);

impl Emitter for Kept {
    fn emit(&mut self, build: impl FnOnce(&mut MessageBuilder<'_>)) -> Result<(), PluginError> {
        self.0.push(OwnedMessage::build(build)?);
        Ok(())
    }
}

struct Sink<'a>(&'a mut Accumulator);

impl LineSink for Sink<'_> {
    fn metric(&mut self, name: &[u8], tags: &[u8], value: Value<'_>) {
        self.0.add(name, tags, value);
    }

    fn integer(&mut self, name: &[u8], kind: Kind, value: i64) {
        self.0.add_integer(name, kind, value);
    }

    fn notice(&mut self, _: &[u8]) {}

    fn malformed(&mut self, line: &[u8], reason: &'static str) {
        panic!("{}: {reason}", String::from_utf8_lossy(line));
    }
}

fn accumulator(change: impl FnOnce(&mut Settings)) -> Accumulator {
    let mut settings = settings();
    change(&mut settings);
    Accumulator::new(settings)
}

fn add(accumulator: &mut Accumulator, packet: &str) {
    parse_packet(packet.as_bytes(), &mut Sink(accumulator));
}

const TIME: FlushTime = FlushTime { timestamp: 1_700_000_000_500_000_000, seconds: 10.0 };

/// Tells the interval; returns the Graphite lines, without time and `numStats`.
fn flushed(accumulator: &mut Accumulator) -> Vec<String> {
    let mut kept = Kept::default();
    accumulator.begin_flush(TIME);
    assert_eq!(accumulator.flush_slice(&mut kept, None), 0);
    lines(&kept)
}

fn lines(kept: &Kept) -> Vec<String> {
    let payloads =
        kept.0.iter().map(|message| String::from_utf8_lossy(message.view().payload()).into_owned());
    let lines = payloads.collect::<String>();
    let lines = lines.lines().map(|line| line.strip_suffix(" 1700000000").unwrap_or(line).to_owned());
    lines.filter(|line| !line.contains("numStats")).collect()
}

#[test]
fn counters_are_told_as_rate_and_count() {
    let mut accumulator = accumulator(|_| {});
    add(&mut accumulator, "hits:1|c\nhits:4|c\nmisses:1|c|@0.1\nhits:0.5|c");
    assert_eq!(
        flushed(&mut accumulator),
        [
            "stats.counters.hits.rate 0.55",
            "stats.counters.hits.count 5.5",
            "stats.counters.misses.rate 1",
            "stats.counters.misses.count 10"
        ]
    );
    let zeros = [
        "stats.counters.hits.rate 0",
        "stats.counters.hits.count 0",
        "stats.counters.misses.rate 0",
        "stats.counters.misses.count 0",
    ];
    assert_eq!(flushed(&mut accumulator), zeros);
}

#[test]
fn integers_keep_all_digits() {
    let mut accumulator = accumulator(|_| {});
    add(&mut accumulator, "a:9007199254740993|c\nb:9007199254740993|g\nb:+2|g");
    let lines = flushed(&mut accumulator);
    assert_eq!(lines[1..], ["stats.counters.a.count 9007199254740993", "stats.gauges.b 9007199254740995"]);
}

#[test]
fn gauges_are_set_changed_and_told_again() {
    let mut accumulator = accumulator(|_| {});
    add(&mut accumulator, "g:10|g\ng:+5|g\ng:-3|g\nd:-4|g");
    assert_eq!(flushed(&mut accumulator), ["stats.gauges.g 12", "stats.gauges.d -4"]);
    assert_eq!(flushed(&mut accumulator), ["stats.gauges.g 12", "stats.gauges.d -4"]);
    add(&mut accumulator, "g:+1|g\nd:2.5|g");
    assert_eq!(flushed(&mut accumulator), ["stats.gauges.g 13", "stats.gauges.d 2.5"]);
}

#[test]
fn timers_are_told_with_percentiles() {
    let mut accumulator = accumulator(|settings| settings.percent_threshold = vec![90.0, 99.9, -10.0]);
    (1..=10).for_each(|value| add(&mut accumulator, &format!("t:{value}|ms")));
    add(&mut accumulator, "h:-1.5|h|@0.5");
    let of_timer = [
        "count 10",
        "count_ps 1",
        "lower 1",
        "upper 10",
        "sum 55",
        "mean 5.5",
        "mean_90 5",
        "upper_90 9",
        "mean_99_9 5.5",
        "upper_99_9 10",
        "mean_top10 10",
        "lower_top10 10",
    ];
    let of_histogram = [
        "count 2",
        "count_ps 0.2",
        "lower -1.5",
        "upper -1.5",
        "sum -1.5",
        "mean -1.5",
        "mean_90 -1.5",
        "upper_90 -1.5",
        "mean_99_9 -1.5",
        "upper_99_9 -1.5",
        "mean_top10 -1.5",
        "lower_top10 -1.5",
    ];
    let expected: Vec<String> = of_timer
        .map(|line| format!("stats.timers.t.{line}"))
        .into_iter()
        .chain(of_histogram.map(|line| format!("stats.histograms.h.{line}")))
        .collect();
    assert_eq!(flushed(&mut accumulator), expected);
    assert_eq!(flushed(&mut accumulator)[..2], ["stats.timers.t.count 0", "stats.timers.t.count_ps 0"]);
}

#[test]
fn sets_count_members_once() {
    let mut accumulator = accumulator(|settings| settings.set_members_max = 3);
    add(&mut accumulator, "s:a|s\ns:b|s\ns:a|s\ns:c|s\ns:d|s");
    assert_eq!(flushed(&mut accumulator), ["stats.sets.s.count 3"]);
    assert_eq!(accumulator.tally.members_refused, 1);
    assert_eq!(flushed(&mut accumulator), ["stats.sets.s.count 0"]);
}

#[test]
fn names_of_one_kind_are_apart_from_another() {
    let mut accumulator = accumulator(|_| {});
    add(&mut accumulator, "x:1|c\nx:2|g\nx:3|s\nx:4|c");
    let expected =
        ["stats.counters.x.rate 0.5", "stats.counters.x.count 5", "stats.gauges.x 2", "stats.sets.x.count 1"];
    assert_eq!(flushed(&mut accumulator), expected);
}

#[test]
fn tags_are_part_of_the_name_in_any_order() {
    let mut accumulator = accumulator(|_| {});
    add(&mut accumulator, "x:1|g|#b:2,a:1\nx:+1|g|#a:1,b:2\nx:5|g");
    assert_eq!(flushed(&mut accumulator), ["stats.gauges.x;a=1;b=2 2", "stats.gauges.x 5"]);
    let mut accumulator = self::accumulator(|settings| settings.keep_tags = false);
    add(&mut accumulator, "x:1|g|#b:2,a:1\nx:+1|g|#a:2");
    assert_eq!(flushed(&mut accumulator), ["stats.gauges.x 2"]);
}

#[test]
fn names_that_become_the_same_are_one() {
    let mut accumulator = accumulator(|_| {});
    add(&mut accumulator, "a b/c:1|c\na_b-c:2|c\na b/c:4|c");
    assert_eq!(flushed(&mut accumulator)[1..], ["stats.counters.a_b-c.count 7"]);
}

#[test]
fn legacy_names_are_those_of_old() {
    let mut accumulator = accumulator(|settings| {
        settings.namespaces = crate::settings::Namespaces::Legacy;
        settings.timer_statistics = crate::settings::Statistics::All;
        settings.global_prefix = "ignored".to_owned();
    });
    add(&mut accumulator, "c:5|c\ng:1|g\ns:1|s");
    let expected = ["stats.c 0.5", "stats_counts.c 5", "stats.gauges.g 1", "stats.sets.s.count 1"];
    assert_eq!(flushed(&mut accumulator), expected);
    add(&mut accumulator, "t:1|ms\nt:3|ms");
    let lines = flushed(&mut accumulator);
    let timer: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("stats.timers.t.")).collect();
    let expected = [
        "count 2",
        "count_ps 0.2",
        "lower 1",
        "upper 3",
        "sum 4",
        "mean 2",
        "sum_squares 10",
        "std 1",
        "median 2",
        "mean_90 2",
        "upper_90 3",
        "count_90 2",
        "sum_90 4",
        "sum_squares_90 10",
    ];
    assert_eq!(timer, expected);
}

#[test]
fn prefixes_can_be_chosen() {
    let mut accumulator = accumulator(|settings| {
        settings.global_prefix = String::new();
        settings.counter_prefix = "c".to_owned();
        settings.gauge_prefix = String::new();
    });
    add(&mut accumulator, "a:10|c\nb:1|g");
    assert_eq!(flushed(&mut accumulator), ["c.a.rate 1", "c.a.count 10", "b 1"]);
}

#[test]
fn a_message_has_the_figures_as_fields() {
    let mut accumulator = accumulator(|settings| settings.emit_sketches = true);
    add(&mut accumulator, "hits:5|c|#host:a1\nt:3|ms\ns:x|s");
    let mut kept = Kept::default();
    accumulator.begin_flush(TIME);
    accumulator.flush_slice(&mut kept, None);
    let shown: Vec<String> = kept.0.iter().map(|message| shown(&message.view())).collect();
    assert_eq!(shown[0], r#"name="hits" kind="counter" tag.host="a1" interval=10.0 rate=0.5 count=5"#);
    assert!(shown[1].starts_with(r#"name="t" kind="timer" interval=10.0 count=1 count_ps=0.1 lower=3.0 upper=3.0 sum=3.0 mean=3.0 mean_90=3.0 upper_90=3.0 samples=1 sum_squares=9.0 sketch=["#));
    assert!(shown[2].starts_with(r#"name="s" kind="set" interval=10.0 count=1 members=["#));
    assert_eq!(shown[3], r#"name="numStats" kind="internal" interval=10.0 value=3"#);
    let message = kept.0[0].view();
    assert_eq!((message.message_type(), message.timestamp()), (&b"heka.statmetric"[..], TIME.timestamp));
    let payload =
        "stats.counters.hits.rate;host=a1 0.5 1700000000\nstats.counters.hits.count;host=a1 5 1700000000\n";
    assert_eq!(String::from_utf8_lossy(message.payload()), payload);
    assert_eq!(kept.0[3].view().payload(), b"stats.statsd.numStats 3 1700000000\n");
}

fn shown(message: &heka_plugin_api::Message<'_>) -> String {
    let fields = message
        .fields()
        .map(|field| format!("{}={:?}", String::from_utf8_lossy(field.name()), field.value(0).unwrap()));
    fields.collect::<Vec<_>>().join(" ")
}

#[test]
fn one_message_can_have_all_lines() {
    let mut accumulator = accumulator(|settings| settings.one_message = true);
    add(&mut accumulator, "a:10|c\nb:1|g");
    let mut kept = Kept::default();
    accumulator.begin_flush(TIME);
    accumulator.flush_slice(&mut kept, None);
    assert_eq!(kept.0.len(), 1);
    let payload = "stats.counters.a.rate 1 1700000000\nstats.counters.a.count 10 1700000000\nstats.gauges.b 1 1700000000\nstats.statsd.numStats 2 1700000000\n";
    assert_eq!(String::from_utf8_lossy(kept.0[0].view().payload()), payload);
    assert_eq!(kept.0[0].view().fields().len(), 0);
}

#[test]
fn idle_metrics_can_be_deleted() {
    let mut accumulator = accumulator(|settings| settings.delete_idle_stats = true);
    add(&mut accumulator, "a:1|c\nb:1|g\nc:1|s\nd:1|ms");
    assert_eq!(flushed(&mut accumulator).len(), 2 + 1 + 1 + 8);
    add(&mut accumulator, "b:+1|g");
    assert_eq!(flushed(&mut accumulator), ["stats.gauges.b 2"]);
    assert_eq!(accumulator.len(), 1);
    assert_eq!((flushed(&mut accumulator).len(), accumulator.len()), (0, 0));
    add(&mut accumulator, "b:+1|g");
    assert_eq!(flushed(&mut accumulator), ["stats.gauges.b 1"]);
}

#[test]
fn metrics_are_forgotten_after_a_time() {
    let mut accumulator = accumulator(|settings| settings.forget_after = Duration::from_secs(20));
    add(&mut accumulator, "a:1|g");
    let told: Vec<usize> = (0..4).map(|_| flushed(&mut accumulator).len()).collect();
    assert_eq!(told, [1, 1, 0, 0]);
}

#[test]
fn names_are_limited_and_places_are_used_again() {
    let mut accumulator = accumulator(|settings| {
        (settings.names_max, settings.name_bytes_max, settings.delete_idle_stats) = (2, 10, true);
    });
    add(&mut accumulator, "a:1|c\nb:1|c\nc:1|c\nc:1|c\na:1|c\nabcdefghijk:1|c\né:1|c");
    assert_eq!(accumulator.tally, Tally { metrics: 3, names_refused: 4, members_refused: 0 });
    assert_eq!(flushed(&mut accumulator).len(), 4);
    flushed(&mut accumulator);
    add(&mut accumulator, "c:7|g\nd:8|ms");
    let lines = flushed(&mut accumulator);
    assert_eq!((lines[0].as_str(), lines.len(), accumulator.slots.len()), ("stats.timers.d.count 1", 9, 2));
}

#[test]
fn what_comes_during_a_flush_is_told_the_next_time() {
    let mut accumulator = accumulator(|settings| settings.names_max = 10_000);
    (0..1_000).for_each(|number| add(&mut accumulator, &format!("c{number}:1|c\ng{number}:5|g")));
    let (mut kept, mut slices) = (Kept::default(), 0);
    accumulator.begin_flush(TIME);
    while accumulator.is_flushing() {
        accumulator.flush_slice(&mut kept, Some(Instant::now()));
        slices += 1;
        // Both of what is told already and of what is not; and new names.
        let number = slices % 1_000;
        add(
            &mut accumulator,
            &format!(
                "c{number}:10|c\nc{}:10|c\ng{number}:+1|g\ng{}:+1|g\nnew{slices}:1|c",
                999 - number,
                999 - number
            ),
        );
    }
    assert!(slices > 10, "{slices}");
    let told = lines(&kept);
    assert_eq!(told.len(), 3_000);
    assert!(told.iter().all(|line| !line.contains(".count ") || line.ends_with(" 1")));
    assert!(told.iter().all(|line| !line.contains("gauges") || line.ends_with(" 5")));
    let next = flushed(&mut accumulator);
    let sum = |what: &str| -> f64 {
        let values =
            next.iter().filter(|line| line.contains(what)).map(|line| line.rsplit(' ').next().unwrap());
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    };
    assert_eq!(sum("stats.gauges."), 5_000.0 + 2.0 * f64::from(slices));
    let counts = next.iter().filter(|line| line.contains("counters.c") && line.contains(".count "));
    let counts: f64 = counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(counts, 20.0 * f64::from(slices));
}

proptest! {
    #[test]
    fn sums_are_those_of_a_map(values in proptest::collection::vec((0_u8..40, -1_000_i64..1_000), 0..300), cut in 0_usize..300) {
        let mut accumulator = accumulator(|_| {});
        let mut expected = std::collections::BTreeMap::<u8, i64>::new();
        let mut told = std::collections::BTreeMap::<u8, i64>::new();
        let mut tell = |lines: Vec<String>| {
            for line in lines.iter().filter(|line| line.contains(".count ")) {
                let (name, value) = line.split_once(".count ").unwrap();
                *told.entry(name.rsplit('n').next().unwrap().parse().unwrap()).or_default() += value.parse::<i64>().unwrap();
            }
        };
        for (index, (name, value)) in values.iter().enumerate() {
            if index == cut {
                tell(flushed(&mut accumulator));
            }
            add(&mut accumulator, &format!("n{name}:{value}|c"));
            *expected.entry(*name).or_default() += value;
        }
        tell(flushed(&mut accumulator));
        prop_assert_eq!(told, expected);
    }
}
