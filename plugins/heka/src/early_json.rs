//! The JSON form of a Heka message that the clients of 2013 could send in a frame.
//!
//! Keys as in the protobuf message; the UUID and bytes are base64; a value type is a number or its name; 64-bit
//! numbers are numbers, texts, or the `{low, high}` halves that JavaScript clients make of them. Such a client
//! signs the protobuf form of the message, so its signature never fits.

use crate::protobuf::Present;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use heka_plugin_api::{MessageBuilder, Value};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
struct Envelope {
    uuid: Option<String>,
    timestamp: Option<Integer>,
    #[serde(rename = "type")]
    message_type: Option<String>,
    logger: Option<String>,
    severity: Option<i32>,
    payload: Option<String>,
    env_version: Option<String>,
    pid: Option<i32>,
    hostname: Option<String>,
    fields: Option<Vec<Field>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Field {
    name: String,
    value_type: Option<ValueType>,
    representation: Option<String>,
    value_string: Option<Vec<String>>,
    value_bytes: Option<Vec<String>>,
    value_integer: Option<Vec<Integer>>,
    value_double: Option<Vec<f64>>,
    value_bool: Option<Vec<bool>>,
}

/// A 64-bit integer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer {
    Number(i64),
    Text(String),
    Halves { low: i64, high: i64 },
}

impl Integer {
    fn value(&self) -> Result<i64, String> {
        match self {
            Integer::Number(value) => Ok(*value),
            Integer::Text(text) => text.parse().map_err(|_| format!("`{text}` is no 64-bit integer")),
            Integer::Halves { low, high } => Ok(high << 32 | (low & 0xffff_ffff)),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ValueType {
    Number(u8),
    Name(String),
}

impl ValueType {
    fn number(&self) -> Result<u8, String> {
        match self {
            ValueType::Number(number) => Ok(*number),
            ValueType::Name(name) => {
                let names = ["STRING", "BYTES", "INTEGER", "DOUBLE", "BOOL"];
                let found = names.iter().position(|known| known == name);
                found.map(|number| number as u8).ok_or_else(|| format!("`{name}` is no value type"))
            }
        }
    }
}

impl Default for Envelope {
    fn default() -> Envelope {
        Envelope {
            uuid: None,
            timestamp: None,
            message_type: None,
            logger: None,
            severity: Some(7),
            payload: None,
            env_version: None,
            pid: None,
            hostname: None,
            fields: None,
        }
    }
}

/// Reads a message.
pub(crate) fn read(body: &[u8], builder: &mut MessageBuilder<'_>) -> Result<Present, String> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let uuid =
        envelope.uuid.and_then(|text| STANDARD.decode(text).ok()).and_then(|uuid| uuid.try_into().ok());
    if let Some(uuid) = uuid {
        builder.uuid(uuid);
    }
    if let Some(timestamp) = &envelope.timestamp {
        builder.timestamp(timestamp.value()?);
    }
    builder.severity(envelope.severity.unwrap_or(7)).pid(envelope.pid.unwrap_or(0));
    builder.message_type(text(&envelope.message_type)).logger(text(&envelope.logger));
    builder.payload(text(&envelope.payload)).env_version(text(&envelope.env_version));
    builder.hostname(text(&envelope.hostname));
    for field in envelope.fields.iter().flatten() {
        add_field(field, builder)?;
    }
    Ok(Present { uuid: uuid.is_some(), timestamp: envelope.timestamp.is_some(), ..Present::default() })
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

fn add_field(field: &Field, builder: &mut MessageBuilder<'_>) -> Result<(), String> {
    let value_type = field.value_type.as_ref().map_or(Ok(0), ValueType::number)?;
    let (name, representation) = (&field.name, text(&field.representation));
    let integers: Vec<i64>;
    let blobs: Vec<Vec<u8>>;
    let values: Vec<Value<'_>> = match value_type {
        0 => field.value_string.iter().flatten().map(Value::from).collect(),
        1 => {
            let decoded = field.value_bytes.iter().flatten().map(|text| STANDARD.decode(text));
            blobs = decoded.collect::<Result<_, _>>().map_err(|error| format!("field `{name}`: {error}"))?;
            blobs.iter().map(|bytes| Value::Bytes(bytes)).collect()
        }
        2 => {
            integers = field.value_integer.iter().flatten().map(Integer::value).collect::<Result<_, _>>()?;
            integers.iter().copied().map(Value::Integer).collect()
        }
        3 => field.value_double.iter().flatten().copied().map(Value::Double).collect(),
        4 => field.value_bool.iter().flatten().copied().map(Value::Bool).collect(),
        other => return Err(format!("field `{name}`: {other} is no value type")),
    };
    builder.field_values(name, representation, values);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;

    fn check(body: &str) -> Result<OwnedMessage, String> {
        let mut result = Ok(Present::default());
        let message = OwnedMessage::build(|builder| result = read(body.as_bytes(), builder)).unwrap();
        result.map(|_| message)
    }

    #[test]
    fn every_form_of_a_field_is_read() {
        let message = check(
            r#"{"uuid":"AAECAwQFBgcICQoLDA0ODw==","timestamp":{"low":-1,"high":1,"unsigned":false},"type":"t",
            "logger":null,"severity":6,"payload":"p","env_version":"0.8","pid":12,"hostname":"vm","fields":[
            {"name":"s","value_type":0,"representation":"","value_string":["a","b"],"value_integer":[]},
            {"name":"b","value_type":"BYTES","representation":"raw","value_bytes":["AP8="]},
            {"name":"i","value_type":2,"value_integer":[1,"-9223372036854775808",{"low":2,"high":0}]},
            {"name":"d","value_type":"DOUBLE","value_double":[1,2.5]},
            {"name":"t","value_type":4,"value_bool":[true]},{"name":"n"}]}"#,
        )
        .unwrap();
        let message = message.view();
        assert_eq!(message.uuid(), core::array::from_fn(|index| index as u8));
        assert_eq!((message.timestamp(), message.severity(), message.pid()), (0x1_ffff_ffff, 6, 12));
        assert_eq!((message.message_type(), message.payload()), (&b"t"[..], &b"p"[..]));
        let shown: Vec<String> = message
            .fields()
            .map(|field| format!("{} {:?}", field.name().escape_ascii(), field.values().collect::<Vec<_>>()))
            .collect();
        let integers = format!("i [1, {}, 2]", i64::MIN);
        assert_eq!(shown, [r#"s ["a", "b"]"#, "b [[0, ff]]", &integers, "d [1.0, 2.5]", "t [true]"]);
        assert_eq!(message.field("b").unwrap().representation(), b"raw");
    }

    #[test]
    fn what_is_no_message_says_why() {
        let refused = |body: &str| check(body).unwrap_err();
        assert!(refused("{").starts_with("not JSON: EOF while parsing"));
        assert!(refused("[1,2]").starts_with("not JSON: "));
        assert_eq!(refused(r#"{"timestamp":"x"}"#), "`x` is no 64-bit integer");
        assert_eq!(refused(r#"{"fields":[{"name":"a","value_type":"X"}]}"#), "`X` is no value type");
        assert_eq!(refused(r#"{"fields":[{"name":"a","value_type":9}]}"#), "field `a`: 9 is no value type");
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(check(&"[".repeat(10_000)).is_err());
        assert!(check(&format!("{{\"x\":{}", "[".repeat(10_000))).is_err());
    }
}
