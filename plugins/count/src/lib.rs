//! Counts messages per interval and emits a message with the counts: filter `count`.

mod counts;
mod variable;

use counts::Counts;
use heka_plugin_api::{
    Context, Faults, Filter, Interval, MessageMut, PluginError, Schema, Verdict, export_plugin,
};
use serde::Deserialize;
use std::io::Write;
use std::time::{Duration, Instant};
use variable::Variable;

export_plugin! { filter "count" => CountFilter }

/// Counts messages per interval and emits a message with the counts.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Config {
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
    /// How many different keys are counted apart in one interval; further ones are counted together.
    #[serde(default = "default_keys_max")]
    #[schema(default = "10000", unit = "keys")]
    keys_max: usize,
}

fn default_interval() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_emit_type() -> String {
    "heka.count".to_owned()
}

fn default_keys_max() -> usize {
    10_000
}

struct CountFilter {
    by: Option<(String, Variable)>,
    verdict: Verdict,
    emit_type: String,
    total: u64,
    counts: Counts,
    key: Vec<u8>,
    since: Instant,
}

/// One line of counts.
struct Line<'a> {
    by: Option<&'a str>,
    /// `None` for what was counted together, and where nothing tells messages apart.
    key: Option<&'a [u8]>,
    count: u64,
    seconds: f64,
}

impl Filter for CountFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Some(Err(reason)) = config.by.as_deref().map(Variable::parse) {
            faults.add("by", reason);
        }
        if config.interval.0.is_zero() {
            faults.add("interval", "must be longer than 0 s");
        }
        if config.emit_type.is_empty() {
            faults.add("emit_type", "must not be empty");
        }
        if config.keys_max == 0 {
            faults.add("keys_max", "must be at least 1");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let parse = |by: String| match Variable::parse(&by) {
            Ok(variable) => Ok((by, variable)),
            Err(reason) => Err(PluginError::Config(format!("by: {reason}"))),
        };
        context.set_ticker(config.interval.0);
        Ok(CountFilter {
            by: config.by.map(parse).transpose()?,
            verdict: if config.absorb { Verdict::Absorb } else { Verdict::Pass },
            emit_type: config.emit_type,
            total: 0,
            counts: Counts::new(config.keys_max),
            key: Vec::new(),
            since: Instant::now(),
        })
    }

    fn start(&mut self, _: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        self.since = Instant::now();
        Ok(())
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        match &self.by {
            None => self.total += 1,
            Some((_, variable)) => {
                self.key.clear();
                variable.write(&message.view(), &mut self.key);
                self.counts.add(&self.key);
            }
        }
        Ok(self.verdict)
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let seconds = std::mem::replace(&mut self.since, Instant::now()).elapsed().as_secs_f64();
        let emit_type = &self.emit_type;
        let Some((by, _)) = &self.by else {
            let count = std::mem::take(&mut self.total);
            return emit(&Line { by: None, key: None, count, seconds }, emit_type, context);
        };
        let mut result = Ok(());
        self.counts.take(|key, count| {
            let emitted = emit(&Line { by: Some(by), key, count, seconds }, emit_type, context);
            result = std::mem::replace(&mut result, Ok(())).and(emitted);
        });
        result
    }
}

fn emit(line: &Line<'_>, emit_type: &str, context: &mut Context) -> Result<(), PluginError> {
    let rate = if line.seconds > 0.0 { line.count as f64 / line.seconds } else { 0.0 };
    let count = i64::try_from(line.count).unwrap_or(i64::MAX);
    context.emit(|message| {
        message.message_type(emit_type).payload(line.payload(rate));
        message.field("count", count).field_as("rate", "1/s", rate).field_as("interval", "s", line.seconds);
        if let Some(by) = line.by {
            message.field("by", by);
            match line.key {
                Some(key) => message.field("key", key),
                None => message.field("overflow", true),
            };
        }
    })
}

impl Line<'_> {
    /// Such as `Type nginx.access: 1200 in 10.0 s, 120.0/s`.
    fn payload(&self, rate: f64) -> Vec<u8> {
        let mut text = Vec::with_capacity(128);
        text.extend_from_slice(self.by.unwrap_or("messages").as_bytes());
        if self.by.is_some() {
            text.push(b' ');
            text.extend_from_slice(self.key.unwrap_or(b"(others)"));
        }
        // Writing to a vector doesn't fail.
        let _ = write!(text, ": {} in {:.1} s, {rate:.1}/s", self.count, self.seconds);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};
    use heka_plugin_api::{OwnedMessage, Value};

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
    fn all_faults_are_found() {
        let toml = "by = 'Typ'\ninterval = 0\nemit_type = ''\nkeys_max = 0";
        let faults = FilterTest::<CountFilter>::faults(toml);
        assert!(faults[0].starts_with("by: no variable `Typ`; known: Type, "), "{faults:?}");
        let rest = [
            "interval: must be longer than 0 s",
            "emit_type: must not be empty",
            "keys_max: must be at least 1",
        ];
        assert_eq!(faults[1..], rest);
    }
}
