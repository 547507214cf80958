//! A plugin file that says what it holds, but exports no entry.

use heka_plugin_api::export::{metadata, metadata_len};

const CRATE: [&str; 2] = [env!("CARGO_CRATE_NAME"), env!("CARGO_PKG_VERSION")];

#[used]
#[unsafe(link_section = ".heka_plugin")]
static METADATA: [u8; metadata_len(CRATE, &[]) + PLUGIN.len()] = {
    let mut bytes = [0; metadata_len(CRATE, &[]) + PLUGIN.len()];
    let (start, end) = bytes.split_at_mut(metadata_len(CRATE, &[]));
    start.copy_from_slice(&metadata::<{ metadata_len(CRATE, &[]) }>(CRATE, &[]));
    end.copy_from_slice(PLUGIN);
    bytes
};

const PLUGIN: &[u8] = b"kind=filter\0plugin=no_symbol\0doc=Can't be reached.\0";
