//! Filter `rate_limit`: lets so many messages a second through.

use crate::buckets::{Buckets, Limit, Report};
use crate::variable::Variable;
use heka_plugin_api::{
    Context, Counter, Faults, Filter, FilterBatch, Interval, MessageMut, PluginError, Schema, Verdict,
};
use serde::Deserialize;
use std::io::Write;
use std::time::Instant;

/// Lets so many messages a second through and drops the rest.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many messages pass in the long run.
    #[schema(unit = "messages/s")]
    rate: f64,
    /// How many pass at once after a pause; one second's when left out, at least 1.
    #[schema(unit = "messages")]
    burst: Option<u32>,
    /// Limits messages apart by this header or field, such as `Logger` or `Fields[user]`; all together when left out.
    key: Option<String>,
    /// How many different keys are limited apart; further ones are limited together.
    #[serde(default = "default_keys_max")]
    #[schema(default = "10000", unit = "keys")]
    keys_max: usize,
    /// How often a message tells, for each key, how many were dropped; never when left out.
    #[schema(unit = "s")]
    report_interval: Option<Interval>,
}

fn default_keys_max() -> usize {
    10_000
}

/// Lets so many messages a second through and drops the rest.
pub struct RateLimitFilter {
    buckets: Buckets,
    key: Option<(String, Variable)>,
    key_text: Vec<u8>,
    reports: bool,
    started: Instant,
    reported: Instant,
    now_ns: u64,
    dropped: Counter,
}

impl Filter for RateLimitFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if !(config.rate > 0.0 && config.rate.is_finite()) {
            faults.add("rate", "must be more than 0");
        }
        if config.burst == Some(0) {
            faults.add("burst", "must be at least 1");
        }
        if let Some(Err(reason)) = config.key.as_deref().map(Variable::parse) {
            faults.add("key", reason.to_string());
        }
        if config.keys_max == 0 {
            faults.add("keys_max", "must be at least 1");
        }
        if config.report_interval.is_some_and(|interval| interval.0.is_zero()) {
            faults.add("report_interval", "must be longer than 0 s");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let parse = |key: String| match Variable::parse(&key) {
            Ok(variable) => Ok((key, variable)),
            Err(reason) => Err(PluginError::Config(format!("key: {reason}"))),
        };
        let burst = config.burst.map_or(config.rate, f64::from).max(1.0);
        let reports = config.report_interval.is_some();
        if let Some(interval) = config.report_interval {
            context.set_ticker(interval.0);
        }
        let now = Instant::now();
        Ok(RateLimitFilter {
            buckets: Buckets::new(Limit { rate: config.rate, burst }, config.keys_max, reports),
            key: config.key.map(parse).transpose()?,
            key_text: Vec::new(),
            reports,
            started: now,
            reported: now,
            now_ns: 0,
            dropped: context.counter("dropped"),
        })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        self.key_text.clear();
        if let Some((_, variable)) = &self.key {
            variable.write(&message.view(), &mut self.key_text);
        }
        if self.buckets.take(&self.key_text, self.now_ns) {
            return Ok(Verdict::Pass);
        }
        self.dropped.add(1);
        Ok(Verdict::Drop)
    }

    /// Looks at the clock once for the whole batch.
    fn process_batch(
        &mut self,
        batch: &mut FilterBatch<'_>,
        context: &mut Context,
    ) -> Result<(), PluginError> {
        self.now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        while let Some(mut message) = batch.next_message() {
            let verdict = self.process_message(&mut message, context)?;
            batch.complete(message, verdict, context);
        }
        Ok(())
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        if !self.reports {
            return Ok(());
        }
        let seconds = std::mem::replace(&mut self.reported, Instant::now()).elapsed().as_secs_f64();
        let by = self.key.as_ref().map(|(by, _)| by.as_str());
        let mut result = Ok(());
        self.buckets.report(|report| {
            let emitted = emit(report, by, seconds, context);
            result = std::mem::replace(&mut result, Ok(())).and(emitted);
        });
        result
    }
}

fn emit(
    report: &Report<'_>,
    by: Option<&str>,
    seconds: f64,
    context: &mut Context,
) -> Result<(), PluginError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    context.emit(|message| {
        message.message_type("heka.rate_limit").payload(payload(report, by, seconds));
        message.field("dropped", number(report.dropped)).field("passed", number(report.passed));
        message.field_as("interval", "s", seconds);
        if let Some(by) = by {
            message.field("by", by);
            match report.key {
                Some(key) => message.field("key", key),
                None => message.field("overflow", true),
            };
        }
    })
}

/// Such as `Logger web: dropped 120, passed 1000 in 10.0 s`.
fn payload(report: &Report<'_>, by: Option<&str>, seconds: f64) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    if let Some(by) = by {
        text.extend_from_slice(by.as_bytes());
        text.push(b' ');
        text.extend_from_slice(report.key.unwrap_or(b"(others)"));
        text.extend_from_slice(b": ");
    }
    // Writing to a vector doesn't fail.
    let _ = write!(text, "dropped {}, passed {} in {seconds:.1} s", report.dropped, report.passed);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};
    use heka_plugin_api::{OwnedMessage, Value};

    fn from(loggers: &str) -> Vec<OwnedMessage> {
        let build = |logger: &str| {
            message(|message| {
                message.logger(logger);
            })
        };
        loggers.split_whitespace().map(build).collect()
    }

    /// Compares the loggers of the messages that pass a new filter.
    fn check(toml: &str, loggers: &str, expected: &str) -> FilterTest<RateLimitFilter> {
        let mut filter = FilterTest::<RateLimitFilter>::open(toml).unwrap();
        let seen = filter.process(&from(loggers));
        let passed =
            seen.passed.iter().map(|message| String::from_utf8_lossy(message.view().logger()).into_owned());
        assert_eq!((passed.collect::<Vec<_>>().join(" ").as_str(), seen.failure), (expected, None), "{toml}");
        filter
    }

    // Rates are so low that no time that a test takes makes a difference.

    #[test]
    fn excess_is_dropped_and_counted() {
        let filter = check("rate = 0.0001\nburst = 3", "a a b b a", "a a b");
        assert_eq!((filter.host().counter("dropped"), filter.host().ticker_ns()), (2, 0));
        check("rate = 0.0001", "a a a", "a");
        check("rate = 4", "a a a a", "a a a a");
    }

    #[test]
    fn each_key_has_its_own_limit() {
        check("rate = 0.0001\nburst = 2\nkey = 'Logger'", "a a a b a b b", "a a b b");
        check("rate = 0.0001\nkey = 'logger'\nkeys_max = 1", "a b c a", "a b");
        check("rate = 0.0001\nkey = 'Fields[user]'", "a b", "a");
    }

    #[test]
    fn nothing_is_emitted_unless_asked_for() {
        let mut filter = check("rate = 0.0001", "a a a", "a");
        assert_eq!(filter.tick().unwrap().len(), 0);
    }

    #[test]
    fn reports_tell_what_each_key_lost() {
        let toml = "rate = 0.0001\nkey = 'Logger'\nkeys_max = 2\nreport_interval = '1 m'";
        let mut filter = check(toml, "a b a b a c d", "a b c");
        assert_eq!(filter.host().ticker_ns(), 60_000_000_000);
        let emitted = filter.tick().unwrap();
        let shown = emitted.iter().map(|message| {
            let payload = String::from_utf8_lossy(message.view().payload()).into_owned();
            payload.split(" in ").next().unwrap().to_owned()
        });
        let expected = [
            "Logger a: dropped 2, passed 1",
            "Logger b: dropped 1, passed 1",
            "Logger (others): dropped 1, passed 1",
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        let (first, last) = (emitted[0].view(), emitted[2].view());
        assert_eq!(first.message_type(), b"heka.rate_limit");
        assert_eq!(
            (first.value("dropped"), first.value("key")),
            (Some(Value::Integer(2)), Some(Value::String(b"a")))
        );
        assert_eq!((last.value("overflow"), last.value("key")), (Some(Value::Bool(true)), None));
        assert_eq!(filter.tick().unwrap().len(), 0);
    }

    #[test]
    fn all_faults_are_found() {
        let toml = "rate = 0.0\nburst = 0\nkey = 'x'\nkeys_max = 0\nreport_interval = 0";
        let found = FilterTest::<RateLimitFilter>::faults(toml);
        let keys: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["rate", "burst", "key", "keys_max", "report_interval"], "{found:?}");
        assert_eq!(FilterTest::<RateLimitFilter>::faults("rate = 2"), [""; 0]);
    }
}
