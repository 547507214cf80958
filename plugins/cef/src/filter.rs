//! Filter `cef`: the CEF line in a message's payload → fields.

use crate::fields::FieldOptions;
use crate::line::CefLine;
use heka_plugin_api::{Context, Counter, Faults, Filter, MessageMut, PluginError, Schema, Verdict};
use serde::Deserialize;

/// Adds the parts of the CEF line in the payload as fields.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Types of the messages to look at; others pass as they are.
    #[schema(default = "['cef']")]
    message_type: Vec<String>,
    /// What the names of the added fields begin with.
    #[schema(default = "")]
    prefix: String,
    /// Whether a label names the value that it belongs to, so that `cs1Label=app cs1=x` becomes the field `app`.
    #[schema(default = "true")]
    use_labels: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config { message_type: vec!["cef".to_owned()], prefix: String::new(), use_labels: true }
    }
}

/// Adds the parts of CEF lines as fields.
pub struct CefFilter {
    message_types: Vec<String>,
    options: FieldOptions,
    line: Vec<u8>,
    undecoded: Counter,
}

impl Filter for CefFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.message_type.is_empty() {
            faults.add("message_type", "no message would be looked at; name at least one type");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        Ok(CefFilter {
            message_types: config.message_type,
            options: FieldOptions { prefix: config.prefix, use_labels: config.use_labels },
            line: Vec::new(),
            undecoded: context.counter("undecoded"),
        })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        if !self.message_types.iter().any(|name| name.as_bytes() == message.message_type()) {
            return Ok(Verdict::Pass);
        }
        self.line.clear();
        self.line.extend_from_slice(message.payload());
        match CefLine::parse(&self.line) {
            Ok(line) => self.options.read(&line, |name, value| message.add_field(name, value)),
            Err(why) => {
                self.undecoded.add(1);
                message.set_field("decode_error", format!("no CEF line: {why}").as_str());
            }
        }
        Ok(Verdict::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};
    use heka_plugin_api::{OwnedMessage, Value};

    fn check(options: &str, message_type: &str, payload: &str) -> (OwnedMessage, u64) {
        let mut filter = FilterTest::<CefFilter>::open(options).unwrap();
        let sent = message(|message| {
            message.message_type(message_type).payload(payload).severity(6);
            message.field("cef_meta.syslog_ident", "svc");
        });
        let mut seen = filter.process(&[sent]);
        assert_eq!((seen.passed.len(), seen.failed.len()), (1, 0));
        (seen.passed.remove(0), filter.host().counter("undecoded"))
    }

    const LINE: &str = r"Nov 22 09:26:37 vm CEF:0|mozilla|weave|3|xx\|x|xx\|x|5|cs1Label=requestClientApplication cs1=MySuperBrowser requestMethod=GET request=/ src=127.0.0.1 dhost=127.0.0.1 suser=me ext1=ok\=ok";

    #[test]
    fn what_a_client_sends_is_read_and_everything_stays() {
        let (message, undecoded) = check("", "cef", LINE);
        let view = message.view();
        assert_eq!((view.payload(), view.severity(), undecoded), (LINE.as_bytes(), 6, 0));
        let expected = [
            ("cef_meta.syslog_ident", Value::from("svc")),
            ("device_vendor", "mozilla".into()),
            ("signature", "xx|x".into()),
            ("cef_severity", 5_i64.into()),
            ("requestClientApplication", "MySuperBrowser".into()),
            ("suser", "me".into()),
            ("ext1", "ok=ok".into()),
        ];
        for (name, value) in expected {
            assert_eq!(view.value(name), Some(value), "{name}");
        }
        assert_eq!(view.fields().len(), 15);
    }

    #[test]
    fn other_messages_pass_as_they_are() {
        assert_eq!(check("", "oldstyle", LINE).0.view().fields().len(), 1);
        assert_eq!(check("message_type = ['oldstyle']", "oldstyle", LINE).0.view().fields().len(), 15);
    }

    #[test]
    fn a_payload_that_is_no_line_is_marked_and_counted() {
        let (message, undecoded) = check("", "cef", "hello");
        let reason = Value::from("no CEF line: no `CEF:` with a version begins it");
        assert_eq!((message.view().value("decode_error"), undecoded), (Some(reason), 1));
        let faults = FilterTest::<CefFilter>::faults("message_type = []");
        assert_eq!(faults, ["message_type: no message would be looked at; name at least one type"]);
    }
}
