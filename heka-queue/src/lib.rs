//! A durable queue of messages: append-only segments on disk, for what waits for an output.
//!
//! ```
//! use heka_plugin_api::OwnedMessage;
//! use heka_queue::{Block, DiskQueue, Entry, QueueOptions};
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path().join("queue");
//! let (mut queue, recovery) = DiskQueue::open(&directory, &QueueOptions::new(1 << 20))?;
//! assert_eq!(recovery.messages, 0);
//! let message = OwnedMessage::build(|message| _ = message.payload("hello"))?;
//! let sequence = queue.next_sequence();
//! queue.append(&[Entry { source: 0, sequence, message: message.view() }])?;
//! queue.sync()?;
//!
//! let mut block = Block::new();
//! while queue.read(&mut block)? {
//!     for queued in block.messages() {
//!         assert_eq!((queued.sequence, queued.message.payload()), (sequence, &b"hello"[..]));
//!     }
//! }
//! queue.acknowledge(sequence + 1)?;
//! assert_eq!(queue.messages(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * **Nothing that was appended is lost** when the process ends at any moment, and nothing that was synced when the
//!   machine does. An append is whole or not there.
//! * **Duplicates are left out**: of each chain and stream, the queue knows durably how far messages were appended, and
//!   takes none at or before that place again.
//! * **It never refuses to start** because of damage: what is damaged is moved to `quarantine/`, counted, and passed over.
//! * **It is bounded**, in bytes, in messages and by what is free on the disk; the caller asks
//!   [`DiskQueue::has_room`] and decides what to do about it.
//! * One thread, no locks inside, one system call to append a batch and one to acknowledge one.
//!
//! The files are described in [`format`](mod@format), to the byte. [`Inspection`] looks at a queue that another process has
//! open; [`repair`] puts one right that nobody has.

mod acknowledge;
mod append;
mod block;
mod error;
pub mod format;
mod header;
mod identity;
mod inspection;
mod options;
mod position;
mod quarantine;
mod queue;
mod read;
mod recovery;
mod roll;
mod room;
mod scan;
mod segment;
mod storage;
mod streams;
mod sync;
#[cfg(test)]
mod tests;
mod trail;
mod verify;

pub use append::{Appended, Entry};
pub use block::{BLOCK_MESSAGES, Block, Messages, Queued};
pub use error::{QueueError, QueueErrorKind};
pub use inspection::{Check, Inspection, InspectionReader, Status, repair};
pub use options::{BYTES_MIN, FREE_BYTES_MIN, QueueOptions};
pub use quarantine::Damages;
pub use queue::DiskQueue;
pub use recovery::Recovery;
pub use storage::{Directory, DirectoryFile, FreeBytes, Storage, StorageFile};
