//! Carries messages from host to host, acknowledged end to end: input `hop`, output `hop`.
//!
//! [`protocol`] says what goes over the wire, to the byte.

mod bell;
mod exposure;
mod incoming;
mod input;
mod intervals;
mod output;
pub mod protocol;
mod secret;
#[cfg(test)]
mod tests;

use heka_plugin_api::export_plugin;
use input::HopInput;
use output::HopOutput;

export_plugin! {
    input "hop" => HopInput,
    output "hop" => HopOutput,
}
