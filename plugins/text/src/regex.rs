//! Decoder `regex`: named groups of a regular expression become fields.

use ::regex::bytes::{CaptureLocations, Regex};
use heka_plugin_api::{
    Context, Decoder, Faults, Frame, MessageBuilder, MessageWriter, OptionType, PluginError, Schema, Text,
    TextValue,
};
use heka_scalar::quote;
use heka_scalar::timestamp::{TimeReader, Zone};
use heka_scalar::{number, severity};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// Makes fields of the named groups of a regular expression, and refuses what doesn't match.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Regular expression with named groups, `(?<status>\d+)`; the groups `hostname`, `logger`, `payload`, `pid` and `type` set what they name.
    pattern: String,
    /// Types of groups that are not text: `string`, `integer`, `double` or `bool`.
    #[serde(default)]
    types: BTreeMap<String, GroupType>,
    /// Group that holds the message's time.
    #[serde(default = "default_timestamp_group")]
    #[schema(default = "timestamp")]
    timestamp_group: String,
    /// Format of that time: strftime, `auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us` or `epoch_ns`.
    #[serde(default = "default_timestamp_format")]
    #[schema(default = "auto")]
    timestamp_format: String,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "default_timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Group that holds the severity: a name such as `warning`, a digit, or a key of `severity_map`.
    #[serde(default = "default_severity_group")]
    #[schema(default = "severity")]
    severity_group: String,
    /// Severities, 0 to 7, by the names that the lines use.
    #[serde(default)]
    severity_map: BTreeMap<String, i32>,
    /// Whether the payload is the line as it was read, where no group names it.
    #[serde(default = "default_keep_payload")]
    #[schema(default = "true")]
    keep_payload: bool,
}

/// The type of a group's field.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum GroupType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// True or false.
    Bool,
}

fn default_timestamp_group() -> String {
    "timestamp".to_owned()
}

fn default_timestamp_format() -> String {
    "auto".to_owned()
}

fn default_timezone() -> String {
    "UTC".to_owned()
}

fn default_severity_group() -> String {
    "severity".to_owned()
}

fn default_keep_payload() -> bool {
    true
}

/// Where a group goes.
#[derive(Clone, Copy)]
enum Target {
    Field(GroupType),
    Hostname,
    Logger,
    Payload,
    Pid,
    Severity,
    Timestamp,
    Type,
}

struct Group {
    index: usize,
    name: Range<usize>,
    target: Target,
}

/// Reads lines with a regular expression.
pub struct RegexDecoder {
    regex: Regex,
    locations: CaptureLocations,
    groups: Vec<Group>,
    names: Vec<u8>,
    time: TimeReader,
    severities: BTreeMap<Vec<u8>, i32>,
    keep_payload: bool,
}

impl Decoder for RegexDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        match Regex::new(&config.pattern) {
            Err(error) => faults.add("pattern", one_line(&error)),
            Ok(regex) => check_groups(config, &regex, faults),
        }
        for (name, severity) in &config.severity_map {
            if !(0..=7).contains(severity) {
                faults.add(
                    format!("severity_map.{name}"),
                    format!("{severity} is not a severity; they are 0 to 7"),
                );
            }
        }
        TimeReader::check(&config.timestamp_format, &config.timezone, faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let regex = Regex::new(&config.pattern).map_err(|error| PluginError::Config(one_line(&error)))?;
        let zone = Zone::find(&config.timezone).map_err(PluginError::Config)?;
        let time = TimeReader::new(&config.timestamp_format, zone).map_err(PluginError::Config)?;
        let (groups, names) = groups(&config, &regex);
        let severities =
            config.severity_map.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
        let locations = regex.capture_locations();
        Ok(RegexDecoder {
            regex,
            locations,
            groups,
            names,
            time,
            severities,
            keep_payload: config.keep_payload,
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = frame.bytes();
        if self.regex.captures_read(&mut self.locations, line).is_none() {
            return Err(PluginError::Message(format!("`pattern` doesn't match `{}`", quote(line))));
        }
        let mut message = messages.message();
        let (text, names) = (message.text(line), message.text(&self.names));
        if self.keep_payload {
            message.payload_text(text);
        }
        for group in &self.groups {
            let Some((start, end)) = self.locations.get(group.index) else { continue };
            let found = Found {
                value: &line[start..end],
                text: text.slice(start..end),
                name: names.slice(group.name.clone()),
            };
            let fits = match group.target {
                Target::Field(kind) => found.add_field(&mut message, kind),
                Target::Timestamp => self.time.read(found.value).map(|ns| {
                    message.timestamp(ns);
                }),
                Target::Severity => {
                    found.set_severity(&mut message, &self.severities);
                    Some(())
                }
                target => {
                    found.set_header(&mut message, target);
                    Some(())
                }
            };
            if fits.is_none() {
                return Err(misfit(&self.names[group.name.clone()], found.value, group.target));
            }
        }
        message.finish()
    }
}

/// What a group has found.
struct Found<'l> {
    value: &'l [u8],
    text: Text,
    name: Text,
}

impl Found<'_> {
    /// Adds a field; `None` if the text is not of the type. Numbers that are empty or `-` are absent.
    #[inline]
    fn add_field(&self, message: &mut MessageBuilder<'_>, kind: GroupType) -> Option<()> {
        let value = match kind {
            GroupType::String => {
                message.field_text(self.name, Text::default(), TextValue::String(self.text));
                return Some(());
            }
            _ if self.value.is_empty() || self.value == b"-" => return Some(()),
            GroupType::Integer => TextValue::Integer(number::integer(self.value)?),
            GroupType::Double => TextValue::Double(number::double(self.value)?),
            GroupType::Bool => TextValue::Bool(number::bool(self.value)?),
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

#[cold]
fn misfit(name: &[u8], value: &[u8], target: Target) -> PluginError {
    let expected = match target {
        Target::Timestamp => "a time of `timestamp_format`",
        Target::Field(GroupType::Integer) => "an integer",
        Target::Field(GroupType::Double) => "a number",
        _ => "true or false",
    };
    PluginError::Message(format!(
        "group `{}` is not {expected}: `{}`",
        String::from_utf8_lossy(name),
        quote(value)
    ))
}

/// Says a regex's fault in one line: its last line tells what is wrong.
fn one_line(error: &::regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim();
    match reason.strip_prefix("error: ") {
        // The caret stands four columns to the right of what it points to.
        Some(reason) => match text.lines().find_map(|line| line.find('^')).and_then(|at| at.checked_sub(3)) {
            Some(column) => format!("column {column}: {reason}"),
            None => reason.to_owned(),
        },
        None => reason.to_owned(),
    }
}

fn check_groups(config: &Config, regex: &Regex, faults: &mut Faults) {
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    if names.is_empty() {
        faults.add("pattern", "has no named group; write for example `(?<status>\\d+)`");
        return;
    }
    let mut require = |key: String, name: &str| {
        if !names.contains(&name) {
            faults.add(key, format!("`pattern` has no group `{name}`; its groups: {}", names.join(", ")));
        }
    };
    config.types.keys().for_each(|name| require(format!("types.{name}"), name));
    if config.timestamp_group != default_timestamp_group() {
        require("timestamp_group".to_owned(), &config.timestamp_group);
    }
    if config.severity_group != default_severity_group() {
        require("severity_group".to_owned(), &config.severity_group);
    }
}

fn groups(config: &Config, regex: &Regex) -> (Vec<Group>, Vec<u8>) {
    let (mut groups, mut names) = (Vec::new(), Vec::new());
    for (index, name) in regex.capture_names().enumerate() {
        let Some(name) = name else { continue };
        let start = names.len();
        names.extend_from_slice(name.as_bytes());
        groups.push(Group { index, name: start..names.len(), target: target(config, name) });
    }
    (groups, names)
}

/// A group with a type is a field, whatever its name.
fn target(config: &Config, name: &str) -> Target {
    if let Some(kind) = config.types.get(name) {
        return Target::Field(*kind);
    }
    match name {
        name if name == config.timestamp_group => Target::Timestamp,
        name if name == config.severity_group => Target::Severity,
        "hostname" => Target::Hostname,
        "logger" => Target::Logger,
        "payload" => Target::Payload,
        "pid" => Target::Pid,
        "type" => Target::Type,
        _ => Target::Field(GroupType::String),
    }
}

#[cfg(test)]
mod tests;
