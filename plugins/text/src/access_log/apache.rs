//! Apache's `LogFormat` strings: `%h %l %u %t "%r" %>s %b "%{Referer}i"`.
//!
//! Source: Apache HTTP Server 2.4, mod_log_config, "Custom Log Formats"; mod_logio.

use super::field::{FieldName, Kind, Piece};
use heka_scalar::timestamp::{TimeReader, Zone};

/// Splits a format into its pieces, and returns the strftime formats that their kinds name. Quotes may be escaped,
/// as they are in Apache's config.
///
/// # Errors
/// One line with the column.
pub fn pieces(format: &str) -> Result<(Vec<Piece>, Vec<String>), String> {
    let mut parser = Parser { format, at: 0, pieces: Vec::new(), literal: Vec::new(), strftimes: Vec::new() };
    while let Some(byte) = parser.next() {
        match byte {
            b'%' => parser.directive()?,
            b'\\' => parser.escape(),
            byte => parser.literal.push(byte),
        }
    }
    parser.end_literal();
    Ok((parser.pieces, parser.strftimes))
}

struct Parser<'f> {
    format: &'f str,
    at: usize,
    pieces: Vec<Piece>,
    literal: Vec<u8>,
    strftimes: Vec<String>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.format.as_bytes().get(self.at).copied()
    }

    fn escape(&mut self) {
        let byte = match self.next() {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(byte @ (b'"' | b'\\' | b'\'')) => byte,
            Some(other) => {
                self.literal.push(b'\\');
                other
            }
            None => b'\\',
        };
        self.literal.push(byte);
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.pieces.push(Piece::Literal(std::mem::take(&mut self.literal)));
        }
    }

    /// Reads what follows a `%`: status codes and `<` or `>`, an argument in braces, the letter.
    fn directive(&mut self) -> Result<(), String> {
        let start = self.at;
        let fault = |reason: String| Err(format!("column {start}: {reason}"));
        while matches!(self.peek(), Some(b'<' | b'>' | b'!' | b',' | b'0'..=b'9')) {
            self.at += 1;
        }
        let mut argument = None;
        if self.peek() == Some(b'{') {
            let inside = &self.format[self.at + 1..];
            let Some(end) = inside.find('}') else { return fault("`{` without `}`".to_owned()) };
            argument = Some(&inside[..end]);
            self.at += end + 2;
        }
        // `%{NAME}^ti` and `%{NAME}^to` are trailers.
        let letters = if self.peek() == Some(b'^') { 3 } else { 1 };
        let Some(letter) = self.format.get(self.at..self.at + letters) else {
            return fault("`%` without a directive at the end; write `%%` for a percent sign".to_owned());
        };
        self.at += letters;
        match (letter, argument) {
            ("%", None) => self.literal.push(b'%'),
            ("t", None) => self.bracketed_time(),
            ("q", None) if self.joins_query() => {}
            ("t", Some(argument)) if self.joins_time(argument) => {}
            (letter, argument) => match self.field(letter, argument) {
                Some(field) => {
                    self.end_literal();
                    self.pieces.push(Piece::Field(field));
                }
                None => return fault(format!("unknown directive `%{}`", &self.format[start..self.at])),
            },
        }
        Ok(())
    }

    fn bracketed_time(&mut self) {
        self.literal.push(b'[');
        self.end_literal();
        self.pieces.push(Piece::Field(FieldName::new("time_local", Kind::ClfTime)));
        self.literal.push(b']');
    }

    /// Makes one field of `%U%q`, which have nothing between them.
    fn joins_query(&mut self) -> bool {
        match self.pieces.last_mut() {
            Some(Piece::Field(path)) if self.literal.is_empty() && path.name == "uri" => {
                path.kind = Kind::PathAndQuery;
                true
            }
            _ => false,
        }
    }

    fn field(&mut self, letter: &str, argument: Option<&str>) -> Option<FieldName> {
        match argument {
            None => plain(letter),
            Some(argument) if letter == "t" => Some(self.time(argument)),
            Some(argument) => with_argument(letter, argument),
        }
    }

    fn time(&mut self, argument: &str) -> FieldName {
        if let Some(number) = number_time(argument) {
            return number;
        }
        let strftime = strftime_of(argument);
        // A piece of a time, such as `%{%z}t` alone, is a text like any other.
        if TimeReader::new(strftime, Zone::Fixed(0)).is_err() {
            return FieldName::new("time_local", Kind::Text);
        }
        self.strftimes.push(strftime.to_owned());
        FieldName::new("time_local", Kind::StrftimeTime(self.strftimes.len() - 1))
    }

    /// Makes one time of the pieces of one, `%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t`.
    fn joins_time(&mut self, argument: &str) -> bool {
        let Some(Piece::Field(FieldName { kind: Kind::StrftimeTime(index), .. })) = self.pieces.last() else {
            return false;
        };
        let strftime = match strftime_of(argument) {
            "msec_frac" => "%3f",
            "usec_frac" => "%6f",
            strftime if strftime.starts_with('%') => strftime,
            _ => return false,
        };
        let between = String::from_utf8_lossy(&self.literal).replace('%', "%%");
        let joined = format!("{}{between}{strftime}", self.strftimes[*index]);
        let is_time = !between.contains('"') && TimeReader::new(&joined, Zone::Fixed(0)).is_ok();
        if is_time {
            self.strftimes[*index] = joined;
            self.literal.clear();
        }
        is_time
    }
}

/// Cuts off which end of the request a time is of: the field is the same.
fn strftime_of(argument: &str) -> &str {
    argument.strip_prefix("begin:").or(argument.strip_prefix("end:")).unwrap_or(argument)
}

/// The times that are numbers.
fn number_time(argument: &str) -> Option<FieldName> {
    Some(match strftime_of(argument) {
        "sec" | "%s" => FieldName::new("msec", Kind::EpochTime),
        "msec" => FieldName::new("time_ms", Kind::EpochMsTime),
        "usec" => FieldName::new("time_us", Kind::EpochUsTime),
        "msec_frac" => FieldName::new("time_msec_frac", Kind::Text),
        "usec_frac" => FieldName::new("time_usec_frac", Kind::Text),
        _ => return None,
    })
}

fn plain(letter: &str) -> Option<FieldName> {
    let (name, kind) = match letter {
        "a" | "h" => ("remote_addr", Kind::Text),
        "A" => ("server_addr", Kind::Text),
        "b" | "B" => ("body_bytes_sent", Kind::Integer),
        "D" => ("request_time_us", Kind::Integer),
        "f" => ("request_filename", Kind::Text),
        "H" => ("server_protocol", Kind::Text),
        "I" => ("request_length", Kind::Integer),
        "k" => ("connection_requests", Kind::Integer),
        "l" => ("remote_logname", Kind::Text),
        "L" => ("request_id", Kind::Text),
        "m" => ("request_method", Kind::Text),
        "O" => ("bytes_sent", Kind::Integer),
        "p" => ("server_port", Kind::Integer),
        "P" => ("pid", Kind::Integer),
        "q" => ("args", Kind::Text),
        "r" => ("request", Kind::Request),
        "R" => ("handler", Kind::Text),
        "s" => ("status", Kind::Integer),
        "S" => ("bytes_transferred", Kind::Integer),
        "T" => ("request_time", Kind::Double),
        "u" => ("remote_user", Kind::Text),
        "U" => ("uri", Kind::Text),
        "v" => ("server_name", Kind::Text),
        "V" => ("host", Kind::Text),
        "X" => ("connection_status", Kind::Text),
        _ => return None,
    };
    Some(FieldName::new(name, kind))
}

fn with_argument(letter: &str, argument: &str) -> Option<FieldName> {
    let header = || argument.to_ascii_lowercase().replace('-', "_");
    let (name, kind) = match (letter, argument) {
        ("i", _) => (format!("http_{}", header()), Kind::Text),
        ("o", _) => (format!("sent_http_{}", header()), Kind::Text),
        ("^ti", _) => (format!("http_trailer_{}", header()), Kind::Text),
        ("^to", _) => (format!("sent_trailer_{}", header()), Kind::Text),
        ("C", _) => (format!("cookie_{argument}"), Kind::Text),
        ("e", _) => (format!("env_{argument}"), Kind::Text),
        ("n", _) => (format!("note_{argument}"), Kind::Text),
        ("x", _) => (header(), Kind::Text),
        ("a", "c") => ("realip_remote_addr".to_owned(), Kind::Text),
        ("h", "c") => ("realip_remote_addr".to_owned(), Kind::Text),
        ("p", "canonical" | "local") => ("server_port".to_owned(), Kind::Integer),
        ("p", "remote") => ("remote_port".to_owned(), Kind::Integer),
        ("P", "pid") => ("pid".to_owned(), Kind::Integer),
        ("P", "tid") => ("thread_id".to_owned(), Kind::Integer),
        ("P", "hextid") => ("thread_id".to_owned(), Kind::Text),
        ("L", "c") => ("connection_id".to_owned(), Kind::Text),
        ("T", "s") => ("request_time".to_owned(), Kind::Double),
        ("T", "ms") => ("request_time_ms".to_owned(), Kind::Integer),
        ("T", "us") => ("request_time_us".to_owned(), Kind::Integer),
        _ => return None,
    };
    Some(FieldName::new(name, kind))
}
