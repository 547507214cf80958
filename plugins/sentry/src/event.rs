//! An event's JSON, and what of it becomes a message's header and fields.

use heka_object::{parse_timestamp, parse_uuid, scaled_timestamp};
use heka_scalar::severity;
use serde_json::{Map, Value};

/// Most fields that become of an event; further members are left out and counted.
const FIELDS_MAX: usize = 1_000;

/// What names of interfaces begin with in the events of old clients.
const INTERFACES: &str = "sentry.interfaces.";

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its members; interfaces under their short names, `exception` and `stacktrace`.
    members: Map<String, Value>,
}

/// The value of a field.
#[derive(Clone, PartialEq, Debug)]
pub enum FieldValue {
    /// Text; of an array, JSON.
    Text(String),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other number.
    Double(f64),
    /// True or false.
    Bool(bool),
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn read(json: &[u8]) -> Result<Event, String> {
        let members: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| format!("not a JSON object: {error}"))?;
        let short = |name: String| match name.strip_prefix(INTERFACES) {
            Some(interface) => interface.to_ascii_lowercase(),
            None => name,
        };
        Ok(Event { members: members.into_iter().map(|(name, value)| (short(name), value)).collect() })
    }

    /// Returns a text at the top.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Returns the exceptions, those that caused others first; each has `type`, `value`, `module`.
    pub fn exceptions(&self) -> Vec<&Map<String, Value>> {
        let Some(exception) = self.members.get("exception") else { return Vec::new() };
        let list = exception.get("values").unwrap_or(exception);
        match list {
            Value::Array(values) => values.iter().filter_map(Value::as_object).collect(),
            one => one.as_object().into_iter().collect(),
        }
    }

    /// Returns the frames of an exception's stack, the innermost last; those of the event for the last exception.
    pub fn frames<'e>(&'e self, exception: Option<&'e Map<String, Value>>) -> &'e [Value] {
        let own = exception.and_then(|exception| exception.get("stacktrace"));
        let frames = own.filter(|stack| !stack.is_null()).or_else(|| self.members.get("stacktrace"));
        frames.and_then(|stack| stack.get("frames")?.as_array()).map_or(&[], Vec::as_slice)
    }

    /// Returns the time in nanoseconds since the epoch.
    pub fn timestamp(&self) -> Option<i64> {
        match self.members.get("timestamp")? {
            Value::String(text) => parse_timestamp(text.as_bytes()),
            Value::Number(number) => match number.as_i64() {
                Some(seconds) => scaled_timestamp(seconds),
                None => number.as_f64().filter(|s| (0.0..9e9).contains(s)).map(|s| (s * 1e9) as i64),
            },
            _ => None,
        }
    }

    /// Returns the id of the event.
    pub fn uuid(&self) -> Option<[u8; 16]> {
        parse_uuid(self.text("event_id")?.as_bytes())
    }

    /// Returns the syslog severity for the level, a name or a number of Python's `logging`.
    pub fn severity(&self) -> Option<i32> {
        match self.members.get("level")? {
            Value::String(level) => severity::find(level.as_bytes()),
            level => Some(match level.as_u64()? {
                50.. => 2,
                40.. => 3,
                30.. => 4,
                20.. => 6,
                _ => 7,
            }),
        }
    }

    /// Returns the fields: names of nested members joined by dots, arrays as JSON, without nulls and stack frames.
    ///
    /// `exception` is the one that was raised last, where there are several.
    pub fn fields(&self) -> Vec<(String, FieldValue)> {
        let mut fields = Fields::default();
        for (name, value) in &self.members {
            match name.as_str() {
                "exception" => {}
                "stacktrace" => {}
                _ => fields.add(name, value),
            }
        }
        for (name, value) in self.exceptions().last().into_iter().flat_map(|exception| exception.iter()) {
            if name != "stacktrace" {
                fields.add(&format!("exception.{name}"), value);
            }
        }
        if fields.left_out > 0 {
            fields.list.push(("fields_left_out".to_owned(), FieldValue::Integer(fields.left_out)));
        }
        fields.list
    }
}

#[derive(Default)]
struct Fields {
    list: Vec<(String, FieldValue)>,
    left_out: i64,
}

impl Fields {
    /// Adds a member and what is nested in it; JSON can't be nested so deep that this matters.
    fn add(&mut self, name: &str, value: &Value) {
        let value = match value {
            Value::Null => return,
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| self.add(&format!("{name}.{key}"), value));
                return;
            }
            Value::Array(values) if values.is_empty() => return,
            Value::Array(_) => FieldValue::Text(value.to_string()),
            Value::String(text) => FieldValue::Text(text.clone()),
            Value::Bool(value) => FieldValue::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => FieldValue::Integer(integer),
                None => FieldValue::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
        };
        if self.list.len() < FIELDS_MAX {
            self.list.push((name.to_owned(), value));
        } else {
            self.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests;
