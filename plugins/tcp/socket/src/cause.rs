//! Says a failure of the system in the words of an error line.

use rustix::io::Errno;

/// Returns the system's text without its number, lowercase: `connection refused`.
pub fn cause(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_lowercase_and_without_numbers() {
        assert_eq!(cause(Errno::CONNREFUSED), "connection refused");
        assert_eq!(cause(Errno::MFILE), "too many open files");
    }
}
