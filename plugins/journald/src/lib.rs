//! systemd's journal: input `journald`, decoder `journal_export`.
//!
//! [`export`] is the format itself, pure.

mod child;
mod cursor_file;
mod decoder;
mod entry;
pub mod export;
mod input;

pub use decoder::JournalExportDecoder;
pub use input::JournaldInput;

use heka_plugin_api::export_plugin;

export_plugin! {
    input "journald" => JournaldInput,
    decoder "journal_export" => JournalExportDecoder,
}
