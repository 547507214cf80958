//! Decoder `nginx_error`: lines of nginx's error log.

mod parts;

use heka_plugin_api::{Context, Decoder, Faults, Frame, MessageWriter, PluginError, Schema, Text, TextValue};
use heka_scalar::timestamp::{TimeReader, Zone};
use heka_scalar::{number, quote, severity};
use parts::{Part, parts};
use serde::Deserialize;
use std::ops::Range;

/// Reads the lines of nginx's error log; what nginx appends about the request becomes fields.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Zone of the times, which don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Whether a field `raw` holds the line as it was read.
    #[serde(default)]
    #[schema(default = "false")]
    keep_raw: bool,
}

/// Reads nginx's error log.
pub struct NginxErrorDecoder {
    time: TimeReader,
    keep_raw: bool,
}

/// Names of fields, one behind the other.
const NAMES: &[u8] = b"connectionthread_iderrnomethodpathprotocolraw";
const CONNECTION: Range<usize> = 0..10;
const THREAD_ID: Range<usize> = 10..19;
const ERRNO: Range<usize> = 19..24;
const METHOD: Range<usize> = 24..30;
const PATH: Range<usize> = 30..34;
const PROTOCOL: Range<usize> = 34..42;
const RAW: Range<usize> = 42..45;

/// Length of `2026/11/23 02:03:34`.
const TIME_BYTES: usize = 19;

impl Decoder for NginxErrorDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Err(reason) = Zone::find(&config.timezone) {
            faults.add("timezone", reason);
        }
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(NginxErrorDecoder { time: TimeReader::open("auto", &config.timezone)?, keep_raw: config.keep_raw })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = frame.bytes();
        let head = Head::read(line)?;
        let time = self.time.read(&line[..TIME_BYTES]).ok_or_else(|| misfit(line, 0, "time"))?;
        let mut message = messages.message();
        let (text, names) = (message.text(line), message.text(NAMES));
        message.timestamp(time).severity(head.severity).pid(head.pid);
        let mut add = |name: Range<usize>, value| {
            message.field_text(names.slice(name), Text::default(), value);
        };
        add(THREAD_ID, TextValue::Integer(head.thread_id));
        if let Some(connection) = head.connection {
            add(CONNECTION, TextValue::Integer(connection));
        }
        let rest = &line[head.len..];
        let (message_len, found) = parts(rest);
        if let Some(errno) = errno(&rest[..message_len]) {
            add(ERRNO, TextValue::Integer(errno));
        }
        if self.keep_raw {
            add(RAW, TextValue::String(text));
        }
        let all = text;
        let text = text.slice(head.len..line.len());
        for Part { name, value } in found.into_iter().flatten() {
            if name == "request"
                && let Some([method, path, protocol]) = request(&rest[value.clone()])
            {
                for (name, inside) in [(METHOD, method), (PATH, path), (PROTOCOL, protocol)] {
                    let range = value.start + inside.start..value.start + inside.end;
                    message.field_text(
                        names.slice(name),
                        Text::default(),
                        TextValue::String(text.slice(range)),
                    );
                }
            }
            let name = message.text(name.as_bytes());
            message.field_text(name, Text::default(), TextValue::String(text.slice(value)));
        }
        message.payload_text(all.slice(head.len..head.len + message_len));
        message.finish()
    }
}

/// What stands before the text of every line.
struct Head {
    severity: i32,
    pid: i32,
    thread_id: i64,
    connection: Option<i64>,
    len: usize,
}

impl Head {
    /// Reads ` [error] 12#34: *56 ` behind the time.
    fn read(line: &[u8]) -> Result<Head, PluginError> {
        let mut at = TIME_BYTES;
        if !line.get(at..).unwrap_or_default().starts_with(b" [") {
            return Err(misfit(line, 0, "time such as `2026/11/23 02:03:34`, and level in brackets"));
        }
        at += 2;
        let level = until(line, at, b']').ok_or_else(|| misfit(line, at, "level"))?;
        let severity = severity::find(level).ok_or_else(|| misfit(line, at, "level"))?;
        at += level.len() + 1;
        let process = || misfit(line, at, "process and thread such as ` 12#34: `");
        let pid = line[at..].strip_prefix(b" ").and_then(|rest| until(rest, 0, b'#')).ok_or_else(process)?;
        let thread_at = at + pid.len() + 2;
        let thread = until(line, thread_at, b':').ok_or_else(process)?;
        let pid_number = number::integer(pid).and_then(|pid| i32::try_from(pid).ok()).ok_or_else(process)?;
        let thread_id = number::integer(thread).ok_or_else(process)?;
        let mut len = thread_at + thread.len() + 1;
        len += usize::from(line.get(len) == Some(&b' '));
        let mut connection = None;
        if line.get(len) == Some(&b'*')
            && let Some(digits) = until(line, len + 1, b' ')
        {
            connection = number::integer(digits);
            len += if connection.is_some() { digits.len() + 2 } else { 0 };
        }
        Ok(Head { severity, pid: pid_number, thread_id, connection, len })
    }
}

/// Returns what stands at `at` before a byte.
fn until(line: &[u8], at: usize, end: u8) -> Option<&[u8]> {
    let rest = line.get(at..)?;
    memchr::memchr(end, rest).map(|len| &rest[..len])
}

#[cold]
fn misfit(line: &[u8], at: usize, expected: &str) -> PluginError {
    let rest = line.get(at..).unwrap_or_default();
    PluginError::Message(format!("no {expected} at column {}: `{}`", at + 1, quote(rest)))
}

/// Finds the system's error number, `(2: No such file or directory)`, at the end of a text.
fn errno(text: &[u8]) -> Option<i64> {
    let at = memchr::memmem::rfind(text, b" (")?;
    number::integer(until(text, at + 2, b':')?).filter(|number| *number >= 0)
}

/// Finds method, path and protocol of a request line that is one.
fn request(line: &[u8]) -> Option<[Range<usize>; 3]> {
    let (first, last) = (memchr::memchr(b' ', line)?, memchr::memrchr(b' ', line)?);
    let is_method = first > 0 && line[..first].iter().all(u8::is_ascii_uppercase);
    let is_whole = is_method && first + 1 < last && line[last + 1..].starts_with(b"HTTP/");
    is_whole.then(|| [0..first, first + 1..last, last + 1..line.len()])
}

#[cfg(test)]
mod tests;
