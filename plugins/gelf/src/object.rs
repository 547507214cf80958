//! A GELF object → a message, without a tree in between.

use heka_plugin_api::MessageBuilder;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Reads an object into a message.
///
/// # Errors
/// If the text is no JSON object, or has no `short_message`.
pub fn read(text: &[u8], message: &mut MessageBuilder<'_>) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let has_text = json
        .deserialize_map(ObjectVisitor { message })
        .and_then(|has_text| json.end().map(|()| has_text))
        .map_err(|error| format!("no GELF: {error}"))?;
    if has_text { Ok(()) } else { Err("no GELF: it has no `short_message`".to_owned()) }
}

struct ObjectVisitor<'m, 'w> {
    message: &'m mut MessageBuilder<'w>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut has_text = false;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let is_text = map.next_value_seed(Member { name: &key.0, message: &mut *self.message })?;
            has_text |= is_text;
        }
        Ok(has_text)
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'k>(Cow<'k, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Key<'de>, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        source.deserialize_str(KeyVisitor)
    }
}

/// One member; tells whether it was the message's text.
struct Member<'m, 'w> {
    name: &'m str,
    message: &'m mut MessageBuilder<'w>,
}

impl<'m> Member<'m, '_> {
    /// The field's name: additional ones begin with an underscore that is not part of it.
    fn field(&self) -> &'m str {
        self.name.strip_prefix('_').filter(|name| !name.is_empty()).unwrap_or(self.name)
    }

    fn number(self, number: f64, integer: Option<i64>) {
        match (self.name, integer) {
            ("timestamp", _) if timestamp(number).is_some() => {
                self.message.timestamp(timestamp(number).unwrap_or_default());
            }
            ("level", Some(level @ 0..=7)) => _ = self.message.severity(level as i32),
            (_, Some(integer)) => _ = self.message.field(self.field(), integer),
            (_, None) => _ = self.message.field(self.field(), number),
        }
    }
}

/// Seconds since the epoch, with a fraction, which floating point keeps to the microsecond.
fn timestamp(seconds: f64) -> Option<i64> {
    let is_time = (-9.0e9..=9.0e9).contains(&seconds);
    is_time.then(|| {
        let whole = seconds.floor();
        whole as i64 * 1_000_000_000 + ((seconds - whole) * 1e6).round() as i64 * 1_000
    })
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<bool, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        match self.name {
            "short_message" => {
                self.message.payload(text);
                return Ok(true);
            }
            "host" => _ = self.message.hostname(text),
            "version" => _ = self.message.env_version(text),
            "timestamp" | "level" => match (text.parse::<f64>(), text.parse::<i64>()) {
                (Ok(number), integer) if number.is_finite() => self.number(number, integer.ok()),
                _ => _ = self.message.field(self.field(), text),
            },
            _ => _ = self.message.field(self.field(), text),
        }
        Ok(false)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<bool, E> {
        self.number(number as f64, Some(number));
        Ok(false)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<bool, E> {
        self.number(number as f64, i64::try_from(number).ok());
        Ok(false)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<bool, E> {
        self.number(number, None);
        Ok(false)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.message.field(self.field(), value);
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<bool, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element::<serde_json::Value>()? {
            values.push(value);
        }
        self.message.field_as(self.field(), "json", &serde_json::Value::Array(values).to_string());
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut values = serde_json::Map::new();
        while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
            values.insert(key, value);
        }
        self.message.field_as(self.field(), "json", &serde_json::Value::Object(values).to_string());
        Ok(false)
    }
}
