//! Adds up metrics: input `statsd`, filter `stat_rollup`.
//!
//! `line` reads what clients send, `accumulator` adds it up by name, `flush` tells it in messages of the type
//! `heka.statmetric`.

mod accumulator;
mod clock;
mod connections;
mod event;
mod figures;
mod flush;
mod graphite;
mod input;
mod line;
mod members;
mod metric;
mod name;
mod number;
mod receiving;
mod rollup;
mod settings;
mod sketch;
mod slot;
mod sum;
mod timings;

use heka_plugin_api::export_plugin;
use input::StatsdInput;
use rollup::StatRollupFilter;

export_plugin! {
    input "statsd" => StatsdInput,
    filter "stat_rollup" => StatRollupFilter,
}
