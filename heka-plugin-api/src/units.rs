//! Sizes and durations as people write them: `64 KiB`, `10 s`.

use std::fmt;
use std::time::Duration;

/// Units of size, in bytes, smallest first.
const BYTE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// Units of time, in nanoseconds, smallest first.
const TIME_UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Says why a text is not a size or a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    text: String,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for UnitError {}

/// Reads a size: a number, at most nine decimals, and a unit; bytes where there is none.
///
/// Units: `B`, `KB`, `MB`, `GB`, `TB` (powers of 1000), `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024), in any case.
/// Parts of a byte are cut off.
///
/// # Errors
/// If the text is anything else, or more than 2⁶⁴ − 1 bytes.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let find = |unit: &str| {
        let known = BYTE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        known.map(|(_, bytes)| *bytes).or(unit.is_empty().then_some(1))
    };
    let why = || format!("`{text}` is not a size; write bytes as a number, or for example `64 KiB`");
    parse(text, find).ok_or_else(|| UnitError { text: why() })
}

/// Reads a duration: a number, at most nine decimals, and a unit; seconds where there is none.
///
/// Units: `ns`, `us` or `µs`, `ms`, `s`, `m`, `h`, `d`. Parts of a nanosecond are cut off.
///
/// # Errors
/// If the text is anything else, or longer than 2⁶⁴ − 1 ns (584 years).
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let find = |unit: &str| {
        let unit = if unit.is_empty() { "s" } else { unit };
        TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ns)| *ns)
    };
    let why =
        || format!("`{text}` is not a duration; write seconds as a number, or for example `10 s`, `1 ms`");
    parse(text, find).map(Duration::from_nanos).ok_or_else(|| UnitError { text: why() })
}

/// Reads `12`, `12 unit`, `1.5unit`; `find` gives a unit's factor.
fn parse(text: &str, find: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let text = text.trim();
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let factor = u128::from(find(unit.trim_start())?);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.is_empty() || decimals.len() > 9 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction = decimals.parse::<u64>().ok()?;
    let scale = 10_u128.pow(decimals.len() as u32);
    let value = u128::from(whole) * factor + u128::from(fraction) * factor / scale;
    u64::try_from(value).ok()
}

/// Writes a size in the largest binary unit that divides it: `64 KiB`, `1000 B`.
pub fn format_bytes(bytes: u64) -> String {
    let units = BYTE_UNITS.iter().rev().filter(|(name, _)| name.len() != 2);
    format_exactly(bytes, units, "0 B")
}

/// Writes a duration in the largest unit that divides it: `90 s`, `1 ms`.
pub fn format_duration(duration: Duration) -> String {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    format_exactly(ns, TIME_UNITS.iter().rev(), "0 s")
}

fn format_exactly<'u>(
    value: u64,
    mut largest_first: impl Iterator<Item = &'u (&'u str, u64)>,
    zero: &str,
) -> String {
    match largest_first.find(|(_, factor)| value != 0 && value.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{} {unit}", value / factor),
        None => zero.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read() {
        let check = |text: &str, bytes: u64| assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        check("0", 0);
        check("1234", 1234);
        check("12 B", 12);
        check("64 KiB", 65_536);
        check("64KiB", 65_536);
        check("64 kib", 65_536);
        check(" 1 MiB ", 1_048_576);
        check("1 GB", 1_000_000_000);
        check("1.5 KiB", 1_536);
        check("0.000000001 GB", 1);
        check("16 TiB", 17_592_186_044_416);
        check("18446744073709551615", u64::MAX);
    }

    #[test]
    fn other_texts_are_not_sizes() {
        let check = |text: &str| {
            let why = format!("`{text}` is not a size; write bytes as a number, or for example `64 KiB`");
            assert_eq!(parse_bytes(text).map_err(|error| error.to_string()), Err(why));
        };
        for text in
            ["", " ", "KiB", "-1", "+1", "1.", ".5", "1..5", "1.2.3 KB", "1 K", "1 KiBs", "1 k B", "1,5 KB"]
        {
            check(text);
        }
        check("18446744073709551616");
        check("20000000 TiB");
        check("0.0000000001 GB");
    }

    #[test]
    fn durations_are_read() {
        let check =
            |text: &str, ns: u64| assert_eq!(parse_duration(text), Ok(Duration::from_nanos(ns)), "{text}");
        check("0", 0);
        check("5", 5_000_000_000);
        check("1 ms", 1_000_000);
        check("10s", 10_000_000_000);
        check("1.5 s", 1_500_000_000);
        check("250 µs", 250_000);
        check("250 us", 250_000);
        check("7 ns", 7);
        check("5 m", 300_000_000_000);
        check("1 h", 3_600_000_000_000);
        check("2 d", 172_800_000_000_000);
    }

    #[test]
    fn other_texts_are_not_durations() {
        for text in ["", "s", "-1 s", "1 M", "1 min", "1 S", "1 s 5 ms", "99999999999 d", "inf", "NaN"] {
            let why = format!(
                "`{text}` is not a duration; write seconds as a number, or for example `10 s`, `1 ms`"
            );
            assert_eq!(parse_duration(text).map_err(|error| error.to_string()), Err(why));
        }
    }

    #[test]
    fn values_are_written_in_their_largest_exact_unit() {
        assert_eq!(format_bytes(0), "0 B");
        assert_eq!(format_bytes(1000), "1000 B");
        assert_eq!(format_bytes(1 << 20), "1 MiB");
        assert_eq!(format_duration(Duration::ZERO), "0 s");
        assert_eq!(format_duration(Duration::from_millis(1)), "1 ms");
        assert_eq!(format_duration(Duration::from_secs(90)), "90 s");
        assert_eq!(format_duration(Duration::from_secs(3600)), "1 h");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any::<u64>()) {
            prop_assert_eq!(parse_bytes(&format_bytes(value)), Ok(value));
            let duration = Duration::from_nanos(value);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse_bytes(&text);
            let _ = parse_duration(&text);
        }
    }
}
