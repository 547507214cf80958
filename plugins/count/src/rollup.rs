//! What the filters of this folder share: how messages are told apart, and how an interval ends.

use crate::metric::{self, Kind};
use heka_key::Variable;
use heka_plugin_api::{
    Context, Counter, Faults, Interval, Message, MessageBuilder, PluginError, Value, Verdict,
};
use std::io::Write;
use std::time::{Duration, Instant};

/// The options that the filters share.
pub struct Options<'c> {
    pub by: Option<&'c str>,
    pub interval: Interval,
    pub absorb: bool,
    pub emit_type: &'c str,
    pub stat_prefix: Option<&'c str>,
    pub keys_max: usize,
}

impl Options<'_> {
    /// Finds all faults.
    pub fn check(&self, faults: &mut Faults) {
        if let Some(Err(reason)) = self.by.map(Variable::parse) {
            faults.add("by", reason);
        }
        if self.interval.0.is_zero() {
            faults.add("interval", "must be longer than 0 s");
        }
        if self.emit_type.is_empty() {
            faults.add("emit_type", "must not be empty");
        }
        let is_bad = |prefix: &str| prefix.is_empty() || prefix.contains(char::is_whitespace);
        if self.stat_prefix.is_some_and(is_bad) {
            faults.add("stat_prefix", "must be the start of a metric's name, such as `web.requests`");
        }
        if self.keys_max == 0 {
            faults.add("keys_max", "must be at least 1");
        }
    }
}

/// Reads the name of a part of a message, for an option.
pub fn variable(option: &str, name: &str) -> Result<Variable, PluginError> {
    Variable::parse(name).map_err(|reason| PluginError::Config(format!("{option}: {reason}")))
}

pub fn default_interval() -> Interval {
    Interval(Duration::from_secs(10))
}

/// How messages are told apart, and what is emitted of an interval.
pub struct Rollup {
    by: Option<(String, Variable)>,
    key: Vec<u8>,
    pub verdict: Verdict,
    emit_type: String,
    stat_prefix: Option<String>,
    since: Instant,
    overflow: Counter,
}

impl Rollup {
    pub fn open(options: &Options<'_>, context: &mut Context) -> Result<Rollup, PluginError> {
        let by = |name: &str| Ok((name.to_owned(), variable("by", name)?));
        context.set_ticker(options.interval.0);
        Ok(Rollup {
            by: options.by.map(by).transpose()?,
            key: Vec::new(),
            verdict: if options.absorb { Verdict::Absorb } else { Verdict::Pass },
            emit_type: options.emit_type.to_owned(),
            stat_prefix: options.stat_prefix.map(str::to_owned),
            since: Instant::now(),
            overflow: context.counter("overflow"),
        })
    }

    /// Begins the first interval.
    pub fn start(&mut self) {
        self.since = Instant::now();
    }

    /// Ends an interval; returns its length in seconds.
    pub fn end_interval(&mut self) -> f64 {
        std::mem::replace(&mut self.since, Instant::now()).elapsed().as_secs_f64()
    }

    /// Tells whether messages are told apart.
    pub fn is_keyed(&self) -> bool {
        self.by.is_some()
    }

    /// Returns the message's key; empty where it has none.
    pub fn key(&mut self, message: &Message<'_>) -> &[u8] {
        self.key.clear();
        if let Some((_, variable)) = &self.by {
            variable.write(message, &mut self.key);
        }
        &self.key
    }

    /// Notes that a message's key had no tally of its own any more.
    pub fn note_overflow(&self) {
        self.overflow.add(1);
    }

    /// Emits a message about a key, `None` for what was counted together. The payload begins with the key's name.
    pub fn emit(
        &self,
        context: &mut Context,
        key: Option<&[u8]>,
        seconds: f64,
        what: &str,
        build: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> Result<(), PluginError> {
        let mut payload = Vec::with_capacity(128);
        payload.extend_from_slice(self.by.as_ref().map_or(b"messages", |(by, _)| by.as_bytes()));
        if self.by.is_some() {
            payload.push(b' ');
            payload.extend_from_slice(key.unwrap_or(b"(others)"));
        }
        // Writing to a vector doesn't fail.
        let _ = write!(payload, ": {what}");
        context.emit(|message| {
            message.message_type(&self.emit_type).payload(&payload);
            build(message);
            message.field_as("interval", "s", seconds);
            if let Some((by, _)) = &self.by {
                message.field("by", by);
                match key {
                    Some(key) => message.field("key", key),
                    None => message.field("overflow", true),
                };
            }
        })
    }

    /// Returns the start of the names of a key's metrics, where metrics were asked for.
    pub fn metric(&self, key: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut name = self.stat_prefix.clone()?.into_bytes();
        if self.by.is_some() {
            metric::push_name(&mut name, key.unwrap_or(b"_others"));
        }
        Some(name)
    }
}

/// Emits figures of one metric, each as a message of its own.
pub fn emit_figures(
    context: &mut Context,
    metric: &[u8],
    figures: &[(&str, Kind, Value<'_>)],
    seconds: f64,
) -> Result<(), PluginError> {
    let mut result = Ok(());
    for (figure, kind, value) in figures {
        let mut name = metric.to_vec();
        metric::push_name(&mut name, figure.as_bytes());
        result = result.and(metric::emit(context, &name, *kind, *value, seconds));
    }
    result
}

/// Returns a count as a field's value.
pub fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns how many that is a second.
pub fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
