//! A matcher's conditions and how they are combined, simplified.

use super::condition::Condition;

/// A combination of conditions.
///
/// Constants stand alone, never inside of another node; `All` and `Any` hold two or more parts, none of
/// their own kind, the cheaper ones first.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Constant(bool),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Condition(Condition),
}

impl Node {
    pub(super) fn not(node: Node) -> Node {
        match node {
            Node::Constant(constant) => Node::Constant(!constant),
            Node::Not(inner) => *inner,
            node => Node::Not(Box::new(node)),
        }
    }

    pub(super) fn all(nodes: impl IntoIterator<Item = Node>) -> Node {
        let mut parts = Vec::new();
        for node in nodes {
            match node {
                Node::Constant(true) => {}
                Node::Constant(false) => return node,
                Node::All(inner) => parts.extend(inner),
                node => parts.push(node),
            }
        }
        combine(parts, Node::Constant(true), Node::All)
    }

    pub(super) fn any(nodes: impl IntoIterator<Item = Node>) -> Node {
        let mut parts = Vec::new();
        for node in nodes {
            match node {
                Node::Constant(false) => {}
                Node::Constant(true) => return node,
                Node::Any(inner) => parts.extend(inner),
                node => parts.push(node),
            }
        }
        combine(parts, Node::Constant(false), Node::Any)
    }

    /// Returns types without which no message passes; `None` when messages of any type may.
    pub(super) fn types(&self) -> Option<Vec<Box<[u8]>>> {
        match self {
            Node::Constant(false) => Some(Vec::new()),
            Node::Constant(true) | Node::Not(_) => None,
            Node::Condition(condition) => condition.types(),
            Node::All(parts) => parts.iter().filter_map(Node::types).min_by_key(Vec::len),
            Node::Any(parts) => {
                let arms: Option<Vec<_>> = parts.iter().map(Node::types).collect();
                let mut types = arms?.concat();
                types.sort_unstable();
                types.dedup();
                Some(types)
            }
        }
    }

    /// Collects how the conditions on the type fare with this one, in the order of the tree.
    pub(super) fn type_outcomes(&self, message_type: &[u8], outcomes: &mut Vec<bool>) {
        match self {
            Node::Constant(_) => {}
            Node::Not(inner) => inner.type_outcomes(message_type, outcomes),
            Node::All(parts) | Node::Any(parts) => {
                parts.iter().for_each(|part| part.type_outcomes(message_type, outcomes));
            }
            Node::Condition(condition) => outcomes.extend(condition.outcome_for_type(message_type)),
        }
    }

    /// Returns what is left to test of a message whose conditions on the type fared like this.
    pub(super) fn with_type_outcomes(&self, outcomes: &mut impl Iterator<Item = bool>) -> Node {
        match self {
            Node::Constant(constant) => Node::Constant(*constant),
            Node::Not(inner) => Node::not(inner.with_type_outcomes(outcomes)),
            Node::All(parts) => Node::all(with_all_type_outcomes(parts, outcomes)),
            Node::Any(parts) => Node::any(with_all_type_outcomes(parts, outcomes)),
            Node::Condition(condition) if condition.outcome_for_type(b"").is_some() => {
                outcomes.next().map_or_else(|| self.clone(), Node::Constant)
            }
            Node::Condition(_) => self.clone(),
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Node::Constant(_) => 0,
            Node::Not(inner) => inner.cost(),
            Node::All(parts) | Node::Any(parts) => parts.iter().map(Node::cost).sum(),
            Node::Condition(condition) => condition.cost(),
        }
    }
}

/// Goes through every part, also those after one that decides, so that the outcomes stay in step.
fn with_all_type_outcomes(parts: &[Node], outcomes: &mut impl Iterator<Item = bool>) -> Vec<Node> {
    parts.iter().map(|part| part.with_type_outcomes(outcomes)).collect()
}

fn combine(mut parts: Vec<Node>, empty: Node, several: fn(Vec<Node>) -> Node) -> Node {
    match parts.len() {
        0 => empty,
        1 => parts.remove(0),
        _ => {
            parts.sort_by_cached_key(Node::cost);
            several(parts)
        }
    }
}
