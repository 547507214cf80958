//! Any text is a config, in the new shape or the seed era's, or has faults.
#![no_main]

use heka_lib::config::{Config, from_json_str};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(document) = from_json_str("fuzz.json", text) {
        let _ = Config::from_document(&document);
    }
});
