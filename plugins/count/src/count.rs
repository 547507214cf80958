//! Filter `count`: how many messages there are.

use crate::metric::Kind;
use crate::rollup::{Options, Rollup, default_interval, emit_figures, integer, rate};
use crate::table::Table;
use heka_plugin_api::{Context, Faults, Filter, Interval, MessageMut, PluginError, Schema, Value, Verdict};
use serde::Deserialize;

/// Counts messages per interval and emits a message with the counts.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Counts by this header or field, such as `Type` or `Fields[status]`; all together when left out.
    by: Option<String>,
    /// How often the counts are emitted.
    #[serde(default = "default_interval")]
    #[schema(default = "10 s", unit = "s")]
    interval: Interval,
    /// Takes the counted messages out of the chain; otherwise they pass.
    #[serde(default)]
    #[schema(default = "false")]
    absorb: bool,
    /// Type of the messages that are emitted.
    #[serde(default = "default_emit_type")]
    #[schema(default = "heka.count")]
    emit_type: String,
    /// Emits `heka.statmetric` messages for Graphite instead, with names that begin so.
    stat_prefix: Option<String>,
    /// How many different keys are counted apart in one interval; further ones are counted together.
    #[serde(default = "default_keys_max")]
    #[schema(default = "10000", unit = "keys")]
    keys_max: usize,
}

fn default_emit_type() -> String {
    "heka.count".to_owned()
}

fn default_keys_max() -> usize {
    10_000
}

impl Config {
    fn options(&self) -> Options<'_> {
        Options {
            by: self.by.as_deref(),
            interval: self.interval,
            absorb: self.absorb,
            emit_type: &self.emit_type,
            stat_prefix: self.stat_prefix.as_deref(),
            keys_max: self.keys_max,
        }
    }
}

/// Counts messages per interval.
pub struct CountFilter {
    rollup: Rollup,
    counts: Table<u64>,
}

impl Filter for CountFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.options().check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let rollup = Rollup::open(&config.options(), context)?;
        Ok(CountFilter { rollup, counts: Table::new(config.keys_max) })
    }

    fn start(&mut self, _: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        self.rollup.start();
        Ok(())
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        let key = self.rollup.key(&message.view());
        if !self.counts.count(key, |count| *count += 1) {
            self.rollup.note_overflow();
        }
        Ok(self.rollup.verdict)
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let seconds = self.rollup.end_interval();
        let (rollup, mut result) = (&self.rollup, Ok(()));
        self.counts.take(!rollup.is_keyed(), |key, count| {
            let emitted = emit(rollup, key, *count, seconds, context);
            result = std::mem::replace(&mut result, Ok(())).and(emitted);
        });
        result
    }
}

fn emit(
    rollup: &Rollup,
    key: Option<&[u8]>,
    count: u64,
    seconds: f64,
    context: &mut Context,
) -> Result<(), PluginError> {
    let (number, rate) = (integer(count), rate(count, seconds));
    if let Some(metric) = rollup.metric(key) {
        let figures = [("count", Kind::Counter, Value::from(number)), ("rate", Kind::Gauge, rate.into())];
        return emit_figures(context, &metric, &figures, seconds);
    }
    let what = format!("{count} in {seconds:.1} s, {rate:.1}/s");
    rollup.emit(context, key, seconds, &what, |message| {
        message.field("count", number).field_as("rate", "1/s", rate);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;
    use heka_plugin_api::testing::{FilterTest, message};

    fn messages(statuses: &[i64]) -> Vec<OwnedMessage> {
        let build = |status: &i64| {
            message(|message| {
                message.field("status", *status);
            })
        };
        statuses.iter().map(build).collect()
    }

    /// Counts the messages and compares what a tick emits, as `key=count` (`*` for what was counted together).
    fn check(filter: &mut FilterTest<CountFilter>, statuses: &[i64], expected: &str) -> Vec<OwnedMessage> {
        let seen = filter.process(&messages(statuses));
        assert_eq!((seen.failure, seen.emitted.len()), (None, 0));
        let emitted = filter.tick().unwrap();
        let line = |message: &OwnedMessage| {
            let view = message.view();
            let key = view.value("key").and_then(|key| key.as_bytes()).unwrap_or(b"*");
            let count = view.value("count").unwrap().as_integer().unwrap();
            format!("{}={count}", String::from_utf8_lossy(key))
        };
        assert_eq!(emitted.iter().map(line).collect::<Vec<_>>().join(" "), expected);
        emitted
    }

    #[test]
    fn messages_are_counted_together() {
        let mut filter = FilterTest::<CountFilter>::open("").unwrap();
        assert_eq!(filter.host().ticker_ns(), 10_000_000_000);
        let emitted = check(&mut filter, &[200, 200, 500], "*=3");
        let view = emitted[0].view();
        assert_eq!(view.message_type(), b"heka.count");
        assert!(view.payload().starts_with(b"messages: 3 in "), "{view:?}");
        assert_eq!(view.value("overflow"), None);
        check(&mut filter, &[], "*=0");
    }

    #[test]
    fn messages_are_counted_by_a_field() {
        let toml = "by = 'Fields[status]'\nemit_type = 'statuses'\ninterval = '1 m'";
        let mut filter = FilterTest::<CountFilter>::open(toml).unwrap();
        assert_eq!(filter.host().ticker_ns(), 60_000_000_000);
        let emitted = check(&mut filter, &[500, 200, 200], "200=2 500=1");
        let view = emitted[0].view();
        assert_eq!(view.message_type(), b"statuses");
        assert_eq!(view.value("by"), Some(Value::String(b"Fields[status]")));
        assert!(view.payload().starts_with(b"Fields[status] 200: 2 in "), "{view:?}");
        check(&mut filter, &[404], "404=1");
        check(&mut filter, &[], "");
    }

    #[test]
    fn rate_is_count_by_interval() {
        let mut filter = FilterTest::<CountFilter>::open("").unwrap();
        let emitted = check(&mut filter, &[200; 50], "*=50");
        let number = |name: &str| emitted[0].view().value(name).unwrap().as_number().unwrap();
        assert!(number("interval") > 0.0);
        assert!((number("rate") * number("interval") - 50.0).abs() < 1e-6);
        let units: Vec<_> = emitted[0].view().fields().map(|field| field.representation().to_vec()).collect();
        assert_eq!(units, [&b""[..], b"1/s", b"s"]);
    }

    #[test]
    fn keys_over_the_limit_are_counted_together() {
        let mut filter = FilterTest::<CountFilter>::open("by = 'Fields[status]'\nkeys_max = 1").unwrap();
        let emitted = check(&mut filter, &[1, 2, 3, 1], "1=2 *=2");
        assert_eq!(emitted[1].view().value("overflow"), Some(Value::Bool(true)));
        assert!(emitted[1].view().payload().starts_with(b"Fields[status] (others): 2 in "));
    }

    #[test]
    fn counted_messages_pass_unless_absorbed() {
        let passed = |toml: &str| {
            let seen = FilterTest::<CountFilter>::open(toml).unwrap().process(&messages(&[1, 2]));
            (seen.passed.len(), seen.absorbed)
        };
        assert_eq!(passed(""), (2, 0));
        assert_eq!(passed("absorb = true"), (0, 2));
    }

    #[test]
    fn counts_become_metrics() {
        let toml = "by = 'Fields[status]'\nstat_prefix = 'web.status'\nkeys_max = 1";
        let mut filter = FilterTest::<CountFilter>::open(toml).unwrap();
        filter.process(&messages(&[200, 200, 404]));
        assert_eq!(filter.host().counter("overflow"), 1);
        let emitted = filter.tick().unwrap();
        let shown = emitted.iter().map(|message| {
            let view = message.view();
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap()).into_owned();
            let kind = text(view.value("kind").unwrap().as_bytes());
            assert_eq!(view.message_type(), b"heka.statmetric");
            let seconds = view.timestamp() / 1_000_000_000;
            let line = text(view.payload().strip_suffix(format!(" {seconds}\n").as_bytes()));
            let name = text(view.value("name").unwrap().as_bytes());
            assert_eq!(line.split(' ').next(), Some(name.as_str()));
            format!("{kind} {}", if kind == "counter" { line } else { name })
        });
        let expected = [
            "counter web.status.200.count 2",
            "gauge web.status.200.rate",
            "counter web.status._others.count 1",
            "gauge web.status._others.rate",
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        assert_eq!(emitted[0].view().value("value"), Some(Value::Integer(2)));
    }

    #[test]
    fn all_faults_are_found() {
        let toml = "by = 'Typ'\ninterval = 0\nemit_type = ''\nstat_prefix = 'a b'\nkeys_max = 0";
        let faults = FilterTest::<CountFilter>::faults(toml);
        assert!(faults[0].starts_with("by: no variable `Typ`; known: Type, "), "{faults:?}");
        let rest = [
            "interval: must be longer than 0 s",
            "emit_type: must not be empty",
            "stat_prefix: must be the start of a metric's name, such as `web.requests`",
            "keys_max: must be at least 1",
        ];
        assert_eq!(faults[1..], rest);
    }
}
