//! Lines that a container runtime writes: each holds a piece of what was printed, and says whether that ends a line.

use memchr::memmem;

/// The two streams of a container whose line has begun and not ended.
#[derive(Default)]
pub(super) struct OpenStreams {
    stdout: bool,
    stderr: bool,
}

/// What a line holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    is_stderr: bool,
    is_last: bool,
}

impl OpenStreams {
    /// Takes a piece; tells whether nothing is open behind it. What is no such line ends nothing and opens nothing.
    pub(super) fn ends(&mut self, part: Option<Part>) -> bool {
        match part {
            Some(Part { is_stderr: true, is_last }) => self.stderr = !is_last,
            Some(Part { is_stderr: false, is_last }) => self.stdout = !is_last,
            None => {}
        }
        !self.stdout && !self.stderr
    }
}

/// Reads the head of `TIME STREAM TAGS CONTENT`; the first tag is `P` for a piece that goes on, `F` for the last.
pub(super) fn cri_part(line: &[u8]) -> Option<Part> {
    let mut words = line.splitn(4, |&byte| byte == b' ');
    let (_, stream, tags) = (words.next()?, words.next()?, words.next()?);
    let is_last = match tags.split(|&byte| byte == b':').next()? {
        b"P" => false,
        b"F" => true,
        _ => return None,
    };
    part(stream, is_last)
}

/// Reads `{"log":"CONTENT","stream":"STREAM",…}`; content that ends with `\n` is the last piece.
pub(super) fn docker_part(line: &[u8]) -> Option<Part> {
    const STREAM: &[u8] = br#"","stream":""#;
    // Inside of a text its quotes are escaped, so this is between two keys.
    let at = memmem::find(line, STREAM)?;
    let content = line[..at].strip_prefix(br#"{"log":""#)?;
    let stream = line[at + STREAM.len()..].split(|&byte| byte == b'"').next()?;
    let is_newline = content.strip_suffix(b"n").is_some_and(|before| {
        let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        backslashes % 2 == 1
    });
    part(stream, is_newline)
}

fn part(stream: &[u8], is_last: bool) -> Option<Part> {
    match stream {
        b"stdout" => Some(Part { is_stderr: false, is_last }),
        b"stderr" => Some(Part { is_stderr: true, is_last }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(part: Option<Part>, expected: Option<(bool, bool)>) {
        assert_eq!(part.map(|part| (part.is_stderr, part.is_last)), expected);
    }

    #[test]
    fn a_line_says_whether_it_is_the_last_piece() {
        check(cri_part(b"2016-10-06T00:17:09.669794202Z stdout P log content 1"), Some((false, false)));
        check(cri_part(b"2016-10-06T00:17:09.669794203Z stderr F"), Some((true, true)));
        check(cri_part(b"2016-10-06T00:17:09.669794203Z stderr P:x:y z"), Some((true, false)));
        check(cri_part(b"stdout P log"), None);
        check(cri_part(b"time stdout X log"), None);
        check(docker_part(br#"{"log":"a\n","stream":"stdout","time":"t"}"#), Some((false, true)));
        check(docker_part(br#"{"log":"a","stream":"stderr","time":"t"}"#), Some((true, false)));
        check(docker_part(br#"{"log":"a\\n","stream":"stderr","time":"t"}"#), Some((true, false)));
        check(docker_part(br#"{"log":"a\\\n","stream":"stderr","attrs":{},"time":"t"}"#), Some((true, true)));
        check(docker_part(br#"{"log":"\",\"stream\":\"x\n","stream":"stdout"}"#), Some((false, true)));
        check(docker_part(b"plain"), None);
    }
}
