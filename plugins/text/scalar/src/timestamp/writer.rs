//! Writes times in a format that the config names.

use super::SECOND_NS;
use super::zone::Zone;
use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// Where the digits of the nanoseconds begin in an RFC 3339 time.
const NS_AT: usize = 20;

/// Writes times of one format; those of the second that it wrote last are a copy.
pub struct TimeWriter {
    style: Style,
    zone: TimeZone,
    text: Vec<u8>,
    /// The second that `text` holds.
    second: Option<i64>,
}

enum Style {
    /// RFC 3339 with nine decimals.
    Rfc3339(String),
    /// The number of units of so many nanoseconds.
    Epoch(i64),
    /// strftime, and whether the text changes within a second.
    Strftime(String, bool),
}

impl TimeWriter {
    /// Makes a writer of `format`: `rfc3339`, `epoch`, `epoch_ms`, `epoch_us`, `epoch_ns`, or an strftime format.
    ///
    /// # Errors
    /// One line that says what is wrong with the format.
    pub fn new(format: &str, zone: &Zone) -> Result<TimeWriter, String> {
        let style = match format {
            "rfc3339" => Style::Rfc3339(rfc3339_in(zone)),
            "epoch" => Style::Epoch(SECOND_NS),
            "epoch_ms" => Style::Epoch(1_000_000),
            "epoch_us" => Style::Epoch(1_000),
            "epoch_ns" => Style::Epoch(1),
            format => Style::Strftime(format.to_owned(), changes_within_second(format)),
        };
        let mut writer = TimeWriter { style, zone: zone.time_zone(), text: Vec::new(), second: None };
        writer.refresh(0).map_err(|error| error.to_string().replace('\n', " "))?;
        Ok(writer)
    }

    /// Writes a time, given in nanoseconds since 1970-01-01 UTC.
    #[inline]
    pub fn write(&mut self, ns: i64) -> &[u8] {
        let second = ns.div_euclid(SECOND_NS);
        let is_fresh = self.second == Some(second)
            && matches!(self.style, Style::Rfc3339(_) | Style::Strftime(_, false));
        if !is_fresh && self.refresh(ns).is_err() {
            self.second = None;
            return b"";
        }
        if matches!(self.style, Style::Rfc3339(_)) {
            self.patch(ns.rem_euclid(SECOND_NS));
        }
        &self.text
    }

    #[cold]
    fn refresh(&mut self, ns: i64) -> Result<(), jiff::Error> {
        self.text.clear();
        match &self.style {
            Style::Epoch(unit) => {
                self.text.extend_from_slice(itoa::Buffer::new().format(ns.div_euclid(*unit)).as_bytes());
            }
            Style::Rfc3339(format) | Style::Strftime(format, _) => {
                let time = Timestamp::from_nanosecond(ns.into())?.to_zoned(self.zone.clone());
                BrokenDownTime::from(&time).format(format, &mut self.text)?;
            }
        }
        self.second = Some(ns.div_euclid(SECOND_NS));
        Ok(())
    }

    /// Writes the nanoseconds into the text of the second.
    fn patch(&mut self, subsecond_ns: i64) {
        let mut left = subsecond_ns;
        for digit in self.text.iter_mut().skip(NS_AT).take(9).rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
    }
}

fn rfc3339_in(zone: &Zone) -> String {
    let end = if matches!(zone, Zone::Fixed(0)) { "Z" } else { "%:z" };
    format!("%Y-%m-%dT%H:%M:%S.%9f{end}")
}

/// Tells whether an strftime format has decimals of a second: `%f`, `%.3f`, `%N`.
fn changes_within_second(format: &str) -> bool {
    format.split('%').skip(1).any(|directive| {
        let letter = directive.trim_start_matches(|c: char| !c.is_alphabetic());
        letter.starts_with(['f', 'N'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written() {
        let check = |format: &str, zone: &str, expected: [&str; 3]| {
            let mut writer = TimeWriter::new(format, &Zone::find(zone).unwrap()).unwrap();
            for (ns, expected) in
                [971_211_336_000_000_000, 971_211_336_012_345_678, -1].into_iter().zip(expected)
            {
                assert_eq!(String::from_utf8_lossy(writer.write(ns)), expected, "{format}");
            }
        };
        check("%Y-%m-%d %H", "UTC", ["2000-10-10 20", "2000-10-10 20", "1969-12-31 23"]);
        check("%S%.3f|%%", "UTC", ["36.000|%", "36.012|%", "59.999|%"]);
        check(
            "[%Y/%b/%d:%H:%M:%S %z] ",
            "-07:00",
            [
                "[2000/Oct/10:13:55:36 -0700] ",
                "[2000/Oct/10:13:55:36 -0700] ",
                "[1969/Dec/31:16:59:59 -0700] ",
            ],
        );
        let utc = [
            "2000-10-10T20:55:36.000000000Z",
            "2000-10-10T20:55:36.012345678Z",
            "1969-12-31T23:59:59.999999999Z",
        ];
        check("rfc3339", "UTC", utc);
        check(
            "rfc3339",
            "+01:00",
            utc.map(|text| match &text[..4] {
                "2000" if text.contains(".000") => "2000-10-10T21:55:36.000000000+01:00",
                "2000" => "2000-10-10T21:55:36.012345678+01:00",
                _ => "1970-01-01T00:59:59.999999999+01:00",
            }),
        );
        check("epoch", "UTC", ["971211336", "971211336", "-1"]);
        check("epoch_ms", "UTC", ["971211336000", "971211336012", "-1"]);
        check("", "UTC", ["", "", ""]);
    }

    #[test]
    fn bad_formats_are_refused_in_one_line() {
        for format in ["%", "%K"] {
            let reason = TimeWriter::new(format, &Zone::Fixed(0)).err().unwrap();
            assert!(!reason.contains('\n') && !reason.is_empty(), "{reason}");
        }
    }
}
