//! Who a queue is: the file `queue`, made with the directory.

use crate::format::{DIRECTORY_VERSION, IDENTITY, NEW_SUFFIX, is_sealed, put, seal, u32_at, u64_at};
use crate::storage::{Storage, StorageFile, read_full_at, write_all_at};
use heka_plugin_api::fault_point;
use std::io;

const MAGIC: [u8; 8] = *b"HEKAQDIR";

/// Id and salt of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: [u8; 16],
    pub(crate) salt: u64,
}

/// What the identity file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityFile {
    Found(Identity),
    /// Of a directory that a later version made.
    Later(u32),
    Damaged,
    Absent,
}

impl Identity {
    /// Makes a new one; `salt` is that of blocks that are there already.
    pub(crate) fn random(salt: Option<u64>) -> Identity {
        let id = (u128::from(fastrand::u64(1..)) << 64 | u128::from(fastrand::u64(..))).to_le_bytes();
        Identity { id, salt: salt.unwrap_or_else(|| fastrand::u64(1..)) }
    }

    fn encode(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &DIRECTORY_VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.id);
        put(&mut bytes, 32, &self.salt.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8; 64]) -> IdentityFile {
        if !bytes.starts_with(&MAGIC) || !is_sealed(bytes) {
            return IdentityFile::Damaged;
        }
        match u32_at(bytes, 8) {
            DIRECTORY_VERSION => {
                let mut id = [0; 16];
                id.copy_from_slice(&bytes[16..32]);
                IdentityFile::Found(Identity { id, salt: u64_at(bytes, 32) })
            }
            later if later > DIRECTORY_VERSION => IdentityFile::Later(later),
            _ => IdentityFile::Damaged,
        }
    }

    /// Reads the identity file.
    pub(crate) fn read<S: Storage>(storage: &S) -> io::Result<IdentityFile> {
        let file = match storage.open(IDENTITY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(IdentityFile::Absent),
            opened => opened?,
        };
        let mut bytes = [0; 64];
        let read = read_full_at(&file, &mut bytes, 0)?;
        Ok(if read == bytes.len() { Identity::decode(&bytes) } else { IdentityFile::Damaged })
    }

    /// Writes the identity file durably.
    pub(crate) fn write<S: Storage>(&self, storage: &S) -> io::Result<()> {
        let new = format!("{IDENTITY}{NEW_SUFFIX}");
        let file = storage.create(&new)?;
        write_all_at(&file, &self.encode(), 0)?;
        file.sync()?;
        fault_point("queue.identity.written");
        storage.rename(&new, IDENTITY)?;
        storage.sync_names()?;
        fault_point("queue.identity.renamed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back() {
        let identity = Identity::random(None);
        assert_eq!(Identity::decode(&identity.encode()), IdentityFile::Found(identity));
        assert_eq!(Identity::random(Some(7)).salt, 7);
    }

    #[test]
    fn a_flipped_bit_is_damage_and_not_a_later_version() {
        for bit in 0..512 {
            let mut bytes = Identity::random(None).encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Identity::decode(&bytes), IdentityFile::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_is_recognised() {
        let mut bytes = Identity::random(None).encode();
        bytes[8] = 2;
        seal(&mut bytes);
        assert_eq!(Identity::decode(&bytes), IdentityFile::Later(2));
    }
}
