//! Counts per interval and emits messages with what was counted: filters `count`, `top`, `unique` and `http_status`.

mod count;
mod http_status;
mod metric;
mod rollup;
mod table;
mod top;
mod unique;

use count::CountFilter;
use heka_plugin_api::export_plugin;
use http_status::HttpStatusFilter;
use top::TopFilter;
use unique::UniqueFilter;

export_plugin! {
    filter "count" => CountFilter,
    filter "top" => TopFilter,
    filter "unique" => UniqueFilter,
    filter "http_status" => HttpStatusFilter,
}
