//! One matcher.

use super::error::MatcherError;
use super::node::Node;
use super::parser;
use super::program::Program;
use super::resolve;
use heka_plugin_api::Message;
use std::fmt;
use std::str::FromStr;

/// Decides whether a message passes an expression such as `Type == "nginx.access" && Fields[status] >= 500`.
///
/// The [crate](crate) describes the language. Displayed as its source text. Threads do best with a
/// clone each: clones share the compiled regexes, but not the memory that running these takes.
#[derive(Debug, Clone)]
pub struct Matcher {
    text: Box<str>,
    pub(super) node: Node,
    pub(super) program: Program,
}

impl Matcher {
    /// Compiles a matcher from its text, at most 64 KiB with parentheses at most 200 deep.
    ///
    /// # Errors
    /// The first thing in the text that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Matcher, MatcherError> {
        let expression = parser::parse(text)?;
        let node = resolve::resolve(text, &expression)?;
        let program = Program::new(&node);
        Ok(Matcher { text: text.into(), node, program })
    }

    /// Tells whether the message passes; takes time linear in the message's size, and no memory.
    #[inline]
    pub fn matches(&self, message: &Message<'_>) -> bool {
        self.program.accepts(message)
    }

    /// Returns the source text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Matcher, MatcherError> {
        Matcher::parse(text)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
