//! The options of adding up, which the input and the filter share.

use heka_plugin_api::{Faults, OptionType};
use serde::Deserialize;
use std::time::Duration;

/// Most samples of one timer that are kept one by one: sorting them takes a few ms.
const TIMER_SAMPLES_LIMIT: usize = 50_000;
/// Most names.
const NAMES_LIMIT: usize = 10_000_000;
/// Longest interval.
const INTERVAL_MAX: Duration = Duration::from_secs(86_400);

/// How Graphite names are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Namespaces {
    /// `stats.counters.hits.rate`.
    Current,
    /// `stats.hits`, `stats_counts.hits`.
    Legacy,
}

/// What is told of a timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Statistics {
    /// count, count_ps, lower, upper, sum, mean, mean_P, upper_P.
    Usual,
    /// Also median, std, sum_squares, count_P, sum_P, sum_squares_P.
    All,
}

/// The options, as the config has them.
#[derive(Clone, Debug)]
pub struct Settings {
    pub flush_interval: Duration,
    pub align: bool,
    pub percent_threshold: Vec<f64>,
    pub timer_statistics: Statistics,
    pub namespaces: Namespaces,
    pub global_prefix: String,
    pub counter_prefix: String,
    pub gauge_prefix: String,
    pub timer_prefix: String,
    pub histogram_prefix: String,
    pub set_prefix: String,
    pub own_prefix: String,
    pub delete_idle_stats: bool,
    pub forget_after: Duration,
    pub names_max: usize,
    pub name_bytes_max: usize,
    pub timer_samples_max: usize,
    pub samples_memory: usize,
    pub set_members_max: usize,
    pub emit_sketches: bool,
    pub keep_tags: bool,
    pub one_message: bool,
}

impl Settings {
    /// Finds what the types let through.
    pub fn check(&self, faults: &mut Faults) {
        if self.flush_interval < Duration::from_millis(10) || self.flush_interval > INTERVAL_MAX {
            faults.add("flush_interval", "from 10 ms to 1 d");
        }
        if self.percent_threshold.iter().any(|percent| !(-100.0..=100.0).contains(percent) || *percent == 0.0)
        {
            faults.add("percent_threshold", "numbers from -100 to 100, not 0");
        }
        if self.percent_threshold.len() > 20 {
            faults.add("percent_threshold", "at most 20 numbers");
        }
        if !(1..=NAMES_LIMIT).contains(&self.names_max) {
            faults.add("names_max", format!("from 1 to {NAMES_LIMIT}"));
        }
        if !(1..=16_384).contains(&self.name_bytes_max) {
            faults.add("name_bytes_max", "from 1 to 16384");
        }
        if self.timer_samples_max > TIMER_SAMPLES_LIMIT {
            faults.add(
                "timer_samples_max",
                format!("at most {TIMER_SAMPLES_LIMIT}; more than that are a sketch"),
            );
        }
        if self.set_members_max == 0 {
            faults.add("set_members_max", "at least 1");
        }
        if self.emit_sketches && self.one_message {
            faults.add("emit_sketches", "needs a message for each metric; leave `one_message` out");
        }
        let prefixes = [
            ("global_prefix", &self.global_prefix),
            ("counter_prefix", &self.counter_prefix),
            ("gauge_prefix", &self.gauge_prefix),
            ("timer_prefix", &self.timer_prefix),
            ("histogram_prefix", &self.histogram_prefix),
            ("set_prefix", &self.set_prefix),
            ("own_prefix", &self.own_prefix),
        ];
        for (option, prefix) in prefixes {
            if prefix.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b';') {
                faults.add(option, "letters, digits and signs, without spaces and `;`");
            }
        }
    }
}

/// Makes a `Config`: the options given, then those that the input and the filter share.
macro_rules! config_with_settings {
    ($(#[$struct_meta:meta])* struct Config { $($own:tt)* }) => {
        $(#[$struct_meta])*
        #[derive(serde::Deserialize, heka_plugin_api::Schema)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {
            $($own)*
            /// How often what was added up is told.
            #[schema(default = "10 s", unit = "s")]
            flush_interval: heka_plugin_api::Interval,
            /// Whether intervals begin at whole multiples of their length since 1970, on all machines at the same time.
            #[schema(default = "false")]
            align: bool,
            /// Percentiles of timers: `90` gives `mean_90` and `upper_90` of the lowest 90 %, `-10` gives `mean_top10` and `lower_top10`.
            #[schema(default = "[90]", unit = "%")]
            percent_threshold: Vec<f64>,
            /// What is told of timers: the usual, or also median, std, sum_squares and count, sum, sum_squares per percentile.
            #[schema(default = "usual")]
            timer_statistics: $crate::settings::Statistics,
            /// Whether Graphite names are `stats.counters.NAME.rate` (current) or `stats.NAME` (legacy).
            #[schema(default = "current")]
            namespaces: $crate::settings::Namespaces,
            /// First part of all Graphite names; may be empty. Legacy names have fixed prefixes.
            #[schema(default = "stats")]
            global_prefix: String,
            /// Part of the Graphite names of counters; may be empty, as the following ones.
            #[schema(default = "counters")]
            counter_prefix: String,
            /// Part of the Graphite names of gauges.
            #[schema(default = "gauges")]
            gauge_prefix: String,
            /// Part of the Graphite names of timers.
            #[schema(default = "timers")]
            timer_prefix: String,
            /// Part of the Graphite names of histograms.
            #[schema(default = "histograms")]
            histogram_prefix: String,
            /// Part of the Graphite names of sets.
            #[schema(default = "sets")]
            set_prefix: String,
            /// Part of the Graphite name of `numStats`.
            #[schema(default = "statsd")]
            own_prefix: String,
            /// Whether a metric of which nothing came is forgotten at once, instead of being told as 0 or, for gauges, as before.
            #[schema(default = "false")]
            delete_idle_stats: bool,
            /// After how long without anything a metric is forgotten in any case; 0 for never.
            #[schema(default = "0", unit = "s")]
            forget_after: heka_plugin_api::Interval,
            /// How many metrics are kept; further ones are refused and counted.
            #[schema(default = "100000", unit = "metrics")]
            names_max: usize,
            /// How long a metric's name may be with its tags; longer ones are refused and counted.
            #[schema(default = "1024", unit = "bytes")]
            name_bytes_max: usize,
            /// How many samples of a timer are kept one by one in an interval; more of them become a sketch with 1 % error.
            #[schema(default = "10000", unit = "samples")]
            timer_samples_max: usize,
            /// Memory for the samples of all timers, beyond which they become sketches; sketches may take as much again.
            #[schema(default = "64 MiB")]
            samples_memory: heka_plugin_api::ByteSize,
            /// How many members of a set are told apart in an interval; further ones are counted as refused.
            #[schema(default = "10000", unit = "members")]
            set_members_max: usize,
            /// Whether messages carry the sketches of timers and the members of sets, so that `stat_rollup` can merge them.
            #[schema(default = "false")]
            emit_sketches: bool,
            /// Whether tags are part of a metric; otherwise they are left out.
            #[schema(default = "true")]
            keep_tags: bool,
            /// Whether all Graphite lines of a flush are the payload of one message, instead of a message for each metric.
            #[schema(default = "false")]
            one_message: bool,
        }

        impl Config {
            /// The options of adding up.
            fn settings(&self) -> $crate::settings::Settings {
                $crate::settings::Settings {
                    flush_interval: self.flush_interval.0,
                    align: self.align,
                    percent_threshold: self.percent_threshold.clone(),
                    timer_statistics: self.timer_statistics,
                    namespaces: self.namespaces,
                    global_prefix: self.global_prefix.clone(),
                    counter_prefix: self.counter_prefix.clone(),
                    gauge_prefix: self.gauge_prefix.clone(),
                    timer_prefix: self.timer_prefix.clone(),
                    histogram_prefix: self.histogram_prefix.clone(),
                    set_prefix: self.set_prefix.clone(),
                    own_prefix: self.own_prefix.clone(),
                    delete_idle_stats: self.delete_idle_stats,
                    forget_after: self.forget_after.0,
                    names_max: self.names_max,
                    name_bytes_max: self.name_bytes_max,
                    timer_samples_max: self.timer_samples_max,
                    samples_memory: usize::try_from(self.samples_memory.0).unwrap_or(usize::MAX),
                    set_members_max: self.set_members_max,
                    emit_sketches: self.emit_sketches,
                    keep_tags: self.keep_tags,
                    one_message: self.one_message,
                }
            }
        }
    };
}

/// Makes the defaults of a `Config`: those of the options given, then those of the shared ones.
macro_rules! config_defaults {
    ($($own:ident: $value:expr,)*) => {
        impl Default for Config {
            fn default() -> Config {
                Config {
                    $($own: $value,)*
                    flush_interval: heka_plugin_api::Interval(std::time::Duration::from_secs(10)),
                    align: false,
                    percent_threshold: vec![90.0],
                    timer_statistics: $crate::settings::Statistics::Usual,
                    namespaces: $crate::settings::Namespaces::Current,
                    global_prefix: "stats".to_owned(),
                    counter_prefix: "counters".to_owned(),
                    gauge_prefix: "gauges".to_owned(),
                    timer_prefix: "timers".to_owned(),
                    histogram_prefix: "histograms".to_owned(),
                    set_prefix: "sets".to_owned(),
                    own_prefix: "statsd".to_owned(),
                    delete_idle_stats: false,
                    forget_after: heka_plugin_api::Interval(std::time::Duration::ZERO),
                    names_max: 100_000,
                    name_bytes_max: 1024,
                    timer_samples_max: 10_000,
                    samples_memory: heka_plugin_api::ByteSize(64 << 20),
                    set_members_max: 10_000,
                    emit_sketches: false,
                    keep_tags: true,
                    one_message: false,
                }
            }
        }
    };
}

pub(crate) use {config_defaults, config_with_settings};
