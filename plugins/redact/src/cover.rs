//! What stands in a secret's place.

use heka_plugin_api::Template;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a keyed hash that are shown: equal ones of different secrets don't happen by chance.
const HASH_BYTES: usize = 8;

/// Where the name of what was found stands in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindPlace;

/// What stands in a secret's place.
pub enum Cover {
    /// A text with the kind's name.
    Text(Template<KindPlace>),
    /// A character for each of the secret's, but the last ones.
    Mask {
        /// How many of the last ones stay.
        keep_last: usize,
    },
    /// The kind's name and a keyed hash: the same for the same secret.
    Hash(Box<Hmac<Sha256>>),
}

/// Reads the text for secrets' places; `{kind}` is the only placeholder.
pub fn template(text: &str) -> Result<Template<KindPlace>, String> {
    let read = |inside: &str| match inside {
        "kind" => Ok(KindPlace),
        other => Err(format!("no placeholder `{other}`; known: kind")),
    };
    Template::parse(text, read).map_err(|error| error.to_string())
}

/// Makes a key for hashes.
pub fn hash_key(key: &str) -> Option<Box<Hmac<Sha256>>> {
    Hmac::new_from_slice(key.as_bytes()).ok().map(Box::new)
}

impl Cover {
    /// Appends what stands in the place of a secret.
    pub fn write(&self, kind: &str, secret: &[u8], out: &mut Vec<u8>) {
        match self {
            Cover::Text(template) => write_text(template, kind, out),
            Cover::Mask { keep_last } => write_mask(*keep_last, secret, out),
            Cover::Hash(key) => {
                let mut mac = key.clone();
                mac.update(secret);
                out.push(b'[');
                out.extend_from_slice(kind.as_bytes());
                out.push(b':');
                for byte in &mac.finalize().into_bytes()[..HASH_BYTES] {
                    out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
                }
                out.push(b']');
            }
        }
    }
}

fn write_text(template: &Template<KindPlace>, kind: &str, out: &mut Vec<u8>) {
    for piece in template.pieces() {
        out.extend_from_slice(match piece {
            heka_plugin_api::Piece::Literal(text) => text.as_bytes(),
            heka_plugin_api::Piece::Placeholder(KindPlace) => kind.as_bytes(),
        });
    }
}

/// Counts characters by the bytes that begin one.
fn write_mask(keep_last: usize, secret: &[u8], out: &mut Vec<u8>) {
    let begins = |byte: &u8| byte & 0xc0 != 0x80;
    let count = secret.iter().filter(|byte| begins(byte)).count();
    // A short secret would be shown as a whole.
    let hidden = if keep_last * 2 > count { count } else { count - keep_last };
    out.resize(out.len() + hidden, b'*');
    let mut starts = secret.iter().enumerate().filter(|(_, byte)| begins(byte)).skip(hidden);
    if let Some((start, _)) = starts.next() {
        out.extend_from_slice(&secret[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cover: &Cover, secret: &str, expected: &str) {
        let mut out = b"x".to_vec();
        cover.write("card", secret.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("x{expected}"));
    }

    #[test]
    fn secrets_are_covered() {
        check(&Cover::Text(template("<{kind}>").unwrap()), "4111", "<card>");
        check(&Cover::Text(template("").unwrap()), "4111", "");
        check(&Cover::Mask { keep_last: 0 }, "hünter", "******");
        check(&Cover::Mask { keep_last: 4 }, "4111111111111111", "************1111");
        check(&Cover::Mask { keep_last: 2 }, "hünté", "***té");
        check(&Cover::Mask { keep_last: 4 }, "abcdefg", "*******");
        check(&Cover::Mask { keep_last: 4 }, "", "");
    }

    #[test]
    fn hashes_are_keyed() {
        let cover = |key: &str| Cover::Hash(hash_key(key).unwrap());
        // From: printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe (RFC 4231, case 2).
        check(&cover("Jefe"), "what do ya want for nothing?", "[card:5bdcc146bf60754e]");
        let hash = |key: &str| {
            let mut out = Vec::new();
            cover(key).write("x", b"y", &mut out);
            out
        };
        assert!(hash("a") == hash("a") && hash("a") != hash("b"));
    }

    #[test]
    fn other_placeholders_are_refused() {
        assert_eq!(template("a {x}").unwrap_err(), "column 3: no placeholder `x`; known: kind");
    }
}
