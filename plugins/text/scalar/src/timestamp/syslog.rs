//! The time of BSD syslog, `Oct 11 22:14:15`, and what became of it.

use super::SECOND_NS;
use super::civil::{days, four_digits, fraction, month, time_of_day};
use super::zone::{Zone, infer_year};

/// A time as it was read: no zone, and usually no year.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyslogTime {
    month: u32,
    day: u32,
    year: Option<i64>,
    second_of_day: i64,
    subsecond_ns: i64,
}

impl SyslogTime {
    /// Reads `Mmm dd [yyyy] hh:mm:ss[.fraction]` at the beginning of a text, and tells how long it is.
    ///
    /// The day has one or two digits, filled up with a space or a zero; one or more spaces lie between.
    #[inline]
    pub fn read(text: &[u8]) -> Option<(SyslogTime, usize)> {
        let month = month(text.get(..3)?)?;
        let mut at = spaces(text, 3)?;
        let mut day = u32::from(digit(text, at)?);
        at += 1;
        if let Some(second) = digit(text, at) {
            day = day * 10 + u32::from(second);
            at += 1;
        }
        at = spaces(text, at)?;
        let mut year = None;
        if text.get(at + 4) == Some(&b' ') {
            year = Some(four_digits(&text[at..at + 4])?);
            at += 5;
        }
        let second_of_day = time_of_day(text.get(at..at + 8)?)?;
        at += 8;
        let mut subsecond_ns = 0;
        if text.get(at) == Some(&b'.') {
            let (ns, len) = fraction(&text[at + 1..]);
            (subsecond_ns, at) = (ns, if len == 0 { at } else { at + 1 + len });
        }
        // Any leap year: which it was is not known yet.
        days(year.unwrap_or(2000), month, day)?;
        Some((SyslogTime { month, day, year, second_of_day, subsecond_ns }, at))
    }

    fn utc_ns(&self, year: i64, zone: &Zone) -> Option<i64> {
        let civil_s = days(year, self.month, self.day)? * 86_400 + self.second_of_day;
        zone.utc_ns(civil_s, self.subsecond_ns)
    }
}

fn spaces(text: &[u8], at: usize) -> Option<usize> {
    let end = at + text.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
    (end > at).then_some(end)
}

fn digit(text: &[u8], at: usize) -> Option<u8> {
    text.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0')
}

/// Turns such times into nanoseconds since 1970-01-01 UTC; those of the minute that came last are quick.
pub struct SyslogTimeReader {
    zone: Zone,
    minute: Option<(u32, u32, Option<i64>, i64)>,
    minute_ns: i64,
}

impl SyslogTimeReader {
    /// Makes a reader; `zone` is where the times were written.
    pub fn new(zone: Zone) -> SyslogTimeReader {
        SyslogTimeReader { zone, minute: None, minute_ns: 0 }
    }

    /// Returns the time, of the year that makes sense at `now_ns()` if it doesn't say its year.
    #[inline]
    pub fn utc_ns(&mut self, time: &SyslogTime, now_ns: impl FnOnce() -> i64) -> Option<i64> {
        let minute = (time.month, time.day, time.year, time.second_of_day / 60);
        if self.minute != Some(minute) {
            let start = SyslogTime { second_of_day: minute.3 * 60, subsecond_ns: 0, ..*time };
            self.minute_ns = match time.year {
                Some(year) => start.utc_ns(year, &self.zone)?,
                None => infer_year(now_ns(), |year| start.utc_ns(year, &self.zone))?,
            };
            self.minute = Some(minute);
        }
        self.minute_ns.checked_add(time.second_of_day % 60 * SECOND_NS + time.subsecond_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let check = |text: &str, rest: &str, utc: &str| {
            let now: jiff::Timestamp = "2024-06-01T00:00:00Z".parse().unwrap();
            let (time, len) = SyslogTime::read(text.as_bytes()).unwrap();
            assert_eq!(&text[len..], rest);
            let mut reader = SyslogTimeReader::new(Zone::find("+01:00").unwrap());
            for _ in 0..2 {
                let ns = reader.utc_ns(&time, || now.as_nanosecond() as i64).unwrap();
                assert_eq!(jiff::Timestamp::from_nanosecond(ns.into()).unwrap().to_string(), utc, "{text}");
            }
        };
        check("Oct 11 22:14:15 host", " host", "2023-10-11T21:14:15Z");
        check("Mar  1 00:14:15", "", "2024-02-29T23:14:15Z");
        check("Mar 1 18:46:11.250 UTC:", " UTC:", "2024-03-01T17:46:11.25Z");
        check("Mar 01 18:46:11.x", ".x", "2024-03-01T17:46:11Z");
        check("oct 11 2019 22:14:15: x", ": x", "2019-10-11T21:14:15Z");
    }

    #[test]
    fn other_texts_are_not_times() {
        for text in [
            "",
            "Oct",
            "Oct 11",
            "Oct 11 22:14",
            "Okt 11 22:14:15",
            "Oct 32 22:14:15",
            "Oct11 22:14:15",
            "Feb 30 22:14:15",
            "Oct 11 24:14:15",
            "Oct 11 22-14-15",
            "Oct 111 22:14:15",
            "Oct 11 20x9 22:14:15",
        ] {
            assert_eq!(SyslogTime::read(text.as_bytes()), None, "{text}");
        }
    }
}
