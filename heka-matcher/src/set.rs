//! Many matchers, asked together.

use super::key_table::KeyTable;
use super::matcher::Matcher;
use super::program::Program;
use heka_plugin_api::Message;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Decides which of many matchers a message passes.
///
/// Every type that some matcher names by `Type ==` or `Type IN` has a list of the matchers that a message of
/// that type may pass, each with what is left to test once the type is known. A message costs one look-up of
/// its type and those tests; matchers of other types cost nothing, nor do those that need no test. Threads do
/// best with a clone each, as with [`Matcher`].
#[derive(Debug, Clone)]
pub struct MatcherSet {
    matchers: Vec<Matcher>,
    programs: Box<[Program]>,
    /// Each list's matchers, ascending.
    candidates: Box<[Candidate]>,
    /// The types that have a list.
    types: KeyTable,
    /// For each type its list, as a range of `candidates`.
    lists: Box<[Range<u32>]>,
    /// The list of all other types.
    other_types: Range<u32>,
}

/// A matcher to try, and the program that decides; `ALWAYS` when nothing is left to test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Candidate {
    matcher: u32,
    program: u32,
}

const ALWAYS: u32 = u32::MAX;

impl MatcherSet {
    /// Makes a set; each matcher is known by its index from here on.
    pub fn new(matchers: Vec<Matcher>) -> MatcherSet {
        let named: Vec<_> = matchers.iter().map(|matcher| matcher.node.types()).collect();
        let types: BTreeSet<&[u8]> = named.iter().flatten().flatten().map(|name| &**name).collect();
        let types: Vec<&[u8]> = types.into_iter().collect();
        let numbers: HashMap<&[u8], usize> = types.iter().copied().zip(0..).collect();
        let mut builder =
            Builder { programs: Vec::new(), lists: vec![Vec::new(); types.len()], others: Vec::new() };
        for ((index, matcher), named) in (0..).zip(&matchers).zip(&named) {
            match named {
                Some(named) => {
                    let named = named.iter().filter_map(|name| Some((*numbers.get(&**name)?, &**name)));
                    builder.add(index, matcher, named, false);
                }
                None => builder.add(index, matcher, types.iter().copied().enumerate(), true),
            }
        }
        builder.finish(KeyTable::new(&types), matchers)
    }

    /// Calls `accept` with the index of each matcher that the message passes, ascending, and returns how
    /// many these are.
    #[inline]
    pub fn matching(&self, message: &Message<'_>, mut accept: impl FnMut(usize)) -> usize {
        let mut accepted = 0;
        for candidate in self.candidates(message) {
            let program = self.programs.get(candidate.program as usize);
            if program.is_none_or(|program| program.accepts(message)) {
                accepted += 1;
                accept(candidate.matcher as usize);
            }
        }
        accepted
    }

    /// Returns the matchers in the order that they were given in.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    #[inline]
    fn candidates(&self, message: &Message<'_>) -> &[Candidate] {
        let list = match self.lists.len() {
            0 => None,
            _ => self.types.find(message.message_type()),
        };
        let range = list.and_then(|list| self.lists.get(list as usize)).unwrap_or(&self.other_types);
        self.candidates.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

struct Builder {
    programs: Vec<Program>,
    lists: Vec<Vec<Candidate>>,
    others: Vec<Candidate>,
}

impl Builder {
    /// Enters a matcher into the lists of these types, and where it may pass others too, into theirs.
    fn add<'n>(
        &mut self,
        index: u32,
        matcher: &Matcher,
        types: impl Iterator<Item = (usize, &'n [u8])>,
        others_too: bool,
    ) {
        // Types with the same outcomes leave the same to test; a long `Type IN` has only one or two such.
        let mut known: HashMap<Vec<bool>, Option<Candidate>> = HashMap::new();
        for (number, name) in types {
            let mut outcomes = Vec::new();
            matcher.node.type_outcomes(name, &mut outcomes);
            let candidate = known.entry(outcomes).or_insert_with_key(|outcomes| {
                let left = matcher.node.with_type_outcomes(&mut outcomes.iter().copied());
                self.candidate(index, Program::new(&left))
            });
            self.lists[number].extend(*candidate);
        }
        if others_too {
            // Where the type is in no condition, that program serves for all.
            let shared = known.remove(&Vec::new());
            let candidate = shared.unwrap_or_else(|| self.candidate(index, matcher.program.clone()));
            self.others.extend(candidate);
        }
    }

    /// Keeps the program if there is something to decide; `None` when nothing passes.
    fn candidate(&mut self, matcher: u32, program: Program) -> Option<Candidate> {
        match program.constant() {
            Some(false) => None,
            Some(true) => Some(Candidate { matcher, program: ALWAYS }),
            None => {
                self.programs.push(program);
                Some(Candidate { matcher, program: self.programs.len() as u32 - 1 })
            }
        }
    }

    fn finish(self, types: KeyTable, matchers: Vec<Matcher>) -> MatcherSet {
        let mut candidates = Vec::new();
        let mut known: HashMap<Vec<Candidate>, Range<u32>> = HashMap::new();
        let mut range_of = |list: Vec<Candidate>| {
            known
                .entry(list)
                .or_insert_with_key(|list| {
                    let start = candidates.len() as u32;
                    candidates.extend_from_slice(list);
                    start..candidates.len() as u32
                })
                .clone()
        };
        let other_types = range_of(self.others);
        let lists = self.lists.into_iter().map(&mut range_of).collect();
        MatcherSet {
            matchers,
            programs: self.programs.into(),
            candidates: candidates.into(),
            types,
            lists,
            other_types,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;

    fn typed(message_type: &str) -> OwnedMessage {
        OwnedMessage::build(|builder| {
            builder.message_type(message_type).pid(1);
        })
        .unwrap()
    }

    /// Checks which of the matchers take messages of these types with pid 1.
    #[track_caller]
    fn check_set(texts: &[&str], cases: &[(&str, &[usize])]) {
        let matchers: Vec<Matcher> = texts.iter().map(|text| Matcher::parse(text).unwrap()).collect();
        let set = MatcherSet::new(matchers);
        for (message_type, expected) in cases {
            let mut found = Vec::new();
            let count = set.matching(&typed(message_type).view(), |index| found.push(index));
            assert_eq!((found.as_slice(), count), (*expected, expected.len()), "{message_type}");
        }
        assert_eq!(set.matchers().len(), texts.len());
    }

    #[test]
    fn set_reports_matchers_in_order() {
        check_set(&[], &[("a", &[])]);
        check_set(&["TRUE", "FALSE"], &[("a", &[0]), ("", &[0])]);
        check_set(
            &[
                "Type == 'b'",
                "TRUE",
                "Type == 'a' && Pid == 1",
                "Pid == 1",
                "Type == 'a'",
                "Type == 'a' && Pid == 2",
            ],
            &[("a", &[1, 2, 3, 4]), ("b", &[0, 1, 3]), ("c", &[1, 3]), ("", &[1, 3])],
        );
    }

    #[test]
    fn set_finds_types_wherever_they_are_named() {
        check_set(
            &[
                "Type IN ('a', 'b') && Pid == 1",
                "Type == 'a' || Type == 'c' && Pid == 1",
                "(Type == 'a' || Type == 'b') && (Type == 'b' || Type == 'c')",
                "Type == 'a' && Type == 'b'",
                "Type == 'a' || Pid == 1",
                "!(Type != 'a')",
                "Type != 'a'",
                "Type =~ /^a/",
                "Type == NIL || Type == 'd'",
            ],
            &[
                ("a", &[0, 1, 4, 5, 7]),
                ("b", &[0, 2, 4, 6]),
                ("c", &[1, 4, 6]),
                ("d", &[4, 6, 8]),
                ("", &[4, 6, 8]),
                ("ab", &[4, 6, 7]),
            ],
        );
    }

    #[test]
    fn set_of_many_types_finds_each() {
        let lists: Vec<String> = (0..3_000).map(|number| format!("'t{number}'")).collect();
        let all = format!("Type IN ({}) && Pid == 1", lists.join(","));
        check_set(
            &[&all, "Pid == 1 && Type != 't7'"],
            &[("t0", &[0, 1]), ("t2999", &[0, 1]), ("t3000", &[1]), ("t7", &[0])],
        );
    }
}
