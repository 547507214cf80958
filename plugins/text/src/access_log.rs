//! Decoder `access_log`: lines of a web server's access log.

mod apache;
mod field;
mod format;
mod line;
mod misfit;
mod nginx;

use format::LineFormat;
use heka_plugin_api::{Context, Decoder, Faults, Frame, MessageWriter, PluginError, Schema};
use heka_scalar::timestamp::Zone;
use line::LineReader;
use serde::Deserialize;

/// Reads the lines of a web server's access log, in the format that the server's own config names.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `combined`, `common`, an nginx `log_format` or an Apache `LogFormat`.
    #[serde(default = "default_format")]
    #[schema(default = "combined")]
    format: String,
    /// Whether the payload is the line as it was read; without it there is none.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    keep_payload: bool,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
}

fn default_format() -> String {
    "combined".to_owned()
}

/// Reads access logs.
pub struct AccessLogDecoder {
    reader: LineReader,
}

impl Decoder for AccessLogDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Err(reason) = LineFormat::compile(&config.format) {
            faults.add("format", reason);
        }
        if let Err(reason) = Zone::find(&config.timezone) {
            faults.add("timezone", reason);
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let format = LineFormat::compile(&config.format).map_err(PluginError::Config)?;
        let zone = Zone::find(&config.timezone).map_err(PluginError::Config)?;
        Ok(AccessLogDecoder { reader: LineReader::new(format, config.keep_payload, zone)? })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        self.reader.read(frame.bytes(), messages)
    }
}

#[cfg(test)]
mod tests;
