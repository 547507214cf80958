//! Tells what each key lost.

use crate::buckets::{Buckets, Report};
use heka_plugin_api::{Context, PluginError};
use std::io::Write;

/// Type of the messages.
const MESSAGE_TYPE: &str = "heka.throttle";

/// Emits a message for each key of which something was dropped since the last call.
pub fn emit_all(
    buckets: &mut Buckets,
    by: Option<&str>,
    seconds: f64,
    context: &mut Context,
) -> Result<(), PluginError> {
    let mut result = Ok(());
    buckets.report(|report| {
        let emitted = emit(report, by, seconds, context);
        result = std::mem::replace(&mut result, Ok(())).and(emitted);
    });
    result
}

fn emit(
    report: &Report<'_>,
    by: Option<&str>,
    seconds: f64,
    context: &mut Context,
) -> Result<(), PluginError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    context.emit(|message| {
        message.message_type(MESSAGE_TYPE).payload(payload(report, by, seconds));
        message.field("dropped", number(report.dropped)).field("passed", number(report.passed));
        message.field_as("interval", "s", seconds);
        if let Some(by) = by {
            message.field("by", by);
            match report.key {
                Some(key) => message.field("key", key),
                None => message.field("overflow", true),
            };
        }
    })
}

/// Such as `Logger web: dropped 120, passed 1000 in 10.0 s`.
fn payload(report: &Report<'_>, by: Option<&str>, seconds: f64) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    if let Some(by) = by {
        text.extend_from_slice(by.as_bytes());
        text.push(b' ');
        text.extend_from_slice(report.key.unwrap_or(b"(others)"));
        text.extend_from_slice(b": ");
    }
    // Writing to a vector doesn't fail.
    let _ = write!(text, "dropped {}, passed {} in {seconds:.1} s", report.dropped, report.passed);
    text
}
