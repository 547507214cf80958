//! Decoder `cef`: a CEF line → a message.

use crate::fields::FieldOptions;
use crate::line::CefLine;
use heka_plugin_api::{
    Context, Decoder, Faults, Frame, MessageBuilder, MessageWriter, PluginError, Schema, now,
};
use heka_scalar::quote;
use heka_scalar::timestamp::{SyslogTime, SyslogTimeReader, Zone, rfc3339};
use serde::Deserialize;

/// Reads CEF lines, alone or behind the time and host of syslog.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the names of the fields begin with.
    #[schema(default = "")]
    prefix: String,
    /// Whether a label names the value that it belongs to, so that `cs1Label=app cs1=x` becomes the field `app`.
    #[schema(default = "true")]
    use_labels: bool,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[schema(default = "UTC")]
    timezone: String,
}

impl Default for Config {
    fn default() -> Config {
        Config { prefix: String::new(), use_labels: true, timezone: "UTC".to_owned() }
    }
}

/// Reads CEF lines.
pub struct CefDecoder {
    options: FieldOptions,
    time: SyslogTimeReader,
    zone: Zone,
}

impl Decoder for CefDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Err(reason) = Zone::find(&config.timezone) {
            faults.add("timezone", reason);
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let zone = Zone::find(&config.timezone).map_err(PluginError::Config)?;
        Ok(CefDecoder {
            options: FieldOptions { prefix: config.prefix, use_labels: config.use_labels },
            time: SyslogTimeReader::new(zone.clone()),
            zone,
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = CefLine::parse(frame.bytes())
            .map_err(|why| PluginError::message(format!("no CEF line: {why}: `{}`", quote(frame.bytes()))))?;
        let mut message = messages.message();
        message.payload(frame.bytes().trim_ascii_end());
        self.read_prefix(line.prefix, &mut message);
        if let Some(severity) = line.severity() {
            message.severity(syslog_severity(severity));
        }
        self.options.read(&line, |name, value| {
            message.field(name, value);
        });
        message.finish()
    }
}

impl CefDecoder {
    /// Reads `<13>Mon dd hh:mm:ss host `, each part of it if it is there.
    fn read_prefix(&mut self, prefix: &[u8], message: &mut MessageBuilder<'_>) {
        let mut rest = prefix.trim_ascii();
        if let Some(end) = rest.strip_prefix(b"<").and_then(|rest| memchr::memchr(b'>', rest)) {
            rest = rest[end + 2..].trim_ascii_start();
        }
        let word_len = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let time = match SyslogTime::read(rest) {
            Some((time, len)) => self.time.utc_ns(&time, now).map(|ns| (ns, len)),
            None => rfc3339(&rest[..word_len], &self.zone).map(|ns| (ns, word_len)),
        };
        if let Some((ns, len)) = time {
            message.timestamp(ns);
            rest = rest[len..].trim_ascii_start();
        }
        let host = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
        if !host.is_empty() {
            message.hostname(host);
        }
    }
}

/// The severity of syslog for one of CEF: 0 to 3 is low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high.
fn syslog_severity(severity: u8) -> i32 {
    match severity {
        0..=3 => 6,
        4..=6 => 4,
        7..=8 => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::DecoderTest;
    use heka_plugin_api::{OwnedMessage, Value};

    fn check(line: &str) -> Result<OwnedMessage, String> {
        let mut messages = DecoderTest::<CefDecoder>::open("").unwrap().decode(line.as_bytes())?;
        assert_eq!(messages.len(), 1);
        Ok(messages.remove(0))
    }

    #[test]
    fn a_line_with_time_and_host_becomes_a_message() {
        let line =
            "<134>2012-11-22T09:26:37Z fw1 CEF:0|mozilla|weave|3|xx\\|x|login|8|src=127.0.0.1 spt=80\n";
        let message = check(line).unwrap();
        let view = message.view();
        assert_eq!((view.timestamp(), view.hostname()), (1_353_576_397_000_000_000, &b"fw1"[..]));
        assert_eq!((view.severity(), view.payload()), (3, line.trim_end().as_bytes()));
        assert_eq!(view.value("signature"), Some(Value::String(b"xx|x")));
        assert_eq!(view.value("spt"), Some(Value::Integer(80)));
        assert_eq!(view.fields().len(), 9);
    }

    #[test]
    fn every_part_of_the_prefix_may_be_missing() {
        let host = |prefix: &str| {
            let message = check(&format!("{prefix}CEF:0|a|b|c|d|e|x|")).unwrap();
            (String::from_utf8_lossy(message.view().hostname()).into_owned(), message.view().timestamp() != 0)
        };
        assert_eq!(host(""), ("test-host".to_owned(), false));
        assert_eq!(host("Nov 22 09:26:37 vm "), ("vm".to_owned(), true));
        assert_eq!(host("Nov  2 09:26:37 "), ("test-host".to_owned(), true));
        assert_eq!(host("<1>vm "), ("vm".to_owned(), false));
    }

    #[test]
    fn other_lines_are_refused() {
        let reason = "no CEF line: no `CEF:` with a version begins it: `hello`";
        assert_eq!(check("hello").unwrap_err(), reason);
        let faults = DecoderTest::<CefDecoder>::faults("timezone = 'nowhere'");
        assert_eq!(faults.len(), 1);
    }
}
