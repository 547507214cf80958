//! One test of a message, ready to run.

use super::bytes_test::BytesTest;
use super::field_test::FieldTest;
use super::number::{IntegerRange, NumberList};
use super::uuid_test::UuidTest;
use heka_plugin_api::Message;

/// A test, specialised by its variable, its operator and its literal's type.
///
/// `repr(u8)` gives it a tag of its own, so that running it is one jump through a table.
#[derive(Debug, Clone)]
#[repr(u8)]
pub(super) enum Condition {
    Text(TextHeader, BytesTest),
    Integer(IntegerHeader, IntegerTest),
    Uuid(UuidTest),
    Field(FieldTest),
}

/// A header field that is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextHeader {
    Type,
    Logger,
    Payload,
    EnvVersion,
    Hostname,
}

/// A header field that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntegerHeader {
    Timestamp,
    Severity,
    Pid,
}

/// What is asked of an integer.
#[derive(Debug, Clone)]
pub(super) enum IntegerTest {
    Range(IntegerRange),
    OneOf(NumberList),
}

impl Condition {
    #[inline]
    pub(super) fn holds(&self, message: &Message<'_>) -> bool {
        match self {
            Condition::Text(header, test) => test.holds(header.read(message)),
            Condition::Integer(header, IntegerTest::Range(range)) => range.contains(header.read(message)),
            Condition::Integer(header, IntegerTest::OneOf(list)) => list.contains(header.read(message)),
            Condition::Uuid(test) => test.holds(&message.uuid()),
            Condition::Field(test) => test.holds(message),
        }
    }

    /// Tells how a message of this type fares; `None` where the test is not about the type.
    pub(super) fn outcome_for_type(&self, message_type: &[u8]) -> Option<bool> {
        match self {
            Condition::Text(TextHeader::Type, test) => Some(test.holds(message_type)),
            _ => None,
        }
    }

    /// Returns the only types that pass, where the test names them.
    pub(super) fn types(&self) -> Option<Vec<Box<[u8]>>> {
        match self {
            Condition::Text(TextHeader::Type, BytesTest::Equal(literal)) => Some(vec![literal.clone()]),
            Condition::Text(TextHeader::Type, BytesTest::OneOf(table)) => {
                Some(table.keys().map(Box::from).collect())
            }
            _ => None,
        }
    }

    /// Tells how dear the test is, relative to others: headers, then fields, then searches.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Condition::Integer(..) => 0,
            Condition::Text(_, test) => 1 + 4 * test.cost(),
            Condition::Uuid(UuidTest::Text(test)) => 2 + 4 * test.cost(),
            Condition::Uuid(_) => 1,
            Condition::Field(test) => 1 + 4 * test.cost(),
        }
    }
}

impl TextHeader {
    #[inline]
    fn read<'m>(self, message: &Message<'m>) -> &'m [u8] {
        match self {
            TextHeader::Type => message.message_type(),
            TextHeader::Logger => message.logger(),
            TextHeader::Payload => message.payload(),
            TextHeader::EnvVersion => message.env_version(),
            TextHeader::Hostname => message.hostname(),
        }
    }
}

impl IntegerHeader {
    #[inline]
    fn read(self, message: &Message<'_>) -> i64 {
        match self {
            IntegerHeader::Timestamp => message.timestamp(),
            IntegerHeader::Severity => message.severity().into(),
            IntegerHeader::Pid => message.pid().into(),
        }
    }
}
