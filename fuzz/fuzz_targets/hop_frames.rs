//! Any bytes from a peer are read as frames of the hop or refused, within the limits' memory.
#![no_main]

use heka_hop::protocol::{HEADER_BYTES_MAX, Limits, scan};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { header_bytes_max: HEADER_BYTES_MAX, body_bytes_max: 1 << 20 };

fuzz_target!(|bytes: &[u8]| {
    let _ = scan(bytes, LIMITS);
});
