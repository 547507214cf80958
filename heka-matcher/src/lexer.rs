//! Cuts a matcher's text into tokens.

use super::ast::{FieldPath, Header, Number, Relation, Span};
use super::error::MatcherError;

/// One token with its place.
#[derive(Debug, Clone)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    pub(super) span: Span,
}

/// What a token is.
#[derive(Debug, Clone)]
pub(super) enum TokenKind<'t> {
    Open,
    Close,
    Comma,
    And,
    Or,
    Not,
    Relation(Relation),
    /// `=~`, or `!~` when negated.
    Search {
        negated: bool,
    },
    True,
    False,
    Nil,
    In,
    Header(Header),
    Field(FieldPath),
    Text(String),
    Number(Number),
    /// The text between the slashes, escapes untouched.
    Regex(&'t str),
    End,
}

/// Punctuation, longer ones first where one begins another.
const PUNCTUATION: [(&str, TokenKind<'static>); 14] = [
    ("&&", TokenKind::And),
    ("||", TokenKind::Or),
    ("==", TokenKind::Relation(Relation::Equal)),
    ("!=", TokenKind::Relation(Relation::NotEqual)),
    ("=~", TokenKind::Search { negated: false }),
    ("!~", TokenKind::Search { negated: true }),
    ("<=", TokenKind::Relation(Relation::LessEqual)),
    (">=", TokenKind::Relation(Relation::GreaterEqual)),
    ("<", TokenKind::Relation(Relation::Less)),
    (">", TokenKind::Relation(Relation::Greater)),
    ("!", TokenKind::Not),
    ("(", TokenKind::Open),
    (")", TokenKind::Close),
    (",", TokenKind::Comma),
];

/// Hands out the tokens of a text, one after the other, `End` for ever at its end.
pub(super) struct Lexer<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Lexer { text, position: 0 }
    }

    /// Reads the next token.
    pub(super) fn token(&mut self) -> Result<Token<'t>, MatcherError> {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
        let start = self.position;
        let kind = self.kind()?;
        Ok(Token { kind, span: Span { start, end: self.position } })
    }

    fn kind(&mut self) -> Result<TokenKind<'t>, MatcherError> {
        let rest = self.rest();
        if let Some((sign, kind)) = PUNCTUATION.iter().find(|(sign, _)| rest.starts_with(sign)) {
            self.position += sign.len();
            return Ok(kind.clone());
        }
        match rest.bytes().next() {
            None => Ok(TokenKind::End),
            Some(quote @ (b'"' | b'\'')) => self.quoted(char::from(quote)),
            Some(b'/') => self.regex(),
            Some(b'0'..=b'9' | b'.' | b'-' | b'+') => self.number(),
            Some(b'A'..=b'Z' | b'a'..=b'z' | b'_') => self.word(),
            Some(_) => Err(self.unexpected()),
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    fn error(&self, offset: usize, message: impl Into<String>) -> MatcherError {
        MatcherError::new(self.text, offset, message)
    }

    fn unexpected(&self) -> MatcherError {
        let found = self.rest().chars().next().unwrap_or_default();
        let meant = match found {
            '=' => "; compare with `==`",
            '&' => "; combine with `&&`",
            '|' => "; combine with `||`",
            '~' => "; match a regex with `=~`",
            _ => "",
        };
        self.error(self.position, format!("unexpected `{}`{meant}", found.escape_debug()))
    }

    /// Reads `'…'` or `"…"`; only the enclosing quote is escaped, other backslashes stand for themselves.
    fn quoted(&mut self, quote: char) -> Result<TokenKind<'t>, MatcherError> {
        let inner = &self.rest()[1..];
        let mut text = String::new();
        let mut from = 0;
        while let Some(length) = inner[from..].find(quote) {
            let piece = &inner[from..from + length];
            from += length + 1;
            match piece.strip_suffix('\\') {
                Some(piece) => {
                    text.push_str(piece);
                    text.push(quote);
                }
                None => {
                    text.push_str(piece);
                    self.position += from + 1;
                    return Ok(TokenKind::Text(text));
                }
            }
        }
        Err(self.error(self.position, format!("text without its closing `{quote}`")))
    }

    /// Reads `/…/`, where a backslash takes the next character with it; a line end is not allowed.
    fn regex(&mut self) -> Result<TokenKind<'t>, MatcherError> {
        let inner = &self.rest()[1..];
        let mut bytes = inner.bytes().enumerate();
        while let Some((length, byte)) = bytes.next() {
            match byte {
                b'\n' => break,
                b'\\' => drop(bytes.next()),
                b'/' => {
                    self.position += length + 2;
                    return Ok(TokenKind::Regex(&inner[..length]));
                }
                _ => {}
            }
        }
        Err(self.error(self.position, "regex without its closing `/`"))
    }

    /// Reads everything that hangs together with a number, so that `1x` is one wrong number.
    fn number(&mut self) -> Result<TokenKind<'t>, MatcherError> {
        let start = self.position;
        let rest = self.rest();
        let mut previous = b'e';
        let in_number = |byte: u8| {
            let sign = matches!(byte, b'+' | b'-') && matches!(previous, b'e' | b'E');
            previous = byte;
            sign || byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')
        };
        let written = &rest[..rest.len() - rest.trim_start_matches(as_ascii(in_number)).len()];
        self.position += written.len();
        parse_number(written).map(TokenKind::Number).map_err(|reason| self.error(start, reason))
    }

    fn word(&mut self) -> Result<TokenKind<'t>, MatcherError> {
        let rest = self.rest();
        let in_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let word = &rest[..rest.len() - rest.trim_start_matches(as_ascii(in_word)).len()];
        let kind = match word {
            "TRUE" => TokenKind::True,
            "FALSE" => TokenKind::False,
            "NIL" => TokenKind::Nil,
            "IN" => TokenKind::In,
            "Fields" => return self.field(),
            _ => match Header::from_name(word) {
                Some(header) => TokenKind::Header(header),
                None => return Err(self.error(self.position, unknown_variable(word))),
            },
        };
        self.position += word.len();
        Ok(kind)
    }

    /// Reads `Fields[name]`, `Fields[name][field]` or `Fields[name][field][element]`.
    fn field(&mut self) -> Result<TokenKind<'t>, MatcherError> {
        self.position += "Fields".len();
        let start = self.position;
        let Some(name) = self.bracketed()? else {
            return Err(self.error(start, "`Fields` needs a name in brackets, as in `Fields[status]`"));
        };
        if name.is_empty() {
            return Err(self.error(start, "empty field name"));
        }
        let field_index = self.index()?.unwrap_or(0);
        let array_index = self.index()?.unwrap_or(0);
        if self.rest().starts_with('[') {
            return Err(
                self.error(self.position, "too many indices; `Fields[name][field][element]` is the most")
            );
        }
        Ok(TokenKind::Field(FieldPath { name: name.as_bytes().into(), field_index, array_index }))
    }

    fn index(&mut self) -> Result<Option<usize>, MatcherError> {
        let start = self.position;
        let Some(written) = self.bracketed()? else { return Ok(None) };
        let digits = written.bytes().all(|byte| byte.is_ascii_digit());
        match written.parse::<u32>() {
            Ok(index) if digits => Ok(usize::try_from(index).ok()),
            _ => Err(self.error(start, "an index is a number from 0 to 4294967295")),
        }
    }

    fn bracketed(&mut self) -> Result<Option<&'t str>, MatcherError> {
        let Some(inner) = self.rest().strip_prefix('[') else { return Ok(None) };
        let Some(length) = inner.find(']') else {
            return Err(self.error(self.position, "bracket without its closing `]`"));
        };
        self.position += length + 2;
        Ok(Some(&inner[..length]))
    }
}

/// Makes a test of ASCII bytes one of characters; others fail it.
fn as_ascii(mut test: impl FnMut(u8) -> bool) -> impl FnMut(char) -> bool {
    move |c| u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && test(byte))
}

/// Parses `12`, `-12`, `.5`, `1.5`, `1e9`, `1.5e-3`.
fn parse_number(written: &str) -> Result<Number, String> {
    let digits = written.strip_prefix('-').unwrap_or(written);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain {
        return written
            .parse()
            .map(Number::Integer)
            .map_err(|_| format!("`{written}` does not fit into 64 bits; write it with a point"));
    }
    let starts_well = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match written.parse::<f64>() {
        Ok(double) if starts_well && double.is_finite() => Ok(Number::Double(double)),
        Ok(_) if starts_well => Err(format!("`{written}` is too large for a number")),
        _ => Err(format!("`{written}` is not a number")),
    }
}

/// Names an unknown word, with the known one that is nearest to it, or all when none is near.
fn unknown_variable(word: &str) -> String {
    let others = ["Fields", "TRUE", "FALSE", "NIL", "IN"];
    let known = Header::ALL.iter().map(|(name, _)| *name).chain(others);
    let lower = word.to_ascii_lowercase();
    let nearest = known
        .map(|name| (strsim::osa_distance(&lower, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min_by_key(|(distance, _)| *distance);
    let shown: String = word.chars().take(40).collect();
    match nearest {
        Some((_, name)) => format!("unknown variable `{shown}`; did you mean `{name}`?"),
        None => format!(
            "unknown variable `{shown}`; known: Uuid, Type, Logger, Payload, EnvVersion, Hostname, \
             Timestamp, Severity, Pid, Fields[name]"
        ),
    }
}
