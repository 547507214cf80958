//! What the host owns of a decoder's table: which decoder goes on with what it made.

use super::document::{Node, NodeValue};
use super::position::Located;
use super::section::Section;

/// What the host owns of a decoder's table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecoderSettings {
    /// The decoders that go on with the payloads of its messages: the first whose matcher accepts one takes it.
    pub then: Vec<ThenConfig>,
}

/// A decoder for the payloads of another one's messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ThenConfig {
    /// The matcher's text, not yet parsed; without one all messages are taken.
    pub matcher: Option<Located<String>>,
    /// The name of a section, or of a plugin that needs no options.
    pub decoder: Located<String>,
}

impl DecoderSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        const EXPECTED: &str = "expected a decoder's name, or an array of tables such as { matcher = 'Type == \"x\"', decoder = \"y\" }";
        let Some(node) = section.value("then") else { return DecoderSettings::default() };
        let items = match &node.value {
            NodeValue::Array(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut then = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                NodeValue::String(name) => {
                    let decoder = Located { value: name.clone(), position: item.position.clone() };
                    then.push(ThenConfig { matcher: None, decoder });
                }
                NodeValue::Table(_) => then.extend(then_of(section, item)),
                _ => {
                    section.fail("then", item, &format!("is {}; {EXPECTED}", item.kind())).unwrap_or_default()
                }
            }
        }
        DecoderSettings { then }
    }
}

fn then_of(section: &mut Section<'_, '_>, node: &Node) -> Option<ThenConfig> {
    let mut table = Section::new(format!("{}: `then`", section.who), node, section.faults);
    let (matcher, decoder) = (table.string("matcher"), table.string("decoder"));
    if !table.has("decoder") {
        let text = format!("{}: no `decoder`; name the one that goes on", table.who);
        table.faults.add(&node.position, text);
    }
    table.finish();
    Some(ThenConfig { matcher, decoder: decoder? })
}
