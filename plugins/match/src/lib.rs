//! Selects, marks, changes and thins out messages: filters `match`, `mark`, `set`, `sample` and `rate_limit`.

mod buckets;
mod condition;
mod mark;
mod rate_limit;
mod sample;
mod select;
mod set;
mod setting;
mod value_template;
mod variable;

use heka_plugin_api::export_plugin;
use mark::MarkFilter;
use rate_limit::RateLimitFilter;
use sample::SampleFilter;
use select::MatchFilter;
use set::SetFilter;

export_plugin! {
    filter "match" => MatchFilter,
    filter "mark" => MarkFilter,
    filter "set" => SetFilter,
    filter "sample" => SampleFilter,
    filter "rate_limit" => RateLimitFilter,
}
