//! Syslog severities by number and by the names that logs use.

/// Names of the severities 0 to 7.
const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Returns the name of a severity; empty if there is none.
pub fn name(severity: i32) -> &'static str {
    usize::try_from(severity).ok().and_then(|index| NAMES.get(index)).copied().unwrap_or_default()
}

/// Finds a severity by its name, in any case, or its digit.
pub fn find(text: &[u8]) -> Option<i32> {
    const LONGEST: usize = 13;
    if let [digit @ b'0'..=b'7'] = text {
        return Some(i32::from(digit - b'0'));
    }
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..text.len())?;
    lower.copy_from_slice(text);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"emerg" | b"emergency" | b"panic" => 0,
        b"alert" => 1,
        b"crit" | b"critical" | b"fatal" | b"f" => 2,
        b"err" | b"error" | b"severe" | b"e" => 3,
        b"warn" | b"warning" | b"w" => 4,
        b"notice" | b"n" => 5,
        b"info" | b"informational" | b"information" | b"i" => 6,
        b"debug" | b"trace" | b"verbose" | b"fine" | b"d" => 7,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        let check = |text: &str, severity: Option<i32>| assert_eq!(find(text.as_bytes()), severity, "{text}");
        (0..8).for_each(|severity| check(name(severity), Some(severity)));
        check("ERROR", Some(3));
        check("Informational", Some(6));
        check("0", Some(0));
        for text in ["", "8", "12", "errors", "a very long text that is no name"] {
            check(text, None);
        }
        assert_eq!((name(-1), name(8)), ("", ""));
    }
}
