//! Reads and writes lines of text: decoders `access_log`, `csv`, `grok`, `kv`, `logfmt`, `nginx_error`, `regex`
//! and `syslog`, encoders `payload` and `template`.

mod access_log;
mod csv;
mod defaults;
mod grok;
mod group_finder;
mod kv;
mod logfmt;
mod named_value;
mod nginx_error;
mod pair;
mod payload;
mod regex;
mod syslog;
mod template;

pub use access_log::AccessLogDecoder;
pub use csv::CsvDecoder;
pub use grok::GrokDecoder;
pub use kv::KvDecoder;
pub use logfmt::LogfmtDecoder;
pub use nginx_error::NginxErrorDecoder;
pub use payload::PayloadEncoder;
pub use regex::RegexDecoder;
pub use syslog::SyslogDecoder;
pub use template::TemplateEncoder;

use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "access_log" => AccessLogDecoder,
    decoder "csv" => CsvDecoder,
    decoder "grok" => GrokDecoder,
    decoder "kv" => KvDecoder,
    decoder "logfmt" => LogfmtDecoder,
    decoder "nginx_error" => NginxErrorDecoder,
    decoder "regex" => RegexDecoder,
    decoder "syslog" => SyslogDecoder,
    encoder "payload" => PayloadEncoder,
    encoder "template" => TemplateEncoder,
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{DecoderTest, EncoderTest};

    #[test]
    fn the_plugins_of_the_sample_open() {
        let sample: toml::Table = include_str!("../sample.toml").parse().unwrap();
        let mut opened = 0;
        for kind in ["decoders", "encoders"] {
            for (name, section) in sample[kind].as_table().unwrap() {
                let mut options = section.as_table().unwrap().clone();
                let plugin = options.remove("plugin").unwrap();
                let options = options.to_string();
                let result = match plugin.as_str().unwrap() {
                    "access_log" => DecoderTest::<AccessLogDecoder>::open(&options).map(drop),
                    "csv" => DecoderTest::<CsvDecoder>::open(&options).map(drop),
                    "grok" => DecoderTest::<GrokDecoder>::open(&options).map(drop),
                    "kv" => DecoderTest::<KvDecoder>::open(&options).map(drop),
                    "regex" => DecoderTest::<RegexDecoder>::open(&options).map(drop),
                    "payload" => EncoderTest::<PayloadEncoder>::open(&options).map(drop),
                    _ => EncoderTest::<TemplateEncoder>::open(&options).map(drop),
                };
                assert_eq!(result, Ok(()), "{name}");
                opened += 1;
            }
        }
        assert_eq!(opened, 7);
    }

    #[test]
    fn the_line_of_the_sample_is_read() {
        let sample: toml::Table = include_str!("../sample.toml").parse().unwrap();
        let mut options = sample["decoders"]["app"].as_table().unwrap().clone();
        options.remove("plugin");
        let mut decoder = DecoderTest::<RegexDecoder>::open(&options.to_string()).unwrap();
        let messages = decoder.decode(b"2024-02-29 12:00:00,250 ERROR [core] it broke").unwrap();
        let message = messages[0].view();
        assert_eq!((message.timestamp(), message.severity()), (1_709_204_400_250_000_000, 3));
        assert_eq!((message.logger(), message.payload()), (&b"core"[..], &b"it broke"[..]));
    }
}
