//! How fast messages of 430 bytes with 6 fields are read and written, through the plugins' tables.

use divan::Bencher;
use divan::counter::ItemsCount;
use heka_heka::framing::write_frame;
use heka_heka::protobuf::put_message;
use heka_heka::{HekaDecoder, HekaEncoder};
use heka_plugin_api::testing::{BATCH_LEN_MAX, DecoderTest, EncoderTest};
use heka_plugin_api::{MessageBuilder, OwnedMessage, PluginError};

fn main() {
    divan::main();
}

fn build(builder: &mut MessageBuilder<'_>) {
    let payload = "GET /index.html HTTP/1.1 200 5316 ".repeat(5);
    builder.uuid([7; 16]).timestamp(1_763_800_000_123_456_789).severity(6).pid(4321);
    builder.message_type("nginx.access").logger("web.frontend").hostname("web-01.example.org");
    builder.env_version("0.8").payload(&payload);
    builder.field("remote_addr", "203.0.113.195").field("status", 200).field("bytes_sent", 5_316);
    builder
        .field("request_time", 0.0123)
        .field("method", "GET")
        .field("user_agent", "Mozilla/5.0 (X11; Linux)");
}

/// The message, and its protobuf form.
fn sample() -> Result<(OwnedMessage, Vec<u8>), PluginError> {
    let message = OwnedMessage::build(build)?;
    let mut body = Vec::new();
    put_message(&message.view(), &mut body);
    Ok((message, body))
}

#[divan::bench]
fn decode(bencher: Bencher) {
    let Ok((_, body)) = sample() else { return };
    assert!((400..450).contains(&body.len()), "the sample has {} bytes", body.len());
    let mut frame = Vec::new();
    write_frame(&body, None, &mut frame);
    let Ok(mut decoder) = DecoderTest::<HekaDecoder>::open("") else { return };
    let frames = vec![frame; BATCH_LEN_MAX];
    let bencher = bencher.counter(ItemsCount::new(BATCH_LEN_MAX));
    bencher.bench_local(|| assert_eq!(decoder.decode_many(&frames), BATCH_LEN_MAX));
}

fn write(bencher: Bencher, message: OwnedMessage) {
    let Ok(mut encoder) = EncoderTest::<HekaEncoder>::open("") else { return };
    let messages = vec![message; BATCH_LEN_MAX];
    let bencher = bencher.counter(ItemsCount::new(BATCH_LEN_MAX));
    bencher.bench_local(|| assert!(encoder.encode_many(&messages) > BATCH_LEN_MAX * 400));
}

#[divan::bench]
fn encode(bencher: Bencher) {
    let Ok((message, _)) = sample() else { return };
    write(bencher, message);
}

#[divan::bench]
fn forward(bencher: Bencher) {
    let Ok((_, body)) = sample() else { return };
    let message = OwnedMessage::build(|builder| {
        let text = builder.text(&body);
        builder.raw_text(text);
    });
    let Ok(message) = message else { return };
    write(bencher, message);
}
