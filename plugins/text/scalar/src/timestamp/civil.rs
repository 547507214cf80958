//! Dates and times of day as numbers.

/// Reads two digits.
#[inline]
pub fn two_digits(text: &[u8]) -> Option<u32> {
    let &[tens, ones] = text else { return None };
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// Reads a year of four digits.
#[inline]
pub fn four_digits(text: &[u8]) -> Option<i64> {
    let (century, year) = (two_digits(text.get(..2)?)?, two_digits(text.get(2..4)?)?);
    (text.len() == 4).then(|| i64::from(century * 100 + year))
}

/// Reads the English short name of a month, `Jan` to `Dec`, in any case.
#[inline]
pub fn month(name: &[u8]) -> Option<u32> {
    let &[first, second, third] = name else { return None };
    Some(match [first | 0x20, second | 0x20, third | 0x20] {
        [b'j', b'a', b'n'] => 1,
        [b'f', b'e', b'b'] => 2,
        [b'm', b'a', b'r'] => 3,
        [b'a', b'p', b'r'] => 4,
        [b'm', b'a', b'y'] => 5,
        [b'j', b'u', b'n'] => 6,
        [b'j', b'u', b'l'] => 7,
        [b'a', b'u', b'g'] => 8,
        [b's', b'e', b'p'] => 9,
        [b'o', b'c', b't'] => 10,
        [b'n', b'o', b'v'] => 11,
        [b'd', b'e', b'c'] => 12,
        _ => return None,
    })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` if there is no such date.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
#[inline]
pub fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    const LENGTHS: [u32; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = LENGTHS.get(month as usize)? + u32::from(month == 2 && is_leap);
    if day == 0 || day > length {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Reads `13:55:36` as seconds since midnight; a leap second counts as the next one.
#[inline]
pub fn time_of_day(text: &[u8]) -> Option<i64> {
    if text.len() != 8 || text[2] != b':' || text[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (two_digits(&text[..2])?, two_digits(&text[3..5])?, two_digits(&text[6..])?);
    (hour < 24 && minute < 60 && second <= 60).then(|| i64::from(hour * 3600 + minute * 60 + second))
}

/// Reads `+0200` or `+02:00` as seconds east of UTC.
#[inline]
pub fn offset(text: &[u8]) -> Option<i64> {
    let (hours, minutes) = match text.len() {
        5 => (two_digits(&text[1..3])?, two_digits(&text[3..])?),
        6 if text[3] == b':' => (two_digits(&text[1..3])?, two_digits(&text[4..])?),
        _ => return None,
    };
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match text[0] {
        _ if hours > 25 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// Reads the digits of a fraction of a second as nanoseconds, and tells how many there were; more than nine are
/// cut off.
#[inline]
pub fn fraction(text: &[u8]) -> (i64, usize) {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let ns = (0..9).fold(0, |ns, at| ns * 10 + if at < len { i64::from(text[at] - b'0') } else { 0 });
    (ns, len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{Date, date};
    use proptest::prelude::*;

    #[test]
    fn there_is_no_thirtieth_of_february() {
        for (year, month, day) in
            [(2023, 2, 29), (1900, 2, 29), (2024, 2, 30), (2024, 13, 1), (2024, 0, 1), (1, 1, 0)]
        {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
        assert!(days(2024, 2, 29).is_some() && days(2000, 2, 29).is_some());
    }

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(year in 1i16..9999, month in 1i8..=12, day in 1i8..=31) {
            let known = Date::new(year, month, day).ok();
            let known = known.map(|known| i64::from(date(1970, 1, 1).until(known).unwrap().get_days()));
            prop_assert_eq!(days(i64::from(year), month as u32, day as u32), known);
        }
    }
}
