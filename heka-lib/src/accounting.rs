//! The two equations that every message is accounted for by: one for each chain, one for each output.

use crate::stats::{ChainCounts, OutputCounts, RouterStats};
use serde::Serialize;
use std::fmt;

/// One number of an equation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Term {
    /// What is counted, as the statistics show it: `dead-lettered`.
    pub what: &'static str,
    /// How many messages.
    pub count: u64,
}

/// What came into a chain or an output, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Equation {
    /// `chain` or `output`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What came: the terms of the left side.
    pub came: Vec<Term>,
    /// What became of it: the terms of the right side.
    pub became: Vec<Term>,
    /// Whether both sides are equal.
    pub balances: bool,
}

/// The equations of all chains and outputs; `Display` has one line for each, and one with the verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Accounting {
    /// Whether all of them balance.
    pub balances: bool,
    /// One for each chain and each output.
    pub equations: Vec<Equation>,
}

impl Accounting {
    /// Sets the equations up. While a router runs, what is under way is the difference of both sides.
    pub(crate) fn of(stats: &RouterStats) -> Accounting {
        let chains = stats.chains.iter().map(chain);
        let equations: Vec<Equation> = chains.chain(stats.outputs.iter().map(output)).collect();
        Accounting { balances: equations.iter().all(|equation| equation.balances), equations }
    }
}

fn chain(counts: &ChainCounts) -> Equation {
    let came = [("taken", counts.taken), ("emitted", counts.emitted)];
    let became = [
        ("passed", counts.passed),
        ("destroyed", counts.destroyed),
        ("absorbed", counts.absorbed),
        ("dead-lettered", counts.dead_lettered),
        ("in flight", counts.in_flight()),
    ];
    Equation::new("chain", &counts.name, &came, &became)
}

fn output(counts: &OutputCounts) -> Equation {
    let came = [
        ("marked", counts.marked),
        ("queued at start", counts.queued_at_start),
        ("replayed", counts.replayed),
    ];
    let became = [
        ("delivered", counts.delivered),
        ("dead-lettered", counts.dead_lettered),
        ("dropped", counts.dropped),
        ("duplicates", counts.duplicates),
        ("abandoned", counts.abandoned),
        ("queued", counts.queued()),
    ];
    Equation::new("output", &counts.name, &came, &became)
}

impl Equation {
    fn new(
        kind: &'static str,
        name: &str,
        came: &[(&'static str, u64)],
        became: &[(&'static str, u64)],
    ) -> Self {
        let terms =
            |terms: &[(&'static str, u64)]| terms.iter().map(|&(what, count)| Term { what, count }).collect();
        let sum = |terms: &[(&'static str, u64)]| terms.iter().map(|(_, count)| count).sum::<u64>();
        let balances = sum(came) == sum(became);
        Equation { kind, name: name.to_owned(), came: terms(came), became: terms(became), balances }
    }
}

/// Terms that are 0 are left out, except the first of each side.
impl fmt::Display for Equation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accounting {} `{}`: {} = {}", self.kind, self.name, side(&self.came), side(&self.became))?;
        let sum = |terms: &[Term]| terms.iter().map(|term| term.count).sum::<u64>();
        let (came, became) = (sum(&self.came), sum(&self.became));
        match self.balances {
            true => Ok(()),
            false => write!(f, "; does not balance: {came} came, {became} went"),
        }
    }
}

fn side(terms: &[Term]) -> String {
    let shown = terms.iter().enumerate().filter(|(index, term)| *index == 0 || term.count > 0);
    let texts: Vec<String> = shown.map(|(_, term)| format!("{} {}", term.count, term.what)).collect();
    texts.join(" + ")
}

impl fmt::Display for Accounting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.equations.iter().try_for_each(|equation| writeln!(f, "{equation}"))?;
        let wrong = self.equations.iter().filter(|equation| !equation.balances).count();
        match wrong {
            0 => writeln!(f, "accounting balances"),
            _ => writeln!(f, "accounting does not balance: {wrong} of {} equations", self.equations.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::{ChainStats, OutputStats, StageStats, Stats};

    fn check(taken: usize, passed: usize, marked: usize, delivered: usize, expected: &str, balances: bool) {
        let (chain, output) = (ChainStats::new("all"), OutputStats::new("out"));
        chain.taken.add(taken);
        chain.passed.add(passed);
        output.marked.add(marked);
        output.delivered.add(delivered);
        let stats = Stats::default();
        stats.set_stages(StageStats { inputs: Vec::new(), chains: vec![chain], outputs: vec![output] });
        let stats = stats.snapshot();
        let accounting = stats.accounting();
        assert_eq!((accounting.to_string().as_str(), accounting.balances), (expected, balances));
    }

    #[test]
    fn equations_are_printed_with_what_is_not_zero() {
        let expected = "accounting chain `all`: 5 taken = 4 passed + 1 in flight\n\
                        accounting output `out`: 4 marked = 3 delivered + 1 queued\naccounting balances\n";
        check(5, 4, 4, 3, expected, true);
        let expected = "accounting chain `all`: 0 taken = 0 passed\n\
                        accounting output `out`: 0 marked = 0 delivered\naccounting balances\n";
        check(0, 0, 0, 0, expected, true);
    }

    #[test]
    fn more_than_came_does_not_balance() {
        let expected = "accounting chain `all`: 5 taken = 5 passed\n\
                        accounting output `out`: 5 marked = 7 delivered; does not balance: 5 came, 7 went\n\
                        accounting does not balance: 1 of 2 equations\n";
        check(5, 5, 5, 7, expected, false);
    }
}
