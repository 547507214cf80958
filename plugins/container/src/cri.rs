//! Decoder `cri`: what containerd, CRI-O and others log for Kubernetes.

use crate::pieces::{Joiner, Piece};
use heka_object::parse_timestamp;
use heka_plugin_api::{Context, Decoder, Frame, MessageWriter, PluginError, Schema};
use serde::Deserialize;

/// Reads the logs of container runtimes that speak CRI: `TIME STREAM TAG CONTENT`.
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

/// Reads lines of CRI, one frame of one or more.
pub struct CriDecoder {
    joiner: Joiner,
}

impl Decoder for CriDecoder {
    type Config = Config;

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(CriDecoder { joiner: Joiner::new(config.path_fields) })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        self.joiner.begin();
        for line in frame.bytes().split(|&byte| byte == b'\n') {
            let piece = piece(line.strip_suffix(b"\r").unwrap_or(line));
            self.joiner.take(&piece.map_err(PluginError::message)?, messages)?;
        }
        self.joiner.finish(messages)
    }
}

/// Reads one line.
///
/// Source: Kubernetes, design proposals, kubelet-cri-logging.
fn piece(line: &[u8]) -> Result<Piece<'_>, &'static str> {
    let mut words = line.splitn(4, |&byte| byte == b' ');
    let mut word = || words.next();
    let (time, stream, tags) = (word().unwrap_or_default(), word(), word());
    let content = word().unwrap_or_default();
    let time = parse_timestamp(time).ok_or("no line of CRI: does not begin with a time")?;
    let is_stderr = match stream {
        Some(b"stdout") => false,
        Some(b"stderr") => true,
        _ => return Err("no line of CRI: neither `stdout` nor `stderr` behind the time"),
    };
    let is_last = match tags.and_then(|tags| tags.split(|&byte| byte == b':').next()) {
        Some(b"F") => true,
        Some(b"P") => false,
        _ => return Err("no line of CRI: neither `F` nor `P` behind the stream"),
    };
    Ok(Piece { time, is_stderr, is_last, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::DecoderTest;
    use proptest::prelude::*;

    fn decoded(frame: &[u8]) -> Result<Vec<String>, String> {
        let messages = DecoderTest::<CriDecoder>::open("").unwrap().decode(frame)?;
        let shown = messages.iter().map(|message| {
            let message = message.view();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let stream = message.value("stream").and_then(|value| value.as_bytes()).unwrap_or_default();
            let partial = if message.field("partial").is_some() { "…" } else { "" };
            format!("{} {} {}{partial}", message.timestamp(), text(stream), text(message.payload()))
        });
        Ok(shown.collect())
    }

    fn check(frame: &str, expected: &[&str]) {
        assert_eq!(decoded(frame.as_bytes()).unwrap(), expected, "{frame}");
    }

    #[test]
    fn pieces_are_joined_by_stream() {
        check(
            "2016-10-06T00:17:09.669794202Z stdout F log content",
            &["1475713029669794202 stdout log content"],
        );
        check("2016-10-06T02:17:10+02:00 stderr F", &["1475713030000000000 stderr "]);
        check("2016-10-06T00:17:10Z stdout F a  b ", &["1475713030000000000 stdout a  b "]);
        check(
            "2016-10-06T00:17:10Z stdout P one \r\n2016-10-06T00:17:11Z stderr P x\n\
             2016-10-06T00:17:12Z stdout P two \n2016-10-06T00:17:13Z stdout F three\n2016-10-06T00:17:14Z stderr F:t y",
            &["1475713030000000000 stdout one two three", "1475713031000000000 stderr xy"],
        );
        check("2016-10-06T00:17:10Z stdout P one", &["1475713030000000000 stdout one…"]);
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "text",
            "2016-10-06T00:17:10Z",
            "2016-10-06T00:17:10Z out F x",
            "2016-10-06T00:17:10Z stdout X x",
        ] {
            assert!(decoded(line.as_bytes()).unwrap_err().starts_with("no line of CRI: "), "{line}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_cut_is_whole_again(text in "[ -~]{1,80}", at in prop::collection::vec(0_usize..80, 0..5)) {
            let mut at: Vec<usize> = at.into_iter().map(|at| at.min(text.len())).collect();
            at.sort_unstable();
            let ends: Vec<usize> = at.iter().copied().chain([text.len()]).collect();
            let starts = [0].into_iter().chain(at);
            let pieces: Vec<&str> = starts.zip(&ends).map(|(start, &end)| &text[start..end]).collect();
            let last = pieces.len() - 1;
            let lines = pieces.iter().enumerate().map(|(index, piece)| {
                format!("2016-10-06T00:17:10Z stdout {} {piece}", if index == last { "F" } else { "P" })
            });
            let frame = lines.collect::<Vec<_>>().join("\n");
            prop_assert_eq!(decoded(frame.as_bytes()).unwrap(), [format!("1475713030000000000 stdout {text}")]);
        }

        #[test]
        fn any_bytes_are_survived(frame: Vec<u8>) {
            let _ = decoded(&frame);
        }
    }
}
