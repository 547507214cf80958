//! What was counted as metrics: messages of the type `heka.statmetric`, whose payload is a line for Graphite.

use heka_plugin_api::{Context, PluginError, Value, now};
use std::io::Write;

/// Type of the messages.
const MESSAGE_TYPE: &str = "heka.statmetric";

/// What a metric's values mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// How many there were in the interval; values of several intervals or hosts add up.
    Counter,
    /// The value at a time.
    Gauge,
}

/// Appends a part of a metric's name, behind a dot; what Graphite would take for something else becomes `_`.
pub fn push_name(name: &mut Vec<u8>, part: &[u8]) {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.push(b'.');
    name.extend(part.iter().map(|&byte| if is_safe(byte) { byte } else { b'_' }));
    if part.is_empty() {
        name.push(b'_');
    }
}

/// Emits one value of a metric.
pub fn emit(
    context: &mut Context,
    name: &[u8],
    kind: Kind,
    value: Value<'_>,
    seconds: f64,
) -> Result<(), PluginError> {
    let timestamp = now();
    let mut line = name.to_vec();
    // Writing to a vector doesn't fail.
    let _ = writeln!(line, " {value:?} {}", timestamp.div_euclid(1_000_000_000));
    context.emit(|message| {
        message.message_type(MESSAGE_TYPE).timestamp(timestamp).severity(6).payload(&line);
        message.field("name", name).field("kind", if kind == Kind::Counter { "counter" } else { "gauge" });
        message.field("value", value).field_as("interval", "s", seconds);
        if kind == Kind::Counter {
            message.field("count", value);
        }
    })
}
