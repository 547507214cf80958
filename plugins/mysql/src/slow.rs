//! Decoder `mysql_slow`: entries of the slow query log.

mod entry;

use entry::{Line, Lines, statement_end};
use heka_plugin_api::{
    ByteSize, Context, Decoder, Faults, Frame, MessageBuilder, MessageWriter, PluginError, Schema, Text,
    TextValue,
};
use heka_scalar::timestamp::{SECOND_NS, TimeReader, Zone, epoch};
use heka_scalar::{number, quote};
use serde::Deserialize;
use std::ops::Range;

/// Reads entries of the slow query log of MySQL and MariaDB, each of several lines.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Most bytes of a statement that are kept, or none for all.
    #[serde(default)]
    statement_bytes_max: Option<ByteSize>,
    /// Zone of a `# Time:` that doesn't say its own, where there is no `SET timestamp`: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "default_timezone")]
    #[schema(default = "UTC")]
    timezone: String,
}

fn default_timezone() -> String {
    "UTC".to_owned()
}

/// Reads the slow query log.
pub struct MysqlSlowDecoder {
    statement_bytes_max: usize,
    time: TimeReader,
    name: Vec<u8>,
}

impl Decoder for MysqlSlowDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Err(reason) = Zone::find(&config.timezone) {
            faults.add("timezone", reason);
        }
        if config.statement_bytes_max == Some(ByteSize(0)) {
            faults.add("statement_bytes_max", "must be at least 1; leave it out to keep all");
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let statement_bytes_max = match config.statement_bytes_max {
            Some(ByteSize(bytes)) => usize::try_from(bytes).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let time = TimeReader::open("auto", &config.timezone)?;
        Ok(MysqlSlowDecoder { statement_bytes_max, time, name: Vec::new() })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let bytes = frame.bytes();
        let Some(start) = entry::start(bytes) else {
            return match entry::is_server_header(bytes) {
                true => Ok(()),
                false => Err(missing("# Query_time: ", bytes)),
            };
        };
        let mut message = messages.message();
        let text = message.text(bytes);
        let mut entry = Entry {
            message: &mut message,
            bytes,
            text,
            times: Times::default(),
            schema: None,
            has_query_time: false,
        };
        let statement = entry.read(start, &mut self.name)?;
        if !entry.has_query_time {
            return match statement.is_empty() && !entry.times.has_user {
                true => Ok(()),
                false => Err(missing("# Query_time: ", bytes)),
            };
        }
        let times = entry.times;
        self.finish(message, times, bytes, text, statement)
    }
}

/// The times that an entry says.
#[derive(Default)]
struct Times {
    logged: Option<Range<usize>>,
    set: Option<i64>,
    has_user: bool,
}

impl MysqlSlowDecoder {
    fn finish(
        &mut self,
        mut message: MessageBuilder<'_>,
        times: Times,
        bytes: &[u8],
        text: Text,
        statement: Range<usize>,
    ) -> Result<(), PluginError> {
        let logged = times.logged.map(|range| &bytes[range]);
        let has_zone = |text: &&[u8]| {
            text.len() > 19
                && matches!(text[text.len() - 1], b'Z' | b'z' | b'0'..=b'9')
                && text.contains(&b'T')
        };
        let read = |text: &[u8], time: &mut TimeReader| {
            time.read(text)
                .ok_or_else(|| PluginError::Message(format!("`# Time:` is no time: `{}`", quote(text))))
        };
        let zoned = logged.filter(has_zone).map(|text| read(text, &mut self.time)).transpose()?;
        let ns = match (zoned.or(times.set), logged) {
            (Some(ns), _) => Some(ns),
            (None, Some(text)) => Some(read(text, &mut self.time)?),
            (None, None) => None,
        };
        if let Some(ns) = ns {
            message.timestamp(ns);
        }
        let mut end = statement.end;
        if statement.len() > self.statement_bytes_max {
            end = statement.start + self.statement_bytes_max;
            // Not inside a character.
            while end > statement.start && (0x80..0xc0).contains(&bytes[end]) {
                end -= 1;
            }
            message.field("truncated", true);
        }
        message.payload_text(text.slice(statement.start..end));
        message.finish()
    }
}

#[cold]
fn missing(what: &str, bytes: &[u8]) -> PluginError {
    PluginError::Message(format!("no line `{what}…` in `{}`", quote(bytes)))
}

/// One entry, on its way into a message.
struct Entry<'e, 'w> {
    message: &'e mut MessageBuilder<'w>,
    bytes: &'e [u8],
    text: Text,
    times: Times,
    /// The database, where `# Schema:` says it; `use` takes its place.
    schema: Option<Range<usize>>,
    has_query_time: bool,
}

impl Entry<'_, '_> {
    /// Reads everything; returns where the statement is.
    fn read(&mut self, start: usize, name: &mut Vec<u8>) -> Result<Range<usize>, PluginError> {
        let mut lines = Lines::new(self.bytes, start);
        let (mut explain, mut database): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
        let mut end = start;
        while let Some(line) = lines.next() {
            match line {
                Line::Time(range) => self.times.logged = Some(range),
                Line::User(range) => self.user(range, name)?,
                Line::Explain(range) => {
                    explain = Some(explain.map_or(range.start, |before| before.start)..range.end);
                }
                Line::Values(range) => self.values(range, name)?,
                Line::Use(range) => database = Some(range),
                Line::Set(range) => self.times.set = self.set(range)?.or(self.times.set),
                Line::Statement(at) => {
                    end = at;
                    break;
                }
            }
            end = lines.at();
        }
        if let Some(database) = database.or(self.schema.take()) {
            self.field(b"database", database);
        }
        if let Some(explain) = explain {
            self.field(b"explain", explain);
        }
        Ok(end..statement_end(self.bytes, end))
    }

    fn field(&mut self, name: &[u8], range: Range<usize>) {
        let name = self.message.text(name);
        let value = TextValue::String(self.text.slice(range));
        self.message.field_text(name, Text::default(), value);
    }

    /// `app[app] @ web1 [192.0.2.7]  Id:    42`
    fn user(&mut self, range: Range<usize>, name: &mut Vec<u8>) -> Result<(), PluginError> {
        self.times.has_user = true;
        let line = &self.bytes[range.clone()];
        let found = entry::user(line).ok_or_else(|| {
            PluginError::Message(format!(
                "no `USER[USER] @ HOST [ADDRESS]` behind `# User@Host:`: `{}`",
                quote(line)
            ))
        })?;
        for (name, part) in [(&b"user"[..], found.user), (b"host", found.host), (b"ip", found.ip)] {
            if !part.is_empty() {
                self.field(name, range.start + part.start..range.start + part.end);
            }
        }
        self.values(range.start + found.len..range.end, name)
    }

    /// `Query_time: 1.250000  Lock_time: 0.000002 Rows_sent: 1`
    fn values(&mut self, range: Range<usize>, name: &mut Vec<u8>) -> Result<(), PluginError> {
        let mut at = range.start;
        while let Some((key, value, next)) = entry::value(&self.bytes[..range.end], at) {
            at = next;
            name.clear();
            name.extend_from_slice(&self.bytes[key]);
            name.make_ascii_lowercase();
            let is_time = name == b"query_time";
            self.has_query_time |= is_time;
            let text = &self.bytes[value.clone()];
            let typed = match &name[..] {
                b"query_time" | b"lock_time" => {
                    let seconds = number::double(text);
                    TextValue::Double(seconds.ok_or_else(|| not_a_number(name, text))?)
                }
                b"rows_sent" | b"rows_examined" | b"thread_id" | b"id" => {
                    TextValue::Integer(number::integer(text).ok_or_else(|| not_a_number(name, text))?)
                }
                _ if text.is_empty() => continue,
                b"schema" => {
                    self.schema = Some(value);
                    continue;
                }
                _ => typed(text).unwrap_or(TextValue::String(self.text.slice(value))),
            };
            let name = self.message.text(if name == b"id" { b"thread_id" } else { name });
            self.message.field_text(name, Text::default(), typed);
        }
        Ok(())
    }

    /// `SET timestamp=1709208000`, also behind other variables.
    fn set(&self, range: Range<usize>) -> Result<Option<i64>, PluginError> {
        let line = &self.bytes[range];
        let Some(at) = memchr::memmem::find(line, b"timestamp=") else { return Ok(None) };
        let rest = &line[at + b"timestamp=".len()..];
        let len = rest.iter().position(|byte| matches!(byte, b',' | b';' | b' ')).unwrap_or(rest.len());
        match epoch(&rest[..len], SECOND_NS) {
            Some(ns) => Ok(Some(ns)),
            None => Err(PluginError::Message(format!("`SET timestamp` is no time: `{}`", quote(line)))),
        }
    }
}

#[cold]
fn not_a_number(name: &[u8], text: &[u8]) -> PluginError {
    PluginError::Message(format!("`{}` is not a number: `{}`", String::from_utf8_lossy(name), quote(text)))
}

fn typed(text: &[u8]) -> Option<TextValue> {
    match text {
        b"Yes" => Some(TextValue::Bool(true)),
        b"No" => Some(TextValue::Bool(false)),
        _ => number::integer(text)
            .map(TextValue::Integer)
            .or_else(|| number::double(text).map(TextValue::Double)),
    }
}

#[cfg(test)]
mod tests;
