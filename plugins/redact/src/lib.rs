//! Makes secrets unreadable: filter `redact`.

mod cover;
mod finder;
mod kind;
mod place;

use cover::Cover;
use finder::Finder;
use heka_plugin_api::{
    Context, Counter, Faults, Filter, MessageMut, OptionType, PluginError, Schema, ValueType, Verdict,
    export_plugin,
};
use kind::Group;
use place::Places;
use serde::Deserialize;
use std::collections::BTreeMap;

export_plugin! { filter "redact" => RedactFilter }

/// The shortest key of a hash in bytes: with a shorter one secrets could be found by trying.
const HASH_KEY_BYTES_MIN: usize = 16;

/// Makes card numbers, tokens, passwords and other secrets unreadable.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is looked for: `cards`, `tokens`, `passwords`, `emails`, `ip_addresses`.
    #[serde(default = "default_find")]
    #[schema(default = "cards, tokens, passwords, emails")]
    find: Vec<Group>,
    /// Own regular expressions by name; what their first group matches is the secret, or all that they match.
    #[serde(default)]
    patterns: BTreeMap<String, String>,
    /// Where it is looked for: texts of the header, `Fields[name]`, and `Fields` for all fields that hold text.
    #[serde(default = "default_places")]
    #[schema(default = "Payload, Fields")]
    places: Vec<String>,
    /// What is done with it: `replace` it by a text, `mask` its characters, or show a keyed `hash` of it.
    #[serde(default)]
    #[schema(default = "replace")]
    action: Action,
    /// The text for `replace`; `{kind}` stands for what was found, such as `card`.
    #[serde(default = "default_replacement")]
    #[schema(default = "[{kind}]")]
    replacement: String,
    /// How many of the last characters `mask` leaves, where the secret has at least twice as many.
    #[serde(default)]
    #[schema(default = "0", unit = "characters")]
    keep_last: usize,
    /// The key for `hash`, at least 16 bytes; the same secret has the same hash wherever the key is the same.
    hash_key: Option<String>,
}

#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Replace,
    Mask,
    Hash,
}

fn default_find() -> Vec<Group> {
    vec![Group::Cards, Group::Tokens, Group::Passwords, Group::Emails]
}

fn default_places() -> Vec<String> {
    ["Payload", "Fields"].map(str::to_owned).to_vec()
}

fn default_replacement() -> String {
    "[{kind}]".to_owned()
}

impl Config {
    fn cover(&self) -> Result<Cover, (&'static str, String)> {
        match self.action {
            Action::Replace => match cover::template(&self.replacement) {
                Ok(template) => Ok(Cover::Text(template)),
                Err(reason) => Err(("replacement", reason)),
            },
            Action::Mask => Ok(Cover::Mask { keep_last: self.keep_last }),
            Action::Hash => match self.hash_key.as_deref() {
                Some(key) if key.len() >= HASH_KEY_BYTES_MIN => {
                    cover::hash_key(key).map(Cover::Hash).ok_or(("hash_key", "is no key".to_owned()))
                }
                Some(_) => Err(("hash_key", format!("must have at least {HASH_KEY_BYTES_MIN} bytes"))),
                None => Err(("hash_key", "is needed for `hash`".to_owned())),
            },
        }
    }
}

/// Finds secrets and covers them.
struct Redaction {
    finder: Finder,
    cover: Cover,
    /// By name of what was found.
    counters: Vec<Counter>,
    /// The text as it becomes.
    text: Vec<u8>,
}

/// Makes secrets unreadable.
pub struct RedactFilter {
    redaction: Redaction,
    places: Places,
    /// Values of fields with something to cover: numbers of the field and of the value.
    found: Vec<(usize, usize)>,
}

impl Filter for RedactFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.find.is_empty() && config.patterns.is_empty() {
            faults.add("find", "must name something, or `patterns` must");
        }
        let before = faults.iter().count();
        for (name, pattern) in &config.patterns {
            if let Err(reason) = finder::check(pattern) {
                faults.add(format!("patterns.{name}"), reason);
            }
        }
        if before == faults.iter().count()
            && let Err(reason) = Finder::new(&config.find, &config.patterns)
        {
            faults.add("patterns", reason);
        }
        if config.places.is_empty() {
            faults.add("places", "must name something");
        }
        for (index, name) in config.places.iter().enumerate() {
            if let Err(reason) = Places::default().add(name) {
                faults.add(format!("places[{index}]"), reason);
            }
        }
        if let Err((option, reason)) = config.cover() {
            faults.add(option, reason);
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let refuse = |option: &str, reason: String| PluginError::Config(format!("{option}: {reason}"));
        let mut places = Places::default();
        for name in &config.places {
            places.add(name).map_err(|reason| refuse("places", reason))?;
        }
        let cover = config.cover().map_err(|(option, reason)| refuse(option, reason))?;
        let finder =
            Finder::new(&config.find, &config.patterns).map_err(|reason| refuse("patterns", reason))?;
        let counters =
            finder.names().iter().map(|name| context.counter(&format!("redacted_{name}"))).collect();
        let redaction = Redaction { finder, cover, counters, text: Vec::new() };
        Ok(RedactFilter { redaction, places, found: Vec::new() })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        for header in self.places.headers() {
            if self.redaction.cover(header.text(message)) {
                header.set(message, &self.redaction.text);
            }
        }
        if self.places.has_fields() {
            self.redact_fields(message);
        }
        Ok(Verdict::Pass)
    }
}

impl RedactFilter {
    fn redact_fields(&mut self, message: &mut MessageMut<'_>) {
        self.found.clear();
        for (number, field) in message.fields().enumerate() {
            if field.value_type() != ValueType::String || !self.places.has_field(field.name()) {
                continue;
            }
            for index in 0..field.len() {
                let text = field.value(index).and_then(|value| value.as_bytes()).unwrap_or_default();
                if self.redaction.finder.find(text, 0).is_some() {
                    self.found.push((number, index));
                }
            }
        }
        for &(number, index) in &self.found {
            let value = message.fields().nth(number).and_then(|field| field.value(index));
            if self.redaction.cover(value.and_then(|value| value.as_bytes()).unwrap_or_default()) {
                message.set_text_at(number, index, &self.redaction.text);
            }
        }
    }
}

impl Redaction {
    /// Covers what is found in a text, into `self.text`; tells whether there was anything.
    fn cover(&mut self, text: &[u8]) -> bool {
        self.text.clear();
        let mut copied = 0;
        while let Some(found) = self.finder.find(text, copied) {
            self.text.extend_from_slice(&text[copied..found.range.start]);
            let name = &self.finder.names()[found.name];
            self.cover.write(name, &text[found.range.clone()], &mut self.text);
            self.counters[found.name].add(1);
            copied = found.range.end;
        }
        if copied > 0 {
            self.text.extend_from_slice(&text[copied..]);
        }
        copied > 0
    }
}

#[cfg(test)]
mod tests;
