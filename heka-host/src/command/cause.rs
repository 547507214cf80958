//! Says a failure of the system in the words of an error line.

use std::io;

/// Returns the system's text without its number, lowercase: `connection refused`.
pub(crate) fn cause(error: &io::Error) -> String {
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
        assert_eq!(cause(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(cause(&io::Error::other("Odd")), "odd");
    }
}
