//! The output's life, and the way of a batch into files.

use super::config::Config;
use super::open_file::{Delivered as Place, Failure};
use super::open_files::OpenFiles;
use super::path_template::{PathTemplate, unescaped};
use heka_plugin_api::{Context, Counter, Delivered, Delivery, Faults, Message, Output, PluginError, now};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

/// Writes messages to files.
pub struct FileOutput {
    config: Config,
    template: Option<PathTemplate>,
    files: OpenFiles,
    /// Path of the run at hand; always the same one without a template.
    path: Vec<u8>,
    next_path: Vec<u8>,
    /// The payloads as lines, when there is no encoder.
    lines: Vec<u8>,
    bytes: Counter,
    repeated: Counter,
    open_files: Counter,
}

/// The messages of a delivery as they will stand in files.
struct Records<'a, 'd> {
    delivery: &'a mut Delivery<'d>,
    bytes: &'a [u8],
    is_encoded: bool,
    /// How many are written, but not yet told to the host.
    written: usize,
    /// How many were told to the host: the delivery no longer shows them.
    told: usize,
    /// Id of the durable queue that they come from, and their numbers in it.
    queue: Option<[u8; 16]>,
    numbers: &'a [u64],
}

/// Consecutive records with the same path.
#[derive(Clone, Copy, Default)]
struct Run {
    /// Index of the first one among those of the delivery.
    first: usize,
    count: usize,
    start: usize,
    len: usize,
}

impl Output for FileOutput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let template = PathTemplate::new(&config.path, config.base_dir.as_deref(), config.local_time);
        let template = template.map_err(|(key, why)| PluginError::Config(format!("{key}: {why}")))?;
        let path =
            if template.is_some() { Vec::new() } else { unescaped(&config.path).into_os_string().into_vec() };
        if template.is_some() || config.rotate_interval.is_some() {
            context.set_ticker(ticker(&config));
        }
        Ok(FileOutput {
            files: OpenFiles::new(
                &config,
                template.as_ref().map(|template| template.base().to_owned()),
                context.instance(),
            ),
            config,
            template,
            path,
            next_path: Vec::new(),
            lines: Vec::new(),
            bytes: context.counter("bytes"),
            repeated: context.counter("repeated"),
            open_files: context.counter("open_files"),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let Some(predecessor) = predecessor else {
            self.files.load(context.state_dir()).map_err(PluginError::retry)?;
            return self.open_only_file();
        };
        self.files.take_over(&mut predecessor.files);
        let result = self.open_only_file();
        if result.is_err() {
            // The predecessor may have to go on.
            predecessor.files.take_over(&mut self.files);
        }
        result
    }

    fn deliver(
        &mut self,
        delivery: &mut Delivery<'_>,
        context: &mut Context,
    ) -> Result<Delivered, PluginError> {
        let encoded = delivery.bytes();
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        if encoded.is_empty() {
            write_lines(delivery, &mut lines);
        }
        let is_encoded = !encoded.is_empty();
        let bytes = if is_encoded { encoded } else { &lines };
        let (queue, numbers) = (delivery.queue(), delivery.sequences());
        let mut records = Records { delivery, bytes, is_encoded, written: 0, told: 0, queue, numbers };
        let result = if self.template.is_some() {
            self.write_runs(&mut records, context)
        } else {
            let run = Run { count: records.delivery.len(), len: records.bytes.len(), ..Run::default() };
            self.write_run(&mut records, run).map_err(without_path)
        };
        let settled = self.settle(&mut records);
        let told = records.told;
        self.files.given(numbers.get(..told).unwrap_or_default());
        self.lines = lines;
        self.open_files.set(self.files.len() as u64);
        settled.and(result).map(|()| Delivered::Now)
    }

    fn sync(&mut self, context: &mut Context) -> Result<(), PluginError> {
        self.files.sync_for_queue(context.state_dir()).map_err(without_path)
    }

    fn reopen(&mut self, _: &mut Context) -> Result<(), PluginError> {
        self.files.close_all();
        self.open_only_file()
    }

    fn tick(&mut self, _: &mut Context) -> Result<(), PluginError> {
        let closed =
            if self.template.is_some() { self.files.close_idle(self.config.idle_close.0) } else { Ok(()) };
        let result = closed.and(self.files.rotate_due(now()));
        self.open_files.set(self.files.len() as u64);
        result.map_err(without_path)
    }
}

impl FileOutput {
    /// Opens the file of a path without placeholders.
    fn open_only_file(&mut self) -> Result<(), PluginError> {
        if self.template.is_none() {
            self.files.at(&self.path, Instant::now(), now()).map_err(without_path)?;
        }
        Ok(())
    }

    /// Writes each run of messages with the same path.
    fn write_runs(&mut self, records: &mut Records<'_, '_>, context: &Context) -> Result<(), PluginError> {
        let mut run = Run::default();
        for (index, (message, encoded)) in records.delivery.messages().enumerate() {
            let len = record_len(records.is_encoded, &message, encoded);
            if let Some(template) = &mut self.template {
                template.render(&message, &mut self.next_path);
            }
            if index == 0 || self.next_path != self.path {
                self.finish_run(records, run, context)?;
                std::mem::swap(&mut self.path, &mut self.next_path);
                run = Run { first: index, count: 0, start: run.start + run.len, len: 0 };
            }
            (run.count, run.len) = (run.count + 1, run.len + len);
        }
        self.finish_run(records, run, context)
    }

    /// Writes a run; refuses its messages if their path can never be written to.
    fn finish_run(
        &mut self,
        records: &mut Records<'_, '_>,
        run: Run,
        context: &Context,
    ) -> Result<(), PluginError> {
        let before = records.written;
        match self.write_run(records, run) {
            Err(Failure::Never(why)) => {
                let left = before + run.count - records.written;
                self.settle(records)?;
                (0..left).for_each(|_| records.delivery.refuse(&why, context));
                records.told += left;
                Ok(())
            }
            result => result.map_err(without_path),
        }
    }

    /// Writes a run to the file at `self.path`, in one write unless it must be rotated in between.
    fn write_run(&mut self, records: &mut Records<'_, '_>, mut run: Run) -> Result<(), Failure> {
        let (now, wall) = (Instant::now(), now());
        while run.count > 0 {
            let file = self.files.at(&self.path, now, wall)?;
            let known = records.known(run, |queue, numbers| file.known(queue, numbers));
            let file_len = file.len;
            if known > 0 {
                let known = records.next(run, known);
                records.written += known.count;
                self.repeated.add(known.count as u64);
                run.skip(known);
                continue;
            }
            let mut piece = records.whole(run, self.files.room(file_len));
            if piece.count == 0 && file_len > 0 {
                self.files.rotate(&self.path, wall)?;
                continue;
            }
            if piece.count == 0 {
                piece = records.next(run, 1);
            }
            self.append(records, piece, wall)?;
            run.skip(piece);
        }
        Ok(())
    }

    fn append(&mut self, records: &mut Records<'_, '_>, piece: Run, wall: i64) -> Result<(), Failure> {
        let bytes = &records.bytes[piece.start..piece.start + piece.len];
        match self.files.append(&self.path, bytes, records.place(piece), wall) {
            Ok(()) => {
                records.written += piece.count;
                self.bytes.add(piece.len as u64);
                Ok(())
            }
            Err((written, failure)) => {
                let whole = records.whole(piece, written as u64);
                let torn = written - whole.len;
                self.files.keep_whole(&self.path, &bytes[..whole.len], torn, records.place(whole))?;
                records.written += whole.count;
                self.bytes.add(whole.len as u64);
                Err(failure)
            }
        }
    }

    /// Tells the host of what was written, once it is on the disk where that was asked for.
    fn settle(&mut self, records: &mut Records<'_, '_>) -> Result<(), PluginError> {
        let written = std::mem::take(&mut records.written);
        self.files.sync().map_err(without_path)?;
        records.delivery.complete(written);
        records.told += written;
        Ok(())
    }
}

impl Run {
    /// Leaves out records at the beginning.
    fn skip(&mut self, piece: Run) {
        self.first += piece.count;
        self.count -= piece.count;
        self.start += piece.len;
        self.len -= piece.len;
    }
}

impl Records<'_, '_> {
    /// Returns the whole records at the beginning of a run that fit into `room` bytes.
    fn whole(&self, run: Run, room: u64) -> Run {
        if run.len as u64 <= room {
            return run;
        }
        let mut fitting = Run { count: 0, len: 0, ..run };
        for len in self.lens(run) {
            if (fitting.len + len) as u64 > room {
                break;
            }
            (fitting.count, fitting.len) = (fitting.count + 1, fitting.len + len);
        }
        fitting
    }

    /// Returns the first `count` records of a run.
    fn next(&self, run: Run, count: usize) -> Run {
        Run { count, len: self.lens(run).take(count).sum(), ..run }
    }

    /// Tells how many records at the beginning of a run are in its file already.
    fn known(&self, run: Run, known: impl FnOnce(&[u8; 16], &[u64]) -> usize) -> usize {
        let numbers = self.numbers.get(run.first..run.first + run.count).unwrap_or_default();
        self.queue.as_ref().map_or(0, |queue| known(queue, numbers))
    }

    /// Returns where the file is in the queue when these records are written.
    fn place(&self, run: Run) -> Option<Place> {
        let last = self.numbers.get((run.first + run.count).checked_sub(1)?)?;
        self.queue.map(|queue| Place { queue, below: last + 1 })
    }

    /// Lengths of a run's records.
    fn lens(&self, run: Run) -> impl Iterator<Item = usize> {
        let messages = self.delivery.messages().skip(run.first - self.told).take(run.count);
        messages.map(|(message, encoded)| record_len(self.is_encoded, &message, encoded))
    }
}

fn record_len(is_encoded: bool, message: &Message<'_>, encoded: &[u8]) -> usize {
    if is_encoded { encoded.len() } else { message.payload().len() + 1 }
}

/// Writes the payloads as lines: what an output without an encoder delivers.
fn write_lines(delivery: &Delivery<'_>, lines: &mut Vec<u8>) {
    for (message, _) in delivery.messages() {
        lines.extend_from_slice(message.payload());
        lines.push(b'\n');
    }
}

/// Turns a failure of a path that all messages have into the host's terms.
fn without_path(failure: Failure) -> PluginError {
    match failure {
        Failure::Later(why) | Failure::Never(why) => PluginError::retry(why),
    }
}

/// Often enough to rotate and close about in time.
fn ticker(config: &Config) -> Duration {
    let rotate = config.rotate_interval.map_or(Duration::MAX, |interval| interval.0 / 10);
    (config.idle_close.0 / 2).min(rotate).clamp(Duration::from_secs(1), Duration::from_secs(60))
}
