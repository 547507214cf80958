//! The time of web servers' logs, `10/Oct/2000:13:55:36 -0700`.

use super::SECOND_NS;
use super::civil::{days, four_digits, month, offset, two_digits};

/// Length of every such time.
const CLF_BYTES: usize = 26;
/// Length of the part before the minutes.
const HOUR_BYTES: usize = 15;
/// Where the zone begins.
const ZONE_AT: usize = 21;

/// Reads such times; those of the hour that it read last take a few nanoseconds only.
#[derive(Default)]
pub struct ClfReader {
    hour: [u8; HOUR_BYTES],
    zone: [u8; CLF_BYTES - ZONE_AT],
    hour_s: i64,
}

impl ClfReader {
    /// Reads a time; nanoseconds since 1970-01-01 UTC.
    #[inline]
    pub fn read(&mut self, text: &[u8]) -> Option<i64> {
        let text: &[u8; CLF_BYTES] = text.try_into().ok()?;
        if text[..HOUR_BYTES] != self.hour || text[ZONE_AT..] != self.zone {
            self.read_hour(text)?;
        }
        let (minute, second) = (two_digits(&text[15..17])?, two_digits(&text[18..20])?);
        if minute > 59 || second > 60 || text[17] != b':' || text[20] != b' ' {
            return None;
        }
        Some((self.hour_s + i64::from(minute * 60 + second)) * SECOND_NS)
    }

    #[cold]
    fn read_hour(&mut self, text: &[u8; CLF_BYTES]) -> Option<()> {
        if text[2] != b'/' || text[6] != b'/' || text[11] != b':' || text[14] != b':' {
            return None;
        }
        // A year of four digits is far from the limits of 64-bit nanoseconds only from 1678 to 2261.
        let year = four_digits(&text[7..11]).filter(|year| (1678..=2261).contains(year))?;
        let days = days(year, month(&text[3..6])?, two_digits(&text[..2])?)?;
        let hour = two_digits(&text[12..14]).filter(|hour| *hour < 24)?;
        self.hour_s = days * 86_400 + i64::from(hour) * 3600 - offset(&text[ZONE_AT..])?;
        self.hour.copy_from_slice(&text[..HOUR_BYTES]);
        self.zone.copy_from_slice(&text[ZONE_AT..]);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read() {
        let mut reader = ClfReader::default();
        let mut check = |text: &str, seconds: Option<i64>| {
            assert_eq!(reader.read(text.as_bytes()), seconds.map(|seconds| seconds * SECOND_NS), "{text}");
        };
        check("10/Oct/2000:13:55:36 -0700", Some(971_211_336));
        check("10/Oct/2000:13:55:37 -0700", Some(971_211_337));
        check("10/Oct/2000:13:55:37 +0000", Some(971_186_137));
        check("01/Jan/1970:00:00:00 +0000", Some(0));
        check("29/Feb/2024:23:59:60 +0530", Some(1_709_231_400));
        for wrong in [
            "",
            "-",
            "10/Oct/2000:13:55:36 +000",
            "10/Oct/2000:13:55:36 0000 ",
            "10/Okt/2000:13:55:36 +0000",
            "30/Feb/2000:13:55:36 +0000",
            "10/Oct/2000:24:55:36 +0000",
            "10/Oct/2000:13:60:36 +0000",
            "10/Oct/2000:13:55:61 +0000",
            "10 Oct 2000:13:55:36 +0000",
            "10/Oct/0000:13:55:36 +0000",
            "10/Oct/2000:13:55:36Z+0000",
            "10/Oct/2000 13:55:36 +0000",
            "1x/Oct/2000:13:55:36 +0000",
        ] {
            check(wrong, None);
        }
    }

    proptest! {
        #[test]
        fn every_second_is_read_back(seconds in -9_000_000_000i64..9_000_000_000, hours in -12i8..=14) {
            let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(hours));
            let time = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(zone);
            let text = time.strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
            prop_assert_eq!(ClfReader::default().read(text.as_bytes()), Some(seconds * SECOND_NS));
        }
    }
}
