//! Filter `set`: sets, renames and removes fields and headers.

use crate::condition;
use crate::setting::Setting;
use crate::value_template::ValueTemplate;
use crate::variable::Rendered;
use heka_matcher::Matcher;
use heka_plugin_api::{Context, Faults, Filter, MessageMut, PluginError, Schema, Value, Verdict};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Sets, renames and removes fields, and sets headers.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Fields to set, each with its value: a number, a bool, or a text with placeholders such as `{Hostname}`.
    #[serde(default)]
    set: BTreeMap<String, Setting>,
    /// Fields to rename: each name with its new one.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// Fields to remove.
    #[serde(default)]
    remove: Vec<String>,
    /// Type to set: a text with placeholders.
    message_type: Option<String>,
    /// Logger to set: a text with placeholders.
    logger: Option<String>,
    /// Payload to set: a text with placeholders.
    payload: Option<String>,
    /// Hostname to set: a text with placeholders.
    hostname: Option<String>,
    /// Severity to set: 0 to 7, or a placeholder such as `{Fields[level]}`.
    severity: Option<Setting>,
    /// Matcher of the messages that this is done to; all when left out.
    when: Option<String>,
}

/// What a value is for.
enum Target {
    Field(String),
    MessageType,
    Logger,
    Payload,
    Hostname,
    Severity,
}

/// A fault: the option's key, and what is wrong with it.
type Fault = (String, String);

impl Config {
    /// Compiles all that is set; the faults of the rest are kept apart.
    fn compile(&self) -> (Vec<(Target, ValueTemplate)>, Vec<Fault>) {
        let (mut compiled, mut faults) = (Vec::new(), Vec::new());
        let mut add = |key: String, target: Target, setting: &Setting| match ValueTemplate::new(setting) {
            Ok(template) => compiled.push((target, template)),
            Err(reason) => faults.push((key, reason)),
        };
        for (name, setting) in &self.set {
            add(format!("set.{name}"), Target::Field(name.clone()), setting);
        }
        let headers = [
            ("message_type", Target::MessageType, &self.message_type),
            ("logger", Target::Logger, &self.logger),
            ("payload", Target::Payload, &self.payload),
            ("hostname", Target::Hostname, &self.hostname),
        ];
        for (key, target, text) in headers {
            if let Some(text) = text {
                add(key.to_owned(), target, &Setting::Text(text.clone()));
            }
        }
        if let Some(setting) = &self.severity {
            add("severity".to_owned(), Target::Severity, setting);
        }
        if let Some((_, ValueTemplate::Fixed(fixed))) =
            compiled.iter().find(|(target, _)| matches!(target, Target::Severity))
            && fixed_severity(fixed).is_none()
        {
            faults.push((
                "severity".to_owned(),
                "must be 0 to 7, or a placeholder such as `{Fields[level]}`".to_owned(),
            ));
        }
        (compiled, faults)
    }

    fn is_empty(&self) -> bool {
        let headers = [&self.message_type, &self.logger, &self.payload, &self.hostname];
        self.set.is_empty()
            && self.rename.is_empty()
            && self.remove.is_empty()
            && self.severity.is_none()
            && headers.iter().all(|text| text.is_none())
    }
}

/// Sets, renames and removes fields, and sets headers.
pub struct SetFilter {
    set: Vec<(Target, ValueTemplate)>,
    rename: Vec<(String, String)>,
    remove: Vec<String>,
    when: Option<Matcher>,
    /// The values of the message at hand, and their bytes; kept for their memory.
    values: Vec<Option<Rendered>>,
    buffer: Vec<u8>,
}

impl Filter for SetFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.is_empty() {
            faults.add("", "sets nothing: name `set`, `rename`, `remove` or a header such as `message_type`");
        }
        config.compile().1.into_iter().for_each(|(key, reason)| faults.add(key, reason));
        for (from, to) in &config.rename {
            if config.rename.contains_key(to) {
                faults.add(format!("rename.{from}"), format!("`{to}` is itself renamed"));
            }
        }
        condition::check("when", config.when.as_deref(), faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let (set, faults) = config.compile();
        if let Some((key, reason)) = faults.first() {
            return Err(PluginError::Config(format!("{key}: {reason}")));
        }
        let when = condition::open("when", config.when.as_deref())?;
        let (rename, remove) = (config.rename.into_iter().collect(), config.remove);
        Ok(SetFilter { set, rename, remove, when, values: Vec::new(), buffer: Vec::new() })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        if self.when.as_ref().is_none_or(|when| when.matches(&message.view())) {
            self.render(message);
            for name in &self.remove {
                for _ in 0..count(message, name) {
                    message.remove_field(name);
                }
            }
            for (from, to) in &self.rename {
                for _ in 0..count(message, from) {
                    message.rename_field(from, to);
                }
            }
            for ((target, _), value) in self.set.iter().zip(&self.values) {
                if let Some(value) = value {
                    target.set(message, value.value(&self.buffer));
                }
            }
        }
        Ok(Verdict::Pass)
    }
}

impl SetFilter {
    /// Makes all values before the first change, so that the order of the options doesn't matter.
    fn render(&mut self, message: &MessageMut<'_>) {
        self.values.clear();
        self.buffer.clear();
        let (view, buffer) = (message.view(), &mut self.buffer);
        self.values.extend(self.set.iter().map(|(target, template)| match target {
            Target::Field(_) | Target::Severity => template.render(&view, buffer),
            _ => template.render_text(&view, buffer),
        }));
    }
}

impl Target {
    fn set(&self, message: &mut MessageMut<'_>, value: Value<'_>) {
        let text = value.as_bytes().unwrap_or_default();
        match self {
            Target::Field(name) => message.set_field(name, value),
            Target::MessageType => message.set_message_type(text),
            Target::Logger => message.set_logger(text),
            Target::Payload => message.set_payload(text),
            Target::Hostname => message.set_hostname(text),
            Target::Severity => {
                if let Some(severity) = severity(value) {
                    message.set_severity(severity);
                }
            }
        }
    }
}

fn fixed_severity(setting: &Setting) -> Option<i32> {
    match setting {
        Setting::Integer(number) => severity(Value::Integer(*number)),
        Setting::Text(text) => severity(Value::from(text)),
        _ => None,
    }
}

/// A severity from an integer or its digits.
fn severity(value: Value<'_>) -> Option<i32> {
    let number = match value {
        Value::Integer(number) => i32::try_from(number).ok()?,
        Value::String(text) | Value::Bytes(text) => std::str::from_utf8(text).ok()?.trim().parse().ok()?,
        _ => return None,
    };
    (0..=7).contains(&number).then_some(number)
}

fn count(message: &MessageMut<'_>, name: &str) -> usize {
    message.fields().filter(|field| field.name() == name.as_bytes()).count()
}

#[cfg(test)]
mod tests;
