//! Numbers as metrics are written.

use crate::metric::Number;

/// Digits of which any number fits an `i64`.
const SAFE_DIGITS: usize = 18;

/// Reads a decimal number with or without sign, fraction and exponent; spaces around it are skipped.
///
/// Integers of 64 bits keep all their digits. Not numbers: nothing, `NaN`, `inf`, `0x10`, what is beyond a double.
pub fn parse_number(text: &[u8]) -> Option<Number> {
    let text = text.trim_ascii();
    let (is_negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let first = *digits.first()?;
    if !first.is_ascii_digit() && first != b'.' {
        return None;
    }
    if digits.len() <= SAFE_DIGITS && digits.iter().all(u8::is_ascii_digit) {
        let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        return Some(Number::Integer(if is_negative { -value } else { value }));
    }
    if digits.iter().all(u8::is_ascii_digit)
        && let Ok(value) = std::str::from_utf8(text).unwrap_or_default().parse()
    {
        return Some(Number::Integer(value));
    }
    let value: f64 = fast_float2::parse(digits).ok().filter(|value: &f64| value.is_finite())?;
    Some(Number::Double(if is_negative { -value } else { value }))
}

/// Appends a number as Graphite reads it: decimals, no exponent.
pub fn write_number(number: Number, text: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to a vector doesn't fail.
    let _ = match number {
        Number::Integer(value) => text.write_all(itoa::Buffer::new().format(value).as_bytes()),
        Number::Double(value) => write!(text, "{value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<Number>) {
        assert_eq!(parse_number(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn numbers_are_read() {
        check("0", Some(Number::Integer(0)));
        check(" -17 ", Some(Number::Integer(-17)));
        check("+5", Some(Number::Integer(5)));
        check("9223372036854775807", Some(Number::Integer(i64::MAX)));
        check("-9223372036854775808", Some(Number::Integer(i64::MIN)));
        check("9223372036854775808", Some(Number::Double(9_223_372_036_854_775_808.0)));
        check("1.5", Some(Number::Double(1.5)));
        check("-.5e1", Some(Number::Double(-5.0)));
        check("1e3", Some(Number::Double(1000.0)));
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            " ",
            "-",
            "NaN",
            "nan",
            "inf",
            "-Infinity",
            "1e400",
            "0x10",
            "1,5",
            "1 2",
            "--1",
            "1.2.3",
            "é",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn graphite_gets_decimals() {
        let check = |number: Number, expected: &str| {
            let mut text = Vec::new();
            write_number(number, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        };
        check(Number::Integer(i64::MAX), "9223372036854775807");
        check(Number::Double(3.0), "3");
        check(Number::Double(0.1), "0.1");
        check(Number::Double(1e21), "1000000000000000000000");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Some(Number::Double(value)) = parse_number(&text) {
                prop_assert!(value.is_finite());
            }
        }

        #[test]
        fn what_is_written_is_read_again(whole in any::<i64>(), double in any::<f64>()) {
            for number in [Number::Integer(whole), Number::Double(double)] {
                let mut text = Vec::new();
                write_number(number, &mut text);
                let read = parse_number(&text);
                if number.as_f64().is_finite() {
                    prop_assert_eq!(read.map(Number::as_f64), Some(number.as_f64()));
                }
            }
        }
    }
}
