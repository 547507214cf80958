//! Values made from a message: `{Hostname}/{Fields[app]}`.

use crate::setting::Setting;
use crate::variable::{Rendered, Variable, append};
use heka_plugin_api::Message;

/// A value with or without placeholders; `{{` and `}}` are braces.
///
/// A text that is nothing but one placeholder has the type of what it names, and no value where the message has
/// none. In other texts what is absent is empty.
#[derive(Clone, PartialEq, Debug)]
pub enum Template {
    Fixed(Setting),
    Copy(Variable),
    Parts(Vec<Part>),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    Literal(String),
    Variable(Variable),
}

impl Template {
    pub fn new(setting: &Setting) -> Result<Template, String> {
        let Setting::Text(text) = setting else { return Ok(Template::Fixed(setting.clone())) };
        let mut parts = parts(text)?;
        Ok(match parts.as_mut_slice() {
            [] => Template::Fixed(Setting::Text(String::new())),
            [Part::Literal(text)] => Template::Fixed(Setting::Text(std::mem::take(text))),
            [Part::Variable(variable)] => Template::Copy(variable.clone()),
            _ => Template::Parts(parts),
        })
    }

    /// Returns the value with its type, its bytes behind what `buffer` holds.
    pub fn render(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> Option<Rendered> {
        match self {
            Template::Copy(variable) => variable.render(message, buffer),
            Template::Fixed(Setting::Integer(value)) => Some(Rendered::Integer(*value)),
            Template::Fixed(Setting::Double(value)) => Some(Rendered::Double(*value)),
            Template::Fixed(Setting::Bool(value)) => Some(Rendered::Bool(*value)),
            Template::Fixed(Setting::Text(text)) => Some(Rendered::Text(append(text.as_bytes(), buffer))),
            Template::Parts(parts) => {
                let start = buffer.len();
                parts.iter().for_each(|part| part.write(message, buffer));
                Some(Rendered::Text(start..buffer.len()))
            }
        }
    }

    /// Returns the value as text, whatever its type.
    pub fn render_text(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> Option<Rendered> {
        let Template::Copy(variable) = self else { return self.render(message, buffer) };
        let start = buffer.len();
        let found = variable.write(message, buffer);
        found.then_some(Rendered::Text(start..buffer.len()))
    }
}

impl Part {
    fn write(&self, message: &Message<'_>, buffer: &mut Vec<u8>) {
        match self {
            Part::Literal(text) => buffer.extend_from_slice(text.as_bytes()),
            Part::Variable(variable) => {
                variable.write(message, buffer);
            }
        }
    }
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            literal.push_str(brace);
            rest = behind;
        } else if brace == "}" {
            return Err("`}` without `{`; write `}}` for a brace".to_owned());
        } else {
            let (name, behind) = rest.split_once('}').ok_or("`{` without `}`; write `{{` for a brace")?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Variable(Variable::parse(name)?));
            rest = behind;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::Value;
    use heka_plugin_api::testing::message;
    use proptest::prelude::*;

    fn check(template: &str, expected: Option<Value<'_>>) {
        let message = message(|message| {
            message.hostname("a1").severity(4).field("app", "shop").field("size", 10);
        });
        let mut buffer = b"before".to_vec();
        let template = Template::new(&Setting::Text(template.to_owned())).unwrap();
        let rendered = template.render(&message.view(), &mut buffer);
        assert_eq!(rendered.as_ref().map(|rendered| rendered.value(&buffer)), expected, "{template:?}");
    }

    fn check_text(template: &str, expected: &str) {
        check(template, Some(Value::String(expected.as_bytes())));
    }

    #[test]
    fn placeholders_are_filled() {
        check_text("", "");
        check_text("prod", "prod");
        check_text("{Hostname}/{Fields[app]}", "a1/shop");
        check_text("size {Fields[size]} of {severity}.", "size 10 of 4.");
        check_text("{Fields[app]}{Fields[missing]}", "shop");
        check_text("{{{Hostname}}}", "{a1}");
        check_text("{{Hostname}}", "{Hostname}");
        check_text("ü{Hostname}ü", "üa1ü");
    }

    #[test]
    fn a_lone_placeholder_keeps_the_type() {
        check("{Fields[size]}", Some(Value::Integer(10)));
        check("{Severity}", Some(Value::Integer(4)));
        check("{Fields[missing]}", None);
        check_text("{Fields[app]}", "shop");
    }

    #[test]
    fn text_can_be_asked_for() {
        let template = Template::new(&Setting::Text("{Severity}".to_owned())).unwrap();
        let mut buffer = Vec::new();
        template.render_text(&message(|_| {}).view(), &mut buffer);
        assert_eq!(buffer, b"7");
    }

    #[test]
    fn malformed_texts_are_refused() {
        let refused = |text: &str, start: &str| {
            let reason = Template::new(&Setting::Text(text.to_owned())).unwrap_err();
            assert!(reason.starts_with(start), "{text}: {reason}");
        };
        refused("{", "`{` without `}`");
        refused("a {Hostname", "`{` without `}`");
        refused("a}", "`}` without `{`");
        refused("{}", "no variable ``");
        refused("{Host}", "no variable `Host`; known: Type, ");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([{}]|Hostname|Fields\\[|\\]|é| ){0,12}") {
            if let Ok(template) = Template::new(&Setting::Text(text)) {
                template.render(&message(|_| {}).view(), &mut Vec::new());
            }
        }

        #[test]
        fn text_with_doubled_braces_is_itself(text in any::<String>()) {
            let written = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(Template::new(&Setting::Text(written)), Ok(Template::Fixed(Setting::Text(text))));
        }
    }
}
