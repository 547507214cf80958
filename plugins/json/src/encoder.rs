//! Encoder `json`: messages → JSON lines.

use crate::line::{LineOptions, LineWriter};
use heka_plugin_api::{ByteWriter, Context, Encoder, Faults, Message, PluginError, Schema};
use serde::Deserialize;

/// Writes each message as a JSON object in one line.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Write the payload.
    #[serde(default = "default_payload")]
    #[schema(default = "true")]
    payload: bool,
    /// Names of the fields to write; all if left out.
    only_fields: Option<Vec<String>>,
    /// Names of fields not to write.
    #[serde(default)]
    #[schema(default = "[]")]
    exclude_fields: Vec<String>,
    /// End each object with a newline.
    #[serde(default = "default_append_newline")]
    #[schema(default = "true")]
    append_newline: bool,
}

fn default_payload() -> bool {
    true
}

fn default_append_newline() -> bool {
    true
}

/// Writes JSON lines.
pub struct JsonEncoder {
    lines: LineWriter,
    append_newline: bool,
}

impl Encoder for JsonEncoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        for name in config.only_fields.iter().flatten() {
            if config.exclude_fields.contains(name) {
                faults.add("exclude_fields", format!("`{name}` is in `only_fields` too"));
            }
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let Config { payload, only_fields, exclude_fields, append_newline } = config;
        let lines = LineWriter::new(LineOptions { payload, only_fields, exclude_fields });
        Ok(JsonEncoder { lines, append_newline })
    }

    #[inline]
    fn encode_message(
        &mut self,
        message: &Message<'_>,
        bytes: &mut ByteWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        self.lines.put(message, bytes);
        if self.append_newline {
            bytes.put_byte(b'\n');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{EncoderTest, message};

    fn check(toml: &str, end: &str) {
        let sent = message(|builder| {
            builder.uuid([0; 16]).payload("p").field("a", 1).field("b", 2);
        });
        let bytes = EncoderTest::<JsonEncoder>::open(toml).unwrap().encode(&sent).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with(&format!("\"severity\":7{end}")), "{text}");
    }

    #[test]
    fn the_options_choose_what_is_written() {
        check("", ",\"payload\":\"p\",\"fields\":{\"a\":1,\"b\":2}}\n");
        check("payload = false\nappend_newline = false", ",\"fields\":{\"a\":1,\"b\":2}}");
        check("only_fields = ['b']", ",\"payload\":\"p\",\"fields\":{\"b\":2}}\n");
        check("exclude_fields = ['b']", ",\"payload\":\"p\",\"fields\":{\"a\":1}}\n");
        check("only_fields = []", ",\"payload\":\"p\"}\n");
    }

    #[test]
    fn a_field_can_not_be_wanted_and_unwanted() {
        let faults = EncoderTest::<JsonEncoder>::faults("only_fields = ['a']\nexclude_fields = ['a']");
        assert_eq!(faults, ["exclude_fields: `a` is in `only_fields` too"]);
    }
}
