//! Parses a matcher's text by recursive descent.

use super::ast::{Expression, Literal, Predicate, Relation, Span, Spanned, Test, Variable};
use super::error::MatcherError;
use super::lexer::{Lexer, Token, TokenKind};

/// Longest text, in bytes: far more than anyone writes, little enough to compile at once.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Deepest nesting of parentheses: bounds the stack that parsing and compiling take.
pub(super) const DEPTH_MAX: usize = 200;

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Expression, MatcherError> {
    if text.len() > TEXT_BYTES_MAX {
        let reason = format!("a matcher of {} bytes; {TEXT_BYTES_MAX} are the most", text.len());
        return Err(MatcherError::new(text, 0, reason));
    }
    let mut lexer = Lexer::new(text);
    let next = lexer.token()?;
    let mut parser = Parser { text, lexer, next, depth: 0 };
    let expression = parser.any()?;
    match parser.next.kind {
        TokenKind::End => Ok(expression),
        TokenKind::Close => Err(parser.error("`)` without its opening `(`")),
        _ => Err(parser.error(format!("expected `&&`, `||` or the end, found {}", parser.found()))),
    }
}

struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    next: Token<'t>,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn advance(&mut self) -> Result<Token<'t>, MatcherError> {
        let following = self.lexer.token()?;
        Ok(std::mem::replace(&mut self.next, following))
    }

    fn error(&self, message: impl Into<String>) -> MatcherError {
        MatcherError::new(self.text, self.next.span.start, message)
    }

    /// Names the next token for an error.
    fn found(&self) -> String {
        let Span { start, end } = self.next.span;
        let written: String = self.text[start..end].chars().take(40).collect();
        match self.next.kind {
            TokenKind::End => "the end".to_owned(),
            _ => format!("`{}`", written.escape_debug()),
        }
    }

    fn any(&mut self) -> Result<Expression, MatcherError> {
        let mut parts = vec![self.all()?];
        while matches!(self.next.kind, TokenKind::Or) {
            self.advance()?;
            parts.push(self.all()?);
        }
        Ok(single_or(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, MatcherError> {
        let mut parts = vec![self.unary()?];
        while matches!(self.next.kind, TokenKind::And) {
            self.advance()?;
            parts.push(self.unary()?);
        }
        Ok(single_or(parts, Expression::All))
    }

    fn unary(&mut self) -> Result<Expression, MatcherError> {
        let mut negated = false;
        while matches!(self.next.kind, TokenKind::Not) {
            self.advance()?;
            negated = !negated;
        }
        let operand = self.operand()?;
        Ok(if negated { Expression::Not(Box::new(operand)) } else { operand })
    }

    fn operand(&mut self) -> Result<Expression, MatcherError> {
        match self.next.kind {
            TokenKind::Open => self.parenthesized(),
            TokenKind::True | TokenKind::False => {
                let token = self.advance()?;
                Ok(Expression::Constant(matches!(token.kind, TokenKind::True)))
            }
            TokenKind::Header(header) => self.test(Variable::Header(header)),
            TokenKind::Field(ref path) => {
                let path = path.clone();
                self.test(Variable::Field(path))
            }
            TokenKind::End if self.text.trim().is_empty() => {
                Err(self.error("an empty matcher; write TRUE to take every message"))
            }
            _ => Err(self.error(format!("expected a test, such as `Severity <= 3`, found {}", self.found()))),
        }
    }

    fn parenthesized(&mut self) -> Result<Expression, MatcherError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(format!("parentheses nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let open = self.advance()?.span.start;
        let inner = self.any()?;
        self.depth -= 1;
        match self.next.kind {
            TokenKind::Close => self.advance().map(|_| inner),
            TokenKind::End => Err(MatcherError::new(self.text, open, "`(` without its closing `)`")),
            _ => Err(self.error(format!("expected `&&`, `||` or `)`, found {}", self.found()))),
        }
    }

    fn test(&mut self, variable: Variable) -> Result<Expression, MatcherError> {
        let span = self.advance()?.span;
        let predicate = match self.next.kind {
            TokenKind::Relation(relation) => self.compare(relation)?,
            TokenKind::Search { negated } => self.search(negated)?,
            TokenKind::In => self.one_of()?,
            _ => {
                let reason = "expected `==`, `!=`, `<`, `<=`, `>`, `>=`, `=~`, `!~` or `IN`, found";
                return Err(self.error(format!("{reason} {}", self.found())));
            }
        };
        Ok(Expression::Test(Test { variable: Spanned { value: variable, span }, predicate }))
    }

    fn compare(&mut self, relation: Relation) -> Result<Predicate, MatcherError> {
        self.advance()?;
        if matches!(self.next.kind, TokenKind::Regex(_)) {
            return Err(self.error("a regex goes with `=~` or `!~`"));
        }
        Ok(Predicate::Compare(relation, self.literal()?))
    }

    fn search(&mut self, negated: bool) -> Result<Predicate, MatcherError> {
        self.advance()?;
        let TokenKind::Regex(pattern) = self.next.kind else {
            return Err(self.error(format!("expected a regex, such as `/text/`, found {}", self.found())));
        };
        let Span { start, end } = self.advance()?.span;
        let span = Span { start: start + 1, end: end - 1 };
        Ok(Predicate::Search { regex: Spanned { value: pattern.to_owned(), span }, negated })
    }

    fn one_of(&mut self) -> Result<Predicate, MatcherError> {
        self.advance()?;
        if !matches!(self.next.kind, TokenKind::Open) {
            return Err(self.error(format!("expected `(` and a list of values, found {}", self.found())));
        }
        let mut values = Vec::new();
        loop {
            // The opening parenthesis or a comma.
            self.advance()?;
            values.push(self.literal()?);
            match self.next.kind {
                TokenKind::Comma => {}
                TokenKind::Close => break,
                _ => return Err(self.error(format!("expected `,` or `)`, found {}", self.found()))),
            }
        }
        self.advance()?;
        Ok(Predicate::OneOf(values))
    }

    fn literal(&mut self) -> Result<Spanned<Literal>, MatcherError> {
        let value = match self.next.kind {
            TokenKind::Text(ref text) => Literal::Text(text.clone()),
            TokenKind::Number(number) => Literal::Number(number),
            TokenKind::True => Literal::Boolean(true),
            TokenKind::False => Literal::Boolean(false),
            TokenKind::Nil => Literal::Nil,
            _ => return Err(self.error(format!("expected a text or a number, found {}", self.found()))),
        };
        let span = self.advance()?.span;
        Ok(Spanned { value, span })
    }
}

/// Returns the only part as it is, several as `combine` of them.
fn single_or(mut parts: Vec<Expression>, combine: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            combine(parts)
        }
        None => combine(parts),
    }
}
