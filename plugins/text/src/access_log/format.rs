//! Compiles a log format into the steps that read its lines.

use super::field::{Kind, Piece};
use super::{apache, nginx};
use std::ops::Range;

/// The formats that have a name. nginx writes `-` where Apache has the client's identity.
const PRESETS: [(&str, &str); 2] = [
    ("combined", r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i""#),
    ("common", r#"%h %l %u %t "%r" %>s %b"#),
];
/// Most fields that a format may have; servers know about a hundred variables.
const FIELDS_MAX: usize = 256;

/// A compiled log format.
#[derive(Debug)]
pub struct LineFormat {
    /// What every line begins with.
    pub start: Vec<u8>,
    /// The fields in order, each with what ends it.
    pub steps: Vec<Step>,
    /// The names of all fields, one behind the other.
    pub names: Vec<u8>,
    /// Index of the step that tells the time, if one does.
    pub clock: Option<usize>,
    /// The strftime formats that the kinds name.
    pub strftimes: Vec<String>,
}

/// Reads one field.
#[derive(Debug)]
pub struct Step {
    /// How it is read.
    pub kind: Kind,
    /// Whether it is inside quotes, so that it ends at a quote that is not escaped.
    pub is_quoted: bool,
    /// What follows it; empty at the end of the line.
    pub end: Vec<u8>,
    /// The first eight bytes of `end` as a word, and which of its bits count: comparing words needs no call.
    pub end_word: (u64, u64),
    /// How often `end` is inside the field: strftime formats may have the same spaces as the log format.
    pub ends_inside: usize,
    /// Where its name is among the names.
    pub name: Range<usize>,
    /// Where the names of the fields made from it are: of a request `method`, `path`, `protocol`; `args` of a path.
    pub parts: [Range<usize>; 3],
}

impl LineFormat {
    /// Compiles a preset's name, an nginx or an Apache format.
    ///
    /// # Errors
    /// One line that says what is wrong, with the column where there is one.
    pub fn compile(format: &str) -> Result<LineFormat, String> {
        let format = PRESETS.iter().find(|(name, _)| *name == format).map_or(format, |(_, preset)| *preset);
        let (pieces, strftimes) = match nginx::is_nginx(format) {
            true => (nginx::pieces(format)?, Vec::new()),
            false => apache::pieces(format)?,
        };
        let line_format = LineFormat::of_pieces(pieces, strftimes)?;
        match line_format.steps.len() {
            0 => Err(format!(
                "`{format}` names no field; write `combined`, `common`, or the server's own format, such as `$remote_addr [$time_local] \"$request\" $status` or `%h %t \"%r\" %>s`"
            )),
            fields if fields > FIELDS_MAX => Err(format!("has {fields} fields; at most {FIELDS_MAX}")),
            _ => Ok(line_format),
        }
    }

    fn of_pieces(pieces: Vec<Piece>, strftimes: Vec<String>) -> Result<LineFormat, String> {
        let mut format =
            LineFormat { start: Vec::new(), steps: Vec::new(), names: Vec::new(), clock: None, strftimes };
        let mut before: Option<String> = None;
        for piece in pieces {
            match (piece, format.steps.last_mut()) {
                (Piece::Literal(text), None) => format.start.extend_from_slice(&text),
                (Piece::Literal(text), Some(step)) => {
                    step.end.extend_from_slice(&text);
                    before = None;
                }
                (Piece::Field(field), last) => {
                    if let (Some(before), Some(_)) = (&before, &last) {
                        let name = &field.name;
                        return Err(format!(
                            "nothing separates `{before}` and `{name}`, so that lines can't be read"
                        ));
                    }
                    let is_quoted = last.map_or(&format.start, |step| &step.end).last() == Some(&b'"');
                    format.push(&field.name, field.kind, is_quoted);
                    before = Some(field.name);
                }
            }
        }
        // Quotes mean something only in pairs.
        for step in &mut format.steps {
            step.is_quoted &= step.end.first() == Some(&b'"');
            step.end_word = word_of(&step.end);
            if let Kind::StrftimeTime(index) = step.kind {
                let strftime = format.strftimes.get(index).map_or(&b""[..], |strftime| strftime.as_bytes());
                step.ends_inside = memchr::memmem::find_iter(strftime, &step.end).count();
            }
        }
        format.clock = format.best_clock();
        Ok(format)
    }

    fn push(&mut self, name: &str, kind: Kind, is_quoted: bool) {
        let name = self.push_name(name);
        let parts = match kind {
            Kind::Request => ["method", "path", "protocol"].map(|part| self.push_name(part)),
            Kind::PathAndQuery => [self.push_name("args"), 0..0, 0..0],
            _ => [0..0, 0..0, 0..0],
        };
        self.steps.push(Step {
            kind,
            is_quoted,
            end: Vec::new(),
            end_word: (0, 0),
            ends_inside: 0,
            name,
            parts,
        });
    }

    fn push_name(&mut self, name: &str) -> Range<usize> {
        let start = self.names.len();
        self.names.extend_from_slice(name.as_bytes());
        start..self.names.len()
    }

    /// Finds the field that tells the time best: the first of the highest rank.
    fn best_clock(&self) -> Option<usize> {
        let rank = |index: &usize| (self.steps[*index].kind.clock_rank(), std::cmp::Reverse(*index));
        (0..self.steps.len()).filter(|index| rank(index).0 > 0).max_by_key(rank)
    }
}

fn word_of(end: &[u8]) -> (u64, u64) {
    let (mut word, mut mask) = ([0; 8], [0; 8]);
    for (at, byte) in end.iter().take(8).enumerate() {
        (word[at], mask[at]) = (*byte, 0xff);
    }
    (u64::from_le_bytes(word), u64::from_le_bytes(mask))
}
