//! The greeting: who speaks, in which version, and that both know the same secret.

use super::SourceId;
use super::reply::Range;
use heka_plugin_api::abi;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use sha2::Sha256;

/// The highest protocol version that this side speaks.
pub const PROTOCOL: u32 = 1;
/// The lowest.
pub const PROTOCOL_MIN: u32 = 1;
/// The layout of records that this side sends and takes: API version, sizes of header and field entry.
pub const LAYOUT: u64 = (abi::API_VERSION as u64) << 32
    | (size_of::<abi::Record>() as u64) << 16
    | size_of::<abi::FieldEntry>() as u64;
/// Length of a nonce.
pub const NONCE_BYTES: usize = 32;

/// A random number that is used once.
pub type Nonce = ByteArray<NONCE_BYTES>;

/// What an agent says first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentHello {
    /// The highest protocol version that it speaks.
    pub protocol: u32,
    /// The lowest.
    pub protocol_min: u32,
    /// Version of its software, for people.
    pub software: String,
    /// [`LAYOUT`].
    pub layout: u64,
    /// Name of its machine.
    pub host: String,
    /// The queue that its messages come from.
    pub source: ByteArray<16>,
    /// The lowest sequence that it still waits for.
    pub settled: u64,
    /// After so many milliseconds of silence it ends the connection.
    pub timeout_ms: u64,
    /// Whether it has a secret.
    pub secret: bool,
    /// Its nonce.
    pub nonce: Nonce,
}

/// What a grater answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GraterHello {
    /// The protocol version that will be spoken.
    pub protocol: u32,
    /// Version of its software, for people.
    pub software: String,
    /// [`LAYOUT`].
    pub layout: u64,
    /// Name of its machine.
    pub host: String,
    /// After so many milliseconds of silence it ends the connection.
    pub timeout_ms: u64,
    /// Whether it has a secret.
    pub secret: bool,
    /// Its nonce.
    pub nonce: Nonce,
}

/// Shows that the agent knows the secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// 32 bytes; empty without a secret.
    pub proof: ByteBuf,
}

/// Shows that the grater knows the secret, and says what it has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// 32 bytes; empty without a secret.
    pub proof: ByteBuf,
    /// The largest uncompressed batch that it takes, in bytes.
    pub batch_bytes_max: u64,
    /// Sequences of the source that it has, done or not.
    pub received: Vec<Range>,
    /// Those that are done.
    pub done: Vec<Range>,
}

impl AgentHello {
    /// Returns the queue's name.
    pub fn source_id(&self) -> SourceId {
        self.source.into_array()
    }
}

/// Who proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The side that connects.
    Agent,
    /// The side that listens.
    Grater,
}

fn keyed(secret: Option<&[u8]>, role: Role, hello: &[u8], answer: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret?).ok()?;
    mac.update(match role {
        Role::Agent => b"heka hop agent\0",
        Role::Grater => b"heka hop grater\0",
    });
    mac.update(hello);
    mac.update(answer);
    Some(mac)
}

/// Returns the proof of a side, over the headers of both hellos; empty without a secret.
pub fn proof(secret: Option<&[u8]>, role: Role, hello: &[u8], answer: &[u8]) -> ByteBuf {
    let mac = keyed(secret, role, hello, answer);
    ByteBuf::from(mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default())
}

/// Tells, in constant time, whether a proof is right.
pub fn proves(given: &[u8], secret: Option<&[u8]>, role: Role, hello: &[u8], answer: &[u8]) -> bool {
    match keyed(secret, role, hello, answer) {
        Some(mac) => mac.verify_slice(given).is_ok(),
        None => given.is_empty(),
    }
}

/// Makes a nonce; `None` if the system gives no randomness.
pub fn nonce() -> Option<Nonce> {
    let mut bytes = [0; NONCE_BYTES];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).ok().map(|()| Nonce::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_serves_one_secret_one_role_and_one_greeting() {
        let right = proof(Some(b"secret"), Role::Agent, b"hello", b"answer");
        let check = |expected, secret: Option<&[u8]>, role, hello: &[u8], answer: &[u8]| {
            assert_eq!(proves(&right, secret, role, hello, answer), expected);
        };
        assert_eq!(right.len(), 32);
        check(true, Some(b"secret"), Role::Agent, b"hello", b"answer");
        check(false, Some(b"other"), Role::Agent, b"hello", b"answer");
        check(false, Some(b"secret"), Role::Grater, b"hello", b"answer");
        check(false, Some(b"secret"), Role::Agent, b"hallo", b"answer");
        check(false, Some(b"secret"), Role::Agent, b"hello", b"nonce");
        check(false, None, Role::Agent, b"hello", b"answer");
        assert!(!proves(b"", Some(b"secret"), Role::Agent, b"hello", b"answer"));
        assert!(proof(None, Role::Agent, b"", b"").is_empty());
        assert!(proves(b"", None, Role::Grater, b"x", b"y"));
    }

    #[test]
    fn nonces_differ() {
        assert!(nonce().is_some() && nonce() != nonce());
    }
}
