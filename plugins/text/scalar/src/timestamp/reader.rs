//! Reads times of a format that the config names.

use super::SECOND_NS;
use super::civil::{days, four_digits, fraction, offset, time_of_day, two_digits};
use super::clf::ClfReader;
use super::usual;
use super::zone::{Zone, infer_year};
use heka_plugin_api::{Faults, PluginError, now};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::Offset;

/// The strftime format of web servers' logs, which has a reader of its own.
const CLF: &str = "%d/%b/%Y:%H:%M:%S %z";

/// Reads times of one format.
pub struct TimeReader {
    format: Format,
    zone: Zone,
    last: Vec<u8>,
    last_ns: i64,
}

enum Format {
    /// RFC 3339, a number whose size tells its unit, or one of the usual other shapes.
    Auto,
    Rfc3339,
    /// A number of units of so many nanoseconds.
    Epoch(i64),
    Clf(ClfReader),
    Strftime(String),
}

impl TimeReader {
    /// Makes a reader of `format`: `auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us`, `epoch_ns`, or an strftime
    /// format. `zone` is for times that don't say theirs.
    ///
    /// # Errors
    /// One line that says what is wrong with the format.
    pub fn new(format: &str, zone: Zone) -> Result<TimeReader, String> {
        let format = match format {
            "auto" => Format::Auto,
            "rfc3339" => Format::Rfc3339,
            "epoch" => Format::Epoch(SECOND_NS),
            "epoch_ms" => Format::Epoch(1_000_000),
            "epoch_us" => Format::Epoch(1_000),
            "epoch_ns" => Format::Epoch(1),
            CLF => Format::Clf(ClfReader::default()),
            format => Format::Strftime(checked(format, &zone)?),
        };
        Ok(TimeReader { format, zone, last: Vec::new(), last_ns: 0 })
    }

    /// As `new`, of the options that name the format and the zone.
    ///
    /// # Errors
    /// [`PluginError::Config`] that says which option is wrong, and how.
    pub fn open(format: &str, timezone: &str) -> Result<TimeReader, PluginError> {
        Zone::find(timezone).and_then(|zone| TimeReader::new(format, zone)).map_err(PluginError::Config)
    }

    /// Adds what is wrong with the options `timestamp_format` and `timezone`.
    pub fn check(format: &str, timezone: &str, faults: &mut Faults) {
        match Zone::find(timezone) {
            Err(reason) => faults.add("timezone", reason),
            Ok(zone) => {
                if let Err(reason) = TimeReader::new(format, zone) {
                    faults.add("timestamp_format", reason);
                }
            }
        }
    }

    /// Reads a time; nanoseconds since 1970-01-01 UTC.
    #[inline]
    pub fn read(&mut self, text: &[u8]) -> Option<i64> {
        match &mut self.format {
            Format::Clf(clf) => clf.read(text),
            Format::Rfc3339 => rfc3339(text, &self.zone),
            Format::Epoch(unit) => epoch(text, *unit),
            Format::Auto if text.get(4) == Some(&b'-') => {
                rfc3339(text, &self.zone).or_else(|| self.read_slowly(text))
            }
            Format::Auto => epoch(text, unit_of(text)).or_else(|| self.read_slowly(text)),
            Format::Strftime(_) => self.read_slowly(text),
        }
    }

    /// Reads a time unless it is that of the call before.
    fn read_slowly(&mut self, text: &[u8]) -> Option<i64> {
        if !text.is_empty() && text == self.last {
            return Some(self.last_ns);
        }
        self.last_ns = match &self.format {
            Format::Strftime(format) => strftime(format, text, &self.zone, now)?,
            _ => usual::read(text, &self.zone, now)?,
        };
        self.last.clear();
        self.last.extend_from_slice(text);
        Some(self.last_ns)
    }
}

/// Checks that what the format writes can be read back to a time.
fn checked(format: &str, zone: &Zone) -> Result<String, String> {
    let line = |error: jiff::Error| error.to_string().replace('\n', " ");
    if !format.contains('%') {
        let known = "`auto`, `rfc3339`, `epoch`, `epoch_ms`, `epoch_us`, `epoch_ns`";
        return Err(format!(
            "`{format}` is not a time format; write {known}, or strftime such as `%Y-%m-%d %H:%M:%S`"
        ));
    }
    let sample = Timestamp::UNIX_EPOCH.to_zoned(zone.time_zone());
    let text = strtime::format(format, &sample).map_err(line)?;
    BrokenDownTime::parse(format, &text).map_err(line)?;
    match strftime(format, text.as_bytes(), zone, || 0) {
        Some(_) => Ok(format.to_owned()),
        None => Err(format!("`{format}` does not say the day; it needs at least `%d` and `%m` or `%b`")),
    }
}

/// Reads a time of an strftime format; a missing year is the one that makes sense now.
fn strftime(format: &str, text: &[u8], zone: &Zone, now_ns: impl Fn() -> i64) -> Option<i64> {
    let mut parts = BrokenDownTime::parse(format, text).ok()?;
    if let Some(timestamp) = parts.timestamp() {
        return i64::try_from(timestamp.as_nanosecond()).ok();
    }
    let zone = match parts.offset() {
        Some(offset) => &Zone::Fixed(offset.seconds().into()),
        None => zone,
    };
    if parts.year().is_some() || parts.iso_week_year().is_some() {
        return utc_ns(&parts, zone);
    }
    infer_year(now_ns(), |year| {
        parts.set_year(Some(i16::try_from(year).ok()?)).ok()?;
        utc_ns(&parts, zone)
    })
}

fn utc_ns(parts: &BrokenDownTime, zone: &Zone) -> Option<i64> {
    let time = parts.to_time().unwrap_or_default();
    let civil = Offset::UTC.to_timestamp(DateTime::from_parts(parts.to_date().ok()?, time)).ok()?;
    zone.utc_ns(civil.as_second() - i64::from(civil.subsec_nanosecond() < 0), 0)?
        .checked_add(time.subsec_nanosecond().into())
}

/// Reads an RFC 3339 time; nanoseconds since 1970-01-01 UTC.
///
/// Also with a space in place of the `T`, a comma before the fraction, an offset without colon, or without an
/// offset: then the time is in `zone`.
///
/// Source: RFC 3339, 5.6.
#[inline]
pub fn rfc3339(text: &[u8], zone: &Zone) -> Option<i64> {
    if text.len() < 19 || text[4] != b'-' || text[7] != b'-' || !matches!(text[10], b'T' | b't' | b' ') {
        return None;
    }
    let days = days(four_digits(&text[..4])?, two_digits(&text[5..7])?, two_digits(&text[8..10])?)?;
    let civil_s = days * 86_400 + time_of_day(&text[11..19])?;
    let (subsecond_ns, rest) = match text.get(19) {
        Some(b'.' | b',') => match fraction(&text[20..]) {
            (_, 0) => return None,
            (ns, len) => (ns, &text[20 + len..]),
        },
        _ => (0, &text[19..]),
    };
    match rest {
        b"Z" | b"z" => civil_s.checked_mul(SECOND_NS)?.checked_add(subsecond_ns),
        b"" => zone.utc_ns(civil_s, subsecond_ns),
        rest => (civil_s - offset(rest)?).checked_mul(SECOND_NS)?.checked_add(subsecond_ns),
    }
}

/// Reads a number of units of `unit_ns` nanoseconds, with decimals or without.
pub fn epoch(text: &[u8], unit_ns: i64) -> Option<i64> {
    let (is_negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let whole_len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if whole_len == 0 || whole_len > 19 {
        return None;
    }
    let mut ns = 0i64;
    for byte in &digits[..whole_len] {
        ns = ns.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
    }
    ns = ns.checked_mul(unit_ns)?;
    match &digits[whole_len..] {
        [] => {}
        [b'.', decimals @ ..] => match fraction(decimals) {
            (billionths, len) if len > 0 && len == decimals.len() => {
                let part = i128::from(billionths) * i128::from(unit_ns) / i128::from(SECOND_NS);
                ns = ns.checked_add(part as i64)?;
            }
            _ => return None,
        },
        _ => return None,
    }
    Some(if is_negative { -ns } else { ns })
}

/// Guesses the unit of a number from its digits: 10 are seconds until 2286, 13 milliseconds, and so on.
fn unit_of(text: &[u8]) -> i64 {
    match text.iter().take_while(|byte| **byte != b'.').count() {
        0..=11 => SECOND_NS,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(ns: i64) -> String {
        Timestamp::from_nanosecond(ns.into()).unwrap().to_string()
    }

    fn read(format: &str, zone: &str, text: &str) -> Option<String> {
        let mut reader = TimeReader::new(format, Zone::find(zone).unwrap()).unwrap();
        let first = reader.read(text.as_bytes());
        assert_eq!(reader.read(text.as_bytes()), first, "the second time");
        first.map(shown)
    }

    #[test]
    fn times_are_read() {
        let check = |format: &str, text: &str, utc: &str| {
            assert_eq!(read(format, "+01:00", text).as_deref(), Some(utc), "{format}: {text}");
        };
        check("rfc3339", "2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z");
        check("rfc3339", "2024-02-29t23:59:59.5+0100", "2024-02-29T22:59:59.5Z");
        check("rfc3339", "2024-02-29 23:59:59,123456789123-08:00", "2024-03-01T07:59:59.123456789Z");
        check("rfc3339", "2024-02-29T23:59:59", "2024-02-29T22:59:59Z");
        check("rfc3339", "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z");
        check("epoch", "1700000000", "2023-11-14T22:13:20Z");
        check("epoch", "1700000000.25", "2023-11-14T22:13:20.25Z");
        check("epoch", "-1.5", "1969-12-31T23:59:58.5Z");
        check("epoch_ms", "1700000000123", "2023-11-14T22:13:20.123Z");
        check("epoch_ms", "1700000000123.456", "2023-11-14T22:13:20.123456Z");
        check("epoch_us", "1700000000123456", "2023-11-14T22:13:20.123456Z");
        check("epoch_ns", "1700000000123456789", "2023-11-14T22:13:20.123456789Z");
        check("auto", "1700000000.5", "2023-11-14T22:13:20.5Z");
        check("auto", "1700000000123", "2023-11-14T22:13:20.123Z");
        check("auto", "1700000000123456", "2023-11-14T22:13:20.123456Z");
        check("auto", "1700000000123456789", "2023-11-14T22:13:20.123456789Z");
        check("auto", "2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z");
        check("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z");
        check("%Y-%m-%d %H:%M:%S%.f", "2024-02-29 12:00:00.250", "2024-02-29T11:00:00.25Z");
        check("%Y-%m-%d %H:%M:%S%.f", "1969-02-27 12:00:00.250", "1969-02-27T11:00:00.25Z");
        check("%a, %d %b %Y %H:%M:%S %z", "Thu, 29 Feb 2024 12:00:00 +0000", "2024-02-29T12:00:00Z");
        check("%Y%m%d", "20240229", "2024-02-28T23:00:00Z");
        check("%s", "1700000000", "2023-11-14T22:13:20Z");
        check("%y%m%d %T", "240229 12:00:00", "2024-02-29T11:00:00Z");
    }

    #[test]
    fn a_missing_year_is_the_one_that_makes_sense() {
        let now: Timestamp = "2025-01-01T00:00:03Z".parse().unwrap();
        let now = || now.as_nanosecond() as i64;
        let utc = Zone::Fixed(0);
        let read = |text: &str| strftime("%b %d %H:%M:%S", text.as_bytes(), &utc, now).map(shown);
        assert_eq!(read("Dec 31 23:59:59").as_deref(), Some("2024-12-31T23:59:59Z"));
        assert_eq!(read("Jan  1 00:00:04").as_deref(), Some("2025-01-01T00:00:04Z"));
        assert_eq!(read("Feb 29 00:00:04").as_deref(), Some("2024-02-29T00:00:04Z"));
        assert_eq!(read("Feb 30 00:00:04"), None);
    }

    #[test]
    fn other_texts_are_not_times() {
        for (format, texts) in [
            (
                "rfc3339",
                &["", "2024", "2024-02-30T00:00:00Z", "2024-02-29T00:00:00.Z", "2024-02-29T00:00:00+1"][..],
            ),
            ("rfc3339", &["2024-02-29T00:00:00Zx", "9999-02-28T00:00:00Z", "2024-02-29T25:00:00Z"]),
            ("epoch", &["", "-", "x", "1.", "1.x", "1e9", "99999999999999999999", "9999999999999"]),
            ("auto", &["", "yesterday", "2024-xx-29T00:00:00Z"]),
            ("%Y-%m-%d", &["", "2024-02", "2024-02-30", "2024-02-29x"]),
        ] {
            for text in texts {
                assert_eq!(read(format, "UTC", text), None, "{format}: {text}");
            }
        }
    }

    #[test]
    fn bad_formats_are_refused_in_one_line() {
        for format in ["", "iso", "%Q%", "%K", "%H:%M", "%"] {
            let reason = TimeReader::new(format, Zone::Fixed(0)).err().unwrap_or_else(|| panic!("{format}"));
            assert!(!reason.contains('\n') && !reason.is_empty(), "{format}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn rfc3339_is_read_back(ns in -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            prop_assert_eq!(rfc3339(shown(ns).as_bytes(), &Zone::Fixed(0)), Some(ns));
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            for format in ["auto", "rfc3339", "epoch", "epoch_ns", "%d/%b/%Y:%H:%M:%S %z", "%b %d %H:%M:%S"] {
                let _ = TimeReader::new(format, Zone::Fixed(0)).unwrap().read(&text);
            }
        }
    }
}
