//! Datagrams over UDP and unix sockets: input `udp`, output `udp`.

mod address;
mod cause;
mod datagrams;
mod input;
mod output;
mod sockets;
mod wake;

use heka_plugin_api::export_plugin;
use input::UdpInput;
use output::UdpOutput;

export_plugin! {
    input "udp" => UdpInput,
    output "udp" => UdpOutput,
}
