//! Filter `unique`: how many different values there are.

mod distinct;

use crate::metric::Kind;
use crate::rollup::{Options, Rollup, default_interval, emit_figures, variable};
use crate::table::Table;
use distinct::Distinct;
use heka_key::Variable;
use heka_plugin_api::{
    Context, Counter, Faults, Filter, Interval, Message, MessageMut, PluginError, Schema, Value, Verdict,
};
use serde::Deserialize;

/// The largest and smallest precision that the sketch has.
const PRECISION_MIN: u8 = 4;
const PRECISION_MAX: u8 = 21;

/// Tells per interval how many different values there are, of however many.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The header or field whose different values are counted, such as `Fields[user]`.
    of: String,
    /// Counts by this header or field, such as `Hostname`; all together when left out.
    by: Option<String>,
    /// How often the counts are emitted.
    #[serde(default = "default_interval")]
    #[schema(default = "10 s", unit = "s")]
    interval: Interval,
    /// Counts with 2 to this power of registers, 4 to 21: the error is 1.04 by the root of that, 1.6 % with 12.
    #[serde(default = "default_precision")]
    #[schema(default = "12")]
    precision: u8,
    /// Adds the sketch as the field `sketch`, so that another Heka can unite the counts of many hosts.
    #[serde(default)]
    #[schema(default = "false")]
    emit_sketch: bool,
    /// Unites the sketches in messages of the type `emit_type` from other hosts instead of counting values.
    #[serde(default)]
    #[schema(default = "false")]
    merge: bool,
    /// Takes the counted messages out of the chain; otherwise they pass.
    #[serde(default)]
    #[schema(default = "false")]
    absorb: bool,
    /// Type of the messages that are emitted.
    #[serde(default = "default_emit_type")]
    #[schema(default = "heka.unique")]
    emit_type: String,
    /// Emits `heka.statmetric` messages for Graphite instead, with names that begin so.
    stat_prefix: Option<String>,
    /// How many different keys are counted apart in one interval; further ones are counted together.
    #[serde(default = "default_keys_max")]
    #[schema(default = "1000", unit = "keys")]
    keys_max: usize,
}

fn default_precision() -> u8 {
    12
}

fn default_emit_type() -> String {
    "heka.unique".to_owned()
}

fn default_keys_max() -> usize {
    1000
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

/// Tells per interval how many different values there are.
pub struct UniqueFilter {
    rollup: Rollup,
    of: (String, Variable),
    value: Vec<u8>,
    table: Table<Distinct>,
    precision: u8,
    emit_sketch: bool,
    /// The type of the messages whose sketches are united, if they are.
    merged_type: Option<String>,
    without_value: Counter,
}

impl Filter for UniqueFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Err(reason) = Variable::parse(&config.of) {
            faults.add("of", reason);
        }
        config.options().check(faults);
        if !(PRECISION_MIN..=PRECISION_MAX).contains(&config.precision) {
            faults.add("precision", format!("must be {PRECISION_MIN} to {PRECISION_MAX}"));
        }
        if config.emit_sketch && config.stat_prefix.is_some() {
            faults.add("emit_sketch", "has no place in the metrics that `stat_prefix` asks for");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        Ok(UniqueFilter {
            rollup: Rollup::open(&config.options(), context)?,
            of: (config.of.clone(), variable("of", &config.of)?),
            value: Vec::new(),
            table: Table::new(config.keys_max),
            precision: config.precision,
            emit_sketch: config.emit_sketch,
            merged_type: config.merge.then_some(config.emit_type),
            without_value: context.counter("without_value"),
        })
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
        let view = message.view();
        if let Some(merged_type) = &self.merged_type {
            let is_merged = view.message_type() == merged_type.as_bytes();
            return if is_merged { self.merge(&view) } else { Ok(Verdict::Pass) };
        }
        self.value.clear();
        self.of.1.write(&view, &mut self.value);
        if self.value.is_empty() {
            self.without_value.add(1);
            return Ok(Verdict::Pass);
        }
        let (key, value, precision) = (self.rollup.key(&view), &self.value, self.precision);
        if !self.table.count(key, |distinct| distinct.insert(value, precision)) {
            self.rollup.note_overflow();
        }
        Ok(self.rollup.verdict)
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let seconds = self.rollup.end_interval();
        let UniqueFilter { rollup, table, of, emit_sketch, .. } = self;
        let mut result = Ok(());
        table.take(!rollup.is_keyed(), |key, distinct| {
            let emitted = emit(rollup, &of.0, key, distinct, *emit_sketch, seconds, context);
            result = std::mem::replace(&mut result, Ok(())).and(emitted);
        });
        result
    }
}

impl UniqueFilter {
    /// Unites what another host has counted with what is here.
    fn merge(&mut self, message: &Message<'_>) -> Result<Verdict, PluginError> {
        if message.value("of").and_then(|of| of.as_bytes()) != Some(self.of.0.as_bytes()) {
            return Ok(Verdict::Pass);
        }
        let Some(bytes) = message.value("sketch").and_then(|sketch| sketch.as_bytes()) else {
            // A host that counted nothing has no sketch.
            return match message.value("count").and_then(|count| count.as_integer()) {
                Some(0) => Ok(self.rollup.verdict),
                _ => Err(PluginError::message(
                    "no field `sketch`; set `emit_sketch = true` where it comes from",
                )),
            };
        };
        let other = Distinct::read(bytes)
            .map_err(|reason| PluginError::Message(format!("the sketch is damaged: {reason}")))?;
        let precision = self.precision;
        let unite = |distinct: &mut Distinct| distinct.unite(&other, precision);
        let is_own = match (self.rollup.is_keyed(), message.value("key").and_then(|key| key.as_bytes())) {
            (true, Some(key)) => self.table.count(key, unite),
            (true, None) => {
                self.table.count_overflow(unite);
                true
            }
            (false, _) => self.table.count(b"", unite),
        };
        if !is_own {
            self.rollup.note_overflow();
        }
        Ok(self.rollup.verdict)
    }
}

fn emit(
    rollup: &Rollup,
    of: &str,
    key: Option<&[u8]>,
    distinct: &Distinct,
    emit_sketch: bool,
    seconds: f64,
    context: &mut Context,
) -> Result<(), PluginError> {
    let [count, count_min, count_max] = distinct.count();
    if let Some(metric) = rollup.metric(key) {
        return emit_figures(context, &metric, &[("unique", Kind::Gauge, count.into())], seconds);
    }
    let what = format!("{count} different {of} in {seconds:.1} s");
    rollup.emit(context, key, seconds, &what, |message| {
        message.field("count", count).field("count_min", count_min).field("count_max", count_max);
        message.field("of", of);
        if let (true, Some(bytes)) = (emit_sketch, distinct.bytes()) {
            message.field("sketch", Value::Bytes(&bytes));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;
    use heka_plugin_api::testing::{FilterTest, message};

    fn of_user(host: &str, user: u32) -> OwnedMessage {
        message(|m| _ = m.hostname(host).field("user", user))
    }

    fn open(toml: &str) -> FilterTest<UniqueFilter> {
        FilterTest::open(&format!("of = 'Fields[user]'\n{toml}")).unwrap()
    }

    fn number(message: &OwnedMessage, name: &str) -> i64 {
        message.view().value(name).unwrap().as_integer().unwrap()
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let mut filter = open("");
        filter.process(&[1, 2, 1, 3, 3].map(|user| of_user("a", user)));
        let emitted = filter.tick().unwrap();
        assert_eq!(["count", "count_min", "count_max"].map(|name| number(&emitted[0], name)), [3, 3, 4]);
        let view = emitted[0].view();
        assert_eq!(view.message_type(), b"heka.unique");
        assert!(view.payload().starts_with(b"messages: 3 different Fields[user] in "), "{view:?}");
        assert_eq!(number(&filter.tick().unwrap()[0], "count"), 0);
    }

    #[test]
    fn many_values_are_counted_nearly() {
        let mut filter = open("absorb = true");
        for batch in 0..100 {
            let users: Vec<_> = (0..1000).map(|user| of_user("a", batch * 500 + user)).collect();
            assert_eq!(filter.process(&users).absorbed, 1000);
        }
        let emitted = filter.tick().unwrap();
        let [count, min, max] = ["count", "count_min", "count_max"].map(|name| number(&emitted[0], name));
        assert!((48_500..=52_500).contains(&count) && min < count && count < max, "{min} {count} {max}");
    }

    #[test]
    fn keys_are_counted_apart() {
        let mut filter = open("by = 'Hostname'\nkeys_max = 2");
        let users = [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("d", 2)];
        filter.process(&users.map(|(host, user)| of_user(host, user)));
        filter.process(&[message(|m| _ = m.hostname("a"))]);
        let counts: Vec<_> = filter.tick().unwrap().iter().map(|message| number(message, "count")).collect();
        assert_eq!(counts, [2, 1, 2]);
        assert_eq!((filter.host().counter("overflow"), filter.host().counter("without_value")), (2, 1));
    }

    #[test]
    fn sketches_of_many_hosts_are_united() {
        let counted = |users: std::ops::Range<u32>| {
            let mut filter = open("by = 'Hostname'\nemit_sketch = true");
            filter.process(&users.map(|user| of_user("a", user)).collect::<Vec<_>>());
            filter.tick().unwrap()
        };
        let mut grater = open("by = 'Hostname'\nmerge = true\nabsorb = true");
        let seen = grater.process(&[counted(0..2000), counted(1000..3000), counted(5..6)].concat());
        assert_eq!((seen.absorbed, seen.failed), (3, vec![]));
        let emitted = grater.tick().unwrap();
        assert_eq!(emitted.len(), 1);
        assert!((2880..=3120).contains(&number(&emitted[0], "count")), "{emitted:?}");
        let seen = grater.process(&[of_user("a", 1), of_user("a", 2)]);
        assert_eq!((seen.passed.len(), grater.tick().unwrap().len()), (2, 0));
    }

    #[test]
    fn a_count_without_sketch_is_refused() {
        let mut filter = open("");
        filter.process(&[of_user("a", 1)]);
        let plain = filter.tick().unwrap();
        let failed = open("merge = true").process(&plain).failed;
        assert_eq!(
            failed,
            [(0, "no field `sketch`; set `emit_sketch = true` where it comes from".to_owned())]
        );
        assert_eq!(open("merge = true").process(&filter.tick().unwrap()).failed, [], "it counted nothing");
    }

    #[test]
    fn counts_become_metrics() {
        let mut filter = open("stat_prefix = 'users'");
        filter.process(&[of_user("a", 1)]);
        assert!(filter.tick().unwrap()[0].view().payload().starts_with(b"users.unique 1 "));
    }

    #[test]
    fn all_faults_are_found() {
        let toml = "of = 'x'\nby = 'y'\nprecision = 3\nemit_sketch = true\nstat_prefix = 'a'";
        let faults = FilterTest::<UniqueFilter>::faults(toml);
        let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["of", "by", "precision", "emit_sketch"], "{faults:?}");
    }

    #[test]
    fn a_damaged_sketch_is_refused() {
        let damaged = message(|m| {
            m.message_type("heka.unique")
                .field("of", "Fields[user]")
                .field("sketch", Value::Bytes(b"\x0a\x01"));
        });
        let seen = open("merge = true").process(&[damaged]);
        assert_eq!((seen.failed.len(), seen.failure), (1, None));
        assert!(seen.failed[0].1.starts_with("the sketch is damaged: "), "{:?}", seen.failed);
    }
}
