//! Filter `top`: which keys come most often.

use crate::metric::Kind;
use crate::rollup::{Options, Rollup, default_interval, emit_figures, integer, variable};
use datasketches::frequencies::{ErrorType, FrequentItemsSketch, Row};
use heka_key::Variable;
use heka_plugin_api::{
    Context, Counter, Faults, Filter, Interval, Message, MessageMut, Part, PluginError, Schema, Value,
    Verdict,
};
use serde::Deserialize;

/// The sketch keeps three quarters as many keys as it has room for, which is a power of two from 8 on.
const MAP_SIZE_MIN: usize = 8;
const KEYS_MAX: usize = 1 << 20;

/// Tells per interval which keys come most often, or weigh most, of however many.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The header or field whose most frequent values are told, such as `Fields[remote_addr]`.
    by: String,
    /// How many of them are told.
    #[serde(default = "default_size")]
    #[schema(default = "10", unit = "keys")]
    size: usize,
    /// Field or header whose number is added up, such as `Fields[bytes]`; each message counts 1 when left out.
    weight: Option<String>,
    /// How often they are told.
    #[serde(default = "default_interval")]
    #[schema(default = "10 s", unit = "s")]
    interval: Interval,
    /// Takes the counted messages out of the chain; otherwise they pass.
    #[serde(default)]
    #[schema(default = "false")]
    absorb: bool,
    /// Type of the messages that are emitted.
    #[serde(default = "default_emit_type")]
    #[schema(default = "heka.top")]
    emit_type: String,
    /// Emits `heka.statmetric` messages for Graphite instead, with names that begin so.
    stat_prefix: Option<String>,
    /// How many keys are watched at a time, at most 1048576; the more, the smaller the error.
    #[serde(default = "default_keys_max")]
    #[schema(default = "3000", unit = "keys")]
    keys_max: usize,
}

fn default_size() -> usize {
    10
}

fn default_emit_type() -> String {
    "heka.top".to_owned()
}

fn default_keys_max() -> usize {
    3000
}

impl Config {
    fn options(&self) -> Options<'_> {
        Options {
            by: Some(&self.by),
            interval: self.interval,
            absorb: self.absorb,
            emit_type: &self.emit_type,
            stat_prefix: self.stat_prefix.as_deref(),
            keys_max: self.keys_max,
        }
    }

    fn map_size(&self) -> usize {
        (self.keys_max.min(KEYS_MAX) * 4 / 3).next_power_of_two().max(MAP_SIZE_MIN)
    }
}

/// Tells per interval which keys come most often.
pub struct TopFilter {
    rollup: Rollup,
    size: usize,
    weight: Option<Part>,
    sketch: FrequentItemsSketch<Vec<u8>>,
    without_weight: Counter,
}

impl Filter for TopFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.options().check(faults);
        if config.size == 0 {
            faults.add("size", "must be at least 1");
        }
        if config.size > config.keys_max && config.keys_max > 0 {
            faults.add("size", "must not be more than `keys_max`");
        }
        if config.keys_max > KEYS_MAX {
            faults.add("keys_max", format!("must be at most {KEYS_MAX}"));
        }
        if let Some(Err(reason)) = config.weight.as_deref().map(Variable::parse) {
            faults.add("weight", reason);
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let parse = |name: &str| {
            variable("weight", name)?;
            Part::parse(name).map_err(|reason| PluginError::Config(format!("weight: {reason}")))
        };
        let sketch = FrequentItemsSketch::new(config.map_size());
        Ok(TopFilter {
            rollup: Rollup::open(&config.options(), context)?,
            size: config.size,
            weight: config.weight.as_deref().map(parse).transpose()?,
            sketch: sketch.map_err(|error| PluginError::Config(format!("keys_max: {error}")))?,
            without_weight: context.counter("without_weight"),
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
        let room = u64::MAX - self.sketch.total_weight();
        let Some(weight) = self.weight(&view) else {
            self.without_weight.add(1);
            return Ok(Verdict::Pass);
        };
        self.sketch.update_with_count_ref(self.rollup.key(&view), weight.min(room));
        Ok(self.rollup.verdict)
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let seconds = self.rollup.end_interval();
        let mut rows = self.sketch.frequent_items_with_threshold(ErrorType::NoFalseNegatives, 0);
        rows.sort_by(|a, b| b.estimate().cmp(&a.estimate()).then_with(|| a.item().cmp(b.item())));
        let (total, mut result) = (self.sketch.total_weight(), Ok(()));
        for (row, rank) in rows.iter().take(self.size).zip(1i64..) {
            result = result.and(emit(&self.rollup, row, rank, total, seconds, context));
        }
        self.sketch.reset();
        result
    }
}

impl TopFilter {
    /// What the message weighs; `None` where it says nothing that can be added up.
    fn weight(&self, message: &Message<'_>) -> Option<u64> {
        let Some(part) = &self.weight else { return Some(1) };
        let value = part.value(message)?;
        let number = match value.value() {
            Value::String(text) | Value::Bytes(text) => {
                std::str::from_utf8(text).ok()?.trim().parse().ok()?
            }
            value => value.as_number()?,
        };
        // Fractions are rounded; beyond all integers it is the largest.
        (number >= 0.0).then_some(number.round() as u64)
    }
}

fn emit(
    rollup: &Rollup,
    row: &Row<Vec<u8>>,
    rank: i64,
    total: u64,
    seconds: f64,
    context: &mut Context,
) -> Result<(), PluginError> {
    let (key, count, count_min) = (Some(&**row.item()), row.upper_bound(), row.lower_bound());
    if let Some(metric) = rollup.metric(key) {
        let figures = [("count", Kind::Counter, Value::from(integer(count)))];
        return emit_figures(context, &metric, &figures, seconds);
    }
    let share = if total > 0 { count as f64 / total as f64 } else { 0.0 };
    let what = format!("{count} of {total} in {seconds:.1} s, {:.1} %, number {rank}", share * 100.0);
    rollup.emit(context, key, seconds, &what, |message| {
        message.field("rank", rank).field("count", integer(count)).field("count_min", integer(count_min));
        message.field("error_max", integer(count - count_min));
        message.field("total", integer(total)).field("share", share);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;
    use heka_plugin_api::testing::{FilterTest, message};
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn of_user(user: &str, bytes: f64) -> OwnedMessage {
        message(|m| _ = m.field("user", user).field("bytes", bytes))
    }

    /// The top of these users, as `user=count`.
    fn check(toml: &str, users: &str, expected: &str) -> (FilterTest<TopFilter>, Vec<OwnedMessage>) {
        let toml = format!("by = 'Fields[user]'\n{toml}");
        let mut filter = FilterTest::<TopFilter>::open(&toml).unwrap();
        let messages: Vec<_> = users.split_whitespace().map(|user| of_user(user, 100.0)).collect();
        assert_eq!(filter.process(&messages).failure, None);
        let emitted = filter.tick().unwrap();
        let line = |message: &OwnedMessage| {
            let (user, count) =
                (message.view().value("key").unwrap(), message.view().value("count").unwrap());
            format!("{}={count:?}", String::from_utf8_lossy(user.as_bytes().unwrap()))
        };
        assert_eq!(emitted.iter().map(line).collect::<Vec<_>>().join(" "), expected, "{toml}");
        (filter, emitted)
    }

    #[test]
    fn the_most_frequent_are_told() {
        let (mut filter, emitted) = check("size = 2", "b a b c b a", "b=3 a=2");
        let view = emitted[1].view();
        assert_eq!(view.message_type(), b"heka.top");
        let field = |name: &str| view.value(name).unwrap();
        assert_eq!((field("rank"), field("total"), field("error_max")), (2.into(), 6.into(), 0.into()));
        assert!(view.payload().starts_with(b"Fields[user] a: 2 of 6 in "), "{view:?}");
        assert_eq!(filter.tick().unwrap().len(), 0, "the next interval begins anew");
    }

    #[test]
    fn equals_are_told_in_order_of_their_keys() {
        check("", "c b a", "a=1 b=1 c=1");
    }

    #[test]
    fn weights_are_added_up() {
        check("weight = 'Fields[bytes]'", "a a b", "a=200 b=100");
        let (filter, _) = check("weight = 'Fields[user]'", "5 7 x 7 -1 NaN", "7=14 5=5");
        assert_eq!(filter.host().counter("without_weight"), 3);
        let huge = "18446744073709551615";
        check("weight = 'Fields[user]'", &format!("{huge} {huge} 1"), &format!("{huge}={}", i64::MAX));
    }

    #[test]
    fn the_top_becomes_metrics() {
        let toml = "by = 'Fields[user]'\nsize = 1\nstat_prefix = 'top.users'";
        let mut filter = FilterTest::<TopFilter>::open(toml).unwrap();
        filter.process(&[of_user("a b", 1.0)]);
        let emitted = filter.tick().unwrap();
        assert!(emitted[0].view().payload().starts_with(b"top.users.a_b.count 1 "), "{emitted:?}");
    }

    #[test]
    fn all_faults_are_found() {
        let faults = FilterTest::<TopFilter>::faults("by = 'x'\nsize = 0\nweight = 'y'\nkeys_max = 2000000");
        let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["by", "size", "keys_max", "weight"], "{faults:?}");
        let faults = FilterTest::<TopFilter>::faults("by = 'Type'\nsize = 9\nkeys_max = 8");
        assert_eq!(faults, ["size: must not be more than `keys_max`"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// However few keys are watched, true counts lie within what is told.
        #[test]
        fn counts_are_within_their_bounds(users in proptest::collection::vec(0u32..60, 0..2000)) {
            let mut filter = FilterTest::<TopFilter>::open("by = 'Fields[user]'\nkeys_max = 12\nsize = 12").unwrap();
            let mut counts: HashMap<String, i64> = HashMap::new();
            users.iter().for_each(|user| *counts.entry(user.to_string()).or_default() += 1);
            filter.process(&users.iter().map(|user| of_user(&user.to_string(), 1.0)).collect::<Vec<_>>());
            for message in filter.tick().unwrap() {
                let field = |name: &str| message.view().value(name).unwrap().as_integer().unwrap();
                let key = message.view().value("key").unwrap();
                let count = counts[std::str::from_utf8(key.as_bytes().unwrap()).unwrap()];
                prop_assert!((field("count_min")..=field("count")).contains(&count));
                prop_assert_eq!(field("total"), users.len() as i64);
            }
        }
    }
}
