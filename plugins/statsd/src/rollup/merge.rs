//! Merges what other hosts have added up: messages of the type `heka.statmetric`.
//!
//! Counts are added. Of gauges the last one holds. Of timers and histograms count, sum, lower, upper and mean are exact;
//! percentiles are those of the merged sketches, so within 1 % of a true one, and absent when one came without sketch.
//! Sets are united by their members' hashes.

use super::Taken;
use crate::accumulator::{Accumulator, Timed};
use crate::metric::{Kind, Number, Value};
use crate::sketch;
use crate::timings::Totals;
use heka_plugin_api::{Message, Value as FieldValue};

/// Adds what a message says.
///
/// # Errors
/// What it lacks, or what in it is damaged.
pub(super) fn merge(message: &Message<'_>, accumulator: &mut Accumulator) -> Result<Taken, String> {
    let bytes = |name: &str| message.value(name).and_then(|value| value.as_bytes());
    let kind = match bytes("kind") {
        // How many metrics the other host told is not this one's number.
        Some(b"internal") => return Ok(Taken::Yes),
        // One message of all lines, whose numbers nobody can add.
        None => return Ok(Taken::No),
        Some(kind) => Kind::named(kind).ok_or("the field `kind` is not that of a metric")?,
    };
    let name = bytes("name").filter(|name| !name.is_empty()).ok_or("the metric has no field `name`")?;
    let tags = tags(message);
    match kind {
        Kind::Counter => accumulator.add(name, &tags, Value::Count(number(message, "count")?)),
        Kind::Gauge => accumulator.add(name, &tags, Value::Level(number(message, "value")?)),
        Kind::Set => return merge_set(message, name, &tags, accumulator),
        Kind::Timer | Kind::Histogram => return merge_timings(message, kind, name, &tags, accumulator),
    }
    Ok(Taken::Yes)
}

/// Returns the tags as a statsd line has them.
fn tags(message: &Message<'_>) -> Vec<u8> {
    let mut tags = Vec::new();
    for field in message.fields() {
        let Some(key) = field.name().strip_prefix(b"tag.") else { continue };
        let Some(value) = field.value(0).and_then(|value| value.as_bytes()) else { continue };
        if !tags.is_empty() {
            tags.push(b',');
        }
        tags.extend_from_slice(key);
        tags.push(b':');
        tags.extend_from_slice(value);
    }
    tags
}

fn number(message: &Message<'_>, field: &str) -> Result<Number, String> {
    let number = match message.value(field) {
        Some(FieldValue::Integer(value)) => Some(Number::Integer(value)),
        Some(FieldValue::Double(value)) if value.is_finite() => Some(Number::Double(value)),
        _ => None,
    };
    number.ok_or_else(|| format!("the field `{field}` is not a number"))
}

fn merge_set(
    message: &Message<'_>,
    name: &[u8],
    tags: &[u8],
    accumulator: &mut Accumulator,
) -> Result<Taken, String> {
    match message.value("members").and_then(|value| value.as_bytes()) {
        Some(members) => accumulator.merge_members(name, tags, members)?,
        None if number(message, "count")?.as_f64() == 0.0 => accumulator.touch(name, tags, Kind::Set),
        None => {
            return Err(
                "the set came without its members; set `emit_sketches = true` where it comes from".into()
            );
        }
    }
    Ok(Taken::Yes)
}

fn merge_timings(
    message: &Message<'_>,
    kind: Kind,
    name: &[u8],
    tags: &[u8],
    accumulator: &mut Accumulator,
) -> Result<Taken, String> {
    let count = number(message, "count")?;
    let samples = message.value("samples").and_then(|value| value.as_integer()).unwrap_or(0);
    let mut totals = Totals { samples: u64::try_from(samples).unwrap_or(0), ..Totals::default() };
    let mut bins = None;
    if totals.samples > 0 {
        let double = |field: &str| number(message, field).map(Number::as_f64);
        (totals.lower, totals.upper, totals.sum) = (double("lower")?, double("upper")?, double("sum")?);
        totals.sum_squares = double("sum_squares").unwrap_or(0.0);
        if let Some(sketch) = message.value("sketch").and_then(|value| value.as_bytes()) {
            let read = sketch::bins(sketch)?;
            if read.iter().map(|(_, count)| count).sum::<u64>() != totals.samples {
                return Err("the sketch has not as many samples as the message".into());
            }
            bins = Some(read);
        }
    }
    accumulator.merge_timings(name, tags, kind, &Timed { count, totals, bins: bins.as_deref() });
    Ok(if totals.samples > 0 && bins.is_none() { Taken::WithoutSketch } else { Taken::Yes })
}
