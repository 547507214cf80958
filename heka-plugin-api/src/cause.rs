//! Says a failure of the system in the words of an error line.

use std::io;

/// Returns the system's text of a failure without its number, lowercase: `no space left on device`.
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_lowercase_and_without_numbers() {
        let check = |error: io::Error, text: &str| assert_eq!(cause(&error), text);
        check(io::Error::from_raw_os_error(111), "connection refused");
        check(io::Error::from_raw_os_error(28), "no space left on device");
        check(io::Error::other("Odd Name"), "odd Name");
        check(io::Error::other(""), "");
    }
}
