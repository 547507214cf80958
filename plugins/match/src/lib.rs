//! Selects, marks, changes and thins out messages: filters `match`, `mark`, `set`, `sample`, `throttle`
//! and `dedupe`.

mod buckets;
mod condition;
mod dedupe;
mod mark;
mod sample;
mod select;
mod set;
mod setting;
mod throttle;
mod value_template;
mod variable;

use dedupe::DedupeFilter;
use heka_plugin_api::export_plugin;
use mark::MarkFilter;
use sample::SampleFilter;
use select::MatchFilter;
use set::SetFilter;
use throttle::ThrottleFilter;

export_plugin! {
    filter "match" => MatchFilter,
    filter "mark" => MarkFilter,
    filter "set" => SetFilter,
    filter "sample" => SampleFilter,
    filter "throttle" => ThrottleFilter,
    filter "dedupe" => DedupeFilter,
}
