//! Filter `throttle`: lets so many messages a second through.

mod report;
mod waiting;

use crate::buckets::{Buckets, Limit};
use crate::variable::Variable;
use heka_plugin_api::{
    ByteSize, Context, Counter, Faults, Filter, FilterBatch, Interval, MessageMut, OptionType, PluginError,
    Schema, Verdict,
};
use serde::Deserialize;
use std::time::{Duration, Instant};
use waiting::{Bounds, Waiting};

/// How often what is held back may pass, where the rate asks for it.
const PACE_INTERVAL: Duration = Duration::from_millis(50);
/// The longest time between two looks at what is held back.
const PACE_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Lets so many messages a second through; the rest is dropped, or held back and passes later.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many messages pass in the long run.
    #[schema(unit = "messages/s")]
    rate: f64,
    /// What is done with the rest: `drop`, or `pace`: hold it back and let it pass evenly.
    #[serde(default)]
    #[schema(default = "drop")]
    excess: Excess,
    /// How many pass at once after a pause; when left out, one second's with `drop`, those of 50 ms with `pace`, at least 1.
    #[schema(unit = "messages")]
    burst: Option<u32>,
    /// Limits messages apart by this header or field, such as `Logger` or `Fields[user]`; all together when left out.
    key: Option<String>,
    /// How many different keys are limited apart; further ones are limited together.
    #[serde(default = "default_keys_max")]
    #[schema(default = "10000", unit = "keys")]
    keys_max: usize,
    /// How many messages are held back at most, with `pace`.
    #[serde(default = "default_held_max")]
    #[schema(default = "10000", unit = "messages")]
    held_max: usize,
    /// How much memory they take at most.
    #[serde(default = "default_held_bytes_max")]
    #[schema(default = "16 MiB", unit = "bytes")]
    held_bytes_max: ByteSize,
    /// When more would have to be held back: `pass` lets the oldest pass early, `drop` drops the newest.
    #[serde(default)]
    #[schema(default = "pass")]
    when_full: WhenFull,
    /// How often a message tells, for each key, how many were dropped; never when left out.
    #[schema(unit = "s")]
    report_interval: Option<Interval>,
}

#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum Excess {
    #[default]
    Drop,
    Pace,
}

#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum WhenFull {
    #[default]
    Pass,
    Drop,
}

fn default_keys_max() -> usize {
    10_000
}

fn default_held_max() -> usize {
    10_000
}

fn default_held_bytes_max() -> ByteSize {
    ByteSize(16 << 20)
}

impl Config {
    fn limit(&self) -> Limit {
        let seconds = if self.excess == Excess::Pace { PACE_INTERVAL.as_secs_f64() } else { 1.0 };
        Limit { rate: self.rate, burst: self.burst.map_or(self.rate * seconds, f64::from).max(1.0) }
    }

    /// How often the ticker must strike; zero for never.
    fn ticker(&self) -> Duration {
        let report = self.report_interval.map_or(Duration::ZERO, |interval| interval.0);
        if self.excess == Excess::Drop {
            return report;
        }
        let one = Duration::try_from_secs_f64(1.0 / self.rate).unwrap_or(PACE_INTERVAL_MAX);
        one.clamp(PACE_INTERVAL, PACE_INTERVAL_MAX)
    }
}

/// Lets so many messages a second through.
pub struct ThrottleFilter {
    buckets: Buckets,
    key: Option<(String, Variable)>,
    key_text: Vec<u8>,
    excess: Excess,
    waiting: Waiting,
    report_interval: Option<Duration>,
    started: Instant,
    reported: Instant,
    now_ns: u64,
    dropped: Counter,
}

impl Filter for ThrottleFilter {
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
        if config.held_max == 0 {
            faults.add("held_max", "must be at least 1");
        }
        if config.report_interval.is_some_and(|interval| interval.0.is_zero()) {
            faults.add("report_interval", "must be longer than 0 s");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let (limit, reports) = (config.limit(), config.report_interval.is_some());
        context.set_ticker(config.ticker());
        let parse = |key: String| match Variable::parse(&key) {
            Ok(variable) => Ok((key, variable)),
            Err(reason) => Err(PluginError::Config(format!("key: {reason}"))),
        };
        let bounds = Bounds {
            messages_max: config.held_max,
            bytes_max: config.held_bytes_max.0,
            passes_early: config.when_full == WhenFull::Pass,
        };
        let now = Instant::now();
        Ok(ThrottleFilter {
            buckets: Buckets::new(limit, config.keys_max, reports),
            key: config.key.map(parse).transpose()?,
            key_text: Vec::new(),
            excess: config.excess,
            waiting: Waiting::new(bounds, context),
            report_interval: config.report_interval.map(|interval| interval.0),
            started: now,
            reported: now,
            now_ns: 0,
            dropped: context.counter("dropped"),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let Some(predecessor) = predecessor else { return Ok(()) };
        self.waiting.take_over(&predecessor.waiting, &mut self.buckets);
        if !self.waiting.is_empty() && self.excess == Excess::Drop && self.report_interval.is_none() {
            context.set_ticker(PACE_INTERVAL_MAX);
        }
        Ok(())
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        context: &mut Context,
    ) -> Result<Verdict, PluginError> {
        self.key_text.clear();
        if let Some((_, variable)) = &self.key {
            variable.write(&message.view(), &mut self.key_text);
        }
        let passes = match self.excess {
            Excess::Drop => self.buckets.take(&self.key_text, self.now_ns),
            Excess::Pace => match self.buckets.take_or_hold(&self.key_text, self.now_ns) {
                None => true,
                Some(holder) => {
                    let held =
                        self.waiting.hold(message, &self.key_text, holder, &mut self.buckets, context)?;
                    self.dropped.add(u64::from(!held));
                    return Ok(if held { Verdict::Absorb } else { Verdict::Drop });
                }
            },
        };
        if passes {
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
        self.now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let is_last = context.stop_signal().is_raised();
        let result = match self.excess == Excess::Drop || is_last {
            true => self.waiting.release_all(&mut self.buckets, context),
            false => self.waiting.release(&mut self.buckets, self.key.is_some(), self.now_ns, context),
        };
        let is_due = self.report_interval.is_some_and(|interval| self.reported.elapsed() >= interval);
        if self.report_interval.is_none() || !is_due && !is_last && self.excess == Excess::Pace {
            return result;
        }
        let seconds = std::mem::replace(&mut self.reported, Instant::now()).elapsed().as_secs_f64();
        let by = self.key.as_ref().map(|(by, _)| by.as_str());
        result.and(report::emit_all(&mut self.buckets, by, seconds, context))
    }
}

#[cfg(test)]
mod tests;
