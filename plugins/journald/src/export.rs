//! The journal's export format: an entry is a sequence of fields, and ends at an empty line.
//!
//! A field is `NAME=value` and a line break; or `NAME`, a line break, the length of the value in eight bytes, least
//! significant first, the value, and a line break.
//!
//! Source: systemd, Journal Export Formats.

use memchr::memchr;

const LENGTH_BYTES: usize = 8;

/// One field: its name and value.
pub type Field<'e> = (&'e [u8], &'e [u8]);

/// What is at the front of some bytes.
#[derive(PartialEq, Eq, Debug)]
pub enum Item<'e> {
    /// A field, and the bytes that it takes.
    Field(Field<'e>, usize),
    /// The empty line behind an entry, and the bytes that it takes.
    End(usize),
    /// More has to come.
    Incomplete,
    /// No field.
    Broken,
}

/// Reads what is at the front of `bytes`; `ended` says that nothing follows, so that the last line break may be missing.
pub fn item(bytes: &[u8], ended: bool) -> Item<'_> {
    let Some(len) = memchr(b'\n', bytes) else {
        return match memchr(b'=', bytes) {
            Some(equals) if ended => Item::Field((&bytes[..equals], &bytes[equals + 1..]), bytes.len()),
            _ if ended => Item::Broken,
            _ => Item::Incomplete,
        };
    };
    let line = &bytes[..len];
    if line.is_empty() {
        return Item::End(1);
    }
    if let Some(equals) = memchr(b'=', line) {
        return match equals {
            0 => Item::Broken,
            _ => Item::Field((&line[..equals], &line[equals + 1..]), len + 1),
        };
    }
    let Some((length, value)) = bytes[len + 1..].split_first_chunk::<LENGTH_BYTES>() else {
        return if ended { Item::Broken } else { Item::Incomplete };
    };
    let length = u64::from_le_bytes(*length);
    match usize::try_from(length).ok().filter(|length| *length < 1 << 30) {
        None => Item::Broken,
        Some(length) if value.len() > length => match value[length] {
            b'\n' => Item::Field((line, &value[..length]), len + 1 + LENGTH_BYTES + length + 1),
            _ => Item::Broken,
        },
        Some(length) if ended && value.len() == length => Item::Field((line, value), bytes.len()),
        Some(_) if ended => Item::Broken,
        Some(_) => Item::Incomplete,
    }
}

/// Returns the length of the whole entry at the front of `bytes`, with its empty line; `None` if more has to come.
///
/// # Errors
/// If there is none.
pub fn entry_len(bytes: &[u8], from: &mut usize) -> Result<Option<usize>, &'static str> {
    loop {
        match item(&bytes[*from..], false) {
            Item::Field(_, len) => *from += len,
            Item::End(len) => return Ok(Some(std::mem::take(from) + len)),
            Item::Incomplete => return Ok(None),
            Item::Broken => return Err("no entry of the journal's export format"),
        }
    }
}

/// Goes over the fields of an entry, with or without its empty line.
pub fn fields(mut entry: &[u8]) -> impl Iterator<Item = Result<Field<'_>, &'static str>> {
    std::iter::from_fn(move || {
        if entry.is_empty() {
            return None;
        }
        match item(entry, true) {
            Item::Field(field, len) => {
                entry = &entry[len..];
                Some(Ok(field))
            }
            Item::End(_) => None,
            Item::Incomplete | Item::Broken => {
                entry = &[];
                Some(Err("no entry of the journal's export format"))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(name: &str, value: &[u8], as_binary: bool) -> Vec<u8> {
        match as_binary || value.contains(&b'\n') {
            false => [name.as_bytes(), b"=", value, b"\n"].concat(),
            true => [name.as_bytes(), b"\n", &(value.len() as u64).to_le_bytes(), value, b"\n"].concat(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            given in prop::collection::vec(("[A-Z_]{1,9}", prop::collection::vec(any::<u8>(), 0..20), any::<bool>()), 1..9),
            split in 0_usize..200,
        ) {
            let mut entry: Vec<u8> = given.iter().flat_map(|(name, value, binary)| written(name, value, *binary)).collect();
            let read: Vec<Field<'_>> = fields(&entry).collect::<Result<_, _>>().unwrap();
            let expected: Vec<Field<'_>> = given.iter().map(|(name, value, _)| (name.as_bytes(), &value[..])).collect();
            prop_assert_eq!(read, expected);
            entry.push(b'\n');
            let mut from = 0;
            let split = split.min(entry.len() - 1);
            prop_assert_eq!(entry_len(&entry[..split], &mut from), Ok(None));
            let two = entry.repeat(2);
            prop_assert_eq!(entry_len(&two, &mut from), Ok(Some(entry.len())));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = entry_len(&bytes, &mut 0);
            let _ = fields(&bytes).count();
        }
    }

    #[test]
    fn what_is_none_is_broken() {
        for broken in [
            &b"=x\n"[..],
            b"text\n\n",
            b"A\n\x01\0\0\0\0\0\0\0xy\n",
            b"A\n\xff\xff\xff\xff\xff\xff\xff\xff\n",
        ] {
            assert!(fields(broken).any(|field| field.is_err()), "{}", broken.escape_ascii());
        }
    }
}
