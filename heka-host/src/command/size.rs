//! Sizes on the command line: `200`, `64KiB`.

use heka_plugin_api::units::parse_bytes;

/// Reads a size in bytes.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text).map_err(|fault| fault.to_string())?;
    usize::try_from(bytes).map_err(|_| format!("`{text}` is more than this machine can address"))
}
