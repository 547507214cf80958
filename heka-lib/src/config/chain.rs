//! A chain's table.

use super::document::Entry;
use super::faults::Faults;
use super::position::{Located, Position};
use super::section::{Section, name_fault};

/// The chain that takes what no other chain took.
pub const DEFAULT_CHAIN: &str = "default";

/// Holds one chain's table.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// The chain's name.
    pub name: String,
    /// Where the name is written.
    pub position: Position,
    /// The matcher's text, not yet parsed.
    pub matcher: Option<Located<String>>,
    /// The types that the chain takes: short for a matcher on `Type`. Empty when there is a matcher.
    pub message_type: Vec<Located<String>>,
    /// Filters in order; each is a defined section.
    pub filters: Vec<Located<String>>,
    /// The outputs that messages start out marked for; each is a defined section.
    pub outputs: Vec<Located<String>>,
}

impl PartialEq for ChainConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.matcher == other.matcher
            && self.message_type == other.message_type
            && self.filters == other.filters
            && self.outputs == other.outputs
    }
}

impl ChainConfig {
    /// Tells whether this is the chain that takes what no other chain took.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_CHAIN
    }

    pub(super) fn read(entry: &Entry, faults: &mut Faults) -> Self {
        let who = format!("chain `{}`", entry.key);
        if let Some(why) = name_fault(&entry.key) {
            faults.add(&entry.key_position, format!("{who}: {why}"));
        }
        let mut section = Section::new(who, &entry.value, faults);
        let chain = ChainConfig {
            name: entry.key.clone(),
            position: entry.key_position.clone(),
            matcher: section.string("matcher"),
            message_type: section.strings("message_type", true),
            filters: section.strings("filters", false),
            outputs: section.strings("outputs", false),
        };
        chain.check_condition(&mut section);
        section.finish();
        chain
    }

    fn check_condition(&self, section: &mut Section<'_, '_>) {
        let taken = |matcher: &&Located<String>| matcher.value.trim() != "TRUE";
        let mut fail = |position: &Position, why: &str| {
            section.faults.add(position, format!("{}: {why}", section.who));
        };
        match (&self.matcher, self.message_type.first()) {
            (Some(_), Some(types)) => {
                fail(&types.position, "`matcher` and `message_type` exclude each other; write one of them");
            }
            _ if !self.is_default() => {}
            (matcher, types) => {
                let written = matcher.as_ref().filter(taken).or(types);
                if let Some(written) = written {
                    let why =
                        "takes what no other chain took, so it has no `matcher`; rename it to give it one";
                    fail(&written.position, why);
                }
            }
        }
    }
}
