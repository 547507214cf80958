//! Filter `stat_rollup`: adds up what messages say.

mod measure;
mod merge;
mod metlog;
#[cfg(test)]
mod tests;

use crate::accumulator::Accumulator;
use crate::clock::FlushClock;
use crate::figures::{MESSAGE_TYPE, ROLLUP_FIELD};
use crate::settings::{config_defaults, config_with_settings};
use heka_plugin_api::{
    Context, Counter, Faults, Filter, Message, MessageMut, PluginError, Value, Verdict, now,
};
use heka_socket::Notice;
use measure::{Measure, MeasureConfig};
use std::collections::BTreeMap;
use std::time::Instant;

config_with_settings! {
    /// Adds up what messages say and tells it at an interval: Metlog's counters and timers, metrics of other hosts, any message by templates.
    struct Config {
        /// Metrics to make of messages: tables by any name, each with `kind`, `name` and `value`, on wish `rate`, `tags`, `replace_dots`.
        metric: BTreeMap<String, MeasureConfig>,
        /// Whether messages of the types `counter`, `timer` and `gauge`, as Metlog clients send them, are added up.
        #[schema(default = "true")]
        metlog: bool,
        /// Whether messages of the type `heka.statmetric`, from other hosts or from an input `statsd`, are merged.
        #[schema(default = "true")]
        merge: bool,
        /// Whether messages that were added up go on too; otherwise their way ends here.
        #[schema(default = "false")]
        pass: bool,
    }
}

config_defaults! {
    metric: BTreeMap::new(),
    metlog: true,
    merge: true,
    pass: false,
}

/// Adds up what messages say.
pub struct StatRollupFilter {
    measures: Vec<Measure>,
    metlog: bool,
    merge: bool,
    pass: bool,
    accumulator: Accumulator,
    clock: FlushClock,
    counters: Counters,
    complaint: Notice,
    refused: Notice,
    /// Who wrote the messages that this filter emits.
    own: String,
    hostname: String,
}

struct Counters {
    metrics: Counter,
    names: Counter,
    names_refused: Counter,
    members_refused: Counter,
    not_numbers: Counter,
    without_sketch: Counter,
    too_large: Counter,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Taken {
    /// It was added up.
    Yes,
    /// It says nothing that is added up.
    No,
    /// It was added up, as far as that goes without its sketch.
    WithoutSketch,
}

impl Filter for StatRollupFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.settings().check(faults);
        for (name, metric) in &config.metric {
            if let Err((option, reason)) = Measure::new(metric) {
                faults.add(format!("metric.{name}.{option}"), reason);
            }
        }
        if config.metric.is_empty() && !config.metlog && !config.merge {
            faults.add("metric", "nothing is added up; name a metric, or leave `metlog` or `merge` on");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let measures = config.metric.values().map(Measure::new).collect::<Result<Vec<_>, _>>();
        let measures =
            measures.map_err(|(option, reason)| PluginError::config(format!("{option}: {reason}")))?;
        let settings = config.settings();
        let clock = FlushClock::new(settings.flush_interval, settings.align);
        context.set_ticker(clock.due().saturating_duration_since(Instant::now()));
        let own = context.instance().to_owned();
        let mut accumulator = Accumulator::new(settings);
        accumulator.form.rollup = Some(own.clone());
        Ok(StatRollupFilter {
            measures,
            metlog: config.metlog,
            merge: config.merge,
            pass: config.pass,
            accumulator,
            clock,
            counters: Counters::new(context),
            complaint: Notice::default(),
            refused: Notice::default(),
            own,
            hostname: context.hostname().to_owned(),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        if let Some(old) = predecessor {
            let settings = self.accumulator.settings.clone();
            std::mem::swap(&mut self.accumulator, &mut old.accumulator);
            self.accumulator.set_settings(settings);
            self.clock = old.clock.clone();
            self.clock.set(self.accumulator.settings.flush_interval, self.accumulator.settings.align);
        }
        Ok(())
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        context: &mut Context,
    ) -> Result<Verdict, PluginError> {
        let taken = self.take(&message.view(), context).map_err(PluginError::message)?;
        if taken == Taken::WithoutSketch {
            self.warn_of_missing_sketch(&message.view());
        }
        Ok(if taken == Taken::No || self.pass { Verdict::Pass } else { Verdict::Absorb })
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        self.accumulator.begin_flush(self.clock.flush(now()));
        let failed = self.accumulator.flush_slice(context, None);
        context.set_ticker(self.clock.due().saturating_duration_since(Instant::now()));
        self.counters.too_large.add(failed as u64);
        self.count(context);
        Ok(())
    }
}

impl StatRollupFilter {
    fn take(&mut self, message: &Message<'_>, context: &Context) -> Result<Taken, String> {
        let message_type = message.message_type();
        if self.merge && message_type == MESSAGE_TYPE.as_bytes() {
            return if self.is_own(message) {
                Ok(Taken::No)
            } else {
                merge::merge(message, &mut self.accumulator)
            };
        }
        if self.metlog
            && let Some(kind) = metlog::kind(message_type)
        {
            return metlog::add(message, kind, &mut self.accumulator).map(|()| Taken::Yes);
        }
        let mut taken = Taken::No;
        for measure in &mut self.measures {
            match measure.add(message, &mut self.accumulator) {
                Ok(true) => taken = Taken::Yes,
                Ok(false) => {}
                Err(reason) => {
                    self.counters.not_numbers.add(1);
                    if self.complaint.is_due() {
                        log::warn!("filter `{}`: {reason}", context.instance());
                    }
                }
            }
        }
        Ok(taken)
    }

    /// Tells whether this filter has emitted the message itself, and it has come back.
    fn is_own(&self, message: &Message<'_>) -> bool {
        let rollup = message.value(ROLLUP_FIELD).and_then(|value| value.as_bytes());
        rollup == Some(self.own.as_bytes()) && message.hostname() == self.hostname.as_bytes()
    }

    #[cold]
    fn warn_of_missing_sketch(&mut self, message: &Message<'_>) {
        self.counters.without_sketch.add(1);
        if self.complaint.is_due() {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let name = message.value("name").and_then(|value: Value<'_>| value.as_bytes()).map(text);
            log::warn!(
                "filter `{}`: `{}` from `{}` came without a sketch, so it has no percentiles; set `emit_sketches = true` there",
                self.own,
                name.unwrap_or_default(),
                text(message.hostname())
            );
        }
    }

    fn count(&mut self, context: &Context) {
        let (counters, tally) = (&self.counters, std::mem::take(&mut self.accumulator.tally));
        counters.metrics.add(tally.metrics);
        counters.names.set(self.accumulator.len() as u64);
        counters.names_refused.add(tally.names_refused);
        counters.members_refused.add(tally.members_refused);
        if tally.names_refused > 0 && self.refused.is_due() {
            let refusal = self.accumulator.refusal();
            log::warn!("filter `{}`: {refusal}", context.instance());
        }
    }
}

impl Counters {
    fn new(context: &mut Context) -> Counters {
        let mut counter = |name| context.counter(name);
        Counters {
            metrics: counter("metrics"),
            names: counter("names"),
            names_refused: counter("names_refused"),
            members_refused: counter("members_refused"),
            not_numbers: counter("not_numbers"),
            without_sketch: counter("without_sketch"),
            too_large: counter("too_large"),
        }
    }
}
