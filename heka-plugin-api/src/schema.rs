//! The options of a plugin, described so that the host can check and explain them without running its code.

use crate::units::{parse_bytes, parse_duration};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// One option of a plugin, as metadata shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptionSchema {
    /// Key in the config.
    pub name: &'static str,
    /// Type: `string`, `integer`, `number`, `bool`, `size`, `duration`, `array`, `table`, `any`, or `one of: a, b`.
    pub type_name: &'static str,
    /// Unit of a bare number; empty when it has none.
    pub unit: &'static str,
    /// What holds when the option is left out, as the user would write it; `None` when it is required.
    pub default: Option<&'static str>,
    /// What the option means: its doc comment.
    pub doc: &'static str,
}

/// The options of a config struct; derived with `#[derive(Schema)]`.
pub trait Schema {
    /// The options, in order.
    const OPTIONS: &'static [OptionSchema];
    /// What the plugin does, in a sentence: the struct's doc comment.
    const DOC: &'static str;
}

/// A type that an option may have. Enums derive it with `#[derive(OptionType)]`.
pub trait OptionType {
    /// Name of the type in metadata.
    const TYPE_NAME: &'static str;
}

macro_rules! option_types {
    ($($name:literal: $($type:ty),*;)*) => {$($(
        impl OptionType for $type {
            const TYPE_NAME: &'static str = $name;
        }
    )*)*};
}

option_types! {
    "string": String, PathBuf, char;
    "integer": u8, u16, u32, u64, usize, i8, i16, i32, i64;
    "number": f32, f64;
    "bool": bool;
    "size": ByteSize;
    "duration": Interval;
}

impl<T: OptionType> OptionType for Option<T> {
    const TYPE_NAME: &'static str = T::TYPE_NAME;
}

impl<T> OptionType for Vec<T> {
    const TYPE_NAME: &'static str = "array";
}

impl<K, V> OptionType for BTreeMap<K, V> {
    const TYPE_NAME: &'static str = "table";
}

impl<K, V, S> OptionType for HashMap<K, V, S> {
    const TYPE_NAME: &'static str = "table";
}

/// A size option: bytes as a number, or text such as `64 KiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct ByteSize(pub u64);

/// A duration option: seconds as a number, or text such as `10 s` or `1 ms`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Interval(pub Duration);

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Interval, D::Error> {
        deserializer.deserialize_any(IntervalVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size: bytes as a number, or text such as `64 KiB`")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<ByteSize, E> {
        u64::try_from(bytes).map(ByteSize).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ByteSize, E> {
        parse_bytes(text).map(ByteSize).map_err(E::custom)
    }
}

struct IntervalVisitor;

impl Visitor<'_> for IntervalVisitor {
    type Value = Interval;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration: seconds as a number, or text such as `10 s`")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Interval, E> {
        Ok(Interval(Duration::from_secs(seconds)))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Interval, E> {
        let positive =
            u64::try_from(seconds).map_err(|_| E::invalid_value(Unexpected::Signed(seconds), &self))?;
        self.visit_u64(positive)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Interval, E> {
        let duration = Duration::try_from_secs_f64(seconds);
        duration.map(Interval).map_err(|_| E::invalid_value(Unexpected::Float(seconds), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Interval, E> {
        parse_duration(text).map(Interval).map_err(E::custom)
    }
}
