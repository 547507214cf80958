//! Writes what a metric tells: a field and a Graphite line for each figure.

use crate::graphite::Prefixes;
use crate::members::Members;
use crate::metric::{Kind, Number, whole};
use crate::name::split_tags;
use crate::number::write_number;
use crate::settings::{Settings, Statistics};
use crate::timings::{Part, Summary, Timings};
use heka_plugin_api::{MessageBuilder, Value};

/// Type of the messages.
pub const MESSAGE_TYPE: &str = "heka.statmetric";

/// Field of messages that a filter emits: which one.
pub const ROLLUP_FIELD: &str = "rollup";

/// The names of what a percentile tells.
struct Percentile {
    percent: f64,
    mean: String,
    bound: String,
    count: String,
    sum: String,
    sum_squares: String,
}

impl Percentile {
    fn new(percent: f64) -> Percentile {
        let shown = percent.to_string().replace('.', "_").replace('-', "top");
        let named = |what: &str| format!("{what}_{shown}");
        Percentile {
            percent,
            mean: named("mean"),
            bound: named(if percent > 0.0 { "upper" } else { "lower" }),
            count: named("count"),
            sum: named("sum"),
            sum_squares: named("sum_squares"),
        }
    }
}

/// How the figures of all metrics are written.
pub struct Form {
    prefixes: Prefixes,
    percentiles: Vec<Percentile>,
    statistics: Statistics,
    emit_sketches: bool,
    /// Which filter tells them.
    pub rollup: Option<String>,
}

/// The time of a flush.
#[derive(Clone, Copy, Debug)]
pub struct FlushTime {
    /// In nanoseconds since 1970.
    pub timestamp: i64,
    /// How long the interval was, in seconds.
    pub seconds: f64,
}

/// Writes the figures of one metric.
pub struct Figures<'a, 'm> {
    form: &'a Form,
    time: FlushTime,
    kind: Kind,
    name: &'a [u8],
    tags: &'a [u8],
    /// The Graphite lines.
    lines: &'a mut Vec<u8>,
    message: Option<&'a mut MessageBuilder<'m>>,
}

impl Form {
    pub fn new(settings: &Settings) -> Form {
        Form {
            prefixes: Prefixes::new(settings),
            percentiles: settings.percent_threshold.iter().map(|percent| Percentile::new(*percent)).collect(),
            statistics: settings.timer_statistics,
            emit_sketches: settings.emit_sketches,
            rollup: None,
        }
    }

    /// Begins with the figures of the metric that is kept under this name, for a message of its own or for lines only.
    pub fn figures<'a, 'm>(
        &'a self,
        time: FlushTime,
        kind: Kind,
        kept: &'a [u8],
        lines: &'a mut Vec<u8>,
        message: Option<&'a mut MessageBuilder<'m>>,
    ) -> Figures<'a, 'm> {
        let (name, pairs) = split_tags(kept);
        let mut figures = Figures { form: self, time, kind, name, tags: &kept[name.len()..], lines, message };
        if let Some(message) = &mut figures.message {
            begin(message, time).field("name", name).field("kind", kind.name());
            let mut field = Vec::new();
            for (key, value) in pairs {
                field.clear();
                field.extend_from_slice(b"tag.");
                field.extend_from_slice(key);
                message.field(&field, Value::String(value));
            }
            self.write_frame(time, message);
        }
        figures
    }

    fn write_frame(&self, time: FlushTime, message: &mut MessageBuilder<'_>) {
        message.field("interval", time.seconds);
        if let Some(rollup) = &self.rollup {
            message.field(ROLLUP_FIELD, rollup);
        }
    }

    /// Writes how many metrics were told.
    pub fn write_num_stats(
        &self,
        time: FlushTime,
        count: u64,
        lines: &mut Vec<u8>,
        message: Option<&mut MessageBuilder<'_>>,
    ) {
        let count = Number::Integer(count as i64);
        lines.extend_from_slice(&self.prefixes.num_stats);
        write_rest(count, time, lines);
        if let Some(message) = message {
            begin(message, time).field("name", "numStats").field("kind", "internal");
            self.write_frame(time, message);
            message.field("value", value(count)).payload(&lines);
        }
    }
}

/// Begins a message of a flush.
pub fn begin<'a, 'm>(message: &'a mut MessageBuilder<'m>, time: FlushTime) -> &'a mut MessageBuilder<'m> {
    message.message_type(MESSAGE_TYPE).timestamp(time.timestamp).severity(6)
}

fn value(number: Number) -> Value<'static> {
    match number {
        Number::Integer(value) => Value::Integer(value),
        Number::Double(value) => Value::Double(value),
    }
}

fn write_rest(number: Number, time: FlushTime, lines: &mut Vec<u8>) {
    lines.push(b' ');
    write_number(number, lines);
    lines.push(b' ');
    write_number(Number::Integer(time.timestamp.div_euclid(1_000_000_000)), lines);
    lines.push(b'\n');
}

impl Figures<'_, '_> {
    /// Tells a counter's growth.
    pub fn counter(mut self, count: Number) {
        self.double("rate", count.as_f64() / self.time.seconds);
        self.number("count", count);
        self.end();
    }

    /// Tells a gauge's value.
    pub fn gauge(mut self, value: Number) {
        self.number("value", value);
        self.end();
    }

    /// Tells how many members a set had.
    pub fn set(mut self, members: &Members) {
        self.number("count", Number::Integer(members.len() as i64));
        if let (true, Some(message)) = (self.form.emit_sketches, &mut self.message) {
            message.field("members", Value::Bytes(&members.bytes()));
        }
        self.end();
    }

    /// Tells what the samples of a timer or histogram say.
    pub fn timings(mut self, timings: &mut Timings) {
        let count = timings.count();
        self.number("count", count);
        self.double("count_ps", count.as_f64() / self.time.seconds);
        if let Some(summary) = timings.summary() {
            self.summary(&summary);
        }
        if let (true, Some(message)) = (self.form.emit_sketches, &mut self.message)
            && let Some(bytes) = timings.sketch_bytes()
        {
            message.field("sketch", Value::Bytes(&bytes));
        }
        self.end();
    }

    fn summary(&mut self, summary: &Summary<'_>) {
        let (form, totals) = (self.form, summary.totals);
        self.double("lower", totals.lower);
        self.double("upper", totals.upper);
        self.double("sum", totals.sum);
        self.double("mean", summary.mean());
        if form.statistics == Statistics::All {
            self.double("sum_squares", totals.sum_squares);
            self.double("std", summary.deviation());
            summary.median().into_iter().for_each(|median| self.double("median", median));
        }
        for percentile in &form.percentiles {
            if let Some(part) = summary.part(percentile.percent) {
                self.percentile(percentile, &part);
            }
        }
        // What a merge needs beside the others.
        if let Some(message) = &mut self.message {
            message.field("samples", value(Number::Integer(totals.samples.cast_signed())));
            if form.emit_sketches && form.statistics == Statistics::Usual {
                message.field("sum_squares", totals.sum_squares);
            }
        }
    }

    fn percentile(&mut self, names: &Percentile, part: &Part) {
        self.double(&names.mean, part.sum / part.samples as f64);
        self.double(&names.bound, part.bound);
        if self.form.statistics == Statistics::All {
            self.number(&names.count, Number::Integer(part.samples.cast_signed()));
            self.double(&names.sum, part.sum);
            self.double(&names.sum_squares, part.sum_squares);
        }
    }

    /// One double; beyond all doubles there is nothing to tell.
    fn double(&mut self, figure: &str, value: f64) {
        if value.is_finite() {
            self.line(figure, whole(value));
            if let Some(message) = &mut self.message {
                message.field(figure, value);
            }
        }
    }

    fn number(&mut self, figure: &str, number: Number) {
        self.line(figure, number);
        if let Some(message) = &mut self.message {
            message.field(figure, value(number));
        }
    }

    fn line(&mut self, figure: &str, number: Number) {
        self.form.prefixes.write_name(self.kind, self.name, self.tags, figure, self.lines);
        write_rest(number, self.time, self.lines);
    }

    fn end(self) {
        if let Some(message) = self.message {
            message.payload(&*self.lines);
        }
    }
}
