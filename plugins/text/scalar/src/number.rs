//! Numbers in text.

/// Reads a decimal integer, whole, with an optional sign.
#[inline]
pub fn integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    // 18 digits can't overflow.
    if digits.len() > 18 {
        return long_integer(text);
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    (!digits.is_empty()).then_some(if is_negative { -value } else { value })
}

#[cold]
fn long_integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a finite decimal number, whole: `1`, `-0.5`, `1e-3`.
#[inline]
pub fn double(text: &[u8]) -> Option<f64> {
    // The library also reads `nan` and `inf`.
    let first = text.iter().find(|byte| !matches!(byte, b'-' | b'+'))?;
    if !first.is_ascii_digit() && *first != b'.' {
        return None;
    }
    fast_float2::parse::<f64, _>(text).ok().filter(|value| value.is_finite())
}

/// Reads a truth value as configs and logs write it.
pub fn bool(text: &[u8]) -> Option<bool> {
    let is = |names: [&str; 4]| names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(text));
    if is(["true", "yes", "on", "1"]) {
        return Some(true);
    }
    is(["false", "no", "off", "0"]).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_whole_or_not() {
        let check = |text: &str, whole: Option<i64>, number: Option<f64>| {
            assert_eq!((integer(text.as_bytes()), double(text.as_bytes())), (whole, number), "{text}");
        };
        check("0", Some(0), Some(0.0));
        check("-12", Some(-12), Some(-12.0));
        check("+12", Some(12), Some(12.0));
        check("1.5", None, Some(1.5));
        check("1e3", None, Some(1000.0));
        check("9223372036854775807", Some(i64::MAX), Some(9_223_372_036_854_775_807.0));
        check("9223372036854775808", None, Some(9_223_372_036_854_775_808.0));
        for text in
            ["", "-", "+", "+-1", ".", "x", "1x", "1 ", "0x10", "nan", "inf", "-inf", "1e999", "1,5", "٣"]
        {
            check(text, None, None);
        }
        assert_eq!((bool(b"Yes"), bool(b"off"), bool(b"maybe")), (Some(true), Some(false), None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(whole in any::<i64>(), number in -1e300f64..1e300) {
            prop_assert_eq!(integer(whole.to_string().as_bytes()), Some(whole));
            prop_assert_eq!(double(number.to_string().as_bytes()), Some(number));
        }
    }
}
