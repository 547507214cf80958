//! How a stream is to be split: what the configuration says, checked.

use std::sync::Arc;

use super::delimiter::DelimiterSplitter;
use super::group::{GroupConfig, GroupDelimiter, GroupLimits, GroupRule};
use super::heka::HekaSplitter;
use super::journal::JournalDelimiter;
use super::length::{LengthPrefix, LengthSplitter};
use super::limit::FrameLimit;
use super::line::LineSplitter;
use super::multiline::{LinePatterns, Multiline};
use super::pattern::{DelimiterAt, Pattern};
use super::regex::RegexDelimiter;
use super::stream::{Cutter, Splitter};
use super::token::{TOKEN_BYTES_MAX, TokenDelimiter};

/// A checked way of splitting, from which each stream gets a [`Splitter`] of its own; lines by default.
///
/// Copies share what was compiled.
#[derive(Clone, Debug, Default)]
pub struct SplitterConfig {
    /// How long a frame may be, and what happens to longer ones.
    pub limit: FrameLimit,
    /// Whether frames of length 0 are handed on, such as empty lines; otherwise they are only counted.
    pub keep_empty: bool,
    kind: Kind,
}

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    Line,
    Token {
        token: Box<[u8]>,
        keep: bool,
    },
    Regex(Arc<Pattern>),
    Heka,
    Length(LengthPrefix),
    Group(GroupConfig),
    Journal,
    None,
}

impl SplitterConfig {
    /// Names of all kinds, as a configuration writes them.
    pub const KINDS: [&'static str; 10] =
        ["line", "token", "regex", "heka", "length", "multiline", "cri", "docker", "journal_export", "none"];

    fn new(kind: Kind) -> Self {
        SplitterConfig { kind, ..SplitterConfig::default() }
    }

    /// Cuts at `\n`; neither it nor one `\r` before it belongs to the frame.
    ///
    /// At the stream's end, what follows the last `\n` is a line too, with its `\r` if it has one.
    pub fn line() -> Self {
        Self::new(Kind::Line)
    }

    /// Cuts at the byte string `token`; with `keep_delimiter` it stays at the frame's end.
    ///
    /// # Errors
    /// If `token` is empty or longer than 16 bytes.
    pub fn token(token: &[u8], keep_delimiter: bool) -> Result<Self, String> {
        if !(1..=TOKEN_BYTES_MAX).contains(&token.len()) {
            let (text, len) = (token.escape_ascii(), token.len());
            return Err(format!(
                "delimiter `{text}`: is {len} bytes long; a token has 1 to {TOKEN_BYTES_MAX}"
            ));
        }
        Ok(Self::new(Kind::Token { token: token.into(), keep: keep_delimiter }))
    }

    /// Cuts at the matches of `delimiter`, a regular expression over bytes that has at most one group.
    ///
    /// The delimiter is dropped, but for what the group captured: with [`DelimiterAt::End`] the frame before
    /// reaches up to the capture's end, with [`DelimiterAt::Start`] the next one begins where the capture does.
    /// The stream is one text: `^` alone matches at its beginning only, `(?m:^)` behind every `\n`.
    /// A delimiter of more than 2 KiB counts from its last 2 KiB on.
    ///
    /// # Errors
    /// If `delimiter` is no regular expression (with a caret at the place), can match the empty string, has
    /// several groups, uses the Unicode `\b`, or is too big when compiled.
    pub fn regex(delimiter: &str, at: DelimiterAt) -> Result<Self, String> {
        Ok(Self::new(Kind::Regex(Arc::new(Pattern::new(delimiter, at)?))))
    }

    /// Cuts Heka frames and finds the next good one behind broken bytes.
    ///
    /// A frame is handed on whole, from 0x1E to the message's end; the limit counts the message. A header that
    /// claims more than 16 times the limit is taken for broken.
    pub fn heka() -> Self {
        Self::new(Kind::Heka)
    }

    /// Cuts behind as many bytes as a length in front says; the frame is what follows the length.
    ///
    /// # Errors
    /// If the prefix is not 1, 2, 4 or 8 bytes wide.
    pub fn length(prefix: LengthPrefix) -> Result<Self, String> {
        if !matches!(prefix.width, 1 | 2 | 4 | 8) {
            return Err(format!("a length prefix is 1, 2, 4 or 8 bytes wide, not {}", prefix.width));
        }
        Ok(Self::new(Kind::Length(prefix)))
    }

    /// Joins lines that make one message, by patterns and as the traces of `presets` (`java`, `python`, `go`, `ruby`)
    /// do.
    ///
    /// A frame holds the lines with the line breaks between them; empty lines at its end are left out. One that would
    /// be longer than the limit ends before the line that doesn't fit.
    ///
    /// # Errors
    /// If there is neither a pattern nor a preset, or a pattern is no regular expression, or a preset is not known.
    pub fn multiline(
        patterns: &LinePatterns,
        presets: &[String],
        limits: GroupLimits,
    ) -> Result<Self, String> {
        let rule = GroupRule::Multiline(Arc::new(Multiline::new(patterns, presets)?));
        Ok(Self::new(Kind::Group(GroupConfig { rule, limits })))
    }

    /// Joins the lines of a CRI container log (`TIME STREAM P CONTENT`) up to where nothing is partial any more.
    pub fn cri(limits: GroupLimits) -> Self {
        Self::new(Kind::Group(GroupConfig { rule: GroupRule::Cri, limits }))
    }

    /// Joins the lines of Docker's `json-file` driver up to where nothing is partial any more.
    pub fn docker(limits: GroupLimits) -> Self {
        Self::new(Kind::Group(GroupConfig { rule: GroupRule::Docker, limits }))
    }

    /// Cuts the journal's export format between its entries.
    ///
    /// A frame holds the fields of an entry with all their line breaks; an empty line inside of a field that is given
    /// with its length cuts nothing.
    pub fn journal_export() -> Self {
        Self::new(Kind::Journal)
    }

    /// Takes each read or datagram as one frame.
    pub fn none() -> Self {
        Self::new(Kind::None)
    }

    /// Returns the same with another limit.
    pub fn with_limit(self, limit: FrameLimit) -> Self {
        SplitterConfig { limit, ..self }
    }

    /// Returns the same, keeping empty frames or not.
    pub fn with_keep_empty(self, keep_empty: bool) -> Self {
        SplitterConfig { keep_empty, ..self }
    }

    /// Returns the kind's name, one of [`SplitterConfig::KINDS`].
    pub fn kind(&self) -> &'static str {
        match &self.kind {
            Kind::Line => "line",
            Kind::Token { .. } => "token",
            Kind::Regex(_) => "regex",
            Kind::Heka => "heka",
            Kind::Length(_) => "length",
            Kind::Group(GroupConfig { rule: GroupRule::Multiline(_), .. }) => "multiline",
            Kind::Group(GroupConfig { rule: GroupRule::Cri, .. }) => "cri",
            Kind::Group(GroupConfig { rule: GroupRule::Docker, .. }) => "docker",
            Kind::Journal => "journal_export",
            Kind::None => "none",
        }
    }

    /// Makes the splitter of one stream.
    pub fn splitter(&self) -> Splitter {
        let cutter = match &self.kind {
            Kind::Line => Cutter::Line(LineSplitter::default()),
            Kind::Token { token, keep } => {
                Cutter::Token(Box::new(DelimiterSplitter::new(TokenDelimiter::new(token, *keep))))
            }
            Kind::Regex(pattern) => {
                Cutter::Regex(Box::new(DelimiterSplitter::new(RegexDelimiter::new(Arc::clone(pattern)))))
            }
            Kind::Heka => Cutter::Heka(HekaSplitter::default()),
            Kind::Length(prefix) => Cutter::Length(LengthSplitter::new(*prefix)),
            Kind::Group(config) => {
                let delimiter = GroupDelimiter::new(config, self.limit.bytes_max());
                Cutter::Group(Box::new(DelimiterSplitter::new(delimiter)))
            }
            Kind::Journal => Cutter::Journal(Box::new(DelimiterSplitter::new(JournalDelimiter::default()))),
            Kind::None => Cutter::None,
        };
        Splitter::new(cutter, self.limit, self.keep_empty)
    }
}
