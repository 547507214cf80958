//! What the parser makes of a matcher's text: the grammar's shape, with the places in the text.

/// A piece of the matcher's text: byte offsets of its first byte and of the one after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A value with the place that it was written at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// A boolean expression. `All` and `Any` hold two or more parts.
///
/// Chains of `&&` or `||` are flat, so the depth of the tree is bounded by that of the parentheses.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Constant(bool),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Test(Test),
}

/// One test of one variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    pub(super) variable: Spanned<Variable>,
    pub(super) predicate: Predicate,
}

/// What a test reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Variable {
    Header(Header),
    Field(FieldPath),
}

/// A field's name, which of the fields of that name, and which of its values; both from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPath {
    pub(super) name: Box<[u8]>,
    pub(super) field_index: usize,
    pub(super) array_index: usize,
}

/// A header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Uuid,
    Type,
    Logger,
    Payload,
    EnvVersion,
    Hostname,
    Timestamp,
    Severity,
    Pid,
}

impl Header {
    pub(super) const ALL: [(&'static str, Header); 9] = [
        ("Uuid", Header::Uuid),
        ("Type", Header::Type),
        ("Logger", Header::Logger),
        ("Payload", Header::Payload),
        ("EnvVersion", Header::EnvVersion),
        ("Hostname", Header::Hostname),
        ("Timestamp", Header::Timestamp),
        ("Severity", Header::Severity),
        ("Pid", Header::Pid),
    ];

    pub(super) fn from_name(name: &str) -> Option<Header> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, header)| *header)
    }
}

/// What a test asks of its variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicate {
    /// `relation value`
    Compare(Relation, Spanned<Literal>),
    /// `IN (value, …)`, at least one.
    OneOf(Vec<Spanned<Literal>>),
    /// `=~ /regex/` or `!~ /regex/`; the span is that of the text between the slashes.
    Search { regex: Spanned<String>, negated: bool },
}

/// A relation between a variable and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// What a variable is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(Number),
    Boolean(bool),
    Nil,
}

/// A number as it was written: an integer when it has neither point nor exponent. Doubles are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Double(f64),
}
