//! Where dead letters wait that no output takes: a queue on the disk, from which they can be put back.

use heka_plugin_api::{Message, OwnedMessage};
use heka_queue::{Block, DiskQueue, Entry, QueueError, QueueOptions};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The built-in queue of dead letters, in `state_dir/dead_letters`. It is opened for the first one.
///
/// When it is full, the oldest dead letters make room, which is logged.
#[derive(Clone)]
pub(crate) struct DeadLetterStore(Arc<State>);

struct State {
    dir: PathBuf,
    bytes_max: u64,
    disk: Mutex<Option<DiskQueue>>,
}

impl DeadLetterStore {
    pub(crate) fn new(dir: PathBuf, bytes_max: u64) -> DeadLetterStore {
        DeadLetterStore(Arc::new(State { dir, bytes_max, disk: Mutex::new(None) }))
    }

    /// Keeps a dead letter: it is on the disk when this returns. `[any thread]`
    pub(crate) fn put(&self, message: &Message<'_>) -> Result<(), QueueError> {
        self.with_disk(|disk| {
            let entry = [Entry { source: 0, sequence: disk.next_sequence(), message: *message }];
            let bytes = u64::from(message.record().size);
            if !disk.has_room(bytes, 1) {
                let dropped = disk.drop_oldest(bytes)?;
                log::warn!("dead letters: the oldest {dropped} were dropped to make room");
            }
            disk.append(&entry).map(|_| ())
        })
    }

    /// Gives every dead letter away, oldest first, until `give` refuses one; returns how many.
    ///
    /// `give` must not make dead letters itself: one that it takes may become one again on another thread.
    pub(crate) fn replay(
        &self,
        mut give: impl FnMut(OwnedMessage) -> Result<(), String>,
    ) -> Result<u64, String> {
        let (mut block, mut given) = (Block::default(), 0);
        let end = self.with_disk(|disk| {
            disk.rewind();
            Ok(disk.next_sequence())
        });
        let end = end.map_err(|error| error.to_string())?;
        loop {
            let found = self.with_disk(|disk| disk.read(&mut block)).map_err(|error| error.to_string())?;
            let Some(last) = block.messages().last().filter(|last| found && last.sequence < end) else {
                return Ok(given);
            };
            for letter in block.messages() {
                give(OwnedMessage::copy(&letter.message))?;
                given += 1;
            }
            let below = last.sequence + 1;
            self.with_disk(|disk| disk.acknowledge(below)).map_err(|error| error.to_string())?;
        }
    }

    fn with_disk<R>(
        &self,
        act: impl FnOnce(&mut DiskQueue) -> Result<R, QueueError>,
    ) -> Result<R, QueueError> {
        let mut disk = self.0.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match disk.take() {
            Some(opened) => opened,
            None => {
                let (opened, recovery) = DiskQueue::open(&self.0.dir, &QueueOptions::new(self.0.bytes_max))?;
                if recovery.messages > 0 {
                    log::info!("dead letters: {recovery}");
                }
                opened
            }
        };
        act(disk.insert(opened))
    }
}
