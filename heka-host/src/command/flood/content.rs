//! What the messages say: filler, or lines of a file.

use heka_plugin_api::cause;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes of a file with lines.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most lines of such a file; each is kept as a whole message.
const LINES_MAX: usize = 1_000_000;

/// Returns `bytes` bytes of printable filler.
pub(super) fn filler(bytes: usize) -> Vec<u8> {
    const WORDS: &[u8] = b"the quick brown fox jumps over the lazy dog 0123456789 ";
    WORDS.iter().copied().cycle().take(bytes).collect()
}

/// Reads a file's lines, without their newlines.
///
/// # Errors
/// Why it can't be used.
pub(super) fn read_lines(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("failed to read lines from `{shown}`: {}", cause(&error)))?;
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|&byte| byte == b'\n');
    let lines: Vec<Vec<u8>> = lines.take(LINES_MAX + 1).map(<[u8]>::to_vec).collect();
    if bytes.is_empty() {
        return Err(format!("no lines in `{shown}`"));
    }
    if bytes.len() as u64 > FILE_BYTES_MAX || lines.len() > LINES_MAX {
        return Err(format!(
            "more than 64 MiB or a million lines in `{shown}`; they repeat anyway: give fewer"
        ));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let lines = read_lines(file.path()).map_err(|why| why.split(" in `").next().unwrap().to_owned());
        let lines =
            lines.map(|lines| lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect());
        let expected: Result<Vec<String>, _> =
            expected.map(|lines| lines.iter().map(|line| line.to_string()).collect());
        assert_eq!(lines, expected.map_err(str::to_owned));
    }

    #[test]
    fn lines_are_those_of_the_file() {
        check("a\nb\n", Ok(&["a", "b"]));
        check("a\n\nb", Ok(&["a", "", "b"]));
        check("\n", Ok(&[""]));
        check("", Err("no lines"));
        check(&"\n".repeat(LINES_MAX + 1), Err("more than 64 MiB or a million lines"));
    }
}
