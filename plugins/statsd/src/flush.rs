//! Tells what an interval brought, in slices.

use crate::accumulator::{Accumulator, Flushing};
use crate::figures::{FlushTime, begin};
use crate::metric::Kind;
use crate::slot::Data;
use heka_plugin_api::{Context, MessageBuilder, PluginError, Reader};
use std::time::Instant;

/// Metrics between two looks at the clock; timers look each time.
const METRICS_PER_LOOK: usize = 16;
/// A message of many lines ends when it has so many bytes.
const LINES_BYTES: usize = 256 << 10;

/// Takes new messages.
pub trait Emitter {
    /// Builds one.
    ///
    /// # Errors
    /// If it is too large.
    fn emit(&mut self, build: impl FnOnce(&mut MessageBuilder<'_>)) -> Result<(), PluginError>;
}

impl Emitter for Reader<'_> {
    fn emit(&mut self, build: impl FnOnce(&mut MessageBuilder<'_>)) -> Result<(), PluginError> {
        let mut messages = self.messages();
        let mut message = messages.message();
        build(&mut message);
        message.finish()
    }
}

impl Emitter for Context {
    fn emit(&mut self, build: impl FnOnce(&mut MessageBuilder<'_>)) -> Result<(), PluginError> {
        Context::emit(self, build)
    }
}

/// What is done with a metric at a flush.
enum Fate {
    Tell,
    /// It is new, or free.
    Leave,
    Forget,
}

impl Accumulator {
    /// Tells whether a flush is under way.
    pub fn is_flushing(&self) -> bool {
        self.flushing.is_some()
    }

    /// Ends the interval: what comes from now on belongs to the next one. Not to be called while a flush is under way.
    pub fn begin_flush(&mut self, time: FlushTime) {
        self.side = 1 - self.side;
        self.interval = self.interval.wrapping_add(1);
        self.flushing = Some(Flushing { time, next: 0, told: 0, lines: Vec::new() });
    }

    /// Goes on telling until the time is over or everything is told; returns how many messages were too large.
    pub fn flush_slice(&mut self, emitter: &mut impl Emitter, deadline: Option<Instant>) -> usize {
        let Some(mut flushing) = self.flushing.take() else { return 0 };
        let (mut lines, mut failed, mut looks) = (Vec::new(), 0, 0);
        while flushing.next < self.slots.len() {
            let number = flushing.next;
            flushing.next += 1;
            match self.fate(number) {
                Fate::Leave => continue,
                Fate::Forget => self.forget(number),
                Fate::Tell => {
                    flushing.told += 1;
                    lines.clear();
                    failed += usize::from(!self.tell(number, &mut flushing, &mut lines, emitter));
                    let side = 1 - self.side;
                    self.slots[number].clear(side, &mut self.memory);
                }
            }
            looks += 1;
            let is_costly = matches!(self.slots[number].data, Data::Timings(_) | Data::Members(_));
            let looks_now = is_costly || looks % METRICS_PER_LOOK == 0;
            if looks_now && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.flushing = Some(flushing);
                return failed;
            }
        }
        failed + usize::from(!self.end_flush(flushing, emitter))
    }

    /// Decides about a metric, and counts how long it has been idle.
    fn fate(&mut self, number: usize) -> Fate {
        let side = 1 - self.side;
        let interval = self.interval;
        let slot = &mut self.slots[number];
        if matches!(slot.data, Data::Free) || slot.born == interval {
            return Fate::Leave;
        }
        if slot.touched[side] {
            slot.idle = 0;
            return Fate::Tell;
        }
        slot.idle = slot.idle.saturating_add(1);
        let seconds = f64::from(slot.idle) * self.settings.flush_interval.as_secs_f64();
        let forget_after = self.settings.forget_after.as_secs_f64();
        let is_over = self.settings.delete_idle_stats || forget_after > 0.0 && seconds >= forget_after;
        match (is_over, slot.touched[self.side]) {
            (false, _) => Fate::Tell,
            (true, false) => Fate::Forget,
            // Something has come meanwhile.
            (true, true) => Fate::Leave,
        }
    }

    /// Tells of one metric, in a message of its own or in the lines for one message.
    fn tell(
        &mut self,
        number: usize,
        flushing: &mut Flushing,
        lines: &mut Vec<u8>,
        emitter: &mut impl Emitter,
    ) -> bool {
        if !self.settings.one_message {
            let time = flushing.time;
            return emitter.emit(|message| self.write(number, time, lines, Some(message))).is_ok();
        }
        let mut lines = std::mem::take(&mut flushing.lines);
        self.write(number, flushing.time, &mut lines, None);
        flushing.lines = lines;
        flushing.lines.len() < LINES_BYTES || flushing.emit_lines(emitter)
    }

    fn write(
        &mut self,
        number: usize,
        time: FlushTime,
        lines: &mut Vec<u8>,
        message: Option<&mut MessageBuilder<'_>>,
    ) {
        let side = 1 - self.side;
        let slot = &mut self.slots[number];
        let figures = self.form.figures(time, slot.kind, &slot.name, lines, message);
        match &mut slot.data {
            Data::Sums(sums) if slot.kind == Kind::Gauge => figures.gauge(sums[side].number()),
            Data::Sums(sums) => figures.counter(sums[side].number()),
            Data::Timings(timings) => figures.timings(&mut timings[side]),
            Data::Members(members) => figures.set(&members[side]),
            Data::Free => {}
        }
    }

    /// Tells how many metrics were told.
    fn end_flush(&mut self, mut flushing: Flushing, emitter: &mut impl Emitter) -> bool {
        let (time, told) = (flushing.time, flushing.told);
        if self.settings.one_message {
            self.form.write_num_stats(time, told, &mut flushing.lines, None);
            return flushing.emit_lines(emitter);
        }
        let mut lines = Vec::new();
        let form = &self.form;
        emitter.emit(|message| form.write_num_stats(time, told, &mut lines, Some(message))).is_ok()
    }
}

impl Flushing {
    /// Emits a message of all lines so far.
    fn emit_lines(&mut self, emitter: &mut impl Emitter) -> bool {
        let (time, lines) = (self.time, std::mem::take(&mut self.lines));
        let emitted = emitter.emit(|message| _ = begin(message, time).payload(&lines));
        self.lines = lines;
        self.lines.clear();
        emitted.is_ok()
    }
}
