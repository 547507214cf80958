//! The first path through an expression.

use super::class_run::ClassRun;
use memchr::memmem::Finder;
use regex_automata::meta::{Cache, Regex};
use regex_automata::{Anchored, Input};

/// What an expression does, one step behind the other.
pub type Steps = Vec<Step>;

pub enum Step {
    Literal(Box<[u8]>),
    Run(Box<ClassRun>, Next),
    /// As `Run`, but as few as possible.
    LazyRun(Box<ClassRun>, Next),
    /// An expression without groups; what it prefers alone is what it prefers here first.
    Atom(usize),
    Open(usize),
    Close(usize),
    /// The line's beginning.
    Start,
    /// The line's end.
    End,
    /// The first of these that can be walked.
    Either(Vec<Branch>),
}

/// One of several alternatives; an optional part is one beside an empty one.
pub struct Branch {
    pub steps: Steps,
    /// The groups in it.
    pub groups: std::ops::Range<usize>,
}

/// What comes behind a run.
pub enum Next {
    /// One of these.
    Literals(Vec<Finder<'static>>),
    End,
    Other,
}

/// How walking a part ended.
enum Walked {
    /// Here.
    To(usize),
    /// Not at all, and there was nothing to choose on the way: no other way through this part exists.
    Blocked,
    /// Something did not fit behind a choice: another one may fit.
    Unclear,
}

/// An expression that can be walked.
pub struct FirstPath {
    steps: Steps,
    atoms: Vec<(Regex, Cache)>,
    starts: Vec<usize>,
}

impl FirstPath {
    pub fn new(steps: Steps, atoms: Vec<Regex>, groups: usize) -> FirstPath {
        let with_cache = |atom: Regex| {
            let cache = atom.create_cache();
            (atom, cache)
        };
        FirstPath { steps, atoms: atoms.into_iter().map(with_cache).collect(), starts: vec![0; groups] }
    }

    /// Walks a line from its beginning; tells whether the path led to the expression's end. `spans` then holds the
    /// groups, as the expression's own match has them.
    #[inline]
    pub fn walk(&mut self, line: &[u8], spans: &mut [Option<(usize, usize)>]) -> bool {
        spans.fill(None);
        let mut walker = Walker { line, spans, atoms: &mut self.atoms, starts: &mut self.starts };
        match walker.walk(&self.steps, 0, &mut false) {
            Walked::To(end) => {
                spans[0] = Some((0, end));
                true
            }
            Walked::Blocked | Walked::Unclear => false,
        }
    }
}

struct Walker<'w> {
    line: &'w [u8],
    spans: &'w mut [Option<(usize, usize)>],
    atoms: &'w mut [(Regex, Cache)],
    starts: &'w mut [usize],
}

impl Walker<'_> {
    /// Walks steps from `at` on. `has_chosen` becomes true when a step could have gone another way.
    fn walk(&mut self, steps: &[Step], mut at: usize, has_chosen: &mut bool) -> Walked {
        for step in steps {
            let walked = match step {
                Step::Literal(text) if self.line[at..].starts_with(text) => Walked::To(at + text.len()),
                Step::Literal(_) => Walked::Blocked,
                Step::Run(run, next) => self.run(run, next, at, has_chosen),
                Step::LazyRun(run, next) => self.lazy_run(run, next, at, has_chosen),
                Step::Atom(index) => self.atom(*index, at, has_chosen),
                Step::Open(group) => {
                    self.starts[*group] = at;
                    Walked::To(at)
                }
                Step::Close(group) => {
                    self.spans[*group] = Some((self.starts[*group], at));
                    Walked::To(at)
                }
                Step::Start if at == 0 => Walked::To(at),
                Step::End if at == self.line.len() => Walked::To(at),
                Step::Start | Step::End => Walked::Blocked,
                Step::Either(branches) => self.either(branches, at, has_chosen),
            };
            match walked {
                Walked::To(end) => at = end,
                Walked::Blocked if !*has_chosen => return Walked::Blocked,
                _ => return Walked::Unclear,
            }
        }
        Walked::To(at)
    }

    /// Takes as many as possible, then gives back as few as what is behind them needs.
    #[inline]
    fn run(&mut self, run: &ClassRun, next: &Next, at: usize, has_chosen: &mut bool) -> Walked {
        let end = match run.longest(self.line, at, self.line.len()) {
            Ok(Some(end)) => end,
            Ok(None) => return Walked::Blocked,
            Err(()) => return Walked::Unclear,
        };
        if end == at + run.min() {
            return Walked::To(end);
        }
        *has_chosen = true;
        let Next::Literals(literals) = next else { return Walked::To(end) };
        let fits = |end: &usize| {
            let behind = &self.line[*end..];
            literals.iter().any(|literal| behind.starts_with(literal.needle()))
        };
        (at + run.min()..=end).rev().find(fits).map_or(Walked::Unclear, Walked::To)
    }

    /// Takes as few as what is behind them needs.
    #[inline]
    fn lazy_run(&mut self, run: &ClassRun, next: &Next, at: usize, has_chosen: &mut bool) -> Walked {
        *has_chosen = true;
        let Some(least) = at.checked_add(run.min()).filter(|least| *least <= self.line.len()) else {
            return Walked::Unclear;
        };
        let end = match next {
            Next::Literals(literals) => {
                let behind = &self.line[least..];
                let first = literals.iter().filter_map(|literal| literal.find(behind)).min();
                first.map(|found| least + found)
            }
            Next::End => Some(self.line.len()),
            Next::Other => None,
        };
        match end {
            Some(end) if run.longest(self.line, at, end) == Ok(Some(end)) => Walked::To(end),
            _ => Walked::Unclear,
        }
    }

    #[inline]
    fn atom(&mut self, index: usize, at: usize, has_chosen: &mut bool) -> Walked {
        let (regex, cache) = &mut self.atoms[index];
        let input = Input::new(self.line).range(at..).anchored(Anchored::Yes);
        match regex.search_half_with(cache, &input) {
            Some(found) => {
                *has_chosen = true;
                Walked::To(found.offset())
            }
            None => Walked::Blocked,
        }
    }

    fn either(&mut self, branches: &[Branch], at: usize, has_chosen: &mut bool) -> Walked {
        for (index, branch) in branches.iter().enumerate() {
            let mut has_chosen_inside = false;
            match self.walk(&branch.steps, at, &mut has_chosen_inside) {
                Walked::To(end) => {
                    *has_chosen |= has_chosen_inside || index + 1 < branches.len();
                    return Walked::To(end);
                }
                Walked::Blocked => self.spans[branch.groups.clone()].fill(None),
                Walked::Unclear => return Walked::Unclear,
            }
        }
        Walked::Blocked
    }
}
