//! Tests of a field's value.

use super::ast::{FieldPath, Number};
use super::bytes_test::{BytesTest, same_bytes};
use super::key_table::KeyTable;
use super::number::{Comparison, IntegerRange, NumberList};
use heka_plugin_api::{Field, Message, Value};

/// A test of one value of one field.
#[derive(Debug, Clone)]
pub(super) struct FieldTest {
    path: FieldPath,
    test: ValueTest,
    negated: bool,
}

/// What is asked of a value that is there.
#[derive(Debug, Clone)]
pub(super) enum ValueTest {
    Missing,
    Boolean(bool),
    Number(NumberTest),
    Bytes(BytesTest),
    OneOf(Box<ValueList>),
}

/// Compares numbers of either kind with one.
#[derive(Debug, Clone)]
pub(super) struct NumberTest {
    integers: IntegerRange,
    comparison: Comparison,
    number: Number,
}

/// Values of several types; those of one type are asked of values of that type only.
#[derive(Debug, Clone)]
pub(super) struct ValueList {
    pub(super) texts: Option<KeyTable>,
    pub(super) numbers: NumberList,
}

impl FieldTest {
    /// Makes a test; `negated` turns its outcome around where the field is there and of the test's type.
    pub(super) fn new(path: FieldPath, test: ValueTest, negated: bool) -> FieldTest {
        FieldTest { path, test, negated }
    }

    #[inline]
    pub(super) fn holds(&self, message: &Message<'_>) -> bool {
        let value = self.path.find(message).and_then(|field| field.value(self.path.array_index));
        match self.test.outcome(value) {
            Some(outcome) => outcome != self.negated,
            None => false,
        }
    }

    pub(super) fn cost(&self) -> u32 {
        match &self.test {
            ValueTest::Bytes(test) => 1 + test.cost(),
            _ => 1,
        }
    }
}

impl FieldPath {
    #[inline]
    fn find<'m>(&self, message: &Message<'m>) -> Option<Field<'m>> {
        let mut left = self.field_index;
        for field in message.fields() {
            if same_bytes(field.name(), &self.name) {
                if left == 0 {
                    return Some(field);
                }
                left -= 1;
            }
        }
        None
    }
}

impl ValueTest {
    pub(super) fn number(comparison: Comparison, number: Number) -> ValueTest {
        let integers = IntegerRange::new(comparison, number);
        ValueTest::Number(NumberTest { integers, comparison, number: number.normalized() })
    }

    /// Returns `None` where the value is missing or its type is not the test's.
    #[inline]
    fn outcome(&self, value: Option<Value<'_>>) -> Option<bool> {
        match (self, value) {
            (ValueTest::Missing, value) => Some(value.is_none()),
            (ValueTest::Number(test), Some(Value::Integer(value))) => Some(test.integers.contains(value)),
            (ValueTest::Number(test), Some(Value::Double(value))) => Some(test.holds(value)),
            (ValueTest::Bytes(test), Some(Value::String(value) | Value::Bytes(value))) => {
                Some(test.holds(value))
            }
            (ValueTest::Boolean(expected), Some(Value::Bool(value))) => Some(value == *expected),
            (ValueTest::OneOf(list), Some(value)) => list.outcome(value),
            _ => None,
        }
    }
}

impl NumberTest {
    #[inline(never)]
    fn holds(&self, value: f64) -> bool {
        self.number.ordering_of(value).is_some_and(|ordering| self.comparison.accepts(ordering))
    }
}

impl ValueList {
    #[inline(never)]
    fn outcome(&self, value: Value<'_>) -> Option<bool> {
        match value {
            Value::String(value) | Value::Bytes(value) => {
                self.texts.as_ref().map(|texts| texts.find(value).is_some())
            }
            Value::Integer(value) => Some(self.numbers.contains(value)),
            Value::Double(value) => Some(self.numbers.contains_double(value)),
            Value::Bool(_) => None,
        }
    }
}
