//! Filter `match`: keeps or drops what a matcher accepts.

use crate::condition;
use heka_matcher::Matcher;
use heka_plugin_api::{Context, Faults, Filter, MessageMut, PluginError, Schema, Verdict};
use serde::Deserialize;

/// Keeps or drops the messages that a matcher accepts.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Matcher of the messages that pass; all others are dropped.
    keep: Option<String>,
    /// Matcher of the messages that are dropped; all others pass.
    drop: Option<String>,
}

/// Keeps or drops the messages that a matcher accepts.
pub struct MatchFilter {
    matcher: Matcher,
    keep: bool,
}

const ONE_OF: &str = "name either `keep` or `drop`, a matcher such as `Fields[status] >= 500`";

impl Filter for MatchFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        match (&config.keep, &config.drop) {
            (None, None) => faults.add("", ONE_OF),
            (Some(_), Some(_)) => faults.add("drop", ONE_OF),
            _ => {}
        }
        condition::check("keep", config.keep.as_deref(), faults);
        condition::check("drop", config.drop.as_deref(), faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let keep = condition::open("keep", config.keep.as_deref())?;
        let drop = condition::open("drop", config.drop.as_deref())?;
        let (matcher, keep) = match (keep, drop) {
            (Some(matcher), None) => (matcher, true),
            (None, Some(matcher)) => (matcher, false),
            _ => return Err(PluginError::config(ONE_OF)),
        };
        Ok(MatchFilter { matcher, keep })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        let passes = self.matcher.matches(&message.view()) == self.keep;
        Ok(if passes { Verdict::Pass } else { Verdict::Drop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};

    /// Processes messages with the statuses 200, 404, 503 and none, and compares which of them pass.
    fn check(toml: &str, passing: &[usize]) {
        let status = |status: i64| {
            message(|message| {
                message.field("status", status);
            })
        };
        let messages = [status(200), status(404), status(503), message(|_| {})];
        let seen = FilterTest::<MatchFilter>::open(toml).unwrap().process(&messages);
        let passed: Vec<_> = seen.passed.iter().map(|message| message.view().uuid()).collect();
        let expected: Vec<_> = passing.iter().map(|&index| messages[index].view().uuid()).collect();
        assert_eq!((passed, seen.completed, seen.failure), (expected, 4, None), "{toml}");
    }

    #[test]
    fn what_matches_is_kept() {
        check("keep = 'Fields[status] >= 500'", &[2]);
        check("keep = 'TRUE'", &[0, 1, 2, 3]);
        check("keep = 'FALSE'", &[]);
    }

    #[test]
    fn what_matches_is_dropped() {
        check("drop = 'Fields[status] >= 400'", &[0, 3]);
        check("drop = 'Fields[status] == NIL'", &[0, 1, 2]);
    }

    #[test]
    fn faults_name_the_option() {
        let faults = FilterTest::<MatchFilter>::faults;
        assert_eq!(faults(""), [format!(": {ONE_OF}")]);
        assert_eq!(faults("keep = 'TRUE'\ndrop = 'TRUE'"), [format!("drop: {ONE_OF}")]);
        let bad = faults("keep = 'Typ == 1'");
        assert!(bad.len() == 1 && bad[0].starts_with("keep: column 1: unknown variable `Typ`"), "{bad:?}");
        let bad = faults("drop = 'Type =='");
        assert!(bad.len() == 1 && bad[0].starts_with("drop: column "), "{bad:?}");
    }
}
