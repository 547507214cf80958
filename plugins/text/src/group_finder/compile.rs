//! Makes the first path of an expression.

use super::class_run::ClassRun;
use super::walk::{Branch, FirstPath, Next, Step, Steps};
use memchr::memmem::Finder;
use regex_automata::meta::{Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

/// Compiles an expression; `None` if it has something that can't be walked, such as groups that are repeated.
pub fn compile(pattern: &str, is_unicode: bool) -> Option<FirstPath> {
    let hir = ParserBuilder::new().unicode(is_unicode).utf8(false).build().parse(pattern).ok()?;
    let mut compiler = Compiler { atoms: Vec::new(), groups: 1 };
    let mut steps = Steps::new();
    compiler.add(&hir, &mut steps)?;
    link(&mut steps, Behind::Unknown);
    Some(FirstPath::new(steps, compiler.atoms, compiler.groups))
}

struct Compiler {
    atoms: Vec<Regex>,
    groups: usize,
}

impl Compiler {
    fn add(&mut self, hir: &Hir, steps: &mut Steps) -> Option<()> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => steps.push(Step::Literal(literal.0.clone())),
            HirKind::Class(class) => {
                steps.push(Step::Run(Box::new(ClassRun::new(class, 1, Some(1))?), Next::Other));
            }
            HirKind::Look(Look::Start) => steps.push(Step::Start),
            HirKind::Look(Look::End) => steps.push(Step::End),
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.add(part, steps))?,
            HirKind::Capture(capture) => {
                let group = usize::try_from(capture.index).ok()?;
                self.groups = self.groups.max(group + 1);
                steps.push(Step::Open(group));
                self.add(&capture.sub, steps)?;
                steps.push(Step::Close(group));
            }
            HirKind::Repetition(repetition) if is_run(repetition) => steps.push(run(repetition)?),
            HirKind::Alternation(parts) if has_groups(hir) => {
                let branches = parts.iter().map(|part| self.branch(part)).collect::<Option<_>>()?;
                steps.push(Step::Either(branches));
            }
            HirKind::Repetition(repetition) if is_optional(repetition) => {
                let empty = Branch { steps: Steps::new(), groups: 0..0 };
                let branch = self.branch(&repetition.sub)?;
                let order = if repetition.greedy { [branch, empty] } else { [empty, branch] };
                steps.push(Step::Either(order.into()));
            }
            _ if has_groups(hir) => return None,
            _ => {
                steps.push(Step::Atom(self.atoms.len()));
                self.atoms.push(atom(hir)?);
            }
        }
        Some(())
    }

    fn branch(&mut self, hir: &Hir) -> Option<Branch> {
        let mut steps = Steps::new();
        let first = self.groups;
        self.add(hir, &mut steps)?;
        // Groups are numbered in the order in which they begin.
        Some(Branch { steps, groups: first..self.groups })
    }
}

fn has_groups(hir: &Hir) -> bool {
    hir.properties().explicit_captures_len() > 0
}

/// Whether only one class is repeated, and each time makes one byte or character.
fn is_run(repetition: &Repetition) -> bool {
    matches!(repetition.sub.kind(), HirKind::Class(_))
        || matches!(repetition.sub.kind(), HirKind::Literal(literal) if literal.0.len() == 1)
}

fn is_optional(repetition: &Repetition) -> bool {
    repetition.min == 0 && repetition.max == Some(1)
}

fn run(repetition: &Repetition) -> Option<Step> {
    use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange};
    let of = |class: &Class| ClassRun::new(class, repetition.min, repetition.max).map(Box::new);
    let run = match repetition.sub.kind() {
        HirKind::Class(class) => of(class)?,
        HirKind::Literal(literal) => {
            let byte = *literal.0.first()?;
            of(&Class::Bytes(ClassBytes::new([ClassBytesRange::new(byte, byte)])))?
        }
        _ => return None,
    };
    Some(if repetition.greedy { Step::Run(run, Next::Other) } else { Step::LazyRun(run, Next::Other) })
}

fn atom(hir: &Hir) -> Option<Regex> {
    let config = Config::new().utf8_empty(false).which_captures(WhichCaptures::Implicit).backtrack(false);
    Regex::builder().configure(config.onepass(false)).build_from_hir(hir).ok()
}

/// What comes behind the steps of a part.
#[derive(Clone)]
enum Behind {
    /// One of these.
    Literals(Vec<Box<[u8]>>),
    /// The line's end.
    End,
    Unknown,
}

impl Behind {
    fn next(&self) -> Next {
        // A literal that begins inside a character is nowhere behind a whole one.
        let is_usable = |text: &[u8]| text.first().is_some_and(|byte| !(0x80..0xc0).contains(byte));
        match self {
            Behind::Literals(texts) if texts.iter().all(|text| is_usable(text)) => {
                Next::Literals(texts.iter().map(|text| Finder::new(text).into_owned()).collect())
            }
            Behind::End => Next::End,
            Behind::Literals(_) | Behind::Unknown => Next::Other,
        }
    }

    /// One or the other.
    fn or(self, other: Behind) -> Behind {
        match (self, other) {
            (Behind::Literals(mut texts), Behind::Literals(more)) => {
                texts.extend(more);
                Behind::Literals(texts)
            }
            _ => Behind::Unknown,
        }
    }
}

/// Tells runs what comes behind them, `behind` at the end; returns what comes first.
fn link(steps: &mut [Step], mut behind: Behind) -> Behind {
    for step in steps.iter_mut().rev() {
        match step {
            Step::Run(_, next) | Step::LazyRun(_, next) => {
                *next = behind.next();
                behind = Behind::Unknown;
            }
            Step::Literal(text) => behind = Behind::Literals(vec![text.clone()]),
            Step::End => behind = Behind::End,
            Step::Open(_) | Step::Close(_) => {}
            Step::Either(branches) => {
                let firsts = branches.iter_mut().map(|branch| link(&mut branch.steps, behind.clone()));
                behind = firsts.reduce(Behind::or).unwrap_or(Behind::Unknown);
            }
            Step::Atom(_) | Step::Start => behind = Behind::Unknown,
        }
    }
    behind
}
