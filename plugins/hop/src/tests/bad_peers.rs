//! Peers that send what they should not: counted, told, cut; nothing is lost.

use super::agent::{Agent, texts};
use super::grater::{Grater, wait_until};
use crate::protocol::{
    Acknowledged, AgentHello, BatchHeader, Codec, Frame, FrameKind, GraterHello, LAYOUT, Limits, Nonce,
    Packer, Proof, Ready, Refused, Rejected, next_frame, push_frame, push_frame_parts,
};
use serde::de::DeserializeOwned;
use serde_bytes::{ByteArray, ByteBuf};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// The other end of a connection, by hand.
struct Peer {
    socket: TcpStream,
    heard: Vec<u8>,
}

impl Peer {
    fn new(socket: TcpStream) -> Peer {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Peer { socket, heard: Vec::new() }
    }

    fn say(&mut self, kind: FrameKind, header: &impl serde::Serialize) {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, kind, header).unwrap();
        self.socket.write_all(&bytes).unwrap();
    }

    /// Returns the next frame that is no sign of life; `None` at the end.
    fn hear<R>(&mut self, of: impl FnOnce(Frame<'_>) -> R) -> Option<R> {
        const LIMITS: Limits = Limits { header_bytes_max: 65_535, body_bytes_max: 1 << 20 };
        loop {
            if let Some(frame) = next_frame(&self.heard, LIMITS).unwrap() {
                let len = frame.len();
                if frame.kind != FrameKind::Alive {
                    let found = of(frame);
                    self.heard.drain(..len);
                    return Some(found);
                }
                self.heard.drain(..len);
                continue;
            }
            let mut room = [0; 4096];
            match self.socket.read(&mut room) {
                Ok(len @ 1..) => self.heard.extend_from_slice(&room[..len]),
                _ => return None,
            }
        }
    }

    fn hear_content<H: DeserializeOwned>(&mut self, kind: FrameKind) -> H {
        let found = self.hear(|frame| (frame.kind, rmp_serde::from_slice(frame.header)));
        let (found, content) = found.unwrap();
        assert_eq!(found, kind);
        content.unwrap()
    }

    /// Connects as an agent, up to where batches go.
    fn agent(address: &str) -> Peer {
        let mut peer = Peer::new(TcpStream::connect(address).unwrap());
        peer.say(FrameKind::Hello, &hello());
        peer.hear_content::<GraterHello>(FrameKind::Answer);
        peer.say(FrameKind::Proof, &Proof { proof: ByteBuf::new() });
        peer.hear_content::<Ready>(FrameKind::Ready);
        peer
    }

    /// Greets an agent as a grater.
    fn grater(listener: &TcpListener) -> Peer {
        let mut peer = Peer::new(listener.accept().unwrap().0);
        peer.hear_content::<AgentHello>(FrameKind::Hello);
        let answer = GraterHello {
            protocol: 1,
            software: "0".to_owned(),
            layout: LAYOUT,
            host: "h".to_owned(),
            timeout_ms: 30_000,
            secret: false,
            nonce: Nonce::default(),
        };
        peer.say(FrameKind::Answer, &answer);
        peer.hear_content::<Proof>(FrameKind::Proof);
        let ready =
            Ready { proof: ByteBuf::new(), batch_bytes_max: 1 << 20, received: Vec::new(), done: Vec::new() };
        peer.say(FrameKind::Ready, &ready);
        peer
    }
}

fn hello() -> AgentHello {
    AgentHello {
        protocol: 1,
        protocol_min: 1,
        software: "0".to_owned(),
        layout: LAYOUT,
        host: "peer".to_owned(),
        source: ByteArray::new([5; 16]),
        settled: 0,
        timeout_ms: 30_000,
        secret: false,
        nonce: Nonce::default(),
    }
}

fn header(body: &[u8]) -> BatchHeader {
    BatchHeader {
        source: ByteArray::new([5; 16]),
        first: 1,
        last: 1,
        count: 1,
        codec: 0,
        uncompressed: body.len() as u32,
        crc: crc32c::crc32c(body),
        settled: 0,
        ordered: true,
    }
}

fn batch(header: &BatchHeader, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_frame_parts(&mut bytes, FrameKind::Batch, header, body).unwrap();
    bytes
}

/// Sends bytes to a grater, in the place of a greeting or behind it; checks what it answers.
fn check_rejected(greeted: bool, bytes: &[u8], why: &str) {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), "");
    let mut peer = match greeted {
        true => Peer::agent(&grater.address),
        false => Peer::new(TcpStream::connect(&grater.address).unwrap()),
    };
    peer.socket.write_all(bytes).unwrap();
    assert_eq!(peer.hear_content::<Rejected>(FrameKind::Rejected).reason, why);
    assert!(peer.hear(|_| ()).is_none());
    drop(peer);
    wait_until("the connection is gone", || grater.counter("connections") == 0);
    assert_eq!((grater.counter("rejected"), grater.texts().len()), (1, 0));
    // Others are served all the same.
    let mut agent = Agent::start(&grater.address, "");
    agent.send(texts("one", 3));
    agent.settle();
    assert_eq!(grater.texts().len(), 3);
}

#[test]
fn what_is_no_protocol_is_rejected() {
    check_rejected(false, b"GET / HTTP/1.1\r\n\r\n", "it doesn't speak the hop's protocol");
    check_rejected(true, &[0; 100], "it doesn't speak the hop's protocol");
    let mut huge = b"HHOP".to_vec();
    huge.extend_from_slice(&[5, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
    check_rejected(false, &huge, "it sent a frame of 4294967311 bytes, at most 65551 are taken");
    check_rejected(true, &huge, "it sent a frame of 4294967311 bytes, at most 16842767 are taken");
}

#[test]
fn frames_out_of_place_are_rejected() {
    let out_of_place = "it sent a frame that doesn't belong there";
    check_rejected(false, &batch(&header(&[]), &[]), out_of_place);
    let mut bytes = Vec::new();
    push_frame(&mut bytes, FrameKind::Hello, &hello()).unwrap();
    check_rejected(true, &bytes, out_of_place);
    bytes.clear();
    push_frame(&mut bytes, FrameKind::Hello, &AgentHello { protocol: 9, protocol_min: 8, ..hello() })
        .unwrap();
    let version =
        "the agent (0) speaks protocol version 8 to 9, the grater (0.1.0) 1: run the same release on both";
    check_rejected(false, &bytes, version);
    bytes.clear();
    push_frame(&mut bytes, FrameKind::Hello, &AgentHello { layout: 1, ..hello() }).unwrap();
    let layout =
        "the agent (0) lays out messages differently than the grater (0.1.0): run the same release on both";
    check_rejected(false, &bytes, layout);
}

#[test]
fn broken_batches_are_rejected() {
    let garbage = [0xff; 256];
    check_rejected(
        true,
        &batch(&header(&garbage), &garbage),
        "it sent a batch whose message 0 is not a whole record",
    );
    let damaged = BatchHeader { crc: 7, ..header(&garbage) };
    check_rejected(true, &batch(&damaged, &garbage), "it sent a batch whose checksum is wrong");
    let other = BatchHeader { source: ByteArray::new([6; 16]), ..header(&garbage) };
    check_rejected(true, &batch(&other, &garbage), "it sent a batch of another source");
}

#[test]
fn bombs_are_rejected() {
    let bomb = vec![0; 64 << 20];
    for codec in [Codec::Lz4, Codec::Zstd] {
        let mut packer = Packer::new(codec).unwrap();
        let (_, packed) = packer.pack(&bomb);
        let told = BatchHeader { codec: codec.number(), uncompressed: 64 << 20, ..header(packed) };
        let large = "it sent a batch of 67108864 bytes, at most 16777216 (`batch_bytes_max`) are taken";
        check_rejected(true, &batch(&told, packed), large);
        let hidden = BatchHeader { uncompressed: 1024, ..told };
        check_rejected(true, &batch(&hidden, packed), "it sent a batch that doesn't decompress");
    }
}

#[test]
fn a_peer_that_leaves_in_mid_frame_loses_only_that_frame() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), "");
    let garbage = [0xff; 256];
    let bytes = batch(&header(&garbage), &garbage);
    for len in [1, 15, 17, 60, bytes.len() - 1] {
        let mut peer = Peer::agent(&grater.address);
        peer.socket.write_all(&bytes[..len]).unwrap();
    }
    wait_until("the connections are gone", || grater.counter("connections") == 0);
    assert_eq!((grater.counter("rejected"), grater.texts().len()), (0, 0));
}

#[test]
fn silent_peers_are_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), "timeout = \"100 ms\"\nhandshake_timeout = \"50 ms\"");
    let mut unknown = Peer::new(TcpStream::connect(&grater.address).unwrap());
    let mut known = Peer::agent(&grater.address);
    wait_until("both are there", || grater.counter("connections") == 2);
    assert!(unknown.hear(|_| ()).is_none() && known.hear(|_| ()).is_none());
    wait_until("the connections are gone", || grater.counter("connections") == 0);
}

/// Lets an agent send to a grater by hand that says something wrong; checks what the agent tells.
fn check_cut(say: impl FnOnce(&mut Peer) + Send + 'static, why: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let of_thread = listener.try_clone().unwrap();
    let bad = std::thread::spawn(move || {
        let mut peer = Peer::grater(&of_thread);
        assert_eq!(peer.hear(|frame| frame.kind), Some(FrameKind::Batch));
        say(&mut peer);
        while peer.hear(|_| ()).is_some() {}
    });
    let mut agent = Agent::start(&address, "timeout = \"2 s\"");
    agent.send(texts("one", 3));
    assert_eq!(agent.tick_until_it_fails(), format!("lost the connection to `{address}`: {why}"));
    bad.join().unwrap();
    drop(listener);
    assert_eq!(agent.left(), 1, "nothing is taken as delivered");
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start_at(directory.path(), &address, "", true);
    agent.give_again();
    agent.settle();
    assert_eq!(grater.texts(), ["one 0", "one 1", "one 2"]);
}

fn acknowledged(ranges: &[(u64, u64)]) -> Vec<u8> {
    let told = Acknowledged { source: ByteArray::new([7; 16]), ranges: ranges.to_vec() };
    let mut bytes = Vec::new();
    push_frame_parts(&mut bytes, FrameKind::Acknowledged, &told, &[]).unwrap();
    bytes
}

#[test]
fn acknowledgements_of_what_was_never_sent_count_for_nothing() {
    let never = "it acknowledged what it was never sent";
    for ranges in [&[(1, 4)][..], &[(1, 3), (7, 9)], &[(0, u64::MAX)], &[(3, 1)]] {
        let bytes = acknowledged(ranges);
        check_cut(move |peer| peer.socket.write_all(&bytes).unwrap(), never);
    }
    let refused = Refused { source: ByteArray::new([7; 16]), sequence: 99, reason: "no".to_owned() };
    check_cut(move |peer| peer.say(FrameKind::Refused, &refused), "it refused what it was never sent");
}

#[test]
fn graters_that_talk_nonsense_are_left() {
    check_cut(|peer| peer.socket.write_all(&[7; 64]).unwrap(), "it doesn't speak the hop's protocol");
    check_cut(|peer| peer.say(FrameKind::Answer, &()), "it sent a frame that doesn't belong there");
    let long = Rejected { reason: "some reason\n".to_owned() };
    check_cut(move |peer| peer.say(FrameKind::Rejected, &long), "it rejects this host: some reason?");
    check_cut(|peer| peer.socket.shutdown(std::net::Shutdown::Both).unwrap(), "it closed the connection");
}

#[test]
fn a_silent_grater_is_left_within_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = std::thread::spawn(move || {
        let mut peer = Peer::grater(&listener);
        while peer.hear(|_| ()).is_some() {}
    });
    let mut agent = Agent::start(&address, "timeout = \"100 ms\"");
    agent.send(texts("one", 1));
    let told = agent.tick_until_it_fails();
    assert_eq!(told, format!("lost the connection to `{address}`: no sign of life within `timeout`"));
    drop(agent);
    silent.join().unwrap();
}

#[test]
fn a_message_that_the_grater_refuses_is_a_dead_letter() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let refusing = std::thread::spawn(move || {
        let mut peer = Peer::grater(&listener);
        assert_eq!(peer.hear(|frame| frame.kind), Some(FrameKind::Batch));
        let refused =
            Refused { source: ByteArray::new([7; 16]), sequence: 2, reason: "too large here".to_owned() };
        peer.say(FrameKind::Refused, &refused);
        peer.socket.write_all(&acknowledged(&[(1, 1), (3, 3)])).unwrap();
        while peer.hear(|_| ()).is_some() {}
    });
    let mut agent = Agent::start(&address, "");
    agent.send(texts("one", 3));
    agent.settle();
    assert_eq!(agent.refused, ["too large here"]);
    drop(agent);
    refusing.join().unwrap();
}
