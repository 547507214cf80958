//! Times as text and as numbers → nanoseconds since the epoch.

const DAY_SECONDS: i64 = 86_400;

/// Reads `2012-10-29T18:11:22`, with up to nine digits of a fraction, and `Z`, `±hh:mm`, `±hhmm` or nothing (UTC).
///
/// A space may stand for the `T`. `None` for anything else, and outside the years 1678 to 2261. A leap second is
/// the first second of the next minute.
///
/// Source: RFC 3339; the Metlog clients' naive times.
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let number = |at: usize, len: usize| digits(&date_time[at..at + len]);
    let separators = [date_time[4], date_time[7], date_time[13], date_time[16]];
    if separators != *b"--::" || !matches!(date_time[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = fraction(rest)?;
    let seconds = days_from_civil(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    join(seconds - zone_seconds(zone)?, fraction)
}

/// Reads a number since the epoch whose size tells its unit: seconds, milli-, micro- or nanoseconds.
///
/// Up to 10¹¹ it counts seconds (until the year 5138), up to 10¹⁴ milliseconds, up to 10¹⁷ microseconds.
pub fn scaled_timestamp(number: i64) -> Option<i64> {
    match number.unsigned_abs() {
        0..100_000_000_000 => number.checked_mul(1_000_000_000),
        100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => number.checked_mul(1_000),
        _ => Some(number),
    }
}

/// As [`scaled_timestamp`], for a number with a fraction.
pub(crate) fn scaled_double(number: f64) -> Option<i64> {
    let whole = number.trunc();
    if !(-1e18..=1e18).contains(&whole) {
        return None;
    }
    let unit_ns = match whole.abs() {
        size if size < 1e11 => 1e9,
        size if size < 1e14 => 1e6,
        size if size < 1e17 => 1e3,
        _ => 1.0,
    };
    scaled_timestamp(whole as i64)?.checked_add(((number - whole) * unit_ns).round() as i64)
}

/// Joins seconds and nanoseconds without an overflow on the way.
pub(crate) fn join(seconds: i64, ns: i64) -> Option<i64> {
    i64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(ns)).ok()
}

fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.' | b',', rest)) = rest.split_first() else { return Some((0, rest)) };
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&len) {
        return None;
    }
    let scale = 10_i64.pow(9 - len as u32);
    Some((digits(&rest[..len])? * scale, &rest[len..]))
}

fn zone_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match zone {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', m1, m2] if hours.len() == 2 => (sign, hours, [*m1, *m2]),
        [sign @ (b'+' | b'-'), hours @ .., m1, m2] if hours.len() == 2 => (sign, hours, [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(&minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Some(if *sign == b'-' { -seconds } else { seconds })
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

fn month_days(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar, counted in years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date, year, month and day, of a day since 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_clients_times_are_read() {
        let base = 1_351_534_282_000_000_000;
        let cases: &[(&str, i64)] = &[
            ("2012-10-29T18:11:22.123456", base + 123_456_000),
            ("2012-10-29T18:11:22", base),
            ("2012-10-29T18:11:22Z", base),
            ("2012-10-29T18:11:22.123456Z", base + 123_456_000),
            ("2012-10-29T18:11:22.000001-07:00", base + 7 * 3_600_000_000_000 + 1_000),
            ("2012-10-29T18:11:22+02:30", base - 9_000_000_000_000),
            ("2012-10-29T18:11:22+0230", base - 9_000_000_000_000),
            ("2012-10-29 18:11:22.123456789Z", base + 123_456_789),
            ("2012-10-29t18:11:22.1z", base + 100_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.5Z", -500_000_000),
            ("2012-02-29T00:00:00Z", 1_330_473_600_000_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
            ("1677-09-21T00:12:43.145224192Z", i64::MIN),
        ];
        for (text, ns) in cases {
            assert_eq!(parse_timestamp(text.as_bytes()), Some(*ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let cases = [
            "",
            "2012",
            "2012-10-29",
            "2012-10-29T18:11",
            "2012-10-29T18:11:22.",
            "2012-10-29T18:11:22.Z",
            "2012-10-29T18:11:22.1234567890Z",
            "2012-13-29T18:11:22",
            "2012-00-29T18:11:22",
            "2012-10-00T18:11:22",
            "2011-02-29T18:11:22",
            "2012-10-29T24:11:22",
            "2012-10-29T18:60:22",
            "2012-10-29T18:11:61",
            "2012-10-29T18:11:22+2",
            "2012-10-29T18:11:22+24:00",
            "2012-10-29T18:11:22+02:60",
            "2012-10-29T18:11:22ZZ",
            "2012-10-29T18:11:22 UTC",
            "2012/10/29T18:11:22",
            "2012-10-29X18:11:22",
            "+012-10-29T18:11:22",
            "9999-01-01T00:00:00Z",
            "1600-01-01T00:00:00Z",
            "２012-10-29T18:11:22",
        ];
        for text in cases {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        let ns = 1_351_534_282_000_000_000;
        for number in [1_351_534_282, 1_351_534_282_000, 1_351_534_282_000_000, ns] {
            assert_eq!(scaled_timestamp(number), Some(ns));
        }
        assert_eq!(scaled_timestamp(-1), Some(-1_000_000_000));
        assert_eq!(scaled_timestamp(i64::MIN), Some(i64::MIN));
        assert_eq!(scaled_timestamp(99_999_999_999), None);
        assert_eq!(scaled_double(1_351_534_282.5), Some(ns + 500_000_000));
        assert_eq!(scaled_double(1_351_534_282_000.25), Some(ns + 250_000));
        for double in [f64::NAN, f64::INFINITY, 1e19] {
            assert_eq!(scaled_double(double), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text: Vec<u8>, number: i64, double: f64) {
            let _ = parse_timestamp(&text);
            let _ = scaled_timestamp(number);
            let _ = scaled_double(double);
        }

        #[test]
        fn dates_are_those_of_the_calendar(ns: i64) {
            let text = jiff::Timestamp::from_nanosecond(ns.into()).unwrap().to_string();
            prop_assert_eq!(parse_timestamp(text.as_bytes()), Some(ns));
        }
    }
}
