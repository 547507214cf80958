//! The metrics of Metlog clients: messages of the types `counter`, `timer` and `gauge`.
//!
//! The payload is the value, the field `name` the metric's name, the field `rate` the share of calls that were sent.

use crate::accumulator::Accumulator;
use crate::metric::{Kind, Number, Value};
use crate::number::parse_number;
use heka_plugin_api::{Message, Value as FieldValue};

/// Returns the kind of metric that a message of this type is.
pub fn kind(message_type: &[u8]) -> Option<Kind> {
    match message_type {
        b"counter" | b"statsd_counter" => Some(Kind::Counter),
        b"timer" | b"statsd_timer" => Some(Kind::Timer),
        b"gauge" | b"statsd_gauge" => Some(Kind::Gauge),
        _ => None,
    }
}

/// Adds what a message says.
///
/// # Errors
/// If it lacks a name, or its numbers are none.
pub fn add(message: &Message<'_>, kind: Kind, accumulator: &mut Accumulator) -> Result<(), String> {
    let name = message.value("name").and_then(|name| name.as_bytes()).filter(|name| !name.is_empty());
    let name = name.ok_or("the metric has no field `name`")?;
    let rate = rate(message)?;
    let payload = message.payload();
    let shown = || String::from_utf8_lossy(&payload[..payload.len().min(100)]).into_owned();
    let number = parse_number(payload).ok_or_else(|| format!("the payload `{}` is not a number", shown()))?;
    let value = match kind {
        Kind::Counter => Value::Count(finite(number.scaled(rate))?),
        Kind::Gauge => Value::Level(number),
        _ => Value::Time { value: number.as_f64(), weight: 1.0 / rate },
    };
    accumulator.add(name, b"", value);
    Ok(())
}

fn rate(message: &Message<'_>) -> Result<f64, String> {
    let rate = match message.value("rate") {
        None => return Ok(1.0),
        Some(FieldValue::String(text)) => parse_number(text).map(Number::as_f64),
        Some(value) => value.as_number(),
    };
    let is_good = |rate: &f64| *rate > 0.0 && (1.0 / rate).is_finite();
    rate.filter(is_good).ok_or_else(|| "the field `rate` is not a number above 0".to_owned())
}

fn finite(number: Number) -> Result<Number, String> {
    if number.as_f64().is_finite() { Ok(number) } else { Err("the value is beyond all numbers".to_owned()) }
}
