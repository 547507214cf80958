//! Times in the shapes that programs write, told apart by how they look.

use super::civil::{self, days, fraction};
use super::zone::{Zone, infer_year};

/// Zones by the names that logs use, in hours east of UTC. Names that several zones share, such as
/// `IST`, are missing.
const ZONES: [(&str, i64); 27] = [
    ("UTC", 0),
    ("GMT", 0),
    ("UT", 0),
    ("WET", 0),
    ("WEST", 1),
    ("BST", 1),
    ("CET", 1),
    ("MET", 1),
    ("CEST", 2),
    ("MEST", 2),
    ("EET", 2),
    ("SAST", 2),
    ("EEST", 3),
    ("MSK", 3),
    ("JST", 9),
    ("KST", 9),
    ("AEST", 10),
    ("AEDT", 11),
    ("NZST", 12),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// The English names of the months; the first three letters are their short names.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A day; the year may come later, or never.
struct Date {
    year: Option<i64>,
    month: u32,
    day: u32,
    is_compact: bool,
}

/// Reads a time that says at least its day; nanoseconds since 1970-01-01 UTC.
///
/// A weekday, a date (`2024-02-29`, `2024/2/29`, `20240229`, `240229`, `29/Feb/2024`, `29 February 2024`,
/// `29.02.2024`, `Feb 29, 2024`, `Feb 29`), a time of day with or without seconds, decimals, `AM` or `PM`, a zone
/// (`Z`, `+01:00`, `CET`), a year where there was none. Dates of which nobody knows what is the month are not read.
pub fn read(text: &[u8], zone: &Zone, now_ns: impl Fn() -> i64) -> Option<i64> {
    let mut cursor = Cursor { rest: text.trim_ascii() };
    cursor.skip_weekday();
    let mut date = cursor.date()?;
    let (second_of_day, subsecond_ns) = match cursor.rest {
        [] => (0, 0),
        _ => {
            cursor.take_any(b"Tt:,");
            cursor.skip_spaces();
            cursor.time_of_day(date.is_compact)?
        }
    };
    let mut offset = cursor.zone();
    if date.year.is_none() && !cursor.rest.is_empty() {
        cursor.skip_spaces();
        date.year = Some(civil::four_digits(cursor.take(4)?)?);
        offset = offset.or_else(|| cursor.zone());
    }
    if !cursor.rest.is_empty() {
        return None;
    }
    let fixed = offset.map(Zone::Fixed);
    let zone = fixed.as_ref().unwrap_or(zone);
    let in_year =
        |year| zone.utc_ns(days(year, date.month, date.day)? * 86_400 + second_of_day, subsecond_ns);
    match date.year {
        Some(year) => in_year(year),
        None => infer_year(now_ns(), in_year),
    }
}

/// What is left of a text.
struct Cursor<'t> {
    rest: &'t [u8],
}

impl<'t> Cursor<'t> {
    fn take(&mut self, len: usize) -> Option<&'t [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes one of these bytes, if it comes next.
    fn take_any(&mut self, wanted: &[u8]) -> Option<u8> {
        let first = *self.rest.first().filter(|byte| wanted.contains(byte))?;
        self.rest = &self.rest[1..];
        Some(first)
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn count(&self, is_wanted: fn(&u8) -> bool) -> usize {
        self.rest.iter().take_while(|byte| is_wanted(byte)).count()
    }

    fn letters(&mut self) -> &'t [u8] {
        self.take(self.count(u8::is_ascii_alphabetic)).unwrap_or_default()
    }

    /// Takes one digit or two.
    fn number(&mut self) -> Option<u32> {
        let len = self.count(u8::is_ascii_digit);
        let digits = self.take(len).filter(|_| (1..=2).contains(&len))?;
        Some(digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
    }

    fn skip_weekday(&mut self) {
        const DAYS: [&str; 7] =
            ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let before = self.rest;
        let name = self.letters();
        if DAYS.iter().any(|day| is_name(name, day)) {
            self.take_any(b",");
            self.skip_spaces();
        } else {
            self.rest = before;
        }
    }

    fn month(&mut self) -> Option<u32> {
        let name = self.letters();
        MONTHS.iter().position(|month| is_name(name, month)).map(|index| index as u32 + 1)
    }

    fn date(&mut self) -> Option<Date> {
        if self.rest.first()?.is_ascii_alphabetic() {
            return self.date_from_month();
        }
        let two = |digits: &[u8]| civil::two_digits(digits);
        match self.count(u8::is_ascii_digit) {
            4 => self.date_from_year(),
            8 => {
                let digits = self.take(8)?;
                let year = Some(civil::four_digits(&digits[..4])?);
                Some(Date { year, month: two(&digits[4..6])?, day: two(&digits[6..])?, is_compact: true })
            }
            6 => {
                let digits = self.take(6)?;
                let year = Some(2000 + i64::from(two(&digits[..2])?));
                Some(Date { year, month: two(&digits[2..4])?, day: two(&digits[4..])?, is_compact: true })
            }
            1 | 2 => self.date_from_day(),
            _ => None,
        }
    }

    /// `Feb 29`, `February 29, 2024`; a year with a colon behind its first digits is an hour.
    fn date_from_month(&mut self) -> Option<Date> {
        let month = self.month()?;
        self.take_any(b"-/.");
        self.skip_spaces();
        let day = self.number()?;
        self.take_any(b",-/");
        let year = match self.rest.trim_ascii_start() {
            rest if rest.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit)) => {
                self.rest = &rest[4..];
                Some(civil::four_digits(&rest[..4])?)
            }
            _ => None,
        };
        Some(Date { year, month, day, is_compact: false })
    }

    fn date_from_year(&mut self) -> Option<Date> {
        let year = Some(civil::four_digits(self.take(4)?)?);
        let separator = self.take_any(b"-/. ")?;
        let month = match self.rest.first()?.is_ascii_digit() {
            true => self.number()?,
            false => self.month()?,
        };
        self.take_any(&[separator])?;
        Some(Date { year, month, day: self.number()?, is_compact: false })
    }

    /// `29/Feb/2024`, `29 Feb 2024`, `29.02.2024`.
    fn date_from_day(&mut self) -> Option<Date> {
        let day = self.number()?;
        let separator = self.take_any(b"-/. ")?;
        let month = match self.rest.first()?.is_ascii_digit() {
            true if separator == b'.' => self.number()?,
            true => return None,
            false => self.month()?,
        };
        self.take_any(&[separator])?;
        let year = Some(civil::four_digits(self.take(4)?)?);
        Some(Date { year, month, day, is_compact: false })
    }

    /// Reads seconds since midnight, and nanoseconds; seconds may be missing, a leap second is the next one.
    fn time_of_day(&mut self, is_compact: bool) -> Option<(i64, i64)> {
        let (mut hour, minute, second);
        if is_compact && self.count(u8::is_ascii_digit) == 6 {
            let digits = self.take(6)?;
            let two = |at: usize| civil::two_digits(&digits[at..at + 2]);
            (hour, minute, second) = (two(0)?, two(2)?, two(4)?);
        } else {
            hour = self.number()?;
            self.take_any(b":")?;
            minute = self.number()?;
            second = if self.take_any(b":").is_some() { self.number()? } else { 0 };
        }
        let mut subsecond_ns = 0;
        if self.take_any(b".,").is_some() {
            let (ns, len) = fraction(self.rest);
            self.take(len).filter(|digits| !digits.is_empty())?;
            subsecond_ns = ns;
        }
        if let Some(is_pm) = self.half_of_day() {
            hour = if (1..=12).contains(&hour) { hour % 12 + if is_pm { 12 } else { 0 } } else { 24 };
        }
        let is_time = hour < 24 && minute < 60 && second <= 60;
        is_time.then(|| (i64::from(hour * 3600 + minute * 60 + second), subsecond_ns))
    }

    fn half_of_day(&mut self) -> Option<bool> {
        let rest = self.rest.trim_ascii_start();
        let is_pm = match rest.get(..2)?.to_ascii_lowercase()[..] {
            [b'a', b'm'] => false,
            [b'p', b'm'] => true,
            _ => return None,
        };
        if rest.get(2).is_some_and(u8::is_ascii_alphabetic) {
            return None;
        }
        self.rest = &rest[2..];
        Some(is_pm)
    }

    /// Takes a zone, if one comes next; seconds east of UTC.
    fn zone(&mut self) -> Option<i64> {
        let rest = self.rest.trim_ascii_start();
        let (seconds, len) = match rest.first()? {
            b'+' | b'-' => match rest.get(..6).and_then(civil::offset) {
                Some(seconds) => (seconds, 6),
                None => match rest.get(..5).and_then(civil::offset) {
                    Some(seconds) => (seconds, 5),
                    None => (hours_of(rest.get(..3)?)?, 3),
                },
            },
            b'Z' | b'z' if rest.len() == 1 => (0, 1),
            _ => {
                let name = &rest[..rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count()];
                let (_, hours) = ZONES.iter().find(|(known, _)| known.as_bytes() == name)?;
                (hours * 3600, name.len())
            }
        };
        self.rest = &rest[len..];
        Some(seconds)
    }
}

/// Reads an offset of whole hours, `+02`.
fn hours_of(text: &[u8]) -> Option<i64> {
    civil::offset(&[text[0], *text.get(1)?, *text.get(2)?, b'0', b'0'])
}

/// Whether a text is a name or its first three letters, in any case.
fn is_name(text: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    text.eq_ignore_ascii_case(&name[..3]) || text.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests;
