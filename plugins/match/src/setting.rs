//! A value as a config gives it: its type is kept.

use heka_plugin_api::OptionType;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::fmt;

/// A text, perhaps with placeholders, an integer, a number with decimals, or a bool.
#[derive(Clone, PartialEq, Debug)]
pub enum Setting {
    Text(String),
    Integer(i64),
    Double(f64),
    Bool(bool),
}

impl OptionType for Setting {
    const TYPE_NAME: &'static str = "any";
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Setting, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

impl Visitor<'_> for SettingVisitor {
    type Value = Setting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a bool")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Setting, E> {
        Ok(Setting::Text(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Setting, E> {
        Ok(Setting::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Setting, E> {
        let too_large = |_| E::invalid_value(Unexpected::Unsigned(value), &"an integer below 2⁶³");
        i64::try_from(value).map(Setting::Integer).map_err(too_large)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Setting, E> {
        Ok(Setting::Double(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Setting, E> {
        Ok(Setting::Bool(value))
    }
}
