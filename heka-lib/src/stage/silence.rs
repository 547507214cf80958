//! What waits for another line of its message is handed on when its stream has been silent for long enough.

use super::intake::Source;
use super::reading::Reading;
use std::time::{Duration, Instant};

/// What is due within so long of each other is handed on together.
const TOGETHER: Duration = Duration::from_millis(50);

/// Time in which streams could have been read: an input that waits for its outputs hears no silence.
#[derive(Default)]
pub(super) struct Silence {
    heard: Duration,
    next: Option<Duration>,
}

impl Silence {
    /// Counts a read that began at `asked` and was to wait no longer than `wait`.
    pub(super) fn pass(&mut self, asked: Instant, wait: Duration) {
        if self.next.is_some() {
            self.heard += asked.elapsed().min(wait.max(TOGETHER));
        }
    }

    /// How long a read may wait.
    pub(super) fn left(&self) -> Duration {
        self.next.map_or(Duration::MAX, |next| next.saturating_sub(self.heard))
    }

    /// Returns when a stream that was read now has been silent for `timeout`.
    pub(super) fn due(&mut self, timeout: Duration) -> Duration {
        let together = TOGETHER.as_nanos() as u64;
        let due = u64::try_from((self.heard + timeout).as_nanos()).unwrap_or(u64::MAX / 2);
        let due = Duration::from_nanos(due.div_ceil(together).saturating_mul(together));
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
        due
    }

    fn is_due(&self) -> bool {
        self.next.is_some_and(|next| next <= self.heard)
    }
}

impl Reading {
    /// Hands on what streams hold that have been silent for long enough.
    pub(super) fn release_silent(&mut self) {
        if !self.silence.is_due() {
            return;
        }
        let heard = self.silence.heard;
        let is_due = |due: Option<Duration>| due.is_some_and(|due| due <= heard);
        let indexes: Vec<usize> = (0..self.streams.len())
            .filter(|&index| self.stream(index).is_some_and(|stream| is_due(stream.due)))
            .collect();
        if let Err(error) = self.note_cuts(&indexes) {
            self.intake.warn(|| format!("failed to note where silent streams were cut: {error}; they wait"));
            self.silence.next = Some(heard + Duration::from_secs(1));
            return;
        }
        for index in indexes {
            self.release(index);
        }
        self.silence.next = self.streams.iter().flatten().filter_map(|stream| stream.due).min();
    }

    /// Notes where streams will be cut that can be read again.
    fn note_cuts(&mut self, indexes: &[usize]) -> std::io::Result<()> {
        let streams = indexes.iter().filter_map(|&index| self.stream(index));
        let cut = streams.filter(|stream| stream.is_named).filter_map(|stream| {
            let held = stream.splitter.held_bytes(stream.rest());
            (held > 0).then_some((stream.id, stream.position + held as u64))
        });
        let cuts: Vec<(u64, u64)> = cut.collect();
        if cuts.is_empty() { Ok(()) } else { self.cuts.add(&cuts) }
    }

    fn release(&mut self, index: usize) {
        let Some(Some(stream)) = self.streams.get_mut(index) else { return };
        stream.due = None;
        let was_skipping = stream.splitter.skipped_bytes() > 0;
        let (rest, base) = (stream.take_rest(), stream.position);
        self.sink.clear();
        let consumed = stream.splitter.release(&rest, &mut self.sink);
        stream.position += consumed as u64;
        let skipped = stream.splitter.skipped_bytes();
        let source = Source { id: stream.id, name: &stream.name, end: stream.position - skipped };
        self.intake.gather(&self.sink, &rest, base, source);
        if was_skipping && skipped == 0 && self.sink.frames().is_empty() {
            self.intake.pass(source);
        }
        self.intake.take_group(source);
        stream.put_rest(rest, consumed);
        self.count(index);
    }
}
