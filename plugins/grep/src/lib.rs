//! Keeps the messages whose payload contains a given text.

use heka_plugin_api::{Context, Faults, Filter, MessageMut, PluginError, Schema, Verdict, export_plugin};
use serde::Deserialize;

export_plugin! { filter "grep" => GrepFilter }

/// Keeps the messages whose payload contains a given text.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Text to look for; must not be empty.
    contains: String,
}

struct GrepFilter {
    contains: Vec<u8>,
}

impl Filter for GrepFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.contains.is_empty() {
            faults.add("contains", "must not be empty");
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(GrepFilter { contains: config.contains.into_bytes() })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        let found = memchr::memmem::find(message.payload(), &self.contains).is_some();
        Ok(if found { Verdict::Pass } else { Verdict::Drop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};

    fn check(contains: &str, payload: &[u8], passes: bool) {
        let mut filter = FilterTest::<GrepFilter>::open(&format!("contains = '{contains}'")).unwrap();
        let seen = filter.process(&[message(|message| {
            message.payload(payload);
        })]);
        assert_eq!(seen.passed.len(), usize::from(passes), "`{contains}` in {payload:?}");
        assert_eq!((seen.completed, seen.failure), (1, None));
    }

    #[test]
    fn messages_with_the_text_pass() {
        check("down", b"down", true);
        check("down", b"the disk is down again", true);
        check("n", b"down", true);
        check("down", b"\xff\0down\xff", true);
        check("ü", "grün".as_bytes(), true);
    }

    #[test]
    fn other_messages_are_dropped() {
        check("down", b"", false);
        check("down", b"dow", false);
        check("down", b"Down", false);
    }

    #[test]
    fn an_empty_or_missing_text_is_a_fault() {
        let faults = FilterTest::<GrepFilter>::faults;
        assert_eq!(faults("contains = ''"), ["contains: must not be empty"]);
        assert_eq!(faults(""), [": missing field `contains`"]);
        assert_eq!(faults("contians = 'x'"), ["contians: unknown field `contians`, expected `contains`"]);
    }
}
