//! Input `journald`.

use crate::child::{Found, Journal};
use crate::cursor_file::CursorFile;
use crate::entry::{self, FieldChoice};
use crate::export::{self, Item};
use heka_plugin_api::{
    Context, Counter, Faults, Input, Origin, PluginError, Read, Reader, Schema, Stream, now,
};
use heka_socket::Wake;
use serde::Deserialize;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// The longest entry; a longer one is skipped.
const ENTRY_BYTES_MAX: usize = 16 << 20;
/// Time between two saves of the cursor.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two lines about entries that can't be read.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// Flag of messages whose place tells nothing about duplicates.
const UNORDERED: u16 = heka_plugin_api::abi::record_flag::UNORDERED;

/// Follows systemd's journal, by `journalctl`, and goes on behind what was delivered.
#[derive(Deserialize, Schema, Clone)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Matches that entries must fit, as `journalctl` takes them: `_SYSTEMD_UNIT=ssh.service`, `+` between alternatives.
    #[serde(default)]
    matches: Vec<String>,
    /// Where to begin when nothing was read before: `beginning` or `end`.
    #[serde(default = "default_from")]
    #[schema(default = "end")]
    from: String,
    /// Directory with journal files to read instead of the system's.
    #[serde(default)]
    directory: Option<String>,
    /// Whether to wait for further entries; otherwise the input ends behind the last one.
    #[serde(default = "default_follow")]
    #[schema(default = "true")]
    follow: bool,
    /// Names of the journal's fields that become fields; by default all but those that begin with `__`.
    #[serde(default)]
    fields: Vec<String>,
    /// Program that reads the journal.
    #[serde(default = "default_program")]
    #[schema(default = "journalctl")]
    program: String,
}

fn default_from() -> String {
    "end".to_owned()
}

fn default_follow() -> bool {
    true
}

fn default_program() -> String {
    "journalctl".to_owned()
}

/// Follows the journal.
pub struct JournaldInput {
    config: Config,
    choice: FieldChoice,
    running: Option<Running>,
}

/// What a started input has.
struct Running {
    wake: Wake,
    file: CursorFile,
    saved: Instant,
    is_saved: bool,
    journal: Option<Journal>,
    stream: Option<Stream>,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes of the entry at the front that are fields for sure.
    scanned: usize,
    /// The last entry that was read, which the program goes on behind.
    last: Option<String>,
    /// Positions that were handed on and their cursors, until they are acknowledged.
    under_way: VecDeque<(u64, String)>,
    /// Entries handed on since the start.
    position: u64,
    /// The last place in the sequence that a journal gave.
    sequence: (u64, u64),
    broken: Counter,
    complained: Option<Instant>,
    ended: bool,
}

impl Input for JournaldInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if !matches!(config.from.as_str(), "beginning" | "end") {
            faults.add("from", "is `beginning` or `end`");
        }
        if config.program.is_empty() {
            faults.add("program", "must not be empty");
        }
        for (index, text) in config.matches.iter().enumerate() {
            if text != "+" && text.find('=').is_none_or(|equals| equals == 0) || text.starts_with('-') {
                faults.add(
                    format!("matches[{index}]"),
                    "is no match such as `_SYSTEMD_UNIT=ssh.service`, nor `+`",
                );
            }
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(JournaldInput { choice: FieldChoice::new(config.fields.clone()), config, running: None })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let load = || {
            CursorFile::load(context.state_dir()).map_err(|error| {
                let path = context.state_dir().join("cursor");
                PluginError::fatal(format!(
                    "failed to read `{}`: {}",
                    path.display(),
                    heka_plugin_api::cause(&error)
                ))
            })
        };
        let mut file = load()?;
        let (mut last, mut stream, mut position, mut under_way) =
            (file.cursor.clone(), None, 0, VecDeque::new());
        if let Some(old) = predecessor.and_then(|old| old.running.take()) {
            (last, stream, position, under_way) = (old.last, old.stream, old.position, old.under_way);
            file.cursor = old.file.cursor;
        }
        self.running = Some(Running {
            wake: Wake::of_instance(context)?,
            file,
            saved: Instant::now(),
            is_saved: true,
            journal: None,
            stream,
            buffer: vec![0; 2 * READ_BYTES],
            filled: 0,
            scanned: 0,
            last,
            under_way,
            position,
            sequence: (0, 0),
            broken: context.counter("broken"),
            complained: None,
            ended: false,
        });
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        let Some(running) = &mut self.running else { return Err(PluginError::fatal("was not started")) };
        if let Some(stream) = running.stream {
            reader.keep_stream(stream);
        }
        if running.ended || context.stop_signal().is_raised() {
            return Ok(running.end());
        }
        let deadline = Instant::now() + timeout;
        if running.journal.is_none() {
            (running.filled, running.scanned) = (0, 0);
            running.journal = Some(Journal::start(
                &self.config.program,
                &arguments(&self.config, running.last.as_deref()),
            )?);
        }
        let room = running.room();
        let Some(journal) = &mut running.journal else { return Ok(Read::Idle) };
        let found = journal.read(&mut running.buffer[room], &running.wake, deadline)?;
        running.save_if_due(context);
        match found {
            Found::Bytes(len) => {
                running.filled += len;
                running.take(reader, &self.choice, context)?;
                Ok(Read::Some)
            }
            Found::Nothing => Ok(Read::Idle),
            Found::End => {
                let ended = running.journal.take().map_or(Ok(()), Journal::end);
                match (ended, self.config.follow) {
                    (Err(failure), _) => Err(failure),
                    (Ok(()), true) => Err(PluginError::retry(format!("`{}` has ended", self.config.program))),
                    (Ok(()), false) => Ok(running.end()),
                }
            }
        }
    }

    fn acknowledged(&mut self, _: u64, position: u64, context: &mut Context) {
        let Some(running) = &mut self.running else { return };
        while running.under_way.front().is_some_and(|(end, _)| *end <= position) {
            running.file.cursor = running.under_way.pop_front().map(|(_, cursor)| cursor);
            running.is_saved = false;
        }
        if running.ended {
            running.save(context);
        }
    }
}

impl Running {
    /// The free part of the buffer.
    fn room(&mut self) -> Range<usize> {
        if self.buffer.len() - self.filled < READ_BYTES {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        self.filled..self.buffer.len()
    }

    /// Makes messages of the whole entries that are there.
    fn take(
        &mut self,
        reader: &mut Reader<'_>,
        choice: &FieldChoice,
        context: &Context,
    ) -> Result<(), PluginError> {
        let (mut start, mut lost, mut result) = (0, None, Ok(()));
        let before = self.position;
        loop {
            match export::entry_len(&self.buffer[start..self.filled], &mut self.scanned) {
                Ok(Some(len)) => {
                    let entry = start..start + len;
                    // Between entries there may be more than one empty line.
                    if len > 1 {
                        self.write(entry, reader, choice, context);
                    }
                    start += len;
                }
                Ok(None) if self.filled - start <= ENTRY_BYTES_MAX => break,
                Ok(None) => lost = Some("it is longer than 16 MiB"),
                Err(reason) => lost = Some(reason),
            }
            if let Some(reason) = lost {
                result = self.skip(start, reason, context);
                start = self.filled;
                break;
            }
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
        if let (true, Some(cursor)) = (self.position > before, self.last.clone()) {
            let id = self.file.stream;
            let stream =
                *self.stream.get_or_insert_with(|| reader.open_stream(context.instance(), id, before));
            self.under_way.push_back((self.position, cursor));
            reader.hand_on(stream, self.position);
        }
        result
    }

    fn write(
        &mut self,
        entry: Range<usize>,
        reader: &mut Reader<'_>,
        choice: &FieldChoice,
        context: &Context,
    ) {
        let entry = &self.buffer[entry];
        let cursor = export::fields(entry).flatten().find(|(name, _)| *name == b"__CURSOR");
        let cursor = cursor.and_then(|(_, cursor)| std::str::from_utf8(cursor).ok());
        let (origin, flags) = place(&mut self.sequence, self.file.stream, cursor.unwrap_or_default());
        let mut messages = reader.messages();
        let (name, host) = (context.instance().as_bytes(), context.hostname().as_bytes());
        messages.set_defaults(now(), b"journald", name, host, origin);
        messages.set_flags(flags);
        let mut message = messages.message();
        let result = entry::write(entry, choice, &mut message).map_err(PluginError::message);
        let result = result.and_then(|_| message.finish());
        if let Some(cursor) = cursor {
            self.last.get_or_insert_default().replace_range(.., cursor);
        }
        self.position += 1;
        if let Err(error) = result {
            self.complain(context, &error.to_string());
        }
    }

    /// Leaves the entry at `start` out: the program is started again behind it.
    fn skip(&mut self, start: usize, reason: &str, context: &Context) -> Result<(), PluginError> {
        self.complain(context, reason);
        (self.journal, self.scanned) = (None, 0);
        // The cursor is an entry's first field.
        match export::item(&self.buffer[start..self.filled], false) {
            Item::Field((b"__CURSOR", cursor), _) if cursor.is_ascii() => {
                self.last = Some(String::from_utf8_lossy(cursor).into_owned());
                Ok(())
            }
            _ => Err(PluginError::retry(format!("failed to read an entry: {reason}"))),
        }
    }

    fn complain(&mut self, context: &Context, reason: &str) {
        self.broken.add(1);
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINT_INTERVAL) {
            log::warn!("input `{}`: failed to read an entry: {reason}", context.instance());
            self.complained = Some(Instant::now());
        }
    }

    fn save_if_due(&mut self, context: &Context) {
        if !self.is_saved && self.saved.elapsed() >= SAVE_INTERVAL {
            self.save(context);
        }
    }

    fn save(&mut self, context: &Context) {
        self.saved = Instant::now();
        match self.file.save() {
            Ok(()) => self.is_saved = true,
            Err(error) => {
                let why = heka_plugin_api::cause(&error);
                log::warn!("input `{}`: failed to save the cursor: {why}; tried again", context.instance());
            }
        }
    }

    fn end(&mut self) -> Read {
        (self.ended, self.journal) = (true, None);
        Read::End
    }
}

/// Where an entry is from: the journal's sequence and the place in it, as its cursor says. An entry that doesn't come
/// in the order of these places is marked, so that nobody takes it for a duplicate.
fn place(last: &mut (u64, u64), input: u64, cursor: &str) -> (Origin, u16) {
    let part = |key: &str| cursor.split(';').find_map(|part| part.strip_prefix(key)).unwrap_or_default();
    let number =
        |text: &str| u64::from_str_radix(text.get(..text.len().min(16)).unwrap_or_default(), 16).ok();
    let (Some(sequence), Some(place)) = (number(part("s=")), number(part("i="))) else {
        return (Origin::default(), 0);
    };
    let is_later = sequence != last.0 || place > last.1;
    if is_later {
        *last = (sequence, place);
    }
    // Each input has its own streams: another one may read other entries of the same sequence.
    let stream = (sequence ^ input.rotate_left(17)).max(1);
    (Origin { stream, position: place, index: 0 }, if is_later { 0 } else { UNORDERED })
}

fn arguments(config: &Config, cursor: Option<&str>) -> Vec<String> {
    let mut arguments = vec!["--output=export".to_owned(), "--quiet".to_owned(), "--all".to_owned()];
    if config.follow {
        arguments.push("--follow".to_owned());
    }
    match cursor {
        Some(cursor) => arguments.extend([format!("--after-cursor={cursor}"), "--no-tail".to_owned()]),
        None if config.from == "end" => arguments.push("--lines=0".to_owned()),
        None => arguments.push("--no-tail".to_owned()),
    }
    arguments.extend(config.directory.iter().map(|directory| format!("--directory={directory}")));
    arguments.extend(config.matches.iter().cloned());
    arguments
}

#[cfg(test)]
mod tests;
