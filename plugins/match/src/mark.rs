//! Filter `mark`: says which outputs of the chain get a message.

use crate::condition;
use heka_matcher::Matcher;
use heka_plugin_api::{Context, Faults, Filter, MessageMut, OutputMark, PluginError, Schema, Verdict};
use serde::Deserialize;

/// Says which of the chain's outputs get a message.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Exactly the outputs that the message goes to; an empty list for none.
    outputs: Option<Vec<String>>,
    /// Outputs that the message goes to beside those that it is marked for already.
    #[serde(default)]
    add: Vec<String>,
    /// Outputs that the message does not go to.
    #[serde(default)]
    remove: Vec<String>,
    /// Matcher of the messages that this is done to; all when left out.
    when: Option<String>,
}

/// Says which of the chain's outputs get a message.
pub struct MarkFilter {
    exact: bool,
    marked: Vec<OutputMark>,
    unmarked: Vec<OutputMark>,
    when: Option<Matcher>,
}

impl Filter for MarkFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        let lists = !config.add.is_empty() || !config.remove.is_empty();
        match (&config.outputs, lists) {
            (Some(_), true) => {
                faults.add("outputs", "excludes `add` and `remove`: it names all outputs already")
            }
            (None, false) => faults.add("", "name `outputs`, or `add` and `remove`"),
            _ => {}
        }
        for (index, name) in config.remove.iter().enumerate() {
            if config.add.contains(name) {
                faults.add(format!("remove[{index}]"), format!("`{name}` is also in `add`"));
            }
        }
        condition::check("when", config.when.as_deref(), faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let exact = config.outputs.is_some();
        let marked = match &config.outputs {
            Some(outputs) => marks("outputs", outputs, context)?,
            None => marks("add", &config.add, context)?,
        };
        let unmarked = marks("remove", &config.remove, context)?;
        let when = condition::open("when", config.when.as_deref())?;
        Ok(MarkFilter { exact, marked, unmarked, when })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        if self.when.as_ref().is_none_or(|when| when.matches(&message.view())) {
            if self.exact {
                message.unmark_all();
            }
            self.marked.iter().for_each(|&output| message.mark(output));
            self.unmarked.iter().for_each(|&output| message.unmark(output));
        }
        Ok(Verdict::Pass)
    }
}

fn marks(key: &str, outputs: &[String], context: &mut Context) -> Result<Vec<OutputMark>, PluginError> {
    let mark = |(index, name): (usize, &String)| {
        let unknown = |error: PluginError| PluginError::Config(format!("{key}[{index}]: {error}"));
        context.output(name).map_err(unknown)
    };
    outputs.iter().enumerate().map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};

    const OUTPUTS: [&str; 3] = ["a", "b", "c"];

    /// Compares the marks of a message of type `x`, then of one of type `y`, both marked for a, b and c at first.
    fn check(toml: &str, x: &str, y: &str) {
        let mut filter = FilterTest::<MarkFilter>::open_with_outputs(toml, &OUTPUTS).unwrap();
        let typed = |name: &str| {
            message(|message| {
                message.message_type(name);
            })
        };
        let seen = filter.process(&[typed("x"), typed("y")]);
        let named =
            |marks: &u64| (0..3).filter(|bit| marks >> bit & 1 == 1).map(|bit| OUTPUTS[bit]).collect();
        assert_eq!(seen.marks.iter().map(named).collect::<Vec<String>>(), [x, y], "{toml}");
    }

    #[test]
    fn outputs_are_exactly_those_named() {
        check("outputs = ['c', 'a']", "ac", "ac");
        check("outputs = []", "", "");
        check("outputs = ['b']\nwhen = 'Type == \"x\"'", "b", "abc");
    }

    #[test]
    fn marks_are_added_and_removed() {
        check("remove = ['b', 'c']", "a", "a");
        check("remove = ['a']\nadd = ['c']\nwhen = 'Type != \"x\"'", "abc", "bc");
        check("add = ['a']", "abc", "abc");
    }

    #[test]
    fn unknown_outputs_are_named() {
        let opened = FilterTest::<MarkFilter>::open_with_outputs("outputs = ['a', 'x']", &OUTPUTS);
        assert_eq!(opened.err().unwrap(), "outputs[1]: no output `x`");
        let opened = FilterTest::<MarkFilter>::open_with_outputs("remove = ['x']", &OUTPUTS);
        assert_eq!(opened.err().unwrap(), "remove[0]: no output `x`");
    }

    #[test]
    fn contradictions_are_faults() {
        let faults = FilterTest::<MarkFilter>::faults;
        assert_eq!(faults(""), [": name `outputs`, or `add` and `remove`"]);
        let both = faults("outputs = ['a']\nadd = ['b']");
        assert_eq!(both, ["outputs: excludes `add` and `remove`: it names all outputs already"]);
        assert_eq!(faults("add = ['a', 'b']\nremove = ['b']"), ["remove[0]: `b` is also in `add`"]);
        assert!(faults("outputs = []\nwhen = 'x'")[0].starts_with("when: column 1: "));
    }
}
