//! Encoder `template`: text with the message's parts in it.

mod parse;

use heka_plugin_api::{
    ByteWriter, Context, Encoder, Faults, Message, Part, Piece, PluginError, Schema, Template, Value,
};
use heka_scalar::severity;
use heka_scalar::timestamp::{TimeWriter, Zone};
use parse::Placeholder;
use serde::Deserialize;

/// Writes a text with parts of the message in it.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Text with parts in braces: `{hostname}`, `{timestamp:%H:%M}`, `{Fields[status]}`; `{{` is a brace.
    template: String,
    /// Whether a newline follows, unless the template ends with one.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    append_newline: bool,
    /// Zone of the times: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
}

/// A compiled placeholder.
enum Step {
    Timestamp(TimeWriter),
    SeverityName,
    Part(Part, String),
}

/// Writes templates.
pub struct TemplateEncoder {
    template: Template<Step>,
}

impl Encoder for TemplateEncoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        match Zone::find(&config.timezone) {
            Err(reason) => faults.add("timezone", reason),
            Ok(zone) => {
                if let Err(reason) = compile(&config.template, &zone) {
                    faults.add("template", reason);
                }
            }
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let zone = Zone::find(&config.timezone).map_err(PluginError::Config)?;
        let mut template = compile(&config.template, &zone).map_err(PluginError::Config)?;
        if config.append_newline && !config.template.ends_with('\n') {
            template.push_literal("\n");
        }
        Ok(TemplateEncoder { template })
    }

    fn encode_message(
        &mut self,
        message: &Message<'_>,
        bytes: &mut ByteWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        for piece in self.template.pieces_mut() {
            match piece {
                Piece::Literal(text) => bytes.put(text),
                Piece::Placeholder(step) => step.put(message, bytes),
            }
        }
        Ok(())
    }
}

fn compile(template: &str, zone: &Zone) -> Result<Template<Step>, String> {
    let step = |inside: &str| match parse::placeholder(inside)? {
        Placeholder::Timestamp(format) => TimeWriter::new(&format, zone).map(Step::Timestamp),
        Placeholder::SeverityName => Ok(Step::SeverityName),
        Placeholder::Part(part, default) => Ok(Step::Part(part, default)),
    };
    Template::parse(template, step).map_err(|error| error.to_string())
}

impl Step {
    fn put(&mut self, message: &Message<'_>, bytes: &mut ByteWriter<'_>) {
        match self {
            Step::Timestamp(writer) => bytes.put(writer.write(message.timestamp())),
            Step::SeverityName => bytes.put(severity::name(message.severity())),
            Step::Part(part, default) => match part.value(message) {
                Some(value) => put_value(value.value(), bytes),
                None => bytes.put(default),
            },
        }
    }
}

fn put_value(value: Value<'_>, bytes: &mut ByteWriter<'_>) {
    match value {
        Value::String(text) | Value::Bytes(text) => bytes.put(text),
        Value::Integer(number) => bytes.put(itoa::Buffer::new().format(number)),
        Value::Double(number) => bytes.put(zmij::Buffer::new().format(number)),
        Value::Bool(value) => bytes.put(if value { "true" } else { "false" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{EncoderTest, message};
    use proptest::prelude::*;

    fn encoded(toml: &str) -> String {
        let message = message(|message| {
            message.timestamp(971_211_336_012_345_678).uuid([0x11; 16]).severity(3).pid(42);
            message.message_type("app").hostname("web1").payload("it broke");
            message.field("status", 500i64).field("took", 0.25).field("ok", false);
            message.field("user", "ann").field("user", "bob");
            message.field_values("n", "", [1i64, 2].map(Value::Integer));
        });
        let written = EncoderTest::<TemplateEncoder>::open(toml).unwrap().encode(&message).unwrap();
        String::from_utf8(written).unwrap()
    }

    fn check(template: &str, expected: &str) {
        assert_eq!(encoded(&format!("template = '''{template}'''")), format!("{expected}\n"), "{template}");
    }

    #[test]
    fn parts_of_the_message_are_written() {
        check("", "");
        check("plain é {{x}} }}{{", "plain é {x} }{");
        check("{timestamp:%Y-%m-%d} {hostname} {Fields[status]} {payload}", "2000-10-10 web1 500 it broke");
        check(
            "{timestamp}|{Timestamp:epoch_ms}|{timestamp:%H:%M:%S}",
            "2000-10-10T20:55:36.012345678Z|971211336012|20:55:36",
        );
        check("{type}{Logger}|{pid}|{severity}{severity:name}", "app|42|3err");
        check("{uuid}", "11111111-1111-1111-1111-111111111111");
        check("{env_version|1}{EnvVersion}{logger|none}", "1none");
        check("{Fields[took]} {Fields[ok]} {Fields[user]}{Fields[user][1]}", "0.25 false annbob");
        check("{Fields[n][0][1]}{Fields[n][0][2]|-}{Fields[x]}{Fields[x]|a b}{Fields[user][2]|?}", "2-a b?");
    }

    #[test]
    fn a_newline_follows_where_none_is() {
        assert_eq!(encoded("template = \"x\\n\""), "x\n");
        assert_eq!(encoded("template = 'x'\nappend_newline = false"), "x");
        assert_eq!(encoded("template = '{timestamp:%H%z}'\ntimezone = '+02:00'"), "22+0200\n");
    }

    #[test]
    fn bad_templates_are_faults_with_their_column() {
        let check = |template: &str, expected: &str| {
            let faults = EncoderTest::<TemplateEncoder>::faults(&format!("template = '''{template}'''"));
            assert_eq!(faults, [format!("template: {expected}")], "{template}");
        };
        let known = "known: env_version, Fields[NAME], hostname, logger, payload, pid, severity, timestamp, type, uuid";
        check("a{", "column 2: `{` without `}`; write `{{` for a brace");
        check("é}x", "column 2: `}` without `{`; write `}}` for a brace");
        check("{}", &format!("column 1: nothing is called ``; {known}"));
        check("ab {hostnam}", &format!("column 4: nothing is called `hostnam`; {known}"));
        check(
            "{Fields[x}",
            "column 1: `Fields[x` is not a field; write `Fields[NAME]`, `Fields[NAME][1]` or `Fields[NAME][1][2]`",
        );
        check(
            "{Fields[x][y]}",
            "column 1: `Fields[x][y]` is not a field; write `Fields[NAME]`, `Fields[NAME][1]` or `Fields[NAME][1][2]`",
        );
        check("{hostname:x}", "column 1: `hostname` has no format `x`");
        check("{pid|0}", "column 1: `pid` is always there: it needs no default");
        let faults = EncoderTest::<TemplateEncoder>::faults("template = 'a {timestamp:%K}'");
        assert!(faults[0].starts_with("template: column 3: "), "{}", faults[0]);
    }

    proptest! {
        #[test]
        fn any_template_compiles_or_is_refused_in_one_line(template in "[{}a-z\\[\\]|:% 0-9é]{0,30}|\\{(Fields\\[[a-z\\]\\[0-9]{0,9}|timestamp:[%a-zA-Z.0-9]{0,5})\\}") {
            if let Err(reason) = compile(&template, &Zone::Fixed(0)) {
                prop_assert!(reason.starts_with("column ") && !reason.contains('\n'), "{}", reason);
            }
        }

        #[test]
        fn text_without_braces_is_written_as_it_is(text in "[^{}']*") {
            let toml = format!("append_newline = false\ntemplate = {}", toml_string(&text));
            prop_assert_eq!(encoded(&toml), text);
        }
    }

    fn toml_string(text: &str) -> String {
        let escaped = text.chars().map(|letter| format!("\\U{:08x}", letter as u32));
        format!("\"{}\"", escaped.collect::<String>())
    }
}
