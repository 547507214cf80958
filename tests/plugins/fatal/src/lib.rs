//! Fails without panicking: filter `fatal_at`, outputs `retry_times` and `retry_always`, input `fatal_at_once`.

use heka_plugin_api::{
    Context, Counter, Delivered, Delivery, Filter, Input, MessageMut, Output, PluginError, Read, Reader,
    Schema, Verdict, export_plugin,
};
use serde::Deserialize;
use std::time::Duration;

export_plugin! {
    filter "fatal_at" => FatalAtFilter,
    input "fatal_at_once" => FatalAtOnceInput,
    output "retry_times" => RetryTimesOutput,
    output "retry_always" => RetryAlwaysOutput,
}

/// Passes messages, and can't go on at one of them.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct At {
    /// Number of the message to fail at, from 1; each instance counts for itself.
    at: u64,
}

/// Passes messages, and can't go on at one of them.
struct FatalAtFilter {
    at: u64,
    seen: u64,
}

impl Filter for FatalAtFilter {
    type Config = At;

    fn open(config: At, _: &mut Context) -> Result<Self, PluginError> {
        Ok(FatalAtFilter { at: config.at, seen: 0 })
    }

    fn process_message(&mut self, _: &mut MessageMut<'_>, _: &mut Context) -> Result<Verdict, PluginError> {
        self.seen += 1;
        match self.seen == self.at {
            true => Err(PluginError::fatal(format!("this is message {}", self.at))),
            false => Ok(Verdict::Pass),
        }
    }
}

/// Fails for good, whatever happens.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Fails for good at the first read.
struct FatalAtOnceInput;

impl Input for FatalAtOnceInput {
    type Config = Nothing;

    fn open(_: Nothing, _: &mut Context) -> Result<Self, PluginError> {
        Ok(FatalAtOnceInput)
    }

    fn read(&mut self, _: &mut Reader<'_>, _: Duration, _: &mut Context) -> Result<Read, PluginError> {
        Err(PluginError::fatal("nothing to read from"))
    }
}

/// Takes messages after a number of failures.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Times {
    /// How many deliveries fail before the first one that works.
    times: u64,
}

/// Takes messages after a number of failures; counts them as `messages`.
struct RetryTimesOutput {
    left: u64,
    messages: Counter,
}

impl Output for RetryTimesOutput {
    type Config = Times;

    fn open(config: Times, context: &mut Context) -> Result<Self, PluginError> {
        Ok(RetryTimesOutput { left: config.times, messages: context.counter("messages") })
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        if self.left > 0 {
            self.left -= 1;
            let after = Some(Duration::from_millis(1));
            return Err(PluginError::Retry { reason: format!("{} more times", self.left), after });
        }
        self.messages.add(delivery.len() as u64);
        Ok(Delivered::Now)
    }
}

/// Never takes a message.
struct RetryAlwaysOutput;

impl Output for RetryAlwaysOutput {
    type Config = Nothing;

    fn open(_: Nothing, _: &mut Context) -> Result<Self, PluginError> {
        Ok(RetryAlwaysOutput)
    }

    fn deliver(&mut self, _: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        Err(PluginError::retry("nobody is there"))
    }
}
