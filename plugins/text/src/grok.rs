//! Decoder `grok`: lines by patterns that have names.

mod definitions;
mod expansion;

use crate::group_finder::GroupFinder;
use crate::named_value::{FieldType, NamedValues, Roles};
use definitions::{Definitions, is_name};
use expansion::{Expansion, expand, group_name};
use heka_plugin_api::{
    Context, Decoder, Faults, Frame, MessageWriter, OptionType, PluginError, Schema, cause,
};
use heka_scalar::quote;
use heka_scalar::timestamp::TimeReader;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Makes fields of lines by grok patterns, `%{NAME:field:type}`, and refuses what none of them matches.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A pattern, such as `%{IPORHOST:client} %{NUMBER:bytes:int}`, or a list of them, tried in order.
    pattern: Patterns,
    /// Own patterns by name, before the usual ones.
    #[serde(default)]
    definitions: BTreeMap<String, String>,
    /// Files with own patterns, one `NAME PATTERN` a line.
    #[serde(default)]
    #[schema(default = "[]")]
    definition_files: Vec<PathBuf>,
    /// Types of fields that are not text, where the patterns don't say them: `string`, `integer`, `double` or `bool`.
    #[serde(default)]
    types: BTreeMap<String, FieldType>,
    /// Field that is the message's time.
    #[serde(default = "crate::defaults::timestamp")]
    #[schema(default = "timestamp")]
    timestamp_field: String,
    /// Format of that time: strftime, `auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us` or `epoch_ns`.
    #[serde(default = "crate::defaults::timestamp_format")]
    #[schema(default = "auto")]
    timestamp_format: String,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Field that is the severity: a name such as `warning`, a digit, or a key of `severity_map`.
    #[serde(default = "crate::defaults::severity")]
    #[schema(default = "severity")]
    severity_field: String,
    /// Severities, 0 to 7, by the names that the lines use.
    #[serde(default)]
    severity_map: BTreeMap<String, i32>,
    /// Whether the payload is the line as it was read, where no field names it.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    keep_payload: bool,
}

/// One pattern or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a pattern, or a list of patterns")]
enum Patterns {
    One(String),
    Several(Vec<String>),
}

impl OptionType for Patterns {
    const TYPE_NAME: &'static str = "any";
}

impl Patterns {
    fn as_slice(&self) -> &[String] {
        match self {
            Patterns::One(pattern) => std::slice::from_ref(pattern),
            Patterns::Several(patterns) => patterns,
        }
    }
}

impl Config {
    fn roles(&self) -> Roles<'_> {
        Roles {
            noun: "field",
            types: &self.types,
            timestamp: &self.timestamp_field,
            severity: &self.severity_field,
            severity_map: &self.severity_map,
        }
    }

    /// The usual patterns, those of `files`, and the config's own.
    fn definitions(&self, files: &[PathBuf]) -> Result<Definitions, PluginError> {
        let mut definitions = Definitions::usual();
        for path in files {
            let shown = path.display();
            let text = fs::read_to_string(path).map_err(|error| {
                PluginError::Config(format!(
                    "failed to read `{shown}`: {}; `definition_files` names it",
                    cause(&error)
                ))
            })?;
            definitions.add_lines(&text).map_err(|line| {
                PluginError::Config(format!("{shown}:{line}: not a definition; write `NAME PATTERN`"))
            })?;
        }
        self.definitions.iter().for_each(|(name, pattern)| definitions.add(name, pattern));
        Ok(definitions)
    }

    fn pattern(&self, pattern: &str, definitions: &Definitions) -> Result<Pattern, String> {
        let expansion = expand(pattern, definitions)?;
        // A column would be one of the expression that nobody has written.
        let without_column = |reason: String| match reason.split_once(": ") {
            Some((column, reason)) if column.starts_with("column ") => reason.to_owned(),
            _ => reason,
        };
        let finder = GroupFinder::new(&expansion.expression, false)
            .map_err(|reason| format!("`{}`: {}", quote(pattern.as_bytes()), without_column(reason)))?;
        let time = TimeReader::open(&self.timestamp_format, &self.timezone)
            .map_err(|error| error.reason().to_owned())?;
        let mut values = NamedValues::new(&self.roles(), time);
        let groups = groups(&finder, &expansion);
        for (_, name, field_type) in &groups {
            values.add(name, *field_type, &self.roles());
        }
        if groups.is_empty() {
            return Err("it has no field; write for example `%{NUMBER:bytes:int}`".to_owned());
        }
        Ok(Pattern { finder, groups: groups.into_iter().map(|(group, ..)| group).collect(), values })
    }

    fn patterns(&self, files: &[PathBuf]) -> Result<Vec<Pattern>, PluginError> {
        let definitions = self.definitions(files)?;
        let made = self.pattern.as_slice().iter().map(|pattern| self.pattern(pattern, &definitions));
        made.collect::<Result<_, _>>().map_err(|reason| PluginError::Config(format!("pattern: {reason}")))
    }
}

/// The groups that are fields: index, name and type.
fn groups(finder: &GroupFinder, expansion: &Expansion) -> Vec<(usize, String, Option<FieldType>)> {
    let named = finder.names().map(|(group, name)| {
        let index = (0..expansion.fields.len()).find(|index| group_name(*index) == name);
        match index.map(|index| &expansion.fields[index]) {
            Some(field) => (group, field.name.clone(), field.field_type),
            None => (group, name.to_owned(), None),
        }
    });
    named.collect()
}

/// One pattern, ready to be matched.
struct Pattern {
    finder: GroupFinder,
    groups: Vec<usize>,
    values: NamedValues,
}

/// Reads lines by patterns.
pub struct GrokDecoder {
    config: Config,
    patterns: Vec<Pattern>,
}

impl Decoder for GrokDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        for name in config.definitions.keys().filter(|name| !is_name(name)) {
            faults.add(format!("definitions.{name}"), "not a name; it has letters, digits, `_`, `-` and `.`");
        }
        config.roles().check(faults);
        TimeReader::check(&config.timestamp_format, &config.timezone, faults);
        if config.pattern.as_slice().is_empty() {
            faults.add("pattern", "there is none; write at least one");
        }
        // What files define is known at the start.
        if config.definition_files.is_empty()
            && let Ok(definitions) = config.definitions(&[])
            && TimeReader::open(&config.timestamp_format, &config.timezone).is_ok()
        {
            for pattern in config.pattern.as_slice() {
                if let Err(reason) = config.pattern(pattern, &definitions) {
                    faults.add("pattern", reason);
                }
            }
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let patterns = match config.definition_files.is_empty() {
            true => config.patterns(&[])?,
            false => Vec::new(),
        };
        Ok(GrokDecoder { config, patterns })
    }

    fn start(&mut self, _: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        if self.patterns.is_empty() {
            self.patterns = self.config.patterns(&self.config.definition_files)?;
        }
        Ok(())
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = frame.bytes();
        let Some(pattern) =
            self.patterns.iter_mut().find_map(|pattern| pattern.finder.find(line).then_some(pattern))
        else {
            return Err(PluginError::Message(format!("no pattern matches `{}`", quote(line))));
        };
        let mut message = messages.message();
        let (text, names) = (message.text(line), message.text(pattern.values.names()));
        if self.config.keep_payload {
            message.payload_text(text);
        }
        for (index, group) in pattern.groups.iter().enumerate() {
            if let Some(span) = pattern.finder.span(*group) {
                pattern.values.put(index, &line[span.clone()], text.slice(span), names, &mut message)?;
            }
        }
        message.finish()
    }
}

#[cfg(test)]
mod tests;
