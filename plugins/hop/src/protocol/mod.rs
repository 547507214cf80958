//! The hop's protocol, version 1, to the byte.
//!
//! Two hosts talk over one connection (TCP or a unix socket; inside TLS where it is configured): the **agent** connects
//! and sends messages, the **grater** listens, takes them, and acknowledges them once its own pipeline has.
//!
//! # Frames
//!
//! Both directions are a sequence of frames. Numbers of the head are little-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic, `HHOP` |
//! | 4 | 1 | kind, see below |
//! | 5 | 1 | zero |
//! | 6 | 2 | length of the header |
//! | 8 | 4 | length of the body |
//! | 12 | 4 | CRC-32C of bytes 0 to 11 and of the header |
//! | 16 | | the header: one MessagePack value |
//! | | | the body |
//!
//! The head is the same in all versions, and so is the meaning of kinds 1, 2 and 8: peers of different versions can tell
//! each other so.
//!
//! | kind | name | from | header | body |
//! |---|---|---|---|---|
//! | 1 | hello | agent | map, [`AgentHello`] | – |
//! | 2 | answer | grater | map, [`GraterHello`] | – |
//! | 3 | proof | agent | map, [`Proof`] | – |
//! | 4 | ready | grater | map, [`Ready`] | – |
//! | 5 | batch | agent | array, [`BatchHeader`] | the messages |
//! | 6 | acknowledged | grater | array, [`Acknowledged`] | – |
//! | 7 | refused | grater | map, [`Refused`]: one message, for good | – |
//! | 8 | rejected | both | map, [`Rejected`]: the peer closes the connection | – |
//! | 9 | alive | both | nil | – |
//!
//! # Greeting
//!
//! The agent says hello, the grater answers, the agent proves that it knows the secret, the grater proves it and says
//! what it has. Without a secret the proofs are empty. A proof is the HMAC-SHA256, keyed with the secret, of: the text
//! `heka hop agent` or `heka hop grater` and a zero byte, the header of the hello, the header of the answer. Both headers
//! hold a random nonce of 32 bytes, so that no proof serves twice, and the roles differ, so that none can be sent back.
//! Of protocol versions the highest that both speak is used; where there is none, the side that sees it rejects.
//! Records are in the memory layout of 64-bit little-endian machines; `layout` in both hellos must be the same.
//!
//! # Batches
//!
//! A body, uncompressed, is for each message, in order, each part at a multiple of 8:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | sequence: the message's number in the agent's queue, ascending within the batch |
//! | 8 | chain: tells the agent's chains apart that send messages of the same origin; 0 where there is nothing to tell |
//! | n | the record (`heka_plugin_api::abi::Record`), zero-padded to a multiple of 8 |
//!
//! With codec 1 it is one LZ4 block, with codec 2 one Zstandard frame, of exactly `uncompressed` bytes; the receiver
//! refuses more than its `batch_bytes_max` before it allocates anything. `crc` covers the body as it is sent. `settled` is
//! the lowest sequence that the agent still waits for: everything below is done, the grater need not remember it. In an
//! `ordered` batch the sequences are above all those that the source has sent before, except what it sends again.
//!
//! # Acknowledgement
//!
//! A source is a queue of the agent, named by 16 bytes. The grater acknowledges ranges of sequences that it was sent, each
//! from first to last, once everything that had to happen to those messages has happened. It never hands on a sequence of
//! a source twice: what comes again is acknowledged with the first. `ready` says which sequences it has (`received`), and
//! which of those are done: the agent sends neither again, and waits for what is not done. A newer connection of the same
//! source ends the older one.
//!
//! # Signs of life
//!
//! Each side sends `alive` when it has sent nothing for a third of the shorter of both timeouts, and ends a connection on
//! which nothing came within its own timeout.

mod batch;
mod codec;
mod frame;
mod greeting;
mod reply;
mod scan;

pub use batch::{BATCH_PREFIX_BYTES, BatchBody, BatchError, BatchHeader, BatchMessage, Unpacker};
pub use codec::{Codec, Packer};
pub use frame::{
    Fault, Frame, FrameKind, HEAD_BYTES, HEADER_BYTES_MAX, Limits, MAGIC, next_frame, push_frame,
    push_frame_parts,
};
pub use greeting::{
    AgentHello, GraterHello, LAYOUT, NONCE_BYTES, Nonce, PROTOCOL, PROTOCOL_MIN, Proof, Ready, Role, nonce,
    proof, proves,
};
pub use reply::{Acknowledged, Range, Refused, Rejected};
pub use scan::scan;

/// Name of a source: a queue of an agent.
pub type SourceId = [u8; 16];
