//! Decoder `docker`: what Docker's `json-file` driver writes.

use crate::pieces::{Joiner, Piece};
use heka_object::parse_timestamp;
use heka_plugin_api::{Context, Decoder, Frame, MessageWriter, PluginError, Schema};
use serde::Deserialize;
use std::borrow::Cow;

/// Reads the logs of Docker's `json-file` driver: `{"log":"…\n","stream":"stdout","time":"…"}`.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether the names in the log file's path become fields: `namespace`, `pod`, `pod_uid`, `container`, `container_id`.
    #[serde(default = "default_path_fields")]
    #[schema(default = "true")]
    path_fields: bool,
}

fn default_path_fields() -> bool {
    true
}

/// Reads lines of Docker, one frame of one or more.
pub struct DockerDecoder {
    joiner: Joiner,
}

/// One line; what else is in it, such as `attrs`, is left out.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    log: Cow<'l, str>,
    #[serde(borrow)]
    stream: Cow<'l, str>,
    #[serde(borrow)]
    time: Cow<'l, str>,
}

impl Decoder for DockerDecoder {
    type Config = Config;

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(DockerDecoder { joiner: Joiner::new(config.path_fields) })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        self.joiner.begin();
        for line in frame.bytes().split(|&byte| byte == b'\n') {
            let line: Line<'_> = serde_json::from_slice(line)
                .map_err(|error| PluginError::message(format!("no line of Docker: {error}")))?;
            self.joiner.take(&piece(&line).map_err(PluginError::message)?, messages)?;
        }
        self.joiner.finish(messages)
    }
}

fn piece<'l>(line: &'l Line<'_>) -> Result<Piece<'l>, &'static str> {
    let is_stderr = match &*line.stream {
        "stdout" => false,
        "stderr" => true,
        _ => return Err("no line of Docker: `stream` is neither `stdout` nor `stderr`"),
    };
    let time = parse_timestamp(line.time.as_bytes()).ok_or("no line of Docker: `time` is no time")?;
    let whole = line.log.strip_suffix('\n');
    let content = whole.map_or(&*line.log, |content| content.strip_suffix('\r').unwrap_or(content));
    Ok(Piece { time, is_stderr, is_last: whole.is_some(), content: content.as_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::DecoderTest;
    use proptest::prelude::*;

    fn payloads(frame: &[u8]) -> Result<Vec<String>, String> {
        let messages = DecoderTest::<DockerDecoder>::open("").unwrap().decode(frame)?;
        Ok(messages
            .iter()
            .map(|message| String::from_utf8_lossy(message.view().payload()).into_owned())
            .collect())
    }

    fn line(log: &str, stream: &str) -> String {
        format!(r#"{{"log":"{log}","stream":"{stream}","time":"2024-01-02T10:00:00.5Z"}}"#)
    }

    #[test]
    fn a_line_break_ends_a_line() {
        let frame =
            [line("one ", "stdout"), line("err\\r\\n", "stderr"), line("two\\n", "stdout")].join("\n");
        assert_eq!(payloads(frame.as_bytes()).unwrap(), ["err", "one two"]);
        assert_eq!(payloads(line("\\n", "stdout").as_bytes()).unwrap(), [""]);
        assert_eq!(payloads(line("caf\\u00e9 \\\"x\\\"", "stdout").as_bytes()).unwrap(), ["café \"x\""]);
        let with_more = r#"{"log":"x\n","stream":"stdout","attrs":{"a":"b"},"time":"2024-01-02T10:00:00Z"}"#;
        assert_eq!(payloads(with_more.as_bytes()).unwrap(), ["x"]);
    }

    #[test]
    fn other_lines_are_refused() {
        let lines =
            ["", "{}", "[]", "{\"log\":1}", "{\"log\":\"\\ud800\",\"stream\":\"stdout\",\"time\":\"x\"}"];
        for line in lines.into_iter().chain([&*line("x", "other"), &line("x", "stdout").replace("2024", "x")])
        {
            assert!(payloads(line.as_bytes()).unwrap_err().starts_with("no line of Docker: "), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(frame: Vec<u8>) {
            let _ = payloads(&frame);
        }
    }
}
