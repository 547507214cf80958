//! Encoder `heka`: messages → framed, or bare, protobuf messages.

use crate::framing::{FrameSignature, SIGNER_BYTES_MAX, write_head};
use crate::protobuf::Layout;
use crate::signing::{Digest, HashFunction, SigningKey};
use heka_plugin_api::{ByteSize, ByteWriter, Context, Encoder, Faults, Message, PluginError, Schema};
use serde::Deserialize;

/// Writes Heka's protobuf messages, each in a frame that may be signed.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Put each message into a frame; without one, nothing says where a message ends.
    #[serde(default = "default_framing")]
    #[schema(default = "true")]
    framing: bool,
    /// Longest message written; a longer one is refused. Old Heka daemons take 64 KiB.
    #[serde(default = "default_message_bytes_max")]
    #[schema(default = "1 MiB", unit = "bytes")]
    message_bytes_max: ByteSize,
    /// Name under which messages are signed; needs `key`.
    signer: Option<String>,
    /// Key to sign with; needs `signer`.
    key: Option<String>,
    /// Version of the key: receivers look for `<signer>_<key_version>`.
    #[serde(default)]
    #[schema(default = "0")]
    key_version: u32,
    /// Hash function to sign with.
    #[serde(default = "default_hash")]
    #[schema(default = "sha1")]
    hash: HashFunction,
}

fn default_framing() -> bool {
    true
}

fn default_message_bytes_max() -> ByteSize {
    ByteSize(1 << 20)
}

fn default_hash() -> HashFunction {
    HashFunction::Sha1
}

/// Writes Heka's protobuf messages.
pub struct HekaEncoder {
    framing: bool,
    message_bytes_max: usize,
    signature: Option<Signature>,
    layout: Layout,
}

struct Signature {
    signer: String,
    key: SigningKey,
    key_version: u32,
    hash: HashFunction,
}

impl Encoder for HekaEncoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        match (&config.signer, &config.key) {
            (Some(signer), _) if signer.is_empty() => faults.add("signer", "must not be empty"),
            (Some(signer), _) if signer.len() > SIGNER_BYTES_MAX => {
                faults.add("signer", format!("at most {SIGNER_BYTES_MAX} bytes"));
            }
            (Some(_), None) => faults.add("signer", "needs a `key`"),
            (None, Some(_)) => faults.add("key", "needs a `signer`"),
            _ => {}
        }
        if config.key.as_ref().is_some_and(String::is_empty) {
            faults.add("key", "must not be empty");
        }
        if config.signer.is_some() && !config.framing {
            faults.add("framing", "a signature needs a frame");
        }
        if !(1..=u64::from(u32::MAX)).contains(&config.message_bytes_max.0) {
            faults.add("message_bytes_max", "from 1 byte to 4 GiB");
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let (key_version, hash) = (config.key_version, config.hash);
        let signature = match (config.signer, config.key) {
            (Some(signer), Some(key)) => {
                let key = SigningKey::new(key.as_bytes());
                let key = key.ok_or_else(|| PluginError::config("`key` can't be used"))?;
                Some(Signature { signer, key, key_version, hash })
            }
            _ => None,
        };
        let message_bytes_max = config.message_bytes_max.0 as usize;
        Ok(HekaEncoder { framing: config.framing, message_bytes_max, signature, layout: Layout::default() })
    }

    #[inline]
    fn encode_message(
        &mut self,
        message: &Message<'_>,
        bytes: &mut ByteWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let raw = message.raw();
        let length = if raw.is_empty() { self.layout.measure(message) } else { raw.len() };
        if length > self.message_bytes_max {
            let reason = format!(
                "the message is {length} bytes of protobuf, longer than `message_bytes_max` ({} bytes)",
                self.message_bytes_max
            );
            return Err(PluginError::Message(reason));
        }
        if self.framing {
            match &self.signature {
                None => write_head(length as u32, None, bytes),
                Some(signature) => {
                    signature.write_head(length as u32, bytes);
                    let start = bytes.position();
                    self.put_body(message, bytes);
                    signature.fill_in(start, bytes);
                    return Ok(());
                }
            }
        }
        self.put_body(message, bytes);
        Ok(())
    }
}

impl HekaEncoder {
    #[inline]
    fn put_body(&self, message: &Message<'_>, bytes: &mut ByteWriter<'_>) {
        let raw = message.raw();
        if raw.is_empty() { self.layout.put(message, bytes) } else { bytes.put(raw) }
    }
}

impl Signature {
    /// Writes a header with an empty digest.
    fn write_head(&self, length: u32, bytes: &mut ByteWriter<'_>) {
        let digest = Digest::zero(self.hash);
        write_head(
            length,
            Some(&FrameSignature::new(self.signer.as_bytes(), self.key_version, &digest)),
            bytes,
        );
    }

    /// Fills in the digest of the message that begins at `start`: it ends before the separator in front of it.
    fn fill_in(&self, start: usize, bytes: &mut ByteWriter<'_>) {
        let digest = self.key.sign(self.hash, bytes.written_from(start));
        let digest_at = start.saturating_sub(1 + self.hash.digest_bytes());
        if let Some(place) = bytes.written_from(digest_at).get_mut(..self.hash.digest_bytes()) {
            place.copy_from_slice(digest.as_ref());
        }
    }
}

#[cfg(test)]
mod tests;
