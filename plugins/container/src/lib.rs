//! Logs of containers, as their runtimes write them: decoders `cri` and `docker`.
//!
//! A line that a container prints may be cut into several pieces, with pieces of its other stream between them. The
//! splitters `cri` and `docker` keep such lines together in one frame; the decoders join the pieces.

mod cri;
mod docker;
mod pieces;
mod place;

pub use cri::CriDecoder;
pub use docker::DockerDecoder;

use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "cri" => CriDecoder,
    decoder "docker" => DockerDecoder,
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::DecoderTest;

    #[test]
    fn the_decoders_of_the_sample_open() {
        let sample = include_str!("../sample.toml");
        assert!(sample.contains("plugin = \"cri\"\npath_fields = true"));
        assert!(DecoderTest::<CriDecoder>::open("path_fields = true").is_ok());
        assert!(sample.contains("plugin = \"docker\"\npath_fields = true"));
        assert!(DecoderTest::<DockerDecoder>::open("path_fields = true").is_ok());
    }
}
