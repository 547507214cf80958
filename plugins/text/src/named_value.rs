//! Named values of a line, and where they go in its message.

use heka_plugin_api::{Faults, MessageBuilder, OptionType, PluginError, Text, TextValue};
use heka_scalar::timestamp::TimeReader;
use heka_scalar::{number, quote, severity};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// The type of a value's field.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// True or false.
    Bool,
}

/// What the options say about names.
pub struct Roles<'c> {
    /// What the names are of: `group`, `column`.
    pub noun: &'static str,
    /// Types of fields that are not text.
    pub types: &'c BTreeMap<String, FieldType>,
    /// The name of the time.
    pub timestamp: &'c str,
    /// The name of the severity.
    pub severity: &'c str,
    /// Severities by the names that lines use.
    pub severity_map: &'c BTreeMap<String, i32>,
}

/// Where a value goes.
#[derive(Clone, Copy)]
enum Target {
    Field(FieldType),
    Hostname,
    Logger,
    Payload,
    Pid,
    Severity,
    Timestamp,
    Type,
}

impl Roles<'_> {
    /// A name with a type is a field's, whatever it is.
    fn target(&self, name: &str) -> Target {
        if let Some(kind) = self.types.get(name) {
            return Target::Field(*kind);
        }
        match name {
            name if name == self.timestamp => Target::Timestamp,
            name if name == self.severity => Target::Severity,
            "hostname" => Target::Hostname,
            "logger" => Target::Logger,
            "payload" => Target::Payload,
            "pid" => Target::Pid,
            "type" => Target::Type,
            _ => Target::Field(FieldType::String),
        }
    }

    /// Adds what is wrong with the option `severity_map`.
    pub fn check(&self, faults: &mut Faults) {
        for (name, severity) in self.severity_map {
            if !(0..=7).contains(severity) {
                faults.add(
                    format!("severity_map.{name}"),
                    format!("{severity} is not a severity; they are 0 to 7"),
                );
            }
        }
    }
}

/// The names of a line's values, and where each goes.
pub struct NamedValues {
    noun: &'static str,
    names: Vec<u8>,
    entries: Vec<(Range<usize>, Target)>,
    time: TimeReader,
    severities: BTreeMap<Vec<u8>, i32>,
}

impl NamedValues {
    /// Without names yet.
    pub fn new(roles: &Roles<'_>, time: TimeReader) -> NamedValues {
        let severities =
            roles.severity_map.iter().map(|(name, value)| (name.clone().into_bytes(), *value)).collect();
        NamedValues { noun: roles.noun, names: Vec::new(), entries: Vec::new(), time, severities }
    }

    /// Adds a name; they are counted from 0. `field_type` is what the name itself says of its type.
    pub fn add(&mut self, name: &str, field_type: Option<FieldType>, roles: &Roles<'_>) {
        let start = self.names.len();
        self.names.extend_from_slice(name.as_bytes());
        let target = match field_type {
            Some(kind) if !roles.types.contains_key(name) => Target::Field(kind),
            _ => roles.target(name),
        };
        self.entries.push((start..self.names.len(), target));
    }

    /// All names, one behind the other: each message needs them inside.
    pub fn names(&self) -> &[u8] {
        &self.names
    }

    /// Puts the value of a name into a message; `text` and `names` are the value and all names, inside it already.
    ///
    /// Numbers that are empty or `-` are absent; a severity or process id that is none stays a field.
    ///
    /// # Errors
    /// [`PluginError::Message`] if it isn't of the name's type.
    #[inline]
    pub fn put(
        &mut self,
        index: usize,
        value: &[u8],
        text: Text,
        names: Text,
        message: &mut MessageBuilder<'_>,
    ) -> Result<(), PluginError> {
        let (name, target) = &self.entries[index];
        let found = Found { value, text, name: names.slice(name.clone()) };
        let fits = match *target {
            Target::Field(kind) => found.add_field(message, kind),
            Target::Timestamp => self.time.read(value).map(|ns| {
                message.timestamp(ns);
            }),
            Target::Severity => {
                found.set_severity(message, &self.severities);
                Some(())
            }
            target => {
                found.set_header(message, target);
                Some(())
            }
        };
        fits.ok_or_else(|| self.misfit(index, value))
    }

    #[cold]
    fn misfit(&self, index: usize, value: &[u8]) -> PluginError {
        let (name, target) = &self.entries[index];
        let expected = match target {
            Target::Timestamp => "a time of `timestamp_format`",
            Target::Field(FieldType::Integer) => "an integer",
            Target::Field(FieldType::Double) => "a number",
            _ => "true or false",
        };
        let name = String::from_utf8_lossy(&self.names[name.clone()]);
        PluginError::Message(format!("{} `{name}` is not {expected}: `{}`", self.noun, quote(value)))
    }
}

/// A value and its name.
struct Found<'l> {
    value: &'l [u8],
    text: Text,
    name: Text,
}

impl Found<'_> {
    /// Adds a field; `None` if the text is not of the type.
    #[inline]
    fn add_field(&self, message: &mut MessageBuilder<'_>, kind: FieldType) -> Option<()> {
        let value = match kind {
            FieldType::String => {
                message.field_text(self.name, Text::default(), TextValue::String(self.text));
                return Some(());
            }
            _ if self.value.is_empty() || self.value == b"-" => return Some(()),
            FieldType::Integer => TextValue::Integer(number::integer(self.value)?),
            FieldType::Double => TextValue::Double(number::double(self.value)?),
            FieldType::Bool => TextValue::Bool(number::bool(self.value)?),
        };
        message.field_text(self.name, Text::default(), value);
        Some(())
    }

    /// Sets the severity; a name that nobody knows stays a field.
    fn set_severity(&self, message: &mut MessageBuilder<'_>, known: &BTreeMap<Vec<u8>, i32>) {
        match known.get(self.value).copied().or_else(|| severity::find(self.value)) {
            Some(severity) => message.severity(severity),
            None => message.field_text(self.name, Text::default(), TextValue::String(self.text)),
        };
    }

    fn set_header(&self, message: &mut MessageBuilder<'_>, target: Target) {
        match target {
            Target::Hostname => message.hostname_text(self.text),
            Target::Logger => message.logger_text(self.text),
            Target::Payload => message.payload_text(self.text),
            Target::Type => message.message_type_text(self.text),
            _ => match number::integer(self.value).and_then(|pid| i32::try_from(pid).ok()) {
                Some(pid) => message.pid(pid),
                None => message.field_text(self.name, Text::default(), TextValue::String(self.text)),
            },
        };
    }
}
