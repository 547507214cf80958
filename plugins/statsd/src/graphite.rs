//! The Graphite names of what a metric tells: `stats.counters.hits.rate`.

use crate::metric::Kind;
use crate::settings::{Namespaces, Settings};

/// What stands before a metric's name, for each kind.
pub struct Prefixes {
    counter: Vec<u8>,
    /// Of a counter's count, in legacy names.
    count: Option<Vec<u8>>,
    gauge: Vec<u8>,
    timer: Vec<u8>,
    histogram: Vec<u8>,
    set: Vec<u8>,
    /// The whole name of the count of metrics.
    pub num_stats: Vec<u8>,
}

impl Prefixes {
    pub fn new(settings: &Settings) -> Prefixes {
        let own = settings.own_prefix.as_str();
        if settings.namespaces == Namespaces::Legacy {
            return Prefixes {
                counter: b"stats.".to_vec(),
                count: Some(b"stats_counts.".to_vec()),
                gauge: b"stats.gauges.".to_vec(),
                timer: b"stats.timers.".to_vec(),
                histogram: b"stats.histograms.".to_vec(),
                set: b"stats.sets.".to_vec(),
                num_stats: joined(&[own, "numStats"]),
            };
        }
        let global = settings.global_prefix.as_str();
        let prefix = |of_kind: &str| {
            let mut prefix = joined(&[global, of_kind]);
            if !prefix.is_empty() {
                prefix.push(b'.');
            }
            prefix
        };
        Prefixes {
            counter: prefix(&settings.counter_prefix),
            count: None,
            gauge: prefix(&settings.gauge_prefix),
            timer: prefix(&settings.timer_prefix),
            histogram: prefix(&settings.histogram_prefix),
            set: prefix(&settings.set_prefix),
            num_stats: joined(&[global, own, "numStats"]),
        }
    }

    /// Appends the Graphite name of one figure of a metric.
    pub fn write_name(&self, kind: Kind, name: &[u8], tags: &[u8], figure: &str, text: &mut Vec<u8>) {
        let is_count = kind == Kind::Counter && figure == "count";
        let (prefix, has_figure) = match (kind, &self.count) {
            (Kind::Counter, Some(count)) if is_count => (count, false),
            (Kind::Counter, legacy) => (&self.counter, legacy.is_none()),
            (Kind::Gauge, _) => (&self.gauge, false),
            (Kind::Timer, _) => (&self.timer, true),
            (Kind::Histogram, _) => (&self.histogram, true),
            (Kind::Set, _) => (&self.set, true),
        };
        text.extend_from_slice(prefix);
        text.extend_from_slice(name);
        if has_figure {
            text.push(b'.');
            text.extend_from_slice(figure.as_bytes());
        }
        text.extend_from_slice(tags);
    }
}

fn joined(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(".").into_bytes()
}
