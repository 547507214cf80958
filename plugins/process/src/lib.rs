//! Runs commands and reads what they write: input `process`.
//!
//! [`launch`] starts the programs of a pipeline as one process [`group`]; [`run`] reads their output, keeps the time,
//! and sees to it that none is left; [`schedule`] says when the next run begins.

mod config;
mod exit;
mod group;
mod launch;
mod output;
mod process_input;
mod run;
mod schedule;

use heka_plugin_api::export_plugin;
use process_input::ProcessInput;

export_plugin! { input "process" => ProcessInput }
