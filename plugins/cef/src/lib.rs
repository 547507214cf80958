//! CEF lines, ArcSight's Common Event Format: decoder `cef` for lines, filter `cef` for the payload of messages.
//!
//! [`line`] and [`fields`] are pure: both plugins use them.

mod decoder;
pub mod fields;
mod filter;
pub mod line;

pub use decoder::CefDecoder;
pub use filter::CefFilter;

use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "cef" => CefDecoder,
    filter "cef" => CefFilter,
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
            assert_eq!(section.remove("plugin").unwrap().as_str(), Some("cef"));
            section.to_string()
        };
        assert_eq!(DecoderTest::<CefDecoder>::open(&options("decoders", "firewall")).map(drop), Ok(()));
        assert_eq!(FilterTest::<CefFilter>::open(&options("filters", "security")).map(drop), Ok(()));
    }
}
