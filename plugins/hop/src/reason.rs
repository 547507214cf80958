//! Says a failure of the standard library in the words of an error line.

/// Returns the text without its number, lowercase: `connection refused`.
pub fn of(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
