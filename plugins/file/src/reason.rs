//! Says a failure of the system in the words of a log line.

use std::io;

/// Returns why a call failed: `no space left on device`, without a number, in lower case.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_lower_case_and_without_a_number() {
        let check = |errno: rustix::io::Errno, text: &str| assert_eq!(reason(&errno.into()), text);
        check(rustix::io::Errno::NOSPC, "no space left on device");
        check(rustix::io::Errno::ACCESS, "permission denied");
        assert_eq!(reason(&io::Error::other("")), "");
    }
}
