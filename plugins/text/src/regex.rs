//! Decoder `regex`: named groups of a regular expression become fields.

use crate::group_finder::GroupFinder;
use crate::named_value::{FieldType, NamedValues, Roles};
use heka_plugin_api::{Context, Decoder, Faults, Frame, MessageWriter, PluginError, Schema};
use heka_scalar::quote;
use heka_scalar::timestamp::TimeReader;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Makes fields of the named groups of a regular expression, and refuses what doesn't match.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Regular expression with named groups, `(?<status>\d+)`; the groups `hostname`, `logger`, `payload`, `pid` and `type` set what they name.
    pattern: String,
    /// Types of groups that are not text: `string`, `integer`, `double` or `bool`.
    #[serde(default)]
    types: BTreeMap<String, FieldType>,
    /// Group that holds the message's time.
    #[serde(default = "crate::defaults::timestamp")]
    #[schema(default = "timestamp")]
    timestamp_group: String,
    /// Format of that time: strftime, `auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us` or `epoch_ns`.
    #[serde(default = "crate::defaults::timestamp_format")]
    #[schema(default = "auto")]
    timestamp_format: String,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Group that holds the severity: a name such as `warning`, a digit, or a key of `severity_map`.
    #[serde(default = "crate::defaults::severity")]
    #[schema(default = "severity")]
    severity_group: String,
    /// Severities, 0 to 7, by the names that the lines use.
    #[serde(default)]
    severity_map: BTreeMap<String, i32>,
    /// Whether the payload is the line as it was read, where no group names it.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    keep_payload: bool,
}

impl Config {
    fn roles(&self) -> Roles<'_> {
        Roles {
            noun: "group",
            types: &self.types,
            timestamp: &self.timestamp_group,
            severity: &self.severity_group,
            severity_map: &self.severity_map,
        }
    }
}

/// Reads lines with a regular expression.
pub struct RegexDecoder {
    finder: GroupFinder,
    groups: Vec<usize>,
    values: NamedValues,
    keep_payload: bool,
}

impl Decoder for RegexDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        match GroupFinder::new(&config.pattern, true) {
            Err(reason) => faults.add("pattern", reason),
            Ok(finder) => check_groups(config, &finder, faults),
        }
        config.roles().check(faults);
        TimeReader::check(&config.timestamp_format, &config.timezone, faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let finder = GroupFinder::new(&config.pattern, true).map_err(PluginError::Config)?;
        let time = TimeReader::open(&config.timestamp_format, &config.timezone)?;
        let mut values = NamedValues::new(&config.roles(), time);
        let mut groups = Vec::new();
        for (index, name) in finder.names() {
            groups.push(index);
            values.add(name, None, &config.roles());
        }
        Ok(RegexDecoder { finder, groups, values, keep_payload: config.keep_payload })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = frame.bytes();
        if !self.finder.find(line) {
            return Err(PluginError::Message(format!("`pattern` doesn't match `{}`", quote(line))));
        }
        let mut message = messages.message();
        let (text, names) = (message.text(line), message.text(self.values.names()));
        if self.keep_payload {
            message.payload_text(text);
        }
        for (index, group) in self.groups.iter().enumerate() {
            if let Some(span) = self.finder.span(*group) {
                self.values.put(index, &line[span.clone()], text.slice(span), names, &mut message)?;
            }
        }
        message.finish()
    }
}

fn check_groups(config: &Config, finder: &GroupFinder, faults: &mut Faults) {
    let names: Vec<&str> = finder.names().map(|(_, name)| name).collect();
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
    if config.timestamp_group != crate::defaults::timestamp() {
        require("timestamp_group".to_owned(), &config.timestamp_group);
    }
    if config.severity_group != crate::defaults::severity() {
        require("severity_group".to_owned(), &config.severity_group);
    }
}

#[cfg(test)]
mod tests;
