//! Any text is a config or has faults.
#![no_main]

use heka_lib::config::{Config, from_toml_str};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(document) = from_toml_str("fuzz.toml", text) {
        let _ = Config::from_document(&document);
    }
});
