//! Adds up metrics: input `statsd`, filter `stat_rollup`.
//!
//! [`line`](self) reads what clients send, the accumulator adds it up by name, a flush tells it in messages.

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
mod settings;
mod sketch;
mod slot;
mod sum;
mod timings;

use heka_plugin_api::export_plugin;
use input::StatsdInput;

export_plugin! {
    input "statsd" => StatsdInput,
}
