//! The patterns that have names.

use std::collections::HashMap;

/// The usual patterns, one `NAME PATTERN` a line.
const USUAL: &str = include_str!("patterns");

/// Patterns by name.
pub struct Definitions {
    patterns: HashMap<String, String>,
}

impl Definitions {
    /// The usual ones.
    pub fn usual() -> Definitions {
        let mut definitions = Definitions { patterns: HashMap::new() };
        // The table's lines are all right, which a test checks.
        let _ = definitions.add_lines(USUAL);
        definitions
    }

    /// Adds patterns, one `NAME PATTERN` a line; lines that are empty or begin with `#` say nothing. A name that is
    /// there already gets the new pattern.
    ///
    /// # Errors
    /// The number of the first line that is none, counted from 1.
    pub fn add_lines(&mut self, text: &str) -> Result<(), usize> {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, pattern)) = line.split_once([' ', '\t']).filter(|(name, _)| is_name(name)) else {
                return Err(index + 1);
            };
            self.add(name, pattern.trim_start());
        }
        Ok(())
    }

    /// Adds one pattern.
    pub fn add(&mut self, name: &str, pattern: &str) {
        self.patterns.insert(name.to_owned(), pattern.to_owned());
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.patterns.get(name).map(String::as_str)
    }

    /// Returns the name that is most like `name`, if one is.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let likeness = |known: &String| strsim::jaro_winkler(&known.to_uppercase(), &name.to_uppercase());
        let best = self.patterns.keys().max_by(|a, b| likeness(a).total_cmp(&likeness(b)).then(b.cmp(a)))?;
        (likeness(best) > 0.85).then_some(best)
    }

    #[cfg(test)]
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.patterns.keys().map(String::as_str)
    }
}

/// Whether a name can stand in `%{NAME}`.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}
