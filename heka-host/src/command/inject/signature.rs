//! The signature that `inject` puts on its frame.

use heka_heka::framing::{self, FrameSignature, SIGNER_BYTES_MAX};
use heka_heka::signing::{HashFunction, SigningKey};
use heka_plugin_api::cause;
use std::path::PathBuf;

/// Who signs the message.
#[derive(clap::Args)]
pub(super) struct SignatureArguments {
    /// Sign the message as NAME
    #[arg(long, value_name = "NAME", requires = "secret")]
    signer: Option<String>,
    /// The signer's key; other users of this machine can see it
    #[arg(long, group = "secret", requires = "signer")]
    key: Option<String>,
    /// A file with the signer's key; a newline at its end is not part of it
    #[arg(long, value_name = "FILE", group = "secret", requires = "signer")]
    key_file: Option<PathBuf>,
    /// The key's version
    #[arg(long, value_name = "N", default_value_t = 0, requires = "signer")]
    key_version: u32,
    /// The hash function: sha1 or md5
    #[arg(long, default_value = "sha1", requires = "signer", value_parser = parse_hash)]
    hash: HashFunction,
}

fn parse_hash(name: &str) -> Result<HashFunction, String> {
    let known = [HashFunction::Sha1, HashFunction::Md5];
    known.into_iter().find(|hash| hash.name() == name).ok_or_else(|| "known: sha1, md5".to_owned())
}

/// Signs messages.
pub(super) struct Signer<'a> {
    name: &'a str,
    key: SigningKey,
    key_version: u32,
    hash: HashFunction,
}

impl SignatureArguments {
    /// Returns the signer, if there is to be one.
    ///
    /// # Errors
    /// If the name is too long or the key can't be read or used.
    pub(super) fn signer(&self) -> Result<Option<Signer<'_>>, String> {
        let Some(name) = self.signer.as_deref() else { return Ok(None) };
        if name.is_empty() || name.len() > SIGNER_BYTES_MAX {
            return Err(format!("a signer's name has 1 to {SIGNER_BYTES_MAX} bytes"));
        }
        let key = self.key()?;
        let key =
            SigningKey::new(&key).filter(|_| !key.is_empty()).ok_or("the key can't be used: it is empty")?;
        Ok(Some(Signer { name, key, key_version: self.key_version, hash: self.hash }))
    }

    fn key(&self) -> Result<Vec<u8>, String> {
        let Some(path) = &self.key_file else {
            return Ok(self.key.clone().unwrap_or_default().into_bytes());
        };
        let mut key = std::fs::read(path).map_err(|error| {
            format!("failed to read the key from `{}`: {}", path.display(), cause(&error))
        })?;
        if key.ends_with(b"\n") {
            key.pop();
        }
        Ok(key)
    }
}

impl Signer<'_> {
    /// Appends a signed frame around `body`.
    pub(super) fn write_frame(&self, body: &[u8], frame: &mut Vec<u8>) {
        let digest = self.key.sign(self.hash, body);
        let signature = FrameSignature::new(self.name.as_bytes(), self.key_version, &digest);
        framing::write_frame(body, Some(&signature), frame);
    }
}
