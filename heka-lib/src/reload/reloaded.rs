//! What a reload did.

use std::fmt;

/// What a reload did to one instance or chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Another instance took its place.
    Replaced,
    /// It goes on, with its state, but what surrounds it changed: routes, or keys that the host owns.
    Adjusted,
    /// It is new.
    Added,
    /// It is gone, or will be when it has done what it has.
    Removed,
    /// It goes on as it was.
    Kept,
}

impl Change {
    /// Its name: `replaced`, `adjusted`, `added`, `removed` or `kept`.
    pub fn name(self) -> &'static str {
        match self {
            Change::Replaced => "replaced",
            Change::Adjusted => "adjusted",
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Kept => "kept",
        }
    }
}

/// What a reload did. `Display` is one line, in which those that were kept are only counted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Reloaded {
    /// Each instance and chain, such as ``filter `dedupe` of chain `all` ``.
    pub changes: Vec<(String, Change)>,
    /// Those that go over to their new routes only when the outputs before them have room again.
    pub waiting: Vec<String>,
}

impl Reloaded {
    /// Returns what was done to one of them.
    pub fn change(&self, who: &str) -> Option<Change> {
        self.changes.iter().find(|(name, _)| name == who).map(|(_, change)| *change)
    }

    pub(super) fn note(&mut self, who: impl Into<String>, change: Change) {
        self.changes.push((who.into(), change));
    }

    fn names(&self, wanted: Change) -> Vec<&str> {
        let wanted = |(_, change): &&(String, Change)| *change == wanted;
        self.changes.iter().filter(wanted).map(|(name, _)| name.as_str()).collect()
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_nothing = true;
        for change in [Change::Replaced, Change::Adjusted, Change::Added, Change::Removed] {
            let names = self.names(change);
            if !names.is_empty() {
                write!(f, "{} {}; ", change.name(), names.join(", "))?;
                is_nothing = false;
            }
        }
        if is_nothing {
            f.write_str("nothing changed; ")?;
        }
        write!(f, "{} kept", self.names(Change::Kept).len())?;
        if !self.waiting.is_empty() {
            write!(f, "; not yet: {}, until the outputs behind have room", self.waiting.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_told_in_one_line() {
        let check = |changes: &[(&str, Change)], waiting: &[&str], expected: &str| {
            let changes = changes.iter().map(|(who, change)| ((*who).to_owned(), *change)).collect();
            let waiting = waiting.iter().map(|who| (*who).to_owned()).collect();
            assert_eq!(Reloaded { changes, waiting }.to_string(), expected);
        };
        check(&[], &[], "nothing changed; 0 kept");
        check(&[("input `a`", Change::Kept)], &[], "nothing changed; 1 kept");
        let changes = [
            ("input `a`", Change::Kept),
            ("output `b`", Change::Replaced),
            ("chain `c`", Change::Removed),
            ("output `d`", Change::Replaced),
        ];
        check(
            &changes,
            &["input `a`"],
            "replaced output `b`, output `d`; removed chain `c`; 1 kept; \
             not yet: input `a`, until the outputs behind have room",
        );
    }
}
