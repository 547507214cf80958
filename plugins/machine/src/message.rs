//! Writes what was found as messages and as gauges.

use crate::report::{Number, Quantity, Reading, Report};
use heka_plugin_api::{MessageWriter, PluginError};
use std::fmt::Write;

/// Type of the messages that are gauges.
const GAUGE_TYPE: &str = "heka.statmetric";
const NS_PER_SECOND: i64 = 1_000_000_000;

/// Writes a message for each reading, all with the same time.
pub fn write_messages(
    report: &Report,
    timestamp: i64,
    writer: &mut MessageWriter<'_>,
) -> Result<(), PluginError> {
    for reading in report.readings.iter().filter(|reading| !reading.quantities.is_empty()) {
        let mut message = writer.message();
        message.timestamp(timestamp).message_type(reading.subject);
        for (name, value) in &reading.labels {
            message.field(name, value.as_str());
        }
        for Quantity { name, unit, number } in &reading.quantities {
            match *number {
                Number::Integer(number) => message.field_as(name, unit, number),
                Number::Double(number) => message.field_as(name, unit, number),
            };
        }
        message.finish()?;
    }
    Ok(())
}

/// Writes a gauge for each number: payload `name value unixseconds`, fields `name`, `kind`, `value`.
pub fn write_gauges(
    report: &Report,
    prefix: &str,
    timestamp: i64,
    writer: &mut MessageWriter<'_>,
) -> Result<(), PluginError> {
    let mut line = String::new();
    for reading in report.readings.iter().filter(|reading| !reading.is_fleeting) {
        for quantity in &reading.quantities {
            line.clear();
            push_name(&mut line, prefix, reading, quantity);
            let name_len = line.len();
            let value = quantity.number.as_double();
            // Writing to a string doesn't fail.
            let _ = writeln!(line, " {value} {}", timestamp.div_euclid(NS_PER_SECOND));
            let mut message = writer.message();
            message.timestamp(timestamp).message_type(GAUGE_TYPE).payload(&line);
            message.field("name", &line[..name_len]).field("kind", "gauge").field("value", value);
            message.finish()?;
        }
    }
    Ok(())
}

/// Adds `prefix.host.disk_io.sda.reads`; what a name can't hold in a device's becomes `_`.
fn push_name(line: &mut String, prefix: &str, reading: &Reading, quantity: &Quantity) {
    if !prefix.is_empty() {
        line.push_str(prefix.trim_end_matches('.'));
        line.push('.');
    }
    line.push_str(reading.subject);
    line.push('.');
    if let Some((_, device)) = reading.labels.first() {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        match device.trim_start_matches('/') {
            "" => line.push_str("root"),
            device => line.extend(device.chars().map(plain)),
        }
        line.push('.');
    }
    line.push_str(&quantity.name);
}
