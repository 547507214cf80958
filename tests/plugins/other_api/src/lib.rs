//! A plugin file that was built for another version of the border: neither its metadata nor its entry is ours.

use heka_plugin_api::abi::{ENTRY_MAGIC, Entry, Slice};

/// A version that no host speaks yet.
const API_VERSION: u32 = 99;

#[used]
#[unsafe(link_section = ".heka_plugin")]
static METADATA: [u8; 110] = *b"heka_plugin_api=99\0language=rust\0layout=0.11.3\0name=heka_other_api\0\
    version=0.1.0\0kind=filter\0plugin=other_api\0";

/// The entry, without any plugin.
#[unsafe(export_name = "heka_plugin_entry_heka_other_api")]
pub static PLUGIN_FILE: Entry = Entry {
    magic: ENTRY_MAGIC,
    api_version: API_VERSION,
    struct_size: size_of::<Entry>() as u32,
    metadata: Slice::new(&METADATA),
    plugins: std::ptr::null(),
    plugin_count: 0,
};
