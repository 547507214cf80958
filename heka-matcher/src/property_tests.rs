//! Random matchers against random messages, decided a second time by an evaluator that is only simple.

use super::ast::{
    Expression, FieldPath, Header, Literal, Number, Predicate, Relation, Span, Spanned, Test, Variable,
};
use super::{Matcher, MatcherSet, parser};
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;
use std::cmp::Ordering;

#[derive(Debug, Clone)]
struct Model {
    /// Type, logger, payload, env_version, hostname.
    texts: [String; 5],
    uuid: [u8; 16],
    timestamp: i64,
    severity: i32,
    pid: i32,
    fields: Vec<(String, ModelValues)>,
}

#[derive(Debug, Clone)]
enum ModelValues {
    Texts(Vec<String>),
    Bytes(Vec<String>),
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Booleans(Vec<bool>),
}

#[derive(Debug, Clone, PartialEq)]
enum ModelValue {
    Text(String),
    Integer(i64),
    Double(f64),
    Boolean(bool),
}

impl Model {
    fn message(&self) -> OwnedMessage {
        let [message_type, logger, payload, env_version, hostname] = &self.texts;
        OwnedMessage::build(|builder| {
            builder.uuid(self.uuid).timestamp(self.timestamp).severity(self.severity).pid(self.pid);
            builder.message_type(message_type).logger(logger).payload(payload);
            builder.env_version(env_version).hostname(hostname);
            for (name, values) in &self.fields {
                let values: Vec<Value<'_>> = match values {
                    ModelValues::Texts(texts) => {
                        texts.iter().map(|text| Value::String(text.as_bytes())).collect()
                    }
                    ModelValues::Bytes(texts) => {
                        texts.iter().map(|text| Value::Bytes(text.as_bytes())).collect()
                    }
                    ModelValues::Integers(integers) => integers.iter().copied().map(Value::Integer).collect(),
                    ModelValues::Doubles(doubles) => doubles.iter().copied().map(Value::Double).collect(),
                    ModelValues::Booleans(booleans) => booleans.iter().copied().map(Value::Bool).collect(),
                };
                builder.field_values(name, "", values);
            }
        })
        .unwrap()
    }

    fn uuid_text(&self) -> String {
        let hex: String = self.uuid.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.uuid == [0; 16] {
            return String::new();
        }
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    fn read(&self, variable: &Variable) -> Option<ModelValue> {
        let text = |at: usize| ModelValue::Text(self.texts[at].clone());
        Some(match variable {
            Variable::Header(Header::Uuid) => ModelValue::Text(self.uuid_text()),
            Variable::Header(Header::Type) => text(0),
            Variable::Header(Header::Logger) => text(1),
            Variable::Header(Header::Payload) => text(2),
            Variable::Header(Header::EnvVersion) => text(3),
            Variable::Header(Header::Hostname) => text(4),
            Variable::Header(Header::Timestamp) => ModelValue::Integer(self.timestamp),
            Variable::Header(Header::Severity) => ModelValue::Integer(self.severity.into()),
            Variable::Header(Header::Pid) => ModelValue::Integer(self.pid.into()),
            Variable::Field(path) => {
                let named = self.fields.iter().filter(|(name, _)| name.as_bytes() == &*path.name);
                let (_, values) = named.clone().nth(path.field_index)?;
                let at = path.array_index;
                match values {
                    ModelValues::Texts(texts) | ModelValues::Bytes(texts) => {
                        ModelValue::Text(texts.get(at)?.clone())
                    }
                    ModelValues::Integers(integers) => ModelValue::Integer(*integers.get(at)?),
                    ModelValues::Doubles(doubles) => ModelValue::Double(*doubles.get(at)?),
                    ModelValues::Booleans(booleans) => ModelValue::Boolean(*booleans.get(at)?),
                }
            }
        })
    }

    fn accepts(&self, expression: &Expression) -> bool {
        match expression {
            Expression::Constant(constant) => *constant,
            Expression::Not(inner) => !self.accepts(inner),
            Expression::All(parts) => parts.iter().all(|part| self.accepts(part)),
            Expression::Any(parts) => parts.iter().any(|part| self.accepts(part)),
            Expression::Test(test) => self.passes(test),
        }
    }

    fn passes(&self, test: &Test) -> bool {
        let value = self.read(&test.variable.value);
        let header = matches!(test.variable.value, Variable::Header(_));
        let is_uuid = test.variable.value == Variable::Header(Header::Uuid);
        match &test.predicate {
            Predicate::Compare(relation, Spanned { value: Literal::Nil, .. }) => {
                let empty = match &value {
                    None => true,
                    Some(ModelValue::Text(text)) => header && text.is_empty(),
                    Some(ModelValue::Integer(integer)) => header && *integer == 0,
                    Some(_) => false,
                };
                empty == (*relation == Relation::Equal)
            }
            Predicate::Compare(relation, literal) => {
                let Some(value) = value else { return false };
                compare(&value, *relation, &literal.value, is_uuid)
            }
            Predicate::OneOf(literals) => value.is_some_and(|value| {
                literals.iter().any(|literal| compare(&value, Relation::Equal, &literal.value, is_uuid))
            }),
            Predicate::Search { regex, negated } => match value {
                Some(ModelValue::Text(text)) => {
                    regex::bytes::Regex::new(&regex.value).unwrap().is_match(text.as_bytes()) != *negated
                }
                _ => false,
            },
        }
    }
}

fn compare(value: &ModelValue, relation: Relation, literal: &Literal, is_uuid: bool) -> bool {
    let ordering = match (value, literal) {
        (ModelValue::Text(value), Literal::Text(literal)) if is_uuid => {
            Some(value.as_str().cmp(&literal.to_lowercase()))
        }
        (ModelValue::Text(value), Literal::Text(literal)) => Some(value.cmp(literal)),
        (ModelValue::Integer(value), Literal::Number(Number::Integer(literal))) => Some(value.cmp(literal)),
        (ModelValue::Integer(value), Literal::Number(Number::Double(literal))) => quarters(*value, *literal),
        (ModelValue::Double(value), Literal::Number(Number::Integer(literal))) => {
            quarters(*literal, *value).map(Ordering::reverse)
        }
        (ModelValue::Double(value), Literal::Number(Number::Double(literal))) => value.partial_cmp(literal),
        (ModelValue::Boolean(value), Literal::Boolean(literal)) => Some(value.cmp(literal)),
        _ => return false,
    };
    match relation {
        Relation::Equal => ordering == Some(Ordering::Equal),
        Relation::NotEqual => ordering != Some(Ordering::Equal),
        Relation::Less => ordering == Some(Ordering::Less),
        Relation::LessEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Relation::Greater => ordering == Some(Ordering::Greater),
        Relation::GreaterEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Compares exactly, in quarters: the doubles made here have no smaller fraction.
fn quarters(integer: i64, double: f64) -> Option<Ordering> {
    (!double.is_nan()).then(|| (i128::from(integer) * 4).cmp(&((double * 4.0) as i128)))
}

fn print(expression: &Expression) -> String {
    let grouped = |part: &Expression| match part {
        Expression::Test(_) | Expression::Constant(_) => print(part),
        _ => format!("({})", print(part)),
    };
    let joined = |parts: &[Expression], sign: &str| parts.iter().map(grouped).collect::<Vec<_>>().join(sign);
    match expression {
        Expression::Constant(constant) => constant.to_string().to_uppercase(),
        Expression::Not(inner) => format!("!{}", grouped(inner)),
        Expression::All(parts) => joined(parts, " && "),
        Expression::Any(parts) => joined(parts, " || "),
        Expression::Test(test) => print_test(test),
    }
}

fn print_test(test: &Test) -> String {
    let variable = match &test.variable.value {
        Variable::Header(header) => format!("{header:?}"),
        Variable::Field(FieldPath { name, field_index, array_index }) => {
            format!("Fields[{}][{field_index}][{array_index}]", String::from_utf8_lossy(name))
        }
    };
    match &test.predicate {
        Predicate::Compare(relation, literal) => {
            let sign = match relation {
                Relation::Equal => "==",
                Relation::NotEqual => "!=",
                Relation::Less => "<",
                Relation::LessEqual => "<=",
                Relation::Greater => ">",
                Relation::GreaterEqual => ">=",
            };
            format!("{variable} {sign} {}", print_literal(&literal.value))
        }
        Predicate::OneOf(literals) => {
            let literals: Vec<String> =
                literals.iter().map(|literal| print_literal(&literal.value)).collect();
            format!("{variable} IN ({})", literals.join(", "))
        }
        Predicate::Search { regex, negated } => {
            format!("{variable} {} /{}/", if *negated { "!~" } else { "=~" }, regex.value)
        }
    }
}

fn print_literal(literal: &Literal) -> String {
    match literal {
        Literal::Text(text) => format!("\"{}\"", text.replace('"', "\\\"")),
        Literal::Number(Number::Integer(integer)) => integer.to_string(),
        Literal::Number(Number::Double(double)) => format!("{double:?}"),
        Literal::Boolean(boolean) => boolean.to_string().to_uppercase(),
        Literal::Nil => "NIL".to_owned(),
    }
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned { value, span: Span { start: 0, end: 0 } }
}

/// Few different texts, so that they are often equal.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,2}", "[ab\\\\\"'ü\n]{0,12}b", Just("web.access".to_owned())]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        -3..4_i64,
        prop::sample::select(vec![i64::MIN, i64::MAX, i64::MAX - 1, 1 << 53, (1 << 53) + 1])
    ]
}

fn double() -> impl Strategy<Value = f64> {
    let two_to_63 = 9_223_372_036_854_775_808.0;
    let special = vec![0.25, -0.0, 9_007_199_254_740_992.0, two_to_63, -two_to_63, 1e300, -1e300, 2e19];
    prop_oneof![(-8..9_i32).prop_map(|quarters| f64::from(quarters) / 4.0), prop::sample::select(special)]
}

fn uuid() -> impl Strategy<Value = [u8; 16]> {
    prop::sample::select(vec![[0; 16], [1; 16], [0xab; 16]])
}

fn values() -> impl Strategy<Value = ModelValues> {
    let any_double = prop_oneof![8 => double(), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    prop_oneof![
        prop::collection::vec(text(), 1..3).prop_map(ModelValues::Texts),
        prop::collection::vec(text(), 1..3).prop_map(ModelValues::Bytes),
        prop::collection::vec(integer(), 1..3).prop_map(ModelValues::Integers),
        prop::collection::vec(any_double, 1..3).prop_map(ModelValues::Doubles),
        prop::collection::vec(any::<bool>(), 1..3).prop_map(ModelValues::Booleans),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let texts = [text(), text(), text(), text(), text()];
    let fields = prop::collection::vec(("[xy]", values()), 0..5);
    (texts, uuid(), integer(), 0..8_i32, -2..3_i32, fields).prop_map(
        |(texts, uuid, timestamp, severity, pid, fields)| Model {
            texts,
            uuid,
            timestamp,
            severity,
            pid,
            fields,
        },
    )
}

fn relation() -> impl Strategy<Value = Relation> {
    use Relation::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    prop::sample::select(vec![Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual])
}

fn equality() -> impl Strategy<Value = Relation> {
    prop::sample::select(vec![Relation::Equal, Relation::NotEqual])
}

fn literals(literal: impl Strategy<Value = Literal> + Clone + 'static) -> BoxedStrategy<Predicate> {
    prop_oneof![
        3 => (relation(), literal.clone()).prop_map(|(relation, literal)| Predicate::Compare(relation, spanned(literal))),
        1 => prop::collection::vec(literal.prop_map(spanned), 1..5).prop_map(Predicate::OneOf),
    ]
    .boxed()
}

fn search() -> impl Strategy<Value = Predicate> {
    let patterns = ["a", "^a", "b$", "^ab$", ".*a", "(a|b)+", "^$", "", "[^a]", "(?i)A", "a.b", "\\/", "ü"];
    (prop::sample::select(patterns.to_vec()), any::<bool>())
        .prop_map(|(regex, negated)| Predicate::Search { regex: spanned(regex.to_owned()), negated })
}

fn constant_comparison(literals: Vec<Literal>) -> impl Strategy<Value = Predicate> {
    (equality(), prop::sample::select(literals))
        .prop_map(|(relation, literal)| Predicate::Compare(relation, spanned(literal)))
}

fn test() -> impl Strategy<Value = Expression> {
    let texts = || text().prop_map(Literal::Text).boxed();
    let numbers = || {
        prop_oneof![integer().prop_map(Number::Integer), double().prop_map(Number::Double)]
            .prop_map(Literal::Number)
            .boxed()
    };
    let uuids = uuid().prop_map(|uuid| {
        let text = super::uuid_test::canonical(&uuid);
        Literal::Text(String::from_utf8_lossy(&text).to_uppercase())
    });
    // The canonical text of the nil UUID is only good for equality: it compares as the empty text.
    let uuids = uuids.prop_map(|literal| match literal {
        Literal::Text(text) if text.starts_with("0000") => Literal::Text(String::new()),
        literal => literal,
    });
    let nil = || constant_comparison(vec![Literal::Nil]);
    let headers = |headers: &[Header]| prop::sample::select(headers.to_vec()).prop_map(Variable::Header);
    let fields = ("[xyz]", 0..2_usize, 0..2_usize).prop_map(|(name, field_index, array_index)| {
        Variable::Field(FieldPath { name: name.into_bytes().into(), field_index, array_index })
    });
    let text_headers =
        [Header::Type, Header::Type, Header::Logger, Header::Payload, Header::EnvVersion, Header::Hostname];
    let booleans = constant_comparison(vec![Literal::Boolean(true), Literal::Boolean(false), Literal::Nil]);
    let mixed = prop_oneof![texts(), numbers()].boxed();
    prop_oneof![
        4 => (headers(&text_headers), prop_oneof![3 => literals(texts()), 1 => search(), 1 => nil()]),
        1 => (headers(&[Header::Uuid]), prop_oneof![literals(uuids.boxed()), search().boxed(), nil().boxed()]),
        2 => (headers(&[Header::Severity]), literals(numbers())),
        2 => (headers(&[Header::Timestamp, Header::Pid]), prop_oneof![4 => literals(numbers()), 1 => nil()]),
        6 => (fields, prop_oneof![4 => literals(mixed), 1 => search(), 1 => booleans]),
    ]
    .prop_map(|(variable, predicate)| Expression::Test(Test { variable: spanned(variable), predicate }))
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![1 => any::<bool>().prop_map(Expression::Constant), 12 => test()];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::All),
            prop::collection::vec(inner, 2..4).prop_map(Expression::Any),
        ]
    })
}

/// Pieces of the language in any order: gets further into the parser than random characters.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "Type",
        "Uuid",
        "Pid",
        "Timestamp",
        "Fields[x]",
        "Fields[",
        "]",
        "[0]",
        "==",
        "!=",
        "<",
        "=~",
        "!~",
        "/a/",
        "/(/",
        "/",
        "'a'",
        "\"",
        "'",
        "\\",
        "1",
        "-1.5e3",
        "9e999",
        "TRUE",
        "FALSE",
        "NIL",
        "IN",
        "(",
        ")",
        ",",
        "&&",
        "||",
        "!",
        " ",
        "\n",
        "ü",
        "\0",
        "2024-01-01",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn compiled_agrees_with_the_simple_evaluator(expression in expression(), models in prop::collection::vec(model(), 4)) {
        let text = print(&expression);
        let matcher = Matcher::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for model in models {
            let message = model.message();
            prop_assert_eq!(matcher.matches(&message.view()), model.accepts(&expression), "{} on {:?}", text, model);
        }
    }

    #[test]
    fn printed_expression_parses_to_itself(expression in expression()) {
        let text = print(&expression);
        let parsed = parser::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(print(&parsed), text);
    }

    #[test]
    fn set_agrees_with_its_matchers(expressions in prop::collection::vec(expression(), 0..8),
                                    models in prop::collection::vec(model(), 4)) {
        let matchers: Vec<Matcher> =
            expressions.iter().map(|expression| Matcher::parse(&print(expression)).unwrap()).collect();
        let set = MatcherSet::new(matchers.clone());
        for model in models {
            let message = model.message();
            let mut found = Vec::new();
            set.matching(&message.view(), |index| found.push(index));
            let expected: Vec<usize> =
                (0..matchers.len()).filter(|index| matchers[*index].matches(&message.view())).collect();
            prop_assert_eq!(found, expected, "{:?} on {:?}", matchers, model);
        }
    }

    #[test]
    fn no_text_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), soup in soup()) {
        for text in [String::from_utf8_lossy(&bytes).as_ref(), soup.as_str()] {
            if let Err(error) = Matcher::parse(text) {
                prop_assert!(text.is_char_boundary(error.offset()));
                prop_assert_eq!(error.to_string().lines().count(), 3, "{:?}", error);
            }
        }
    }
}
