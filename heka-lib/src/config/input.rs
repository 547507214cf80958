//! What the host owns of an input's table.

use std::time::Duration;

use super::document::{Node, NodeValue};
use super::instance::{InstanceConfig, ticker_interval};
use super::position::{Located, Position};
use super::section::Section;

/// An input's table.
pub type InputConfig = InstanceConfig<InputSettings>;

/// What the host owns of an input's table.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSettings {
    /// The decoders: names of sections, or of plugins that need no options. They are tried in order, and the first
    /// that takes a frame makes its messages. Without one a frame becomes a message's payload as it is.
    pub decoders: Vec<Located<String>>,
    /// How bytes become frames; by default what the input itself prefers.
    pub splitter: Option<SplitterConfig>,
    /// The longest frame, in bytes, up to 256 MiB; by default the longest message.
    pub frame_bytes_max: Option<usize>,
    /// What becomes of a longer frame; by default it is rejected.
    pub frame_overflow: FrameOverflow,
    /// What becomes of a frame that the decoder refuses; by default it is delivered undecoded.
    pub on_decode_error: OnDecodeError,
    /// How many stages decode beside the input's own, 0 to 64. Default 0: the input's stage decodes.
    ///
    /// Each has a decoder of its own. A stream always goes to the same stage, so that its messages stay in order: one
    /// stream, such as a single big file, uses one of them, which takes decoding off the thread that reads.
    pub decode_threads: u16,
    /// The type of messages that have none.
    pub message_type: Option<String>,
    /// The hostname of messages that have none.
    pub hostname: Option<String>,
    /// How often the input is called without having asked; 1 ms to 1 day.
    pub ticker_interval: Option<Duration>,
}

/// What becomes of a frame longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameOverflow {
    /// It is skipped and counted.
    Reject,
    /// Its beginning is delivered, and the rest skipped.
    Truncate,
    /// Its beginning becomes a dead letter.
    DeadLetter,
}

/// What becomes of a frame that the decoder refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDecodeError {
    /// It goes on as the payload of a message.
    Deliver,
    /// It is counted and dropped.
    Drop,
    /// It becomes a dead letter.
    DeadLetter,
}

/// Names a splitter, with its options.
#[derive(Clone, Debug)]
pub struct SplitterConfig {
    /// Which one.
    pub kind: SplitterKind,
    /// Where it is written.
    pub position: Position,
    /// The table without `kind`; empty when only the kind was written.
    pub options: Node,
}

impl PartialEq for SplitterConfig {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.options == other.options
    }
}

/// The splitters that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitterKind {
    /// Cuts at line breaks.
    Line,
    /// Cuts at a given text.
    Token,
    /// Cuts where a regular expression matches.
    Regex,
    /// Cuts Heka's own frames.
    Heka,
    /// Cuts by a length in front of each frame.
    Length,
    /// Joins lines that make one message.
    Multiline,
    /// Joins the lines of a CRI container log.
    Cri,
    /// Joins the lines of Docker's `json-file` driver.
    Docker,
    /// Cuts the journal's export format.
    JournalExport,
    /// Takes each read as one frame.
    None,
}

const SPLITTERS: [(&str, SplitterKind); 10] = [
    ("line", SplitterKind::Line),
    ("token", SplitterKind::Token),
    ("regex", SplitterKind::Regex),
    ("heka", SplitterKind::Heka),
    ("length", SplitterKind::Length),
    ("multiline", SplitterKind::Multiline),
    ("cri", SplitterKind::Cri),
    ("docker", SplitterKind::Docker),
    ("journal_export", SplitterKind::JournalExport),
    ("none", SplitterKind::None),
];

impl SplitterKind {
    /// The word that the configuration uses.
    pub fn name(self) -> &'static str {
        SPLITTERS.iter().find(|(_, kind)| *kind == self).map_or("none", |(name, _)| name)
    }
}

impl InputSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let frame_overflow = [
            ("reject", FrameOverflow::Reject),
            ("truncate", FrameOverflow::Truncate),
            ("dead_letter", FrameOverflow::DeadLetter),
        ];
        let on_decode_error = [
            ("deliver", OnDecodeError::Deliver),
            ("drop", OnDecodeError::Drop),
            ("dead_letter", OnDecodeError::DeadLetter),
        ];
        InputSettings {
            decoders: section.strings("decoder", true),
            splitter: splitter(section),
            frame_bytes_max: section
                .bytes("frame_bytes_max", 1..=256 << 20)
                .and_then(|bytes| usize::try_from(bytes).ok()),
            frame_overflow: section
                .keyword("frame_overflow", &frame_overflow)
                .unwrap_or(FrameOverflow::Reject),
            on_decode_error: section
                .keyword("on_decode_error", &on_decode_error)
                .unwrap_or(OnDecodeError::Deliver),
            decode_threads: section.integer("decode_threads", 0..=64).unwrap_or(0),
            message_type: section.string("message_type").map(|text| text.value),
            hostname: section.string("hostname").map(|text| text.value),
            ticker_interval: ticker_interval(section),
        }
    }
}

/// Takes `splitter`: a kind, or a table with the kind and its options.
fn splitter(section: &mut Section<'_, '_>) -> Option<SplitterConfig> {
    let node = section.value("splitter")?;
    let position = node.position.clone();
    if !matches!(node.value, NodeValue::Table(_)) {
        let kind = section.keyword("splitter", &SPLITTERS)?;
        return Some(SplitterConfig { kind, options: Node::table(Vec::new(), &position), position });
    }
    let mut table = section.table("splitter")?;
    if node.get("kind").is_none() {
        let kinds = SPLITTERS.map(|(name, _)| name).join(", ");
        table.faults.add(&position, format!("{}: no `kind`; known: {kinds}", table.who));
    }
    let kind = table.keyword("kind", &SPLITTERS)?;
    Some(SplitterConfig { kind, position, options: table.rest().0 })
}
