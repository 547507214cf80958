//! Decoder `journal_export`.

use crate::entry::{self, FieldChoice};
use heka_plugin_api::{Context, Decoder, Frame, MessageWriter, PluginError, Schema};
use serde::Deserialize;

/// Reads entries of the journal's export format, as `journalctl -o export` and `systemd-journal-upload` write it.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names of the journal's fields that become fields; by default all but those that begin with `__`.
    #[serde(default)]
    fields: Vec<String>,
}

/// Reads entries.
pub struct JournalExportDecoder {
    choice: FieldChoice,
}

impl Decoder for JournalExportDecoder {
    type Config = Config;

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(JournalExportDecoder { choice: FieldChoice::new(config.fields) })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let mut message = messages.message();
        entry::write(frame.bytes(), &self.choice, &mut message).map_err(PluginError::message)?;
        message.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::Value;
    use heka_plugin_api::testing::DecoderTest;
    use proptest::prelude::*;

    const ENTRY: &[u8] = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1423944916375353\n__MONOTONIC_TIMESTAMP=5\nPRIORITY=4\n\
        SYSLOG_IDENTIFIER=sshd\n_PID=1605\n_HOSTNAME=web1\n_SYSTEMD_UNIT=ssh.service\nMESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nRAW\n\x02\0\0\0\0\0\0\0\xff\x00\n";

    #[test]
    fn an_entry_is_a_message() {
        let mut decoder = DecoderTest::<JournalExportDecoder>::open("").unwrap();
        let messages = decoder.decode(ENTRY).unwrap();
        let message = messages[0].view();
        assert_eq!(
            (message.timestamp(), message.severity(), message.pid()),
            (1_423_944_916_375_353_000, 4, 1605)
        );
        assert_eq!(
            (message.payload(), message.logger(), message.hostname()),
            (&b"two\nlines"[..], &b"sshd"[..], &b"web1"[..])
        );
        let fields: Vec<_> = message.fields().map(|field| field.name()).collect();
        assert_eq!(fields, [&b"_SYSTEMD_UNIT"[..], b"RAW"]);
        assert_eq!(message.value("RAW"), Some(Value::Bytes(b"\xff\0")));
    }

    #[test]
    fn fields_are_chosen_and_odd_values_stay_fields() {
        let mut decoder =
            DecoderTest::<JournalExportDecoder>::open("fields = [\"PRIORITY\", \"__CURSOR\"]").unwrap();
        let messages = decoder.decode(b"__CURSOR=c\nPRIORITY=9\nOTHER=x\n\n").unwrap();
        let message = messages[0].view();
        assert_eq!((message.fields().len(), message.severity()), (2, 7));
        assert_eq!(message.value("__CURSOR"), Some(Value::String(b"c")));
        assert!(decoder.decode(b"\n").unwrap_err().contains("empty entry"));
        assert!(decoder.decode(b"text\n").unwrap_err().contains("no entry"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(frame: Vec<u8>) {
            let _ = DecoderTest::<JournalExportDecoder>::open("").unwrap().decode(&frame);
        }
    }
}
