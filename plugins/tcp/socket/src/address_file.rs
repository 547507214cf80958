//! The file in which an input tells other programs the address that it is bound to.

use heka_plugin_api::Context;

/// Name of the file in the state directory that holds the bound address, a line.
pub const ADDRESS_FILE: &str = "address";

/// Writes the bound address to the instance's state directory; a failure is logged.
pub fn write_address(bound: &str, context: &Context) {
    write_address_as(ADDRESS_FILE, bound, context);
}

/// As [`write_address`], to a file with another name, for an input with several addresses.
pub fn write_address_as(file: &str, bound: &str, context: &Context) {
    let path = context.state_dir().join(file);
    if let Err(why) = std::fs::write(&path, format!("{bound}\n")) {
        let instance = context.instance();
        log::warn!("input `{instance}`: failed to write its address to `{}`: {why}", path.display());
    }
}
