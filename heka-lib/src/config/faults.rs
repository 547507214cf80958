//! Everything that is wrong with a configuration, collected and printed together.

use std::fmt::{self, Write as _};

use super::position::Position;

/// As many faults are kept; the ones beyond are only counted, so that a hopeless file can't fill the memory.
const FAULTS_MAX: usize = 1000;

/// As many known names are listed after an unknown one.
const KNOWN_NAMES_MAX: usize = 8;

/// Longer names are not compared with others: nobody mistypes those.
const NAME_CHARS_MAX: usize = 64;

/// Says one thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is; `None` when it is about the whole configuration, for example something missing.
    pub position: Option<Position>,
    /// One line: who, what, why, what to do now.
    pub text: String,
    /// Further lines that show the place, for example a matcher's text with a caret below it.
    pub excerpt: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        write_one_line(f, &self.text)?;
        for line in self.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// Writes text without control characters, which the user's own names may contain.
fn write_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|character| match character.is_control() {
        true => write!(f, "{}", character.escape_default()),
        false => f.write_char(character),
    })
}

/// Collects faults, in the order of their places: those without one first, then by file, line and column.
///
/// Prints one fault per line, without a line break at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    faults: Vec<Fault>,
    dropped: usize,
    in_use: bool,
}

impl Faults {
    /// Makes an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault at a place; `text` is one line.
    pub fn add(&mut self, position: &Position, text: impl Into<String>) {
        self.push(Fault { position: Some(position.clone()), text: text.into(), excerpt: None });
    }

    /// Adds a fault that shows its place in further lines.
    pub fn add_with_excerpt(
        &mut self,
        position: &Position,
        text: impl Into<String>,
        excerpt: impl Into<String>,
    ) {
        let excerpt = Some(excerpt.into());
        self.push(Fault { position: Some(position.clone()), text: text.into(), excerpt });
    }

    /// Adds a fault that has no place.
    pub fn add_unplaced(&mut self, text: impl Into<String>) {
        self.push(Fault { position: None, text: text.into(), excerpt: None });
    }

    /// Adds that something which the configuration names is in use by another process.
    pub(crate) fn add_in_use(&mut self, text: impl Into<String>) {
        self.in_use = true;
        self.add_unplaced(text);
    }

    /// Tells whether another process uses what this configuration needs for itself: later the same may work.
    pub fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// Adds the fault of a name that nothing has, with the names that exist, the nearest one first.
    ///
    /// `who` is the one that uses it (``input `web` ``), `kind` what the name should be (`decoder`).
    pub fn add_unknown_name<'k>(
        &mut self,
        position: &Position,
        who: &str,
        kind: &str,
        name: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) {
        self.add(position, format!("{who}: no {kind} `{name}`; {}", known_names(name, known)));
    }

    /// Adds a fault as it is.
    pub fn push(&mut self, fault: Fault) {
        if self.faults.len() == FAULTS_MAX {
            self.dropped += 1;
            return;
        }
        let at = self.faults.partition_point(|other| other.position <= fault.position);
        self.faults.insert(at, fault);
    }

    /// Adds all faults of another collection.
    pub fn extend(&mut self, others: Faults) {
        self.dropped += others.dropped;
        self.in_use |= others.in_use;
        others.faults.into_iter().for_each(|fault| self.push(fault));
    }

    /// Adds the faults of another collection, except those at places that have one already.
    pub fn extend_elsewhere(&mut self, others: Faults) {
        let before = self.clone();
        let is_new = |fault: &Fault| !fault.position.as_ref().is_some_and(|at| before.is_at(at));
        self.dropped += others.dropped;
        self.in_use |= others.in_use;
        others.faults.into_iter().filter(is_new).for_each(|fault| self.push(fault));
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Counts the faults, also those that were too many to keep.
    pub fn len(&self) -> usize {
        self.faults.len() + self.dropped
    }

    /// Goes through the faults in the order of their places.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.faults.iter()
    }

    /// Tells whether a fault stands at exactly this place.
    pub fn is_at(&self, position: &Position) -> bool {
        self.faults.iter().any(|fault| fault.position.as_ref() == Some(position))
    }

    /// Gives the value if there is no fault.
    ///
    /// # Errors
    /// The faults themselves, if there are any.
    pub fn into_result<T>(self, value: T) -> Result<T, Faults> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            return f.write_str("no faults");
        }
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "\n" })?;
        }
        if self.dropped > 0 {
            write!(f, "\nand {} more", self.dropped)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl<'f> IntoIterator for &'f Faults {
    type Item = &'f Fault;
    type IntoIter = std::slice::Iter<'f, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Finds the known name that a mistyped one was probably meant to be.
///
/// Close means: equal but for case, or at most one edit per three characters (swapping two neighbours is one
/// edit), and never every character.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        return None;
    }
    let edits_max = chars.div_ceil(3);
    known
        .filter(|candidate| candidate.len() <= 4 * NAME_CHARS_MAX)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= edits_max && *edits < chars.max(candidate.chars().count()))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn distance(name: &str, candidate: &str) -> usize {
    if name.eq_ignore_ascii_case(candidate) { 0 } else { strsim::osa_distance(name, candidate) }
}

/// Says which one of a fixed set of words was meant: ``did you mean `x` `` or `known: …` when none is near.
pub(super) fn suggestion<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`"),
        None => format!("known: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// Lists names that the user or the plugins made up: the nearest first, then in alphabetic order.
fn known_names<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let near = nearest(name, known.clone());
    let mut names: Vec<&str> = known.collect();
    names.sort_unstable();
    names.dedup();
    names.sort_by_key(|&name| Some(name) != near);
    match names.len() {
        0 => "none is defined".to_owned(),
        count if count <= KNOWN_NAMES_MAX => format!("known: {}", names.join(", ")),
        count => {
            format!("known: {} and {} more", names[..KNOWN_NAMES_MAX].join(", "), count - KNOWN_NAMES_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { file: Path::new("heka.toml").into(), line, column }
    }

    #[test]
    fn faults_print_in_the_order_of_their_places_one_line_each() {
        let mut faults = Faults::new();
        faults.add(&at(12, 11), "second");
        faults.add(&at(3, 1), "a name with a\nline break");
        faults.add_with_excerpt(&at(20, 1), "matcher: unexpected `)`", "a )\n  ^");
        faults.add_unplaced("heka.toml: no inputs");
        let expected = "heka.toml: no inputs\n\
            heka.toml:3:1: a name with a\\nline break\n\
            heka.toml:12:11: second\n\
            heka.toml:20:1: matcher: unexpected `)`\n    a )\n      ^";
        assert_eq!(faults.to_string(), expected);
        assert_eq!(faults.len(), 4);
        assert_eq!(Faults::new().to_string(), "no faults");
    }

    #[test]
    fn faults_beyond_the_limit_are_counted() {
        let mut faults = Faults::new();
        (0..FAULTS_MAX + 5).for_each(|_| faults.add_unplaced("x"));
        assert_eq!(faults.len(), FAULTS_MAX + 5);
        assert!(faults.to_string().ends_with("x\nand 5 more"));
    }

    #[test]
    fn nearest_finds_typing_mistakes_only() {
        let check = |name: &str, expected: Option<&str>| {
            let known = ["json", "msgpack", "statsd", "Type", "outputs", "b"];
            assert_eq!(nearest(name, known.into_iter()), expected, "{name}");
        };
        check("jsn", Some("json"));
        check("josn", Some("json"));
        check("JSON", Some("json"));
        check("Typ", Some("Type"));
        check("output", Some("outputs"));
        check("a", None);
        check("regex", None);
        check("", None);
        check(&"x".repeat(10_000), None);
    }

    #[test]
    fn an_unknown_name_is_shown_with_the_known_ones_the_nearest_first() {
        let check = |known: &[&str], expected: &str| {
            let mut faults = Faults::new();
            faults.add_unknown_name(&at(12, 11), "input `web`", "decoder", "jsn", known.iter().copied());
            assert_eq!(
                faults.to_string(),
                format!("heka.toml:12:11: input `web`: no decoder `jsn`; {expected}")
            );
        };
        check(&["msgpack", "json"], "known: json, msgpack");
        check(&["json", "alpha"], "known: json, alpha");
        check(&[], "none is defined");
        let many = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "json"];
        check(&many, "known: json, a1, a2, a3, a4, a5, a6, a7 and 2 more");
    }
}
