//! Decoder `csv`: values between delimiters, named by their columns.

mod row;

use crate::named_value::{FieldType, NamedValues, Roles};
use heka_plugin_api::{Context, Decoder, Faults, Frame, MessageWriter, PluginError, Schema};
use heka_scalar::timestamp::TimeReader;
use row::{Cell, RowReader};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Makes fields of values between delimiters, such as commas or tabs, by the names of their columns.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names of the columns, in order; one with an empty name is left out.
    columns: Vec<String>,
    /// Character between values; `\t` in double quotes is a tab.
    #[serde(default = "default_delimiter")]
    #[schema(default = ",")]
    delimiter: String,
    /// Character around values, doubled inside them; none if empty.
    #[serde(default = "default_quote")]
    #[schema(default = "\"")]
    quote: String,
    /// Character that takes its meaning from a quote or delimiter behind it; none if empty.
    #[serde(default)]
    #[schema(default = "")]
    escape: String,
    /// Whether white space around values without quotes is cut off.
    #[serde(default)]
    #[schema(default = "false")]
    trim: bool,
    /// Whether a line that consists of the columns' names is skipped, wherever it comes.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    skip_header: bool,
    /// Text that begins lines which are skipped; none if empty.
    #[serde(default)]
    #[schema(default = "")]
    comment: String,
    /// Whether a line with more or fewer values than columns is refused; otherwise what is missing is absent, and what is too much left out.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    strict: bool,
    /// Values without quotes that mean that there is none.
    #[serde(default = "default_absent")]
    #[schema(default = "[\"\"]")]
    absent: Vec<String>,
    /// Types of columns that are not text: `string`, `integer`, `double` or `bool`.
    #[serde(default)]
    types: BTreeMap<String, FieldType>,
    /// Column that holds the message's time.
    #[serde(default = "crate::defaults::timestamp")]
    #[schema(default = "timestamp")]
    timestamp_column: String,
    /// Format of that time: strftime, `auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us` or `epoch_ns`.
    #[serde(default = "crate::defaults::timestamp_format")]
    #[schema(default = "auto")]
    timestamp_format: String,
    /// Zone of times that don't say theirs: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "crate::defaults::timezone")]
    #[schema(default = "UTC")]
    timezone: String,
    /// Column that holds the severity: a name such as `warning`, a digit, or a key of `severity_map`.
    #[serde(default = "crate::defaults::severity")]
    #[schema(default = "severity")]
    severity_column: String,
    /// Severities, 0 to 7, by the names that the lines use.
    #[serde(default)]
    severity_map: BTreeMap<String, i32>,
    /// Whether the payload is the line as it was read, where no column names it.
    #[serde(default = "crate::defaults::yes")]
    #[schema(default = "true")]
    keep_payload: bool,
}

fn default_delimiter() -> String {
    ",".to_owned()
}

fn default_quote() -> String {
    "\"".to_owned()
}

fn default_absent() -> Vec<String> {
    vec![String::new()]
}

impl Config {
    fn roles(&self) -> Roles<'_> {
        Roles {
            noun: "column",
            types: &self.types,
            timestamp: &self.timestamp_column,
            severity: &self.severity_column,
            severity_map: &self.severity_map,
        }
    }
}

/// Reads lines of values.
pub struct CsvDecoder {
    rows: RowReader,
    values: NamedValues,
    columns: Vec<String>,
    absent: Vec<String>,
    comment: String,
    skip_header: bool,
    strict: bool,
    keep_payload: bool,
}

impl Decoder for CsvDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.columns.iter().all(String::is_empty) {
            faults.add("columns", "there is no name; write for example `[\"time\", \"host\", \"status\"]`");
        }
        check_characters(config, faults);
        let mut require = |key: String, name: &str| {
            if !config.columns.iter().any(|column| column == name) {
                faults.add(key, format!("`columns` has no `{name}`; it has {}", config.columns.join(", ")));
            }
        };
        config.types.keys().for_each(|name| require(format!("types.{name}"), name));
        if config.timestamp_column != crate::defaults::timestamp() {
            require("timestamp_column".to_owned(), &config.timestamp_column);
        }
        if config.severity_column != crate::defaults::severity() {
            require("severity_column".to_owned(), &config.severity_column);
        }
        config.roles().check(faults);
        TimeReader::check(&config.timestamp_format, &config.timezone, faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        let byte = |text: &str| text.bytes().next();
        let delimiter =
            byte(&config.delimiter).ok_or_else(|| PluginError::config("delimiter: must not be empty"))?;
        let time = TimeReader::open(&config.timestamp_format, &config.timezone)?;
        let mut values = NamedValues::new(&config.roles(), time);
        config.columns.iter().for_each(|name| values.add(name, None, &config.roles()));
        Ok(CsvDecoder {
            rows: RowReader::new(delimiter, byte(&config.quote), byte(&config.escape), config.trim),
            values,
            columns: config.columns,
            absent: config.absent,
            comment: config.comment,
            skip_header: config.skip_header,
            strict: config.strict,
            keep_payload: config.keep_payload,
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let line = frame.bytes().strip_suffix(b"\r").unwrap_or(frame.bytes());
        if !self.comment.is_empty() && line.starts_with(self.comment.as_bytes()) {
            return Ok(());
        }
        self.rows.read(line)?;
        if self.skip_header && self.is_header(line) {
            return Ok(());
        }
        let (found, expected) = (self.rows.cells().len(), self.columns.len());
        if self.strict && found != expected {
            return Err(PluginError::Message(format!("{found} values for {expected} columns")));
        }
        let mut message = messages.message();
        let (text, names) = (message.text(frame.bytes()), message.text(self.values.names()));
        if self.keep_payload {
            message.payload_text(text);
        }
        for (index, cell) in self.rows.cells().iter().enumerate().take(expected) {
            let value = self.rows.value(line, cell);
            let is_absent = !cell.is_quoted && self.absent.iter().any(|absent| absent.as_bytes() == value);
            if is_absent || self.columns[index].is_empty() {
                continue;
            }
            let text = match cell {
                Cell { is_changed: true, .. } => message.text(value),
                Cell { range, .. } => text.slice(range.clone()),
            };
            self.values.put(index, value, text, names, &mut message)?;
        }
        message.finish()
    }
}

impl CsvDecoder {
    fn is_header(&self, line: &[u8]) -> bool {
        let cells = self.rows.cells();
        cells.len() == self.columns.len()
            && cells
                .iter()
                .zip(&self.columns)
                .all(|(cell, name)| name.is_empty() || self.rows.value(line, cell) == name.as_bytes())
    }
}

fn check_characters(config: &Config, faults: &mut Faults) {
    let characters = [("delimiter", &config.delimiter), ("quote", &config.quote), ("escape", &config.escape)];
    for (option, text) in characters {
        if text.len() != 1 && (option == "delimiter" || !text.is_empty()) {
            faults.add(option, format!("`{text}` is not one ASCII character"));
        }
    }
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        let ((one, text), (other, same)) = (characters[first], characters[second]);
        if text == same && text.len() == 1 {
            faults.add(other, format!("is the same as `{one}`"));
        }
    }
}

#[cfg(test)]
mod tests;
