//! Panics where a plugin can: filters `panic_at` and `panic_on_open`, output `panic_on_deliver`.

use heka_plugin_api::{
    Context, Delivered, Delivery, Filter, MessageMut, Output, PluginError, Schema, Verdict, export_plugin,
};
use serde::Deserialize;

export_plugin! {
    filter "panic_at" => PanicAtFilter,
    filter "panic_on_open" => PanicOnOpenFilter,
    output "panic_on_deliver" => PanicOnDeliverOutput,
}

/// Passes messages, and panics at one of them.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct At {
    /// Number of the message to panic at, from 1; each instance counts for itself.
    at: u64,
}

/// Passes messages, and panics at one of them.
struct PanicAtFilter {
    at: u64,
    seen: u64,
}

impl Filter for PanicAtFilter {
    type Config = At;

    fn open(config: At, _: &mut Context) -> Result<Self, PluginError> {
        Ok(PanicAtFilter { at: config.at, seen: 0 })
    }

    fn process_message(&mut self, _: &mut MessageMut<'_>, _: &mut Context) -> Result<Verdict, PluginError> {
        self.seen += 1;
        assert!(self.seen != self.at, "this is message {}", self.at);
        Ok(Verdict::Pass)
    }
}

/// Panics before it is there.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Panics before it is there.
struct PanicOnOpenFilter;

impl Filter for PanicOnOpenFilter {
    type Config = Nothing;

    fn open(_: Nothing, _: &mut Context) -> Result<Self, PluginError> {
        panic!("opened");
    }

    fn process_message(&mut self, _: &mut MessageMut<'_>, _: &mut Context) -> Result<Verdict, PluginError> {
        Ok(Verdict::Pass)
    }
}

/// Panics at every delivery.
struct PanicOnDeliverOutput;

impl Output for PanicOnDeliverOutput {
    type Config = Nothing;

    fn open(_: Nothing, _: &mut Context) -> Result<Self, PluginError> {
        Ok(PanicOnDeliverOutput)
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        panic!("{} messages to deliver", delivery.len());
    }
}
