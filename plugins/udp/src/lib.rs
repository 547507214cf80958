//! Datagrams over UDP and unix sockets: input `udp`, output `udp`.

mod input;
mod output;

use heka_plugin_api::export_plugin;
use input::UdpInput;
use output::UdpOutput;

export_plugin! {
    input "udp" => UdpInput,
    output "udp" => UdpOutput,
}
