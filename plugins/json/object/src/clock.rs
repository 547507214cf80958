//! Nanoseconds since the epoch → text; most times are in the same second as the one before.

use crate::timestamp::civil_from_days;

/// Writes times as text; keeps the text of the last second.
pub struct Clock {
    second: i64,
    text: [u8; 30],
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { second: 0, text: *b"1970-01-01T00:00:00.000000000Z" }
    }
}

impl Clock {
    /// Returns a time, in nanoseconds since 1970-01-01 UTC, as RFC 3339 text with nanoseconds, in UTC.
    #[inline]
    pub fn text(&mut self, ns: i64) -> [u8; 30] {
        let mut text = [0; 30];
        self.fill(ns, &mut text);
        text
    }

    /// As [`text`](Clock::text), in place.
    #[inline]
    pub fn fill(&mut self, ns: i64, text: &mut [u8; 30]) {
        let (second, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
        if second != self.second {
            self.set_second(second);
        }
        *text = self.text;
        if fraction != 0 {
            let fraction = fraction as u32;
            let (high, middle, low) = (fraction / 1_000_000, fraction / 1_000 % 1_000, fraction % 1_000);
            for (at, group) in [(20, high), (23, middle), (26, low)] {
                text[at] = b'0' + (group / 100) as u8;
                text[at + 1] = b'0' + (group / 10 % 10) as u8;
                text[at + 2] = b'0' + (group % 10) as u8;
            }
        }
    }

    #[cold]
    fn set_second(&mut self, second: i64) {
        let (year, month, day) = civil_from_days(second.div_euclid(86_400));
        let time = second.rem_euclid(86_400);
        let parts =
            [(2, year % 100), (5, month), (8, day), (11, time / 3600), (14, time / 60 % 60), (17, time % 60)];
        for (at, number) in [(0, year / 100)].into_iter().chain(parts) {
            self.text[at] = b'0' + (number / 10) as u8;
            self.text[at + 1] = b'0' + (number % 10) as u8;
        }
        self.second = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_timestamp;
    use proptest::prelude::*;

    fn check(ns: i64, text: &str) {
        assert_eq!(Clock::default().text(ns), *text.as_bytes());
    }

    #[test]
    fn texts_have_nine_digits_and_a_z() {
        check(0, "1970-01-01T00:00:00.000000000Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
        check(1_351_534_282_123_456_789, "2012-10-29T18:11:22.123456789Z");
        check(i64::MAX, "2262-04-11T23:47:16.854775807Z");
        check(i64::MIN, "1677-09-21T00:12:43.145224192Z");
    }

    proptest! {
        #[test]
        fn texts_are_read_back(times: Vec<i64>, steps: Vec<u32>) {
            let mut clock = Clock::default();
            let near = steps.iter().scan(0_i64, |ns, step| { *ns += i64::from(*step); Some(*ns) });
            for ns in times.iter().copied().chain(near) {
                prop_assert_eq!(parse_timestamp(&clock.text(ns)), Some(ns));
            }
        }
    }
}
