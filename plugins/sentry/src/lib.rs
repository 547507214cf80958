//! Sentry's events, base64 of zlib of JSON: decoder `sentry` for frames, filter `sentry` for the payload of messages.
//!
//! [`payload`], [`event`] and [`text`] are pure: both plugins use them.

mod decoder;
pub mod event;
mod filter;
pub mod payload;
mod shown;
pub mod text;

pub use decoder::SentryDecoder;
pub use filter::SentryFilter;

use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "sentry" => SentryDecoder,
    filter "sentry" => SentryFilter,
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{DecoderTest, FilterTest};

    #[test]
    fn the_plugins_of_the_sample_open() {
        let sample: toml::Table = include_str!("../sample.toml").parse().unwrap();
        let options = |kind: &str, name: &str| {
            let mut section = sample[kind][name].as_table().unwrap().clone();
            assert_eq!(section.remove("plugin").unwrap().as_str(), Some("sentry"));
            section.to_string()
        };
        assert_eq!(DecoderTest::<SentryDecoder>::open(&options("decoders", "events")).map(drop), Ok(()));
        assert_eq!(FilterTest::<SentryFilter>::open(&options("filters", "exceptions")).map(drop), Ok(()));
    }
}
