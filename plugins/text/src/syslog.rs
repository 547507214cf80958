//! Decoder `syslog`: RFC 5424, and RFC 3164 as devices write it.

mod priority;
mod rfc3164;
mod rfc5424;

use heka_plugin_api::{
    Context, Decoder, Faults, Frame, MessageBuilder, MessageWriter, OptionType, PluginError, Schema, Text,
    TextValue,
};
use heka_scalar::timestamp::{SyslogTimeReader, Zone};
use priority::Priority;
use serde::Deserialize;
use std::ops::Range;

/// Reads syslog messages of RFC 5424 and RFC 3164.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of them to expect; `auto` looks at each message.
    #[serde(default)]
    #[schema(default = "auto")]
    format: Format,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Whether a field `raw` holds the message as it was read.
    #[serde(default)]
    #[schema(default = "false")]
    keep_raw: bool,
}

/// Which syslog.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// As the message looks.
    #[default]
    Auto,
    /// The newer.
    Rfc5424,
    /// The older.
    Rfc3164,
}

/// Reads syslog.
pub struct SyslogDecoder {
    format: Format,
    keep_raw: bool,
    time: SyslogTimeReader,
    zone: Zone,
    scratch: Vec<u8>,
}

impl Decoder for SyslogDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Err(reason) = Zone::find(&config.timezone) {
            faults.add("timezone", reason);
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let zone = Zone::find(&config.timezone).map_err(PluginError::Config)?;
        let time = SyslogTimeReader::new(zone.clone());
        Ok(SyslogDecoder {
            format: config.format,
            keep_raw: config.keep_raw,
            time,
            zone,
            scratch: Vec::new(),
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = trimmed(frame.bytes());
        if line.is_empty() {
            return Err(PluginError::message("the message is empty"));
        }
        let mut message = messages.message();
        let text = message.text(frame.bytes());
        let names = message.text(NAMES);
        let mut target = Target { message: &mut message, line, text, names };
        let priority = Priority::read(line)?;
        if let Some(priority) = &priority {
            target.message.severity(priority.severity);
        }
        let start = priority.as_ref().map_or(0, |priority| priority.len);
        let is_5424 = match self.format {
            Format::Auto => priority.is_some() && rfc5424::has_version(&line[start..]),
            format => format == Format::Rfc5424,
        };
        match &priority {
            Some(priority) => target.named_bytes(FACILITY, priority.facility),
            None if is_5424 => return Err(PluginError::message("no priority such as `<13>` at column 1")),
            None => {}
        }
        match is_5424 {
            true => rfc5424::read(&mut target, start, &self.zone, &mut self.scratch)?,
            false => rfc3164::read(&mut target, start, &mut self.time, &self.zone)?,
        }
        if self.keep_raw {
            target.named(RAW, 0..frame.bytes().len());
        }
        message.finish()
    }
}

/// Cuts off what senders put behind a message.
fn trimmed(frame: &[u8]) -> &[u8] {
    let len = frame.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |at| at + 1);
    &frame[..len]
}

/// The names of the fields, one behind the other.
const NAMES: &[u8] = b"facilityapp_nameproc_idmsg_idraw";
const FACILITY: Range<usize> = 0..8;
const APP_NAME: Range<usize> = 8..16;
const PROC_ID: Range<usize> = 16..23;
const MSG_ID: Range<usize> = 23..29;
const RAW: Range<usize> = 29..32;

/// A message whose texts are parts of one line.
struct Target<'m, 'w, 'l> {
    message: &'m mut MessageBuilder<'w>,
    line: &'l [u8],
    text: Text,
    names: Text,
}

impl Target<'_, '_, '_> {
    /// Adds a field with a part of the line, if it isn't empty.
    fn named(&mut self, name: Range<usize>, part: Range<usize>) {
        if !part.is_empty() {
            let value = TextValue::String(self.text.slice(part));
            self.message.field_text(self.names.slice(name), Text::default(), value);
        }
    }

    fn named_bytes(&mut self, name: Range<usize>, value: &str) {
        let value = TextValue::String(self.message.text(value.as_bytes()));
        self.message.field_text(self.names.slice(name), Text::default(), value);
    }

    /// Adds the process id; a number goes to the header too.
    fn process(&mut self, part: Range<usize>) {
        if let Some(pid) =
            heka_scalar::number::integer(&self.line[part.clone()]).and_then(|pid| i32::try_from(pid).ok())
        {
            self.message.pid(pid);
        }
        self.named(PROC_ID, part);
    }

    fn hostname(&mut self, part: Range<usize>) {
        self.message.hostname_text(self.text.slice(part));
    }

    fn payload(&mut self, part: Range<usize>) {
        self.message.payload_text(self.text.slice(part));
    }
}

#[cfg(test)]
mod tests;
