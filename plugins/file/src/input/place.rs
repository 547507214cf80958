//! One stream's place: what is kept of it, and what has happened since that was saved.

use super::fingerprint::{EDGE_BYTES, Fingerprint};
use super::position_text::{Kept, State};
use crate::identity::Identity;
use std::fs::File;
use std::io;
use std::sync::{Arc, Weak};

/// A stream's place.
pub struct Place {
    /// What is kept of it.
    pub kept: Kept,
    /// What the host acknowledged last; the position of the next save.
    pub acknowledged: u64,
    /// Up to where a stopped instance had handed on.
    pub handed_on: u64,
    /// Where the stream ended for good, with the fingerprint before it.
    pub end: Option<(u64, Fingerprint)>,
    /// The file while it is open.
    pub file: Weak<File>,
    /// The file of a stream that a stop has ended: what is acknowledged afterwards is still to be saved.
    pub held: Option<Arc<File>>,
    /// Whether the file is there in this run.
    pub followed: bool,
    /// How much of the head is kept durably; nothing before the id itself is.
    durable: Option<u64>,
    /// The save that makes more of it durable, and how much.
    sent: (u64, u64),
}

impl Place {
    /// Makes the place of a new stream, of which nothing is durable yet.
    pub fn new(kept: Kept) -> Place {
        Place {
            acknowledged: kept.position,
            kept,
            handed_on: 0,
            end: None,
            file: Weak::new(),
            held: None,
            followed: false,
            durable: None,
            sent: (u64::MAX, 0),
        }
    }

    /// Makes the place of a stream that was kept.
    pub fn loaded(kept: Kept) -> Place {
        Place { durable: Some(kept.head.len), ..Place::new(kept) }
    }

    /// Says that what is kept now goes to the disk with a save.
    pub fn send(&mut self, save: u64, saved: u64) {
        self.settle(saved);
        if self.durable != Some(self.kept.head.len) {
            self.sent = (save, self.kept.head.len);
        }
    }

    fn settle(&mut self, saved: u64) {
        if self.sent.0 <= saved {
            self.durable = Some(self.sent.1);
            self.sent.0 = u64::MAX;
        }
    }

    /// Returns up to where the stream may be handed on when this save has ended.
    ///
    /// What is handed on must be told from what may be in its place after a crash: as long as the file is small, only
    /// what its durable head covers.
    pub fn covered(&mut self, saved: u64) -> u64 {
        self.settle(saved);
        match self.durable {
            None => 0,
            Some(EDGE_BYTES..) => u64::MAX,
            Some(_) if self.kept.state == State::Gzip => u64::MAX,
            Some(len) => len,
        }
    }

    /// Tells whether the head as it is kept now still has to be saved.
    pub fn is_uncovered(&mut self, saved: u64) -> bool {
        self.settle(saved);
        self.durable != Some(self.kept.head.len)
    }

    /// Tells whether a file holds what was read of the stream, and maybe more.
    pub fn is_in(&self, file: &File) -> io::Result<bool> {
        let kept = &self.kept;
        Ok(file.metadata()?.len() >= kept.position
            && kept.head.is_head_of(file)?
            && kept.tail.is_before(file, kept.position)?)
    }

    /// Moves the kept position to what was acknowledged, with the fingerprints that belong to it.
    ///
    /// Where those can't be taken the older position stays, which repeats lines but loses none.
    pub fn advance(&mut self) -> io::Result<()> {
        match self.kept.state {
            State::Gzip => self.kept.position = self.acknowledged,
            State::File => return self.advance_in_file(),
            State::Cut | State::Done => {}
        }
        Ok(())
    }

    fn advance_in_file(&mut self) -> io::Result<()> {
        let Some(file) = self.file.upgrade().or_else(|| self.opened()) else { return Ok(()) };
        let tail = Fingerprint::before(&file, self.acknowledged)?;
        if tail.len < self.acknowledged.min(EDGE_BYTES) {
            return Ok(());
        }
        if self.kept.head.len < EDGE_BYTES {
            self.kept.head = Fingerprint::of_head(&file)?;
        }
        (self.kept.tail, self.kept.position) = (tail, self.acknowledged);
        Ok(())
    }

    /// Opens the file for a moment, while it is not held open.
    fn opened(&self) -> Option<Arc<File>> {
        let file = File::open(&self.kept.path).ok()?;
        let metadata = file.metadata().ok()?;
        (Identity::of(&metadata) == self.kept.identity).then(|| Arc::new(file))
    }

    /// Marks the stream as read and acknowledged to its end.
    pub fn finish(&mut self) {
        if let Some((end, tail)) = self.end {
            (self.kept.position, self.kept.tail, self.kept.state) = (end, tail, State::Done);
        }
    }
}
