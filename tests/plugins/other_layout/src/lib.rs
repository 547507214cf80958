//! A plugin file whose records have another layout than the host's, in a field that only records lead to.

pub mod abi {
    //! The border, changed.
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

use abi::{API_VERSION, ENTRY_MAGIC, Entry, Layout, Slice};
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

const PLUGIN: &[u8] = b"kind=filter\0plugin=other_layout\0doc=Must not be called.\0";

/// The entry, without any table: the layout is compared before anyone looks for one.
#[unsafe(export_name = "heka_plugin_entry_heka_other_layout")]
pub static PLUGIN_FILE: Entry = Entry {
    magic: ENTRY_MAGIC,
    api_version: API_VERSION,
    struct_size: size_of::<Entry>() as u32,
    metadata: Slice::new(&METADATA),
    plugins: std::ptr::null(),
    plugin_count: 0,
};

/// Shows the changed layout.
#[unsafe(export_name = "heka_plugin_layout_heka_other_layout")]
pub extern "C" fn layout() -> Layout {
    Layout::current()
}
