//! A matcher's conditions as a flat program.

use super::condition::Condition;
use super::node::Node;
use heka_plugin_api::Message;

/// Steps to go to that are no steps: the end, with the outcome.
const ACCEPT: u32 = u32::MAX;
const REJECT: u32 = u32::MAX - 1;

/// A sequence of conditions; each goes on to the next one by one outcome, and elsewhere by the other.
///
/// `&&`, `||` and `!` are in the targets alone: they cost nothing when it runs, and what does not have to
/// be tested is not visited. Targets always lie ahead, so that every run ends.
///
/// The way to the next step is a branch, which the processor predicts; were both targets looked up, each step
/// would wait for the outcome of the one before.
#[derive(Debug, Clone)]
pub(super) struct Program {
    steps: Box<[Step]>,
    /// The outcome after the last step.
    end: bool,
}

#[derive(Debug, Clone)]
struct Step {
    condition: Condition,
    /// The outcome that goes on to the next step.
    onward: bool,
    /// Where the other outcome goes.
    elsewhere: u32,
}

impl Program {
    pub(super) fn new(node: &Node) -> Program {
        // Built from its end, where all targets of a step are known before it is.
        let mut reversed = Vec::new();
        let entry = emit(node, ACCEPT, REJECT, &mut reversed);
        let steps_count = reversed.len();
        let turned = |target: u32| if target >= REJECT { target } else { steps_count as u32 - 1 - target };
        let steps = reversed.into_iter().rev().enumerate().map(|(at, draft)| {
            // One of the targets is always the step that follows; after the last one, it is to accept.
            let next = if at + 1 == steps_count { ACCEPT } else { at as u32 + 1 };
            let onward = turned(draft.if_true) == next;
            let elsewhere = turned(if onward { draft.if_false } else { draft.if_true });
            Step { condition: draft.condition, onward, elsewhere }
        });
        Program { steps: steps.collect(), end: entry != REJECT }
    }

    #[inline]
    pub(super) fn accepts(&self, message: &Message<'_>) -> bool {
        let mut steps = self.steps.iter();
        while let Some(step) = steps.next() {
            if step.condition.holds(message) != step.onward {
                match step.elsewhere {
                    ACCEPT => return true,
                    REJECT => return false,
                    target => steps = self.steps.get(target as usize..).unwrap_or_default().iter(),
                }
            }
        }
        self.end
    }

    /// Returns the outcome that needs no message.
    pub(super) fn constant(&self) -> Option<bool> {
        self.steps.is_empty().then_some(self.end)
    }
}

/// A step while not all targets have their final numbers.
struct Draft {
    condition: Condition,
    if_true: u32,
    if_false: u32,
}

/// Appends the steps of `node`, the last one first, and returns the number of the one to begin with.
fn emit(node: &Node, if_true: u32, if_false: u32, drafts: &mut Vec<Draft>) -> u32 {
    match node {
        Node::Constant(true) => if_true,
        Node::Constant(false) => if_false,
        Node::Not(inner) => emit(inner, if_false, if_true, drafts),
        Node::All(parts) => parts.iter().rev().fold(if_true, |next, part| emit(part, next, if_false, drafts)),
        Node::Any(parts) => parts.iter().rev().fold(if_false, |next, part| emit(part, if_true, next, drafts)),
        Node::Condition(condition) => {
            drafts.push(Draft { condition: condition.clone(), if_true, if_false });
            drafts.len() as u32 - 1
        }
    }
}
