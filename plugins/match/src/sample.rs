//! Filter `sample`: keeps one message in N.

use crate::variable::Variable;
use heka_plugin_api::{Context, Faults, Filter, MessageMut, PluginError, Schema, Verdict};
use serde::Deserialize;

/// Keeps one message in N.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many messages one stays for.
    #[schema(unit = "messages")]
    keep_one_in: u32,
    /// Which: `count` for every Nth, `uuid` by the message's UUID, or a header or field: all with its value, or none.
    #[serde(default = "default_by")]
    #[schema(default = "count")]
    by: String,
    /// Sets the field `sample_rate`: how many messages this one stands for.
    #[serde(default)]
    #[schema(default = "false")]
    record_rate: bool,
}

fn default_by() -> String {
    "count".to_owned()
}

/// What decides which messages stay.
enum By {
    Count,
    Uuid,
    Variable(Variable),
}

impl By {
    fn parse(text: &str) -> Result<By, String> {
        match text {
            "count" => Ok(By::Count),
            "uuid" | "Uuid" => Ok(By::Uuid),
            _ => Variable::parse(text).map(By::Variable).map_err(|reason| format!("{reason}, or count")),
        }
    }
}

/// Keeps one message in N.
pub struct SampleFilter {
    keep_one_in: u32,
    by: By,
    record_rate: bool,
    seen: u64,
    key: Vec<u8>,
}

impl Filter for SampleFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.keep_one_in == 0 {
            faults.add("keep_one_in", "must be at least 1");
        }
        if let Err(reason) = By::parse(&config.by) {
            faults.add("by", reason);
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let by = By::parse(&config.by).map_err(|reason| PluginError::Config(format!("by: {reason}")))?;
        let keep_one_in = config.keep_one_in.max(1);
        Ok(SampleFilter { keep_one_in, by, record_rate: config.record_rate, seen: 0, key: Vec::new() })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        if !self.number(message).is_multiple_of(self.keep_one_in.into()) {
            return Ok(Verdict::Drop);
        }
        if self.record_rate {
            // Behind another sampler the rates multiply.
            let before = message.value("sample_rate").and_then(|rate| rate.as_integer()).unwrap_or(1).max(1);
            message.set_field("sample_rate", before.saturating_mul(self.keep_one_in.into()));
        }
        Ok(Verdict::Pass)
    }
}

impl SampleFilter {
    /// A number for the message; messages with a multiple of N stay.
    fn number(&mut self, message: &MessageMut<'_>) -> u64 {
        match &self.by {
            By::Count => {
                self.seen += 1;
                self.seen - 1
            }
            By::Uuid => hash(&message.uuid()),
            By::Variable(variable) => {
                self.key.clear();
                let found = variable.write(&message.view(), &mut self.key);
                // What lacks the value would otherwise stay, or go, as a whole.
                if found { hash(&self.key) } else { hash(&message.uuid()) }
            }
        }
    }
}

/// FNV-1a with the finalizer of MurmurHash3. Fixed for ever, so that all machines keep the same values.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ fnv >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};
    use heka_plugin_api::{OwnedMessage, Value};
    use std::collections::{BTreeMap, BTreeSet};

    fn of_user(user: &str) -> OwnedMessage {
        message(|message| {
            message.field("user", user);
        })
    }

    fn kept(toml: &str, messages: &[OwnedMessage]) -> Vec<OwnedMessage> {
        let seen = FilterTest::<SampleFilter>::open(toml).unwrap().process(messages);
        assert_eq!((seen.completed as usize, seen.failure), (messages.len(), None));
        seen.passed
    }

    fn user(message: &OwnedMessage) -> Vec<u8> {
        message.view().value("user").unwrap().as_bytes().unwrap().to_vec()
    }

    #[test]
    fn every_nth_is_kept_from_the_first_on() {
        let messages: Vec<_> = (0..10).map(|number| of_user(&number.to_string())).collect();
        assert_eq!(
            kept("keep_one_in = 4", &messages).iter().map(user).collect::<Vec<_>>(),
            [b"0", b"4", b"8"]
        );
        assert_eq!(kept("keep_one_in = 1", &messages).len(), 10);
    }

    #[test]
    fn a_value_stays_as_a_whole_or_goes_as_a_whole() {
        let names: Vec<_> = (0..4_000).map(|number| format!("user{}", number % 2_000)).collect();
        let messages: Vec<_> = names.iter().map(|name| of_user(name)).collect();
        let mut counts = BTreeMap::new();
        for message in kept("keep_one_in = 10\nby = 'Fields[user]'", &messages) {
            *counts.entry(user(&message)).or_insert(0) += 1;
        }
        assert!((150..250).contains(&counts.len()), "{}", counts.len());
        assert!(counts.values().all(|&count| count == 2));
    }

    #[test]
    fn the_same_uuids_are_kept_everywhere() {
        let messages: Vec<_> = (0..4_000).map(|_| of_user("x")).collect();
        let uuids = |toml: &str| -> BTreeSet<_> {
            kept(toml, &messages).iter().map(|message| message.view().uuid()).collect()
        };
        let first = uuids("keep_one_in = 10\nby = 'uuid'");
        assert!((300..500).contains(&first.len()), "{}", first.len());
        assert_eq!(first, uuids("keep_one_in = 10\nby = 'uuid'"));
        assert_eq!(first, uuids("keep_one_in = 10\nby = 'Fields[missing]'"));
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(hash(b"ann"), 0x6ef4_c3ab_a814_f113);
    }

    #[test]
    fn the_rate_is_recorded() {
        let once = kept("keep_one_in = 4\nrecord_rate = true", &[of_user("x")]);
        assert_eq!(once[0].view().value("sample_rate"), Some(Value::Integer(4)));
        let twice = kept("keep_one_in = 5\nrecord_rate = true", &once);
        assert_eq!(twice[0].view().value("sample_rate"), Some(Value::Integer(20)));
        assert_eq!(kept("keep_one_in = 4", &[of_user("x")])[0].view().value("sample_rate"), None);
    }

    #[test]
    fn all_faults_are_found() {
        let faults = FilterTest::<SampleFilter>::faults("keep_one_in = 0\nby = 'Typ'");
        assert_eq!(faults[0], "keep_one_in: must be at least 1");
        assert!(
            faults[1].starts_with("by: no variable `Typ`; known: Type, ")
                && faults[1].ends_with(", or count")
        );
        assert_eq!(FilterTest::<SampleFilter>::faults(""), [": missing field `keep_one_in`"]);
    }
}
