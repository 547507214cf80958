//! Decoder `sentry`: a packed event → a message.

use crate::shown::{EventReader, JSON_BYTES_MAX, Payload, check_json_bytes_max};
use heka_plugin_api::{ByteSize, Context, Decoder, Faults, Frame, MessageWriter, PluginError, Schema};
use serde::Deserialize;

/// Reads Sentry's events: base64 of zlib of JSON, or the JSON alone.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Longest JSON that an event is unpacked to; a longer event is refused.
    #[schema(default = "4 MiB")]
    json_bytes_max: ByteSize,
    /// What the payload is: a `text` with message, culprit and stack, the event's `json`, or, with `keep`, what came.
    #[schema(default = "text")]
    payload: Payload,
}

impl Default for Config {
    fn default() -> Config {
        Config { json_bytes_max: JSON_BYTES_MAX, payload: Payload::Text }
    }
}

/// Reads Sentry's events.
pub struct SentryDecoder {
    reader: EventReader,
}

impl Decoder for SentryDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        check_json_bytes_max(config.json_bytes_max, faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let json_bytes_max = config.json_bytes_max.0 as usize;
        Ok(SentryDecoder { reader: EventReader { json_bytes_max, payload: config.payload } })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let refuse = |why| PluginError::message(format!("no Sentry event: {why}"));
        let (event, payload) = self.reader.read(frame.bytes()).map_err(refuse)?;
        let mut message = messages.message();
        message.payload(payload.as_deref().unwrap_or(frame.bytes()));
        event.timestamp().into_iter().for_each(|ns| _ = message.timestamp(ns));
        event.uuid().into_iter().for_each(|uuid| _ = message.uuid(uuid));
        event.severity().into_iter().for_each(|severity| _ = message.severity(severity));
        event.text("server_name").into_iter().for_each(|name| _ = message.hostname(name));
        event.text("logger").into_iter().for_each(|name| _ = message.logger(name));
        for (name, value) in &event.fields() {
            message.field(name, value);
        }
        message.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::pack;
    use heka_plugin_api::testing::DecoderTest;
    use heka_plugin_api::{OwnedMessage, Value};

    fn check(options: &str, frame: &str) -> Result<OwnedMessage, String> {
        let mut messages = DecoderTest::<SentryDecoder>::open(options).unwrap().decode(frame.as_bytes())?;
        assert_eq!(messages.len(), 1);
        Ok(messages.remove(0))
    }

    const JSON: &str = r#"{"event_id":"8e344ba91c8d4c019c061417e6143f5a","message":"m","level":30,"server_name":"vm","logger":"app","timestamp":1}"#;

    #[test]
    fn an_event_becomes_a_message() {
        let message = check("", &pack(JSON.as_bytes()).unwrap()).unwrap();
        let view = message.view();
        assert_eq!((view.payload(), view.severity(), view.timestamp()), (&b"m"[..], 4, 1_000_000_000));
        assert_eq!((view.hostname(), view.logger(), view.uuid()[15]), (&b"vm"[..], &b"app"[..], 0x5a));
        assert_eq!(view.value("level"), Some(Value::Integer(30)));
        assert_eq!(view.fields().len(), 6);
    }

    #[test]
    fn the_payload_is_what_the_option_says() {
        let packed = pack(JSON.as_bytes()).unwrap();
        assert_eq!(check("payload = 'json'", &packed).unwrap().view().payload(), JSON.as_bytes());
        assert_eq!(check("payload = 'keep'", &packed).unwrap().view().payload(), packed.as_bytes());
    }

    #[test]
    fn other_frames_are_refused() {
        assert!(check("", "{").unwrap_err().starts_with("no Sentry event: not a JSON object: EOF"));
        assert!(check("", "-").unwrap_err().starts_with("no Sentry event: not base64: "));
        let faults = DecoderTest::<SentryDecoder>::faults("json_bytes_max = 0");
        assert_eq!(faults, ["json_bytes_max: from 1 B to 1 GiB"]);
    }
}
