//! Metrics made of any message by templates.

use crate::accumulator::Accumulator;
use crate::line::parse_rate;
use crate::metric::{Kind, Number, Value};
use crate::number::parse_number;
use heka_plugin_api::{Message, Part, Piece, Template, Value as FieldValue};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One metric, as the config has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureConfig {
    /// The kind of metric.
    kind: KindName,
    /// Its name, with placeholders.
    name: String,
    /// Its value, with placeholders; 1 when left out.
    value: Option<Given>,
    /// The share of all cases that such a message stands for, with placeholders.
    rate: Option<Given>,
    /// Tags with their values, which have placeholders.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// Whether dots in what stands for placeholders of the name become `_`.
    #[serde(default)]
    replace_dots: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindName {
    Counter,
    Gauge,
    Timer,
    Histogram,
    Set,
}

/// A template, or a number as it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Given {
    Text(String),
    Integer(i64),
    Double(f64),
}

/// One metric that is made of messages.
pub struct Measure {
    kind: Kind,
    name: Template<Part>,
    value: Template<Part>,
    rate: Option<Template<Part>>,
    tags: Vec<(String, Template<Part>)>,
    replace_dots: bool,
    /// Room for what is made of a message.
    made: Made,
}

#[derive(Default)]
struct Made {
    name: Vec<u8>,
    tags: Vec<u8>,
    text: Vec<u8>,
}

impl Measure {
    /// Reads the templates.
    ///
    /// # Errors
    /// The option that is wrong, and why.
    pub fn new(config: &MeasureConfig) -> Result<Measure, (String, String)> {
        let template = |option: &str, text: &str| {
            Template::parse(text, Part::parse).map_err(|error| (option.to_owned(), error.to_string()))
        };
        let text = |given: &Given| match given {
            Given::Text(text) => text.clone(),
            Given::Integer(number) => number.to_string(),
            Given::Double(number) => number.to_string(),
        };
        if config.name.is_empty() {
            return Err(("name".to_owned(), "must not be empty".to_owned()));
        }
        let tags = config
            .tags
            .iter()
            .map(|(key, value)| Ok((key.clone(), template(&format!("tags.{key}"), value)?)));
        Ok(Measure {
            kind: match config.kind {
                KindName::Counter => Kind::Counter,
                KindName::Gauge => Kind::Gauge,
                KindName::Timer => Kind::Timer,
                KindName::Histogram => Kind::Histogram,
                KindName::Set => Kind::Set,
            },
            name: template("name", &config.name)?,
            value: template("value", &config.value.as_ref().map_or_else(|| "1".to_owned(), text))?,
            rate: config.rate.as_ref().map(|rate| template("rate", &text(rate))).transpose()?,
            tags: tags.collect::<Result<_, (String, String)>>()?,
            replace_dots: config.replace_dots,
            made: Made::default(),
        })
    }

    /// Adds what a message says; tells whether it has everything that the templates name.
    ///
    /// # Errors
    /// If the value or the rate is no number.
    pub fn add(&mut self, message: &Message<'_>, accumulator: &mut Accumulator) -> Result<bool, String> {
        let Made { name, tags, text } = &mut self.made;
        name.clear();
        tags.clear();
        if !write(&self.name, message, self.replace_dots, name) {
            return Ok(false);
        }
        write_tags(&self.tags, message, tags, text);
        let rate = match &self.rate {
            None => 1.0,
            Some(rate) => {
                text.clear();
                if !write(rate, message, false, text) {
                    return Ok(false);
                }
                parse_rate(text).map_err(str::to_owned)?
            }
        };
        text.clear();
        if self.kind == Kind::Set {
            let found = write(&self.value, message, false, text);
            if found {
                accumulator.add(name, tags, Value::Member(text));
            }
            return Ok(found);
        }
        let Some(number) = number(&self.value, message, text)? else { return Ok(false) };
        let (value, weight) = (number.as_f64(), 1.0 / rate);
        let scaled = number.scaled(rate);
        if !scaled.as_f64().is_finite() {
            return Err("the value is beyond all numbers".to_owned());
        }
        accumulator.add(
            name,
            tags,
            match self.kind {
                Kind::Counter => Value::Count(scaled),
                Kind::Gauge => Value::Level(number),
                Kind::Timer => Value::Time { value, weight },
                Kind::Histogram | Kind::Set => Value::Sample { value, weight },
            },
        );
        Ok(true)
    }
}

/// Reads the number that a template makes; `None` if the message lacks it.
fn number(
    template: &Template<Part>,
    message: &Message<'_>,
    text: &mut Vec<u8>,
) -> Result<Option<Number>, String> {
    if let [Piece::Placeholder(part)] = template.pieces() {
        match part.value(message).as_ref().map(|value| value.value()) {
            None => return Ok(None),
            Some(FieldValue::Integer(value)) => return Ok(Some(Number::Integer(value))),
            Some(FieldValue::Double(value)) if value.is_finite() => return Ok(Some(Number::Double(value))),
            Some(_) => {}
        }
    }
    if !write(template, message, false, text) {
        return Ok(None);
    }
    let shown = || String::from_utf8_lossy(&text[..text.len().min(100)]).into_owned();
    parse_number(text).map(Some).ok_or_else(|| format!("the value `{}` is not a number", shown()))
}

/// Appends what a template makes of a message; tells whether the message has everything.
fn write(template: &Template<Part>, message: &Message<'_>, replace_dots: bool, text: &mut Vec<u8>) -> bool {
    for piece in template.pieces() {
        match piece {
            Piece::Literal(literal) => text.extend_from_slice(literal.as_bytes()),
            Piece::Placeholder(part) => {
                let Some(value) = part.value(message) else { return false };
                let start = text.len();
                value.write_text(text);
                if replace_dots {
                    text[start..].iter_mut().filter(|byte| **byte == b'.').for_each(|byte| *byte = b'_');
                }
            }
        }
    }
    true
}

/// Appends tags as a statsd line has them; a value that the message lacks leaves its tag out.
fn write_tags(
    tags: &[(String, Template<Part>)],
    message: &Message<'_>,
    line: &mut Vec<u8>,
    text: &mut Vec<u8>,
) {
    for (key, value) in tags {
        text.clear();
        if !write(value, message, false, text) {
            continue;
        }
        if !line.is_empty() {
            line.push(b',');
        }
        line.extend_from_slice(key.as_bytes());
        line.push(b':');
        // A comma would begin another tag.
        line.extend(text.iter().map(|byte| if *byte == b',' { b'_' } else { *byte }));
    }
}
