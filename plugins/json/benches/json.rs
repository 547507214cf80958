//! How fast JSON is read and written: through the plugins' tables.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use heka_json::{JsonDecoder, JsonEncoder};
use heka_plugin_api::testing::{BATCH_LEN_MAX, DecoderTest, EncoderTest};
use heka_plugin_api::{MessageBuilder, OwnedMessage};

const ENVELOPE: &str = r#"{"severity": 6, "timestamp": "2026-11-22T09:26:37.541873Z", "metlog_hostname": "vm", "fields": {"rate": 1.0, "name": "hits"}, "metlog_pid": 25221, "logger": "myapp", "type": "counter", "payload": "3", "env_version": "0.8"}"#;
const OBJECT: &str = r#"{"remote_addr":"203.0.113.195","time":"2026-11-22T09:26:37Z","method":"GET","path":"/index.html","status":200,"body_bytes_sent":5316,"request_time":0.012,"http":{"referer":"https://example.org/","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}}"#;

fn main() {
    divan::main();
}

fn read(bencher: Bencher, json: &str) {
    let Ok(mut decoder) = DecoderTest::<JsonDecoder>::open("") else { return };
    let frames = vec![json; BATCH_LEN_MAX];
    let bytes = BytesCount::new(json.len() * BATCH_LEN_MAX);
    let bencher = bencher.counter(ItemsCount::new(BATCH_LEN_MAX)).counter(bytes);
    bencher.bench_local(|| assert_eq!(decoder.decode_many(&frames), BATCH_LEN_MAX));
}

#[divan::bench]
fn decode_envelope(bencher: Bencher) {
    read(bencher, ENVELOPE);
}

#[divan::bench]
fn decode_object(bencher: Bencher) {
    read(bencher, OBJECT);
}

/// What `access_log` makes of a line: 11 fields, no payload.
fn build(builder: &mut MessageBuilder<'_>) {
    builder.timestamp(1_763_800_000_123_456_789).severity(6).message_type("access_log");
    builder.logger("logs/access.log").hostname("web-01.example.org");
    builder.field("remote_addr", "203.0.113.195").field("remote_user", "frank").field("status", 200);
    builder
        .field("time_local", "22/Nov/2026:09:26:37 +0000")
        .field("request", "GET /index.html?q=1 HTTP/1.1");
    builder.field("method", "GET").field("path", "/index.html?q=1").field("protocol", "HTTP/1.1");
    builder.field("body_bytes_sent", 5_316).field("http_referer", "https://example.org/start");
    builder.field("http_user_agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0");
}

#[divan::bench]
fn encode(bencher: Bencher) {
    let Ok(message) = OwnedMessage::build(build) else { return };
    let Ok(mut encoder) = EncoderTest::<JsonEncoder>::open("") else { return };
    let messages = vec![message; BATCH_LEN_MAX];
    let bencher = bencher.counter(ItemsCount::new(BATCH_LEN_MAX));
    bencher.bench_local(|| assert!(encoder.encode_many(&messages) > BATCH_LEN_MAX * 400));
}
