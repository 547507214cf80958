//! Byte streams over TCP and unix sockets: input `tcp`, output `tcp`.

mod connections;
mod input;
mod output;
mod peer;
mod server;

use heka_plugin_api::export_plugin;
use input::TcpInput;
use output::TcpOutput;

export_plugin! {
    input "tcp" => TcpInput,
    output "tcp" => TcpOutput,
}
