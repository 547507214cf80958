//! Time zones, for times that don't say theirs.

use super::SECOND_NS;
use super::civil;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// A time zone; the usual ones without a table.
#[derive(Clone)]
pub enum Zone {
    /// Seconds east of UTC.
    Fixed(i64),
    /// Any other.
    Named(TimeZone),
}

impl Zone {
    /// Finds a zone: `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`.
    ///
    /// # Errors
    /// One line that says what is known.
    pub fn find(name: &str) -> Result<Zone, String> {
        if let Some(seconds) = civil::offset(name.as_bytes()) {
            return Ok(Zone::Fixed(seconds));
        }
        match name {
            "UTC" | "utc" | "Z" => Ok(Zone::Fixed(0)),
            "local" => Ok(Zone::Named(TimeZone::system())),
            name => TimeZone::get(name).map(Zone::Named).map_err(|_| {
                format!("no time zone `{name}`; write `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`")
            }),
        }
    }

    /// Returns the time at which a clock in this zone shows a civil time, given as seconds since 1970-01-01 of
    /// that clock. A clock that was put back shows some times twice: then the first.
    #[inline]
    pub fn utc_ns(&self, civil_s: i64, subsecond_ns: i64) -> Option<i64> {
        let seconds = match self {
            Zone::Fixed(offset) => civil_s - offset,
            Zone::Named(zone) => {
                let civil = Offset::UTC.to_datetime(Timestamp::from_second(civil_s).ok()?);
                zone.to_timestamp(civil).ok()?.as_second()
            }
        };
        seconds.checked_mul(SECOND_NS)?.checked_add(subsecond_ns)
    }

    /// Returns the zone as the calendar library has it.
    pub fn time_zone(&self) -> TimeZone {
        match self {
            Zone::Fixed(seconds) => {
                Offset::from_seconds(*seconds as i32).map_or(TimeZone::UTC, TimeZone::fixed)
            }
            Zone::Named(zone) => zone.clone(),
        }
    }
}

/// Finds the year of a time that doesn't say it: the latest that doesn't put it more than a day ahead of `now_ns`.
///
/// A day forgives wrong clocks and zones. Eight years back reach over a century's missing leap day.
pub fn infer_year(now_ns: i64, mut time_in: impl FnMut(i64) -> Option<i64>) -> Option<i64> {
    let limit = now_ns.saturating_add(86_400 * SECOND_NS);
    let this_year =
        i64::from(Offset::UTC.to_datetime(Timestamp::from_nanosecond(now_ns.into()).ok()?).year());
    (this_year - 8..=this_year + 1).rev().find_map(|year| time_in(year).filter(|ns| *ns <= limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_times_become_utc() {
        let check = |zone: &str, civil: &str, utc: &str| {
            let civil: jiff::civil::DateTime = civil.parse().unwrap();
            let civil_s = Offset::UTC.to_timestamp(civil).unwrap().as_second();
            let ns = Zone::find(zone).unwrap().utc_ns(civil_s, 5).unwrap();
            assert_eq!(Timestamp::from_nanosecond(ns.into()).unwrap().to_string(), utc, "{zone}");
        };
        check("UTC", "2024-07-01T12:00:00", "2024-07-01T12:00:00.000000005Z");
        check("+05:30", "2024-07-01T12:00:00", "2024-07-01T06:30:00.000000005Z");
        check("-0800", "2024-07-01T12:00:00", "2024-07-01T20:00:00.000000005Z");
        check("Europe/Berlin", "2024-07-01T12:00:00", "2024-07-01T10:00:00.000000005Z");
        check("Europe/Berlin", "2024-01-01T12:00:00", "2024-01-01T11:00:00.000000005Z");
        check("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30:00.000000005Z");
        assert!(
            Zone::find("Europe/Atlantis")
                .err()
                .unwrap()
                .starts_with("no time zone `Europe/Atlantis`; write ")
        );
    }

    #[test]
    fn the_year_is_the_one_that_makes_sense() {
        let check = |now: &str, month: u32, day: u32, expected: &str| {
            let now: Timestamp = now.parse().unwrap();
            let ns = infer_year(now.as_nanosecond() as i64, |year| {
                Some(civil::days(year, month, day)? * 86_400 * SECOND_NS)
            });
            let found = Timestamp::from_nanosecond(ns.unwrap().into()).unwrap().to_string();
            assert_eq!(&found[..10], expected, "read at {now}");
        };
        check("2024-06-15T12:00:00Z", 6, 14, "2024-06-14");
        check("2024-06-15T12:00:00Z", 6, 16, "2024-06-16");
        check("2024-06-15T12:00:00Z", 6, 17, "2023-06-17");
        check("2025-01-01T00:00:03Z", 12, 31, "2024-12-31");
        check("2024-12-31T23:59:58Z", 1, 1, "2025-01-01");
        check("2025-03-01T12:00:00Z", 2, 29, "2024-02-29");
        check("2103-03-01T12:00:00Z", 2, 29, "2096-02-29");
    }
}
