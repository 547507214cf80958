//! Reports the machine's own statistics, from `/proc` and `/sys`: input `host_stats`.
//!
//! Each look at a subject ([`subject`]) fills a [`report::Report`] with readings; [`message`] writes them as messages
//! with typed fields, and as gauges.

mod config;
mod host_stats;
mod message;
mod name_filter;
mod proc_file;
mod rate;
mod report;
mod subject;

use heka_plugin_api::export_plugin;
use host_stats::HostStatsInput;

export_plugin! { input "host_stats" => HostStatsInput }
