//! Output `log`: writes messages into the host's own log.

use heka_plugin_api::{Context, Counter, Delivered, Delivery, OptionType, Output, PluginError, Schema};
use serde::Deserialize;
use std::fmt::Write;

/// Target of all lines, by which loggers tell them from the host's own.
const TARGET: &str = "message";

/// Writes messages into the host's own log, one line each.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Level of all lines; left out, it follows the severity: 0–3 error, 4 warn, 5–6 info, 7 debug.
    level: Option<Level>,
}

#[derive(Clone, Copy, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Writes messages into the host's own log.
pub struct LogOutput {
    level: Option<log::Level>,
    line: String,
    messages: Counter,
}

impl Output for LogOutput {
    type Config = Config;

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let level = config.level.map(|level| match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
            Level::Trace => log::Level::Trace,
        });
        Ok(LogOutput { level, line: String::new(), messages: context.counter("messages") })
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        let as_payload = delivery.bytes().is_empty();
        for (message, encoded) in delivery.messages() {
            let level = self.level.unwrap_or_else(|| level_of(message.severity()));
            if log::log_enabled!(target: TARGET, level) {
                self.line.clear();
                put_line(&mut self.line, if as_payload { message.payload() } else { encoded });
                log::log!(target: TARGET, level, "{}", self.line);
            }
        }
        self.messages.add(delivery.len() as u64);
        Ok(Delivered::Now)
    }
}

fn level_of(severity: i32) -> log::Level {
    match severity {
        ..=3 => log::Level::Error,
        4 => log::Level::Warn,
        5 | 6 => log::Level::Info,
        _ => log::Level::Debug,
    }
}

/// Appends text as one line: a message can't pretend to be another line, nor control a terminal.
fn put_line(line: &mut String, text: &[u8]) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|letter: char| letter.is_control() && letter != '\t') {
            line.push_str(&rest[..at]);
            let (control, behind) = rest[at..].split_at(rest[at..].chars().next().map_or(0, char::len_utf8));
            let _ = write!(line, "{}", control.escape_default());
            rest = behind;
        }
        line.push_str(rest);
        if !chunk.invalid().is_empty() {
            line.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{OutputTest, message};
    use std::sync::Mutex;

    /// What the log of this test process got, without the lines of others.
    struct Kept(Mutex<Vec<(log::Level, String)>>);

    static KEPT: Kept = Kept(Mutex::new(Vec::new()));

    impl log::Log for Kept {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.target() == TARGET
        }

        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                self.0.lock().unwrap().push((record.level(), record.args().to_string()));
            }
        }

        fn flush(&self) {}
    }

    #[test]
    fn severities_are_levels() {
        log::set_logger(&KEPT).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
        let messages: Vec<_> = (0..=7)
            .map(|severity| message(|m| _ = m.severity(severity).payload(severity.to_string())))
            .collect();
        let sent: Vec<_> = messages.iter().map(|message| (message.clone(), &b""[..])).collect();
        let mut output = OutputTest::<LogOutput>::open("").unwrap();
        output.deliver(&sent).unwrap();
        use log::Level::{Debug, Error, Info, Trace, Warn};
        let levels = [Error, Error, Error, Error, Warn, Info, Info, Debug];
        let expected: Vec<_> =
            levels.iter().zip(0..).map(|(level, text)| (*level, format!("{text}"))).collect();
        assert_eq!(std::mem::take(&mut *KEPT.0.lock().unwrap()), expected);

        let mut output = OutputTest::<LogOutput>::open("level = \"warn\"").unwrap();
        output.deliver(&[(messages[0].clone(), b"encoded\n")]).unwrap();
        assert_eq!(std::mem::take(&mut *KEPT.0.lock().unwrap()), [(Warn, "encoded".to_owned())]);

        let mut output = OutputTest::<LogOutput>::open("level = \"trace\"").unwrap();
        output.deliver(&[(messages[0].clone(), b"encoded\n")]).unwrap();
        assert!(!log::log_enabled!(target: TARGET, Trace) && KEPT.0.lock().unwrap().is_empty());
        assert_eq!(output.host().counter("messages"), 1);
    }

    #[test]
    fn a_message_is_one_line() {
        let check = |text: &[u8], expected: &str| {
            let mut line = String::new();
            put_line(&mut line, text);
            assert_eq!(line, expected);
        };
        check(b"", "");
        check(b"text\n", "text");
        check("a\tb ü €".as_bytes(), "a\tb ü €");
        check(b"one\ntwo\r\n", "one\\ntwo\\r");
        check(b"\x1b[31mred\x00", "\\u{1b}[31mred\\u{0}");
        check(b"a\xff\xfeb", "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn unknown_levels_are_faults() {
        let faults = OutputTest::<LogOutput>::faults("level = \"loud\"");
        assert!(faults[0].starts_with("level: unknown variant `loud`"), "{faults:?}");
    }
}
