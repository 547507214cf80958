use super::*;
use crate::protocol::Packer;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::message;
use proptest::prelude::*;

const BYTES_MAX: usize = 1 << 20;

fn push(body: &mut Vec<u8>, sequence: u64, message: &OwnedMessage) {
    body.extend_from_slice(&sequence.to_le_bytes());
    body.extend_from_slice(&9_u64.to_le_bytes());
    body.extend_from_slice(message.view().record_bytes());
    body.resize(body.len().next_multiple_of(8), 0);
}

fn body(sequences: &[u64], text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for sequence in sequences {
        let payload = format!("{text} {sequence}");
        push(&mut body, *sequence, &message(|m| _ = m.payload(&payload).uuid([7; 16])));
    }
    body
}

fn header(sequences: &[u64], codec: Codec, uncompressed: usize, packed: &[u8]) -> BatchHeader {
    BatchHeader {
        source: ByteArray::new([1; 16]),
        first: sequences[0],
        last: sequences[sequences.len() - 1],
        count: sequences.len() as u32,
        codec: codec.number(),
        uncompressed: uncompressed as u32,
        crc: crc32c::crc32c(packed),
        settled: 0,
        ordered: true,
    }
}

fn seen(header: &BatchHeader, packed: &[u8]) -> Result<Vec<(u64, u64, Vec<u8>)>, BatchError> {
    let mut unpacker = Unpacker::default();
    let body = unpacker.unpack(header, packed, BYTES_MAX)?;
    let of = |found: BatchMessage<'_>| (found.sequence, found.chain, found.message.payload().to_vec());
    Ok(body.messages().map(of).collect())
}

#[test]
fn batches_are_read_as_written_with_every_codec() {
    let sequences = [3, 4, 9];
    let body = body(&sequences, &"some text ".repeat(30));
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let mut packer = Packer::new(codec).unwrap();
        let (used, packed) = packer.pack(&body);
        assert_eq!((used, packed.len() < body.len()), (codec, codec != Codec::None));
        let found = seen(&header(&sequences, used, body.len(), packed), packed).unwrap();
        assert_eq!(found.iter().map(|(sequence, ..)| *sequence).collect::<Vec<_>>(), sequences);
        assert!(found.iter().all(|(sequence, chain, payload)| {
            *chain == 9 && payload.ends_with(format!("text  {sequence}").as_bytes())
        }));
    }
}

#[test]
fn what_does_not_shrink_is_sent_as_it_is() {
    let noise: Vec<u8> = (0..4096_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let noise: Vec<u8> = noise.iter().enumerate().map(|(n, byte)| byte ^ ((n * n) >> 3) as u8).collect();
    for codec in [Codec::Lz4, Codec::Zstd] {
        let mut packer = Packer::new(codec).unwrap();
        let (used, packed) = packer.pack(&noise[..64]);
        assert_eq!((used, packed), (Codec::None, &noise[..64]));
    }
}

#[test]
fn broken_batches_are_refused_as_a_whole() {
    let sequences = [3, 4, 9];
    let good = body(&sequences, "text");
    let right = header(&sequences, Codec::None, good.len(), &good);
    let check = |expected, header: BatchHeader, body: &[u8]| {
        let header = BatchHeader { crc: crc32c::crc32c(body), ..header };
        assert_eq!(seen(&header, body).unwrap_err(), expected);
    };
    assert!(seen(&right, &good).is_ok());
    assert_eq!(seen(&BatchHeader { crc: 1, ..right }, &good).unwrap_err(), BatchError::Checksum);
    check(BatchError::Header, BatchHeader { count: 0, ..right }, &good);
    check(BatchError::Header, BatchHeader { first: 10, ..right }, &good);
    check(BatchError::Header, BatchHeader { settled: 4, ..right }, &good);
    check(BatchError::Header, BatchHeader { uncompressed: right.uncompressed + 1, ..right }, &good);
    check(BatchError::Header, BatchHeader { count: 2, last: 4, ..right }, &good);
    check(BatchError::Codec(7), BatchHeader { codec: 7, ..right }, &good);
    check(
        BatchError::TooLarge(u32::MAX - 7, BYTES_MAX),
        BatchHeader { uncompressed: u32::MAX - 7, ..right },
        &good,
    );
    check(BatchError::Compression, BatchHeader { uncompressed: right.uncompressed + 8, ..right }, &good);
    check(BatchError::Compression, BatchHeader { codec: 1, ..right }, &good);
    check(BatchError::Compression, BatchHeader { codec: 2, ..right }, &good);
    check(BatchError::Record(3), BatchHeader { count: 4, ..right }, &good);
    check(BatchError::Sequence, BatchHeader { first: 2, ..right }, &good);
    check(BatchError::Sequence, BatchHeader { last: 10, ..right }, &good);
    let descending = body(&[3, 9, 4], "text");
    check(BatchError::Sequence, BatchHeader { last: 4, ..right }, &descending);
    let twice = body(&[3, 9, 9], "text");
    check(BatchError::Sequence, right, &twice);
}

#[test]
fn records_that_lie_about_their_size_are_refused() {
    let good = body(&[3, 4], "text");
    let right = header(&[3, 4], Codec::None, good.len(), &good);
    let sizes = [0, 8, 119, 129, 1_000, u32::MAX, u32::MAX - 7];
    for (index, at) in [(0, 16), (1, good.len() / 2 + 16)] {
        for size in sizes {
            let mut lying = good.clone();
            lying[at..at + 4].copy_from_slice(&u32::to_ne_bytes(size));
            let header = BatchHeader { crc: crc32c::crc32c(&lying), ..right };
            let found = seen(&header, &lying);
            let whole = matches!(found, Err(BatchError::Record(bad)) if bad >= index);
            assert!(whole || matches!(found, Err(BatchError::Sequence)), "{size} at {at}: {found:?}");
        }
    }
}

#[test]
fn a_bomb_allocates_nothing() {
    let bomb = vec![0; 64 << 20];
    for codec in [Codec::Lz4, Codec::Zstd] {
        let mut packer = Packer::new(codec).unwrap();
        let (used, packed) = packer.pack(&bomb);
        assert_eq!(used, codec);
        let told = header(&[1], codec, bomb.len(), packed);
        let mut unpacker = Unpacker::default();
        let why = unpacker.unpack(&told, packed, BYTES_MAX).map(|_| ()).unwrap_err();
        assert_eq!(why, BatchError::TooLarge(64 << 20, BYTES_MAX));
        // One that hides its size gets no more room than it asks for.
        let hidden = BatchHeader { uncompressed: 1024, ..told };
        assert_eq!(
            unpacker.unpack(&hidden, packed, BYTES_MAX).map(|_| ()).unwrap_err(),
            BatchError::Compression
        );
        assert!(unpacker.room.len() <= 2 * STEP_BYTES);
    }
}

#[test]
fn memory_of_a_large_batch_is_given_back() {
    let mut unpacker = Unpacker::default();
    let large = message(|m| _ = m.payload(vec![b'x'; 4 << 20]));
    let mut bytes = Vec::new();
    push(&mut bytes, 1, &large);
    let told = header(&[1], Codec::None, bytes.len(), &bytes);
    assert!(unpacker.unpack(&told, &bytes, 16 << 20).is_ok() && unpacker.room.len() > 4 << 20);
    let small = body(&[1], "text");
    assert!(unpacker.unpack(&header(&[1], Codec::None, small.len(), &small), &small, 16 << 20).is_ok());
    assert!(unpacker.room.len() < 1 << 20);
}

proptest! {
    #[test]
    fn any_bytes_are_a_batch_or_not(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        count in 0_u32..4, codec in 0_u8..4, uncompressed in 0_u32..2_000, first in 0_u64..3, last in 0_u64..5,
    ) {
        let told = BatchHeader {
            source: ByteArray::new([1; 16]), first, last, count, codec, uncompressed: uncompressed / 8 * 8,
            crc: crc32c::crc32c(&bytes), settled: 0, ordered: false,
        };
        let _ = seen(&told, &bytes);
    }

    #[test]
    fn damage_never_passes_as_whole_records(at in 0_usize..700, value in any::<u8>()) {
        let mut bytes = body(&[1, 2, 3], "some text");
        let at = at % bytes.len();
        bytes[at] = value;
        let told = header(&[1, 2, 3], Codec::None, bytes.len(), &bytes);
        // Any access to what passed is checked.
        let mut unpacker = Unpacker::default();
        if let Ok(body) = unpacker.unpack(&told, &bytes, BYTES_MAX) {
            for found in body.messages() {
                let _ = (found.message.payload(), found.message.fields().count());
            }
        }
    }
}
