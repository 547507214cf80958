//! Any bytes are a metadata section or are refused.
#![no_main]

use heka_lib::plugin::Metadata;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Metadata::parse(bytes);
});
