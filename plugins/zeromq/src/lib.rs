//! Messages over ZeroMQ: input `zeromq` (SUB or PULL) and output `zeromq` (PUB or PUSH).
//!
//! The protocol is libzmq's, which speaks every version of ZMTP that clients of the last fifteen years do. It is
//! linked into the plugin file, and its I/O thread lives as long as the instance.

mod endpoint;
mod handshake;
mod inbox;
mod input;
mod output;
mod wire;

pub use input::ZeromqInput;
pub use output::ZeromqOutput;

use heka_plugin_api::export_plugin;

export_plugin! {
    input "zeromq" => ZeromqInput,
    output "zeromq" => ZeromqOutput,
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{InputTest, OutputTest};

    #[test]
    fn the_plugins_of_the_sample_open() {
        let sample: toml::Table = include_str!("../sample.toml").parse().unwrap();
        let options = |kind: &str, name: &str| {
            let mut section = sample[kind][name].as_table().unwrap().clone();
            assert_eq!(section.remove("plugin").unwrap().as_str(), Some("zeromq"));
            section.remove("decoder");
            section.remove("encoder");
            section.to_string()
        };
        assert_eq!(InputTest::<ZeromqInput>::open(&options("inputs", "clients")).map(drop), Ok(()));
        assert_eq!(OutputTest::<ZeromqOutput>::open(&options("outputs", "next")).map(drop), Ok(()));
    }
}
