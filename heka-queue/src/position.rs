//! What is done: the file `position`, two slots written in turn.

use crate::format::{NEW_SUFFIX, POSITION, is_sealed, put, seal, u64_at};
use crate::storage::{Storage, StorageFile, read_full_at, write_all_at};
use heka_plugin_api::fault_point;
use std::io;

const MAGIC: [u8; 8] = *b"HEKAQPOS";
const VERSION: u16 = 1;
/// Bytes from one slot to the next: a disk tears no sector.
const SLOT_DISTANCE: u64 = 512;

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Position {
    serial: u64,
    /// Everything with a lower number is done.
    pub(crate) below: u64,
    /// Lower numbers may have been used.
    pub(crate) next: u64,
    /// Whether the queue was closed properly.
    pub(crate) is_clean: bool,
}

impl Position {
    fn encode(&self, salt: u64) -> [u8; 64] {
        let mut bytes = [0; 64];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 10, &u16::from(self.is_clean).to_le_bytes());
        put(&mut bytes, 16, &self.serial.to_le_bytes());
        put(&mut bytes, 24, &self.below.to_le_bytes());
        put(&mut bytes, 32, &self.next.to_le_bytes());
        put(&mut bytes, 40, &salt.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8; 64], salt: u64) -> Option<Position> {
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        let is_sound = bytes.starts_with(&MAGIC) && is_sealed(bytes) && version == VERSION;
        (is_sound && u64_at(bytes, 40) == salt).then(|| Position {
            serial: u64_at(bytes, 16),
            below: u64_at(bytes, 24),
            next: u64_at(bytes, 32),
            is_clean: bytes[10] == 1,
        })
    }
}

/// The open position file.
pub(crate) struct PositionFile<S: Storage> {
    file: S::File,
    salt: u64,
    serial: u64,
}

/// Reads the newer valid slot of a position file.
pub(crate) fn read_position(file: &impl StorageFile, salt: u64) -> Option<Position> {
    let slot = |number: u64| {
        let mut bytes = [0; 64];
        let read = read_full_at(file, &mut bytes, number * SLOT_DISTANCE).ok()?;
        if read == bytes.len() { Position::decode(&bytes, salt) } else { None }
    };
    [slot(0), slot(1)].into_iter().flatten().max_by_key(|position| position.serial)
}

impl<S: Storage> PositionFile<S> {
    /// Opens the file, or makes it; returns what it says.
    pub(crate) fn open(storage: &S, salt: u64) -> io::Result<(PositionFile<S>, Option<Position>)> {
        match storage.open(POSITION) {
            Ok(file) => {
                let position = read_position(&file, salt);
                let serial = position.map_or(0, |position| position.serial);
                Ok((PositionFile { file, salt, serial }, position))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let new = format!("{POSITION}{NEW_SUFFIX}");
                let file = storage.create(&new)?;
                write_all_at(&file, &[0; 2 * SLOT_DISTANCE as usize], 0)?;
                storage.rename(&new, POSITION)?;
                storage.sync_names()?;
                fault_point("queue.position.created");
                Ok((PositionFile { file, salt, serial: 0 }, None))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes slots of another queue from now on.
    pub(crate) fn salt_is(&mut self, salt: u64) {
        self.salt = salt;
    }

    /// Writes the older slot anew.
    pub(crate) fn write(&mut self, below: u64, next: u64, is_clean: bool) -> io::Result<()> {
        let position = Position { serial: self.serial + 1, below, next, is_clean };
        fault_point("queue.position.begun");
        write_all_at(&self.file, &position.encode(self.salt), position.serial % 2 * SLOT_DISTANCE)?;
        fault_point("queue.position.written");
        self.serial = position.serial;
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()?;
        fault_point("queue.position.synced");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::simulated::Disk;

    #[test]
    fn the_newer_valid_slot_counts() {
        let disk = Disk::new();
        let storage = disk.storage();
        let (mut file, found) = PositionFile::open(&storage, 5).unwrap();
        assert_eq!(found, None);
        for below in 1..=9 {
            file.write(below, below + 10, below == 4).unwrap();
            let position = read_position(&file.file, 5).unwrap();
            assert_eq!((position.below, position.next, position.is_clean), (below, below + 10, below == 4));
        }
        assert_eq!(read_position(&file.file, 6), None, "another queue's");
        let newer = SLOT_DISTANCE;
        for byte in 0..64 {
            let mut kept = [0];
            file.file.read_at(&mut kept, newer + byte).unwrap();
            file.file.write_at(&[kept[0] ^ 0x10], newer + byte).unwrap();
            assert_eq!(read_position(&file.file, 5).map(|position| position.below), Some(8));
            file.file.write_at(&kept, newer + byte).unwrap();
        }
    }

    #[test]
    fn zeros_and_a_short_file_say_nothing() {
        let disk = Disk::new();
        let file = disk.storage().create("position").unwrap();
        assert_eq!(read_position(&file, 0), None);
        write_all_at(&file, &[0; 1024], 0).unwrap();
        assert_eq!(read_position(&file, 0), None);
    }
}
