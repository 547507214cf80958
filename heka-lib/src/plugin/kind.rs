//! The kinds of plugins.

use std::fmt;

use heka_plugin_api::abi::kind;

/// The kinds of plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Reads streams or makes messages.
    Input,
    /// Turns frames into messages.
    Decoder,
    /// Passes, changes, drops or emits messages.
    Filter,
    /// Turns messages into bytes.
    Encoder,
    /// Delivers messages.
    Output,
}

impl Kind {
    /// All kinds, in the order in which messages meet them.
    pub const ALL: [Kind; 5] = [Kind::Input, Kind::Decoder, Kind::Filter, Kind::Encoder, Kind::Output];

    /// Its name in metadata, configurations and faults: `input`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::Decoder => "decoder",
            Kind::Filter => "filter",
            Kind::Encoder => "encoder",
            Kind::Output => "output",
        }
    }

    /// Its name with an article: `an input`.
    pub fn with_article(self) -> &'static str {
        match self {
            Kind::Input => "an input",
            Kind::Decoder => "a decoder",
            Kind::Filter => "a filter",
            Kind::Encoder => "an encoder",
            Kind::Output => "an output",
        }
    }

    /// Its number at the border.
    pub fn number(self) -> u32 {
        match self {
            Kind::Input => kind::INPUT,
            Kind::Decoder => kind::DECODER,
            Kind::Filter => kind::FILTER,
            Kind::Encoder => kind::ENCODER,
            Kind::Output => kind::OUTPUT,
        }
    }

    /// The kind of that name.
    pub(super) fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
