//! Makes conditions of parsed tests: checks that variable, operator and value fit, and converts the values.

use super::ast::{Expression, Header, Literal, Number, Predicate, Relation, Spanned, Test, Variable};
use super::bytes_test::BytesTest;
use super::condition::{Condition, IntegerHeader, IntegerTest, TextHeader};
use super::error::MatcherError;
use super::field_test::{FieldTest, ValueList, ValueTest};
use super::key_table::KeyTable;
use super::node::Node;
use super::number::{Comparison, IntegerRange, NumberList};
use super::pattern;
use super::uuid_test::{self, UuidTest};
use std::sync::Arc;

/// Most regexes in one matcher: bounds the memory that their automata take.
const REGEXES_MAX: usize = 100;

/// Resolves the expression that `text` was parsed to.
pub(super) fn resolve(text: &str, expression: &Expression) -> Result<Node, MatcherError> {
    Resolver { text, regexes: 0 }.expression(expression)
}

struct Resolver<'t> {
    text: &'t str,
    regexes: usize,
}

/// A test that is made, and whether its outcome is to be negated.
type Made<T> = Result<(T, bool), MatcherError>;

impl Resolver<'_> {
    fn expression(&mut self, expression: &Expression) -> Result<Node, MatcherError> {
        Ok(match expression {
            Expression::Constant(constant) => Node::Constant(*constant),
            Expression::Not(inner) => Node::not(self.expression(inner)?),
            Expression::All(parts) => Node::all(self.expressions(parts)?),
            Expression::Any(parts) => Node::any(self.expressions(parts)?),
            Expression::Test(test) => self.test(test)?,
        })
    }

    fn expressions(&mut self, parts: &[Expression]) -> Result<Vec<Node>, MatcherError> {
        parts.iter().map(|part| self.expression(part)).collect()
    }

    fn test(&mut self, test: &Test) -> Result<Node, MatcherError> {
        let header = match &test.variable.value {
            Variable::Header(header) => *header,
            Variable::Field(path) => {
                let (value_test, negated) = self.value_test(&test.predicate)?;
                return Ok(Node::Condition(Condition::Field(FieldTest::new(
                    path.clone(),
                    value_test,
                    negated,
                ))));
            }
        };
        let (condition, negated) = match header {
            Header::Uuid => self.uuid_test(test)?,
            Header::Type => self.text_test(TextHeader::Type, test)?,
            Header::Logger => self.text_test(TextHeader::Logger, test)?,
            Header::Payload => self.text_test(TextHeader::Payload, test)?,
            Header::EnvVersion => self.text_test(TextHeader::EnvVersion, test)?,
            Header::Hostname => self.text_test(TextHeader::Hostname, test)?,
            Header::Timestamp => self.integer_test(IntegerHeader::Timestamp, test)?,
            Header::Severity => self.integer_test(IntegerHeader::Severity, test)?,
            Header::Pid => self.integer_test(IntegerHeader::Pid, test)?,
        };
        let node = Node::Condition(condition);
        Ok(if negated { Node::not(node) } else { node })
    }

    fn text_test(&mut self, header: TextHeader, test: &Test) -> Made<Condition> {
        let (bytes_test, negated) = match &test.predicate {
            Predicate::Compare(relation, literal) => {
                let (comparison, negated) = self.comparison(*relation, literal)?;
                let text = if literal.value == Literal::Nil { "" } else { self.text_of(test, literal)? };
                (BytesTest::compare(comparison, text.as_bytes()), negated)
            }
            Predicate::OneOf(literals) => {
                let texts: Result<Vec<&str>, _> =
                    literals.iter().map(|value| self.text_of(test, value)).collect();
                (BytesTest::OneOf(Arc::new(KeyTable::new(&texts?))), false)
            }
            Predicate::Search { regex, negated } => (self.regex(regex)?, *negated),
        };
        Ok((Condition::Text(header, bytes_test), negated))
    }

    fn integer_test(&mut self, header: IntegerHeader, test: &Test) -> Made<Condition> {
        let (integer_test, negated) = match &test.predicate {
            Predicate::Compare(relation, literal) => {
                let (comparison, negated) = self.comparison(*relation, literal)?;
                let number = match literal.value {
                    Literal::Nil if header != IntegerHeader::Severity => Number::Integer(0),
                    _ => self.number_of(header, test, literal)?,
                };
                (IntegerTest::Range(IntegerRange::new(comparison, number)), negated)
            }
            Predicate::OneOf(literals) => {
                let numbers = literals.iter().map(|value| self.number_of(header, test, value));
                (IntegerTest::OneOf(NumberList::new(numbers.collect::<Result<Vec<_>, _>>()?)), false)
            }
            Predicate::Search { regex, .. } => {
                let name = self.name(test);
                let reason = format!("`{name}` is a number; a regex matches text");
                return Err(MatcherError::new(self.text, regex.span.start - 1, reason));
            }
        };
        Ok((Condition::Integer(header, integer_test), negated))
    }

    fn uuid_test(&mut self, test: &Test) -> Made<Condition> {
        let (uuid_test, negated) = match &test.predicate {
            Predicate::Compare(relation, literal) => {
                let (comparison, negated) = self.comparison(*relation, literal)?;
                let uuid_test = match (comparison, &literal.value) {
                    (_, Literal::Nil) => UuidTest::Equal([0; 16]),
                    (Comparison::Equal, _) => UuidTest::Equal(self.uuid_of(test, literal)?),
                    _ => {
                        let text = self.text_of(test, literal)?.to_ascii_lowercase();
                        UuidTest::Text(BytesTest::compare(comparison, text.into_bytes()))
                    }
                };
                (uuid_test, negated)
            }
            Predicate::OneOf(literals) => {
                let uuids: Result<Vec<_>, _> =
                    literals.iter().map(|value| self.uuid_of(test, value)).collect();
                let mut uuids = uuids?;
                uuids.sort_unstable();
                (UuidTest::OneOf(uuids.into()), false)
            }
            Predicate::Search { regex, negated } => (UuidTest::Text(self.regex(regex)?), *negated),
        };
        Ok((Condition::Uuid(uuid_test), negated))
    }

    fn value_test(&mut self, predicate: &Predicate) -> Made<ValueTest> {
        Ok(match predicate {
            Predicate::Compare(relation, literal) => {
                let (comparison, negated) = self.comparison(*relation, literal)?;
                let value_test = match &literal.value {
                    Literal::Nil => ValueTest::Missing,
                    Literal::Boolean(value) => ValueTest::Boolean(*value),
                    Literal::Number(number) => ValueTest::number(comparison, *number),
                    Literal::Text(text) => ValueTest::Bytes(BytesTest::compare(comparison, text.as_bytes())),
                };
                (value_test, negated)
            }
            Predicate::OneOf(literals) => (ValueTest::OneOf(Box::new(self.value_list(literals)?)), false),
            Predicate::Search { regex, negated } => (ValueTest::Bytes(self.regex(regex)?), *negated),
        })
    }

    fn value_list(&self, literals: &[Spanned<Literal>]) -> Result<ValueList, MatcherError> {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for literal in literals {
            match &literal.value {
                Literal::Text(text) => texts.push(text),
                Literal::Number(number) => numbers.push(*number),
                Literal::Boolean(_) | Literal::Nil => {
                    return Err(self.error(literal, "a list holds texts and numbers only"));
                }
            }
        }
        let texts = (!texts.is_empty()).then(|| KeyTable::new(&texts));
        Ok(ValueList { texts, numbers: NumberList::new(numbers) })
    }

    fn comparison(&self, relation: Relation, literal: &Spanned<Literal>) -> Made<Comparison> {
        let (comparison, negated) = Comparison::from_relation(relation);
        let ordered = matches!(literal.value, Literal::Text(_) | Literal::Number(_));
        if comparison != Comparison::Equal && !ordered {
            return Err(self.error(literal, "NIL, TRUE and FALSE compare by `==` and `!=` only"));
        }
        Ok((comparison, negated))
    }

    fn text_of<'l>(&self, test: &Test, literal: &'l Spanned<Literal>) -> Result<&'l str, MatcherError> {
        match &literal.value {
            Literal::Text(text) => Ok(text),
            _ => Err(self.error(literal, format!("`{}` is text; put the value in quotes", self.name(test)))),
        }
    }

    fn number_of(
        &self,
        header: IntegerHeader,
        test: &Test,
        literal: &Spanned<Literal>,
    ) -> Result<Number, MatcherError> {
        match &literal.value {
            Literal::Number(number) => Ok(*number),
            Literal::Text(text) if header == IntegerHeader::Timestamp => {
                timestamp(text).map(Number::Integer).map_err(|reason| self.error(literal, reason))
            }
            Literal::Nil => Err(self.error(literal, format!("`{}` always has a value", self.name(test)))),
            _ => {
                Err(self
                    .error(literal, format!("`{}` is a number; write it without quotes", self.name(test))))
            }
        }
    }

    fn uuid_of(&self, test: &Test, literal: &Spanned<Literal>) -> Result<[u8; 16], MatcherError> {
        let text = self.text_of(test, literal)?;
        let reason = "not a UUID; write it as \"87cf1ac2-e810-4ddf-a02d-a5ce44d13a85\"";
        uuid_test::parse(text).ok_or_else(|| self.error(literal, reason))
    }

    fn regex(&mut self, regex: &Spanned<String>) -> Result<BytesTest, MatcherError> {
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            let reason = format!("more than {REGEXES_MAX} regexes in one matcher");
            return Err(MatcherError::new(self.text, regex.span.start, reason));
        }
        pattern::compile(self.text, regex)
    }

    fn name(&self, test: &Test) -> &str {
        &self.text[test.variable.span.start..test.variable.span.end]
    }

    fn error(&self, literal: &Spanned<Literal>, reason: impl Into<String>) -> MatcherError {
        MatcherError::new(self.text, literal.span.start, reason)
    }
}

/// Parses an RFC 3339 date and time into nanoseconds since the epoch.
fn timestamp(text: &str) -> Result<i64, &'static str> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| "not a date and time; write it as \"2026-01-31T08:30:00Z\"")?;
    i64::try_from(time.as_nanosecond()).map_err(|_| "a date outside the years 1678 to 2261")
}
