//! Permissions of a unix socket's file, as a config has them: in octal.

use heka_plugin_api::Faults;

/// Reads permissions in octal, such as `0660`; at most `0777`.
pub fn parse_mode(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777)
}

/// Reports an option `mode` that holds no permissions.
pub fn check_mode(text: &str, faults: &mut Faults) {
    if parse_mode(text).is_none() {
        faults.add("mode", format!("`{text}` is not a mode; write it in octal, such as `0660`"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal() {
        let check = |text: &str, mode: Option<u32>| assert_eq!(parse_mode(text), mode, "{text}");
        check("0660", Some(0o660));
        check("7", Some(7));
        check("777", Some(0o777));
        for text in ["", "1777", "0999", "+660", "-1", "0o660", "rw"] {
            check(text, None);
        }
    }
}
