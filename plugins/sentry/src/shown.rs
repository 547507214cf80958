//! What both plugins make of an event: options, payload, values of fields.

use crate::event::{Event, FieldValue};
use crate::payload::unpack;
use crate::text::readable;
use heka_plugin_api::{ByteSize, Faults, OptionType, Value};
use serde::Deserialize;

/// Longest JSON that is unpacked where nothing else is said, in bytes.
pub const JSON_BYTES_MAX: ByteSize = ByteSize(4 << 20);

/// What the payload becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Text for people.
    Text,
    /// The event's JSON.
    Json,
    /// As it came.
    Keep,
}

/// Reads events, as the options say.
pub struct EventReader {
    pub json_bytes_max: usize,
    pub payload: Payload,
}

impl EventReader {
    /// Returns the event, and the payload that takes the place of the packed one.
    pub fn read(&self, packed: &[u8]) -> Result<(Event, Option<Vec<u8>>), String> {
        let json = unpack(packed, self.json_bytes_max)?;
        let event = Event::read(&json)?;
        let payload = match self.payload {
            Payload::Text => Some(readable(&event).into_bytes()),
            Payload::Json => Some(json),
            Payload::Keep => None,
        };
        Ok((event, payload))
    }
}

/// Finds what is wrong with the option that bounds the JSON.
pub fn check_json_bytes_max(json_bytes_max: ByteSize, faults: &mut Faults) {
    if !(1..=1 << 30).contains(&json_bytes_max.0) {
        faults.add("json_bytes_max", "from 1 B to 1 GiB");
    }
}

impl<'v> From<&'v FieldValue> for Value<'v> {
    fn from(value: &'v FieldValue) -> Value<'v> {
        match value {
            FieldValue::Text(text) => Value::String(text.as_bytes()),
            FieldValue::Integer(number) => Value::Integer(*number),
            FieldValue::Double(number) => Value::Double(*number),
            FieldValue::Bool(value) => Value::Bool(*value),
        }
    }
}
