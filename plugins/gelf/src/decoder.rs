//! Decoder `gelf`.

use crate::chunks::{self, Chunks, Limits};
use crate::{inflate, object};
use heka_plugin_api::{
    ByteSize, Context, Counter, Decoder, Faults, Frame, Interval, MessageWriter, PluginError, Schema,
};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Time between two lines about chunks that never came.
const PAUSE: Duration = Duration::from_secs(60);

/// Reads GELF: plain, compressed by zlib or gzip, and in chunks.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Longest message when it is put together and unpacked, at most 64 MiB.
    #[serde(default = "default_message_bytes_max")]
    #[schema(default = "1 MiB")]
    message_bytes_max: ByteSize,
    /// How long a message waits for its last chunk, 1 ms to 1 h.
    #[serde(default = "default_chunk_timeout")]
    #[schema(default = "5 s")]
    chunk_timeout: Interval,
    /// Messages that wait for chunks at most, 1 to 100,000; then the oldest is given up.
    #[serde(default = "default_chunked_max")]
    #[schema(default = "1000", unit = "messages")]
    chunked_max: usize,
}

fn default_message_bytes_max() -> ByteSize {
    ByteSize(1 << 20)
}

fn default_chunk_timeout() -> Interval {
    Interval(Duration::from_secs(5))
}

fn default_chunked_max() -> usize {
    1_000
}

/// Reads GELF.
pub struct GelfDecoder {
    bytes_max: usize,
    chunks: Chunks,
    unpacked: Vec<u8>,
    given_up: Counter,
    untold: u64,
    told: Option<Instant>,
}

impl Decoder for GelfDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if !(1..=64 << 20).contains(&config.message_bytes_max.0) {
            faults.add("message_bytes_max", "from 1 byte to 64 MiB");
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&config.chunk_timeout.0) {
            faults.add("chunk_timeout", "from 1 ms to 1 h");
        }
        if !(1..=100_000).contains(&config.chunked_max) {
            faults.add("chunked_max", "from 1 to 100000");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let bytes_max = config.message_bytes_max.0 as usize;
        let limits = Limits { timeout: config.chunk_timeout.0, messages_max: config.chunked_max, bytes_max };
        Ok(GelfDecoder {
            bytes_max,
            chunks: Chunks::new(limits),
            unpacked: Vec::new(),
            given_up: context.counter("chunked_given_up"),
            untold: 0,
            told: None,
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        context: &mut Context,
    ) -> Result<(), PluginError> {
        let joined;
        let payload = if chunks::is_chunk(frame.bytes()) {
            let whole = self.chunks.take(frame.bytes(), Instant::now());
            self.tell(context);
            let Some(whole) = whole.map_err(PluginError::message)? else { return Ok(()) };
            joined = whole;
            &joined
        } else {
            frame.bytes()
        };
        let text =
            inflate::text(payload, self.bytes_max, &mut self.unpacked).map_err(PluginError::message)?;
        let mut message = messages.message();
        // TCP senders end a message with a NUL, whichever splitter was chosen.
        object::read(text.strip_suffix(b"\0").unwrap_or(text), &mut message).map_err(PluginError::message)?;
        message.finish()
    }
}

impl GelfDecoder {
    /// Counts the messages that were given up, and says so now and then.
    fn tell(&mut self, context: &Context) {
        let more = std::mem::take(&mut self.chunks.given_up);
        self.given_up.add(more);
        self.untold += more;
        if self.untold > 0 && self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            let untold = std::mem::take(&mut self.untold);
            log::warn!(
                "decoder `{}`: gave up {untold} messages of which chunks are missing",
                context.instance()
            );
            self.told = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::tests::chunk;
    use crate::inflate::tests::{gzip, zlib};
    use heka_plugin_api::testing::DecoderTest;
    use proptest::prelude::*;

    fn open() -> DecoderTest<GelfDecoder> {
        DecoderTest::open("").unwrap()
    }

    /// The one message of a frame, as text.
    fn shown(decoder: &mut DecoderTest<GelfDecoder>, frame: &[u8]) -> Result<String, String> {
        let messages = decoder.decode(frame)?;
        let Some(message) = messages.first() else { return Ok(String::new()) };
        let message = message.view();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields: Vec<String> = message
            .fields()
            .map(|field| {
                format!(
                    "{}{}={:?}",
                    text(field.name()),
                    text(field.representation()),
                    field.value(0).unwrap()
                )
            })
            .collect();
        let (payload, host) = (text(message.payload()), text(message.hostname()));
        Ok(format!("{} {host} {} {payload} {}", message.timestamp(), message.severity(), fields.join(" ")))
    }

    const EXAMPLE: &str = r#"{"version":"1.1","host":"example.org","short_message":"A short message","full_message":"Backtrace here",
        "timestamp":1385053862.3072,"level":1,"_user_id":9001,"_some_info":"foo","_ratio":0.5}"#;
    const EXPECTED: &str = "1385053862307200000 example.org 1 A short message full_message=\"Backtrace here\" user_id=9001 some_info=\"foo\" ratio=0.5";

    #[test]
    fn the_example_of_the_specification_is_read_however_it_comes() {
        let mut decoder = open();
        assert_eq!(shown(&mut decoder, EXAMPLE.as_bytes()).unwrap(), EXPECTED);
        assert_eq!(shown(&mut decoder, format!("{EXAMPLE}\0").as_bytes()).unwrap(), EXPECTED);
        for packed in [zlib(EXAMPLE.as_bytes()), gzip(EXAMPLE.as_bytes())] {
            assert_eq!(shown(&mut decoder, &packed).unwrap(), EXPECTED);
            let (first, second) = packed.split_at(packed.len() / 2);
            assert_eq!(shown(&mut decoder, &chunk(7, 1, 2, second)).unwrap(), "");
            assert_eq!(shown(&mut decoder, &chunk(7, 0, 2, first)).unwrap(), EXPECTED);
        }
    }

    #[test]
    fn what_is_odd_is_kept_and_what_is_none_is_refused() {
        let mut decoder = open();
        let mut check = |json: &str, expected: Result<&str, &str>| {
            let found = shown(&mut decoder, json.as_bytes());
            match expected {
                Ok(expected) => assert_eq!(found.unwrap(), format!("0 test-host 7 x {expected}"), "{json}"),
                Err(start) => assert!(found.as_ref().unwrap_err().starts_with(start), "{json}: {found:?}"),
            }
        };
        check(
            r#"{"short_message":"x","level":9,"_a":[1,"b"],"_b":{"c":null},"_d":true,"e":null,"_":"f"}"#,
            Ok("level=9 ajson=\"[1,\\\"b\\\"]\" bjson=\"{\\\"c\\\":null}\" d=true _=\"f\""),
        );
        check(
            r#"{"short_message":"x","timestamp":"never","_big":18446744073709551615}"#,
            Ok("timestamp=\"never\" big=1.8446744073709552e19"),
        );
        check(r#"{"short_message":"x","timestamp":1e300}"#, Ok("timestamp=1e300"));
        check(r#"{"host":"x"}"#, Err("no GELF: it has no `short_message`"));
        check(r#"{"short_message":5}"#, Err("no GELF: it has no `short_message`"));
        check(r#"{"short_message":"\ud800"}"#, Err("no GELF: "));
        check("[]", Err("no GELF: "));
        check("", Err("no GELF: "));
        check(r#"{"short_message":"x"} y"#, Err("no GELF: "));
    }

    #[test]
    fn wrong_options_are_found() {
        let faults =
            DecoderTest::<GelfDecoder>::faults("message_bytes_max = 0\nchunk_timeout = 0\nchunked_max = 0");
        assert_eq!(faults.len(), 3, "{faults:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(frame: Vec<u8>, head in prop::sample::select(vec![&b""[..], b"\x1e\x0f", b"\x1f\x8b\x08", b"\x78\x9c", b"{\"_a\":"])) {
            let _ = open().decode(&[head, &frame].concat());
        }
    }
}
