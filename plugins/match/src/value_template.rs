//! Values made from a message: `{Hostname}/{Fields[app]}`.

use crate::setting::Setting;
use crate::variable::{Rendered, Variable, append};
use heka_plugin_api::{Message, Piece, Template};

/// A value with or without placeholders; `{{` and `}}` are braces.
///
/// A text that is nothing but one placeholder has the type of what it names, and no value where the message has
/// none. In other texts what is absent is empty.
#[derive(Clone, PartialEq, Debug)]
pub enum ValueTemplate {
    Fixed(Setting),
    Copy(Variable),
    Text(Template<Variable>),
}

impl ValueTemplate {
    pub fn new(setting: &Setting) -> Result<ValueTemplate, String> {
        let Setting::Text(text) = setting else { return Ok(ValueTemplate::Fixed(setting.clone())) };
        let template = Template::parse(text, Variable::parse).map_err(|error| error.reason().to_owned())?;
        Ok(match template.pieces() {
            [] => ValueTemplate::Fixed(Setting::Text(String::new())),
            [Piece::Literal(text)] => ValueTemplate::Fixed(Setting::Text(text.clone())),
            [Piece::Placeholder(variable)] => ValueTemplate::Copy(variable.clone()),
            _ => ValueTemplate::Text(template),
        })
    }

    /// Returns the value with its type, its bytes behind what `buffer` holds.
    pub fn render(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> Option<Rendered> {
        match self {
            ValueTemplate::Copy(variable) => variable.render(message, buffer),
            ValueTemplate::Fixed(Setting::Integer(value)) => Some(Rendered::Integer(*value)),
            ValueTemplate::Fixed(Setting::Double(value)) => Some(Rendered::Double(*value)),
            ValueTemplate::Fixed(Setting::Bool(value)) => Some(Rendered::Bool(*value)),
            ValueTemplate::Fixed(Setting::Text(text)) => {
                Some(Rendered::Text(append(text.as_bytes(), buffer)))
            }
            ValueTemplate::Text(template) => {
                let start = buffer.len();
                for piece in template.pieces() {
                    match piece {
                        Piece::Literal(text) => buffer.extend_from_slice(text.as_bytes()),
                        Piece::Placeholder(variable) => _ = variable.write(message, buffer),
                    }
                }
                Some(Rendered::Text(start..buffer.len()))
            }
        }
    }

    /// Returns the value as text, whatever its type.
    pub fn render_text(&self, message: &Message<'_>, buffer: &mut Vec<u8>) -> Option<Rendered> {
        let ValueTemplate::Copy(variable) = self else { return self.render(message, buffer) };
        let start = buffer.len();
        let found = variable.write(message, buffer);
        found.then_some(Rendered::Text(start..buffer.len()))
    }
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
        let template = ValueTemplate::new(&Setting::Text(template.to_owned())).unwrap();
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
        let template = ValueTemplate::new(&Setting::Text("{Severity}".to_owned())).unwrap();
        let mut buffer = Vec::new();
        template.render_text(&message(|_| {}).view(), &mut buffer);
        assert_eq!(buffer, b"7");
    }

    #[test]
    fn malformed_texts_are_refused() {
        let refused = |text: &str, start: &str| {
            let reason = ValueTemplate::new(&Setting::Text(text.to_owned())).unwrap_err();
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
            if let Ok(template) = ValueTemplate::new(&Setting::Text(text)) {
                template.render(&message(|_| {}).view(), &mut Vec::new());
            }
        }

        #[test]
        fn text_with_doubled_braces_is_itself(text in any::<String>()) {
            let written = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(ValueTemplate::new(&Setting::Text(written)), Ok(ValueTemplate::Fixed(Setting::Text(text))));
        }
    }
}
