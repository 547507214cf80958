//! What a batch of 256 messages costs each side, without the sockets.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use heka_hop::protocol::{BatchHeader, Codec, FrameKind, Packer, Unpacker, push_frame_parts};
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::message;

const MESSAGES: usize = 256;
const CODECS: [u8; 3] = [0, 1, 2];

fn main() {
    divan::main();
}

/// Lines of an access log of about 200 bytes, as input `file` makes messages of them.
fn messages() -> Vec<OwnedMessage> {
    let line = |number: usize| {
        format!(
            "10.{}.{}.{} - - [22/Nov/2026:20:{:02}:{:02} +0000] \"GET /api/v1/items/{}?page={} HTTP/1.1\" {} {} \"https://www.example.org/shop/list\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101\"",
            number % 7,
            number * 13 % 251,
            number * 7 % 253,
            number % 60,
            number * 11 % 60,
            number * 7919 % 100_000,
            number % 9,
            if number.is_multiple_of(17) { 503 } else { 200 },
            number * 104_729 % 30_000,
        )
    };
    (0..MESSAGES)
        .map(|number| {
            message(|m| {
                let uuid =
                    std::array::from_fn(|at| (number * 31 + at * 17 + number * number * (at + 1)) as u8);
                m.message_type("access").logger("/var/log/nginx/access.log").hostname("web-17").uuid(uuid);
                m.timestamp(1_795_000_000_000_000_000 + number as i64 * 7_919_113).payload(line(number));
            })
        })
        .collect()
}

fn write_body(body: &mut Vec<u8>, messages: &[OwnedMessage]) {
    body.clear();
    for (number, message) in messages.iter().enumerate() {
        body.extend_from_slice(&(number as u64).to_le_bytes());
        body.extend_from_slice(&0_u64.to_le_bytes());
        body.extend_from_slice(message.view().record_bytes());
        body.resize(body.len().next_multiple_of(8), 0);
    }
}

fn header(codec: Codec, uncompressed: usize, packed: &[u8]) -> BatchHeader {
    BatchHeader {
        source: serde_bytes::ByteArray::new([7; 16]),
        first: 0,
        last: MESSAGES as u64 - 1,
        count: MESSAGES as u32,
        codec: codec.number(),
        uncompressed: uncompressed as u32,
        crc: crc32c::crc32c(packed),
        settled: 0,
        ordered: true,
    }
}

fn packer(codec: u8) -> Packer {
    Codec::of(codec).and_then(|codec| Packer::new(codec).ok()).expect("a known codec")
}

#[divan::bench(args = CODECS)]
fn agent(bencher: Bencher<'_, '_>, codec: u8) {
    let (messages, mut packer) = (messages(), packer(codec));
    let (mut body, mut frame) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        write_body(&mut body, &messages);
        let (codec, packed) = packer.pack(&body);
        frame.clear();
        let header = header(codec, body.len(), packed);
        push_frame_parts(&mut frame, FrameKind::Batch, &header, packed).expect("it fits");
        black_box(frame.len())
    });
}

#[divan::bench(args = CODECS)]
fn grater(bencher: Bencher<'_, '_>, codec: u8) {
    let (mut body, mut packer, mut unpacker) = (Vec::new(), packer(codec), Unpacker::default());
    write_body(&mut body, &messages());
    let (codec, packed) = packer.pack(&body);
    let header = header(codec, body.len(), packed);
    eprintln!("{codec:?}: {} of {} bytes", packed.len(), body.len());
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        let body = unpacker.unpack(&header, packed, 16 << 20).expect("it is whole");
        body.messages().map(|found| found.sequence).sum::<u64>()
    });
}
