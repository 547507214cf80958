//! Reads and writes files: input `file` follows them through rotations, output `file` appends to them.

mod identity;
mod input;
mod output;
mod tail;

use heka_plugin_api::export_plugin;
use input::FileInput;
use output::FileOutput;

export_plugin! {
    input "file" => FileInput,
    output "file" => FileOutput,
}
