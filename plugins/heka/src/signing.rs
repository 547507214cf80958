//! The signature of a frame: HMAC with MD5 or SHA-1 over exactly the message's bytes.
//!
//! The header itself is not covered, and nothing tells a repeated frame from a new one.

use heka_plugin_api::OptionType;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde::Deserialize;
use sha1::Sha1;
use std::collections::BTreeMap;

use crate::framing::FrameSignature;

/// Hash function of a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum HashFunction {
    /// HMAC-MD5: digests of 16 bytes.
    Md5,
    /// HMAC-SHA1: digests of 20 bytes.
    Sha1,
}

impl HashFunction {
    /// Returns the function with this number in a header, if there is one.
    pub fn from_number(number: u64) -> Option<HashFunction> {
        match number {
            0 => Some(HashFunction::Md5),
            1 => Some(HashFunction::Sha1),
            _ => None,
        }
    }

    /// Returns the function's number in a header.
    pub fn number(self) -> u8 {
        match self {
            HashFunction::Md5 => 0,
            HashFunction::Sha1 => 1,
        }
    }

    /// Returns the name, as configs write it.
    pub fn name(self) -> &'static str {
        match self {
            HashFunction::Md5 => "md5",
            HashFunction::Sha1 => "sha1",
        }
    }

    /// Returns the length of a digest in bytes.
    pub fn digest_bytes(self) -> usize {
        match self {
            HashFunction::Md5 => 16,
            HashFunction::Sha1 => 20,
        }
    }
}

/// A raw digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest {
    hash: HashFunction,
    bytes: [u8; 20],
}

impl Digest {
    /// Makes a digest of zeros, to be filled in later.
    pub fn zero(hash: HashFunction) -> Digest {
        Digest { hash, bytes: [0; 20] }
    }

    /// Returns the function that made it.
    pub fn hash(&self) -> HashFunction {
        self.hash
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.hash.digest_bytes()]
    }
}

/// A key that signs and verifies messages, with either hash function.
#[derive(Clone)]
pub struct SigningKey {
    md5: Hmac<Md5>,
    sha1: Hmac<Sha1>,
}

impl SigningKey {
    /// Makes a key of raw bytes, of any length; `None` if the hash functions don't take them.
    pub fn new(key: &[u8]) -> Option<SigningKey> {
        Some(SigningKey { md5: Hmac::new_from_slice(key).ok()?, sha1: Hmac::new_from_slice(key).ok()? })
    }

    /// Signs a message.
    pub fn sign(&self, hash: HashFunction, message: &[u8]) -> Digest {
        let mut digest = Digest::zero(hash);
        match hash {
            HashFunction::Md5 => {
                let made = self.md5.clone().chain_update(message).finalize().into_bytes();
                digest.bytes[..16].copy_from_slice(&made);
            }
            HashFunction::Sha1 => {
                let made = self.sha1.clone().chain_update(message).finalize().into_bytes();
                digest.bytes.copy_from_slice(&made);
            }
        }
        digest
    }

    /// Tells whether `digest` is the message's; takes the same time wherever they differ.
    pub fn verify(&self, hash: HashFunction, message: &[u8], digest: &[u8]) -> bool {
        match hash {
            HashFunction::Md5 => self.md5.clone().chain_update(message).verify_slice(digest).is_ok(),
            HashFunction::Sha1 => self.sha1.clone().chain_update(message).verify_slice(digest).is_ok(),
        }
    }
}

/// The keys of the signers that are believed, by `<signer>_<version>`.
#[derive(Default)]
pub struct Signers {
    keys: BTreeMap<Vec<u8>, (SigningKey, Option<HashFunction>)>,
    name: Vec<u8>,
}

impl Signers {
    /// Adds a signer; `only` restricts it to one hash function. Does nothing if the key can't be used.
    pub fn add(&mut self, name: &str, key: &[u8], only: Option<HashFunction>) {
        if let Some(key) = SigningKey::new(key) {
            self.keys.insert(name.as_bytes().to_vec(), (key, only));
        }
    }

    /// Verifies a message's signature.
    ///
    /// # Errors
    /// The reason why it is not believed.
    pub fn verify(&mut self, signature: &FrameSignature<'_>, message: &[u8]) -> Result<(), String> {
        self.name.clear();
        self.name.extend_from_slice(signature.signer);
        self.name.push(b'_');
        self.name.extend_from_slice(signature.key_version.to_string().as_bytes());
        let shown = || self.name.escape_ascii();
        let Some((key, only)) = self.keys.get(&self.name) else {
            return Err(format!("signed by `{}`, who is none of the signers", shown()));
        };
        let Some(hash) = signature.hash else {
            return Err(format!("signed by `{}` with an unknown hash function", shown()));
        };
        if let Some(only) = only.filter(|only| *only != hash) {
            return Err(format!("signed by `{}` with {}, must be {}", shown(), hash.name(), only.name()));
        }
        if !key.verify(hash, message, signature.digest) {
            return Err(format!("the signature of `{}` is wrong", shown()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        // RFC 2202, test case 2.
        let key = SigningKey::new(b"Jefe").unwrap();
        let hex =
            |digest: Digest| digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let message = b"what do ya want for nothing?";
        assert_eq!(hex(key.sign(HashFunction::Md5, message)), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(hex(key.sign(HashFunction::Sha1, message)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }

    fn check(signer: &str, version: u32, hash: Option<HashFunction>, flip: u8) -> Result<(), String> {
        let mut signers = Signers::default();
        signers.add("vic_1", b"secret", None);
        signers.add("sha_2", b"secret", Some(HashFunction::Sha1));
        let key = SigningKey::new(b"secret").unwrap();
        let mut digest = key.sign(hash.unwrap_or(HashFunction::Md5), b"body");
        digest.bytes[3] ^= flip;
        let mut signature = FrameSignature::new(signer.as_bytes(), version, &digest);
        signature.hash = hash;
        signers.verify(&signature, b"body")
    }

    #[test]
    fn only_known_signers_with_the_right_digest_are_believed() {
        use HashFunction::*;
        assert_eq!(check("vic", 1, Some(Md5), 0), Ok(()));
        assert_eq!(check("vic", 1, Some(Sha1), 0), Ok(()));
        assert_eq!(check("sha", 2, Some(Sha1), 0), Ok(()));
        let refused = |result: Result<(), String>| result.unwrap_err();
        assert_eq!(refused(check("vic", 1, Some(Sha1), 1)), "the signature of `vic_1` is wrong");
        assert_eq!(refused(check("vic", 2, Some(Md5), 0)), "signed by `vic_2`, who is none of the signers");
        assert_eq!(refused(check("sha", 2, Some(Md5), 0)), "signed by `sha_2` with md5, must be sha1");
        assert_eq!(refused(check("vic", 1, None, 0)), "signed by `vic_1` with an unknown hash function");
    }

    #[test]
    fn a_digest_of_another_length_is_wrong() {
        let key = SigningKey::new(b"secret").unwrap();
        let digest = key.sign(HashFunction::Sha1, b"body");
        for len in 0..20 {
            assert!(!key.verify(HashFunction::Sha1, b"body", &digest.as_ref()[..len]));
        }
    }
}
