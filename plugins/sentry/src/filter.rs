//! Filter `sentry`: the packed event in a message's payload → fields and a readable payload.

use crate::shown::{EventReader, JSON_BYTES_MAX, Payload, check_json_bytes_max};
use heka_plugin_api::{ByteSize, Context, Counter, Faults, Filter, MessageMut, PluginError, Schema, Verdict};
use serde::Deserialize;

/// Unpacks the Sentry event in the payload: its parts become fields, the payload becomes readable.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Types of the messages to look at; others pass as they are.
    #[schema(default = "['sentry']")]
    message_type: Vec<String>,
    /// Longest JSON that an event is unpacked to; a longer event stays packed.
    #[schema(default = "4 MiB")]
    json_bytes_max: ByteSize,
    /// What the payload becomes: a `text` with message, culprit and stack, the event's `json`, or, with `keep`, nothing else.
    #[schema(default = "text")]
    payload: Payload,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            message_type: vec!["sentry".to_owned()],
            json_bytes_max: JSON_BYTES_MAX,
            payload: Payload::Text,
        }
    }
}

/// Unpacks Sentry events.
pub struct SentryFilter {
    message_types: Vec<String>,
    reader: EventReader,
    undecoded: Counter,
}

impl Filter for SentryFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.message_type.is_empty() {
            faults.add("message_type", "no message would be looked at; name at least one type");
        }
        check_json_bytes_max(config.json_bytes_max, faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let json_bytes_max = config.json_bytes_max.0 as usize;
        Ok(SentryFilter {
            message_types: config.message_type,
            reader: EventReader { json_bytes_max, payload: config.payload },
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
        match self.reader.read(message.payload()) {
            Ok((event, payload)) => {
                payload.into_iter().for_each(|payload| message.set_payload(payload));
                for (name, value) in &event.fields() {
                    message.add_field(name, value);
                }
            }
            Err(why) => {
                self.undecoded.add(1);
                message.set_field("decode_error", format!("no Sentry event: {why}").as_str());
            }
        }
        Ok(Verdict::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::pack;
    use heka_plugin_api::testing::{FilterTest, message};
    use heka_plugin_api::{OwnedMessage, Value};

    fn check(options: &str, message_type: &str, payload: &str) -> (OwnedMessage, u64) {
        let mut filter = FilterTest::<SentryFilter>::open(options).unwrap();
        let sent = message(|message| {
            message.message_type(message_type).payload(payload).severity(3).field("msg", "m");
        });
        let mut seen = filter.process(&[sent]);
        assert_eq!((seen.passed.len(), seen.failed.len()), (1, 0));
        (seen.passed.remove(0), filter.host().counter("undecoded"))
    }

    #[test]
    fn an_event_is_unpacked_and_everything_else_stays() {
        let packed = pack(br#"{"message":"KeyError: 'x'","level":40,"extra":{"msg":"again"}}"#).unwrap();
        let (message, undecoded) = check("", "sentry", &packed);
        let view = message.view();
        assert_eq!((view.payload(), view.severity(), undecoded), (&b"KeyError: 'x'"[..], 3, 0));
        let expected = [("msg", "m".into()), ("extra.msg", "again".into()), ("level", Value::Integer(40))];
        for (name, value) in expected {
            assert_eq!(view.value(name), Some(value), "{name}");
        }
        assert_eq!(view.fields().len(), 4);
        assert_eq!(check("payload = 'keep'", "sentry", &packed).0.view().payload(), packed.as_bytes());
    }

    #[test]
    fn other_messages_pass_as_they_are() {
        let packed = pack(b"{}").unwrap();
        assert_eq!(check("", "oldstyle", &packed).0.view().payload(), packed.as_bytes());
    }

    #[test]
    fn a_payload_that_is_no_event_is_marked_and_counted() {
        let (message, undecoded) = check("", "sentry", "?");
        let reason = Value::from("no Sentry event: not base64: invalid symbol 63, offset 0.");
        assert_eq!((message.view().value("decode_error"), undecoded), (Some(reason), 1));
        assert_eq!(message.view().payload(), b"?");
        let faults = FilterTest::<SentryFilter>::faults("message_type = []\njson_bytes_max = 0");
        assert_eq!(faults.len(), 2);
    }
}
