//! The token that requests over TCP bring.

use heka_lib::config::{Token, TokenSource};
use std::fs::File;
use std::io::Read;
use subtle::ConstantTimeEq;

/// Longest token file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// Finds the token that the config names.
///
/// # Errors
/// If its file can't be read, or holds none.
pub(crate) fn token(source: &TokenSource) -> Result<Token, String> {
    let path = match source {
        TokenSource::Given(token) => return Ok(token.clone()),
        TokenSource::File(path) => path,
    };
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| {
        let cause = heka_plugin_api::cause(&error);
        format!("[heka]: `admin`: `token_file`: failed to read `{shown}`: {cause}")
    })?;
    let line = text.lines().next().unwrap_or_default().trim();
    Token::new(line).map_err(|why| format!("[heka]: `admin`: `token_file`: `{shown}`: {why}"))
}

/// Whether the value of an `Authorization` header is `Bearer` and the token; takes the same time for any wrong one.
pub(super) fn is_authorized(authorization: Option<&[u8]>, token: &Token) -> bool {
    const SCHEME: &[u8] = b"Bearer ";
    let Some((scheme, given)) = authorization.and_then(|value| value.split_at_checked(SCHEME.len())) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(SCHEME) && bool::from(given.trim_ascii().ct_eq(token.secret().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    #[test]
    fn only_the_whole_token_is_taken() {
        let token = Token::new(SECRET).unwrap();
        let check = |value: Option<&str>| is_authorized(value.map(str::as_bytes), &token);
        assert!(check(Some("Bearer 0123456789abcdef")) && check(Some("bearer  0123456789abcdef ")));
        for wrong in ["", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcde", SECRET] {
            assert!(!check(Some(wrong)), "{wrong}");
        }
        assert!(!check(Some("Basic  0123456789abcdef")) && !check(None));
    }

    #[test]
    fn a_file_holds_the_token_in_its_first_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let shown = path.display().to_string();
        let found = || token(&TokenSource::File(path.clone()));
        assert_eq!(
            found().unwrap_err(),
            format!("[heka]: `admin`: `token_file`: failed to read `{shown}`: no such file or directory")
        );
        std::fs::write(&path, format!("{SECRET}\nmore\n")).unwrap();
        assert_eq!(found(), Ok(Token::new(SECRET).unwrap()));
        std::fs::write(&path, "short\n").unwrap();
        let refused = found().unwrap_err();
        assert!(
            refused.starts_with(&format!("[heka]: `admin`: `token_file`: `{shown}`: a token has")),
            "{refused}"
        );
    }
}
