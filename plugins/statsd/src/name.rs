//! Names as Graphite takes them: `name;tag=value;tag=value`, the tags in order.

/// Appends the name under which a metric is kept. It has no bytes that Graphite doesn't take: whitespace becomes `_`,
/// `/` becomes `-`, others are left out. `tags` are as a line has them: `env:prod,canary`.
pub fn write_name(name: &[u8], tags: &[u8], kept: &mut Vec<u8>) {
    write_clean(name, false, kept);
    if tags.is_empty() {
        return;
    }
    let mut pairs: Vec<&[u8]> = tags.split(|byte| *byte == b',').filter(|tag| !tag.is_empty()).collect();
    pairs.sort_unstable();
    pairs.dedup();
    for tag in pairs {
        let (key, value) = match memchr::memchr(b':', tag) {
            Some(colon) => (&tag[..colon], &tag[colon + 1..]),
            None => (tag, &b""[..]),
        };
        write_tag(key, value, kept);
    }
}

/// Appends one tag; one without value has `true`.
pub fn write_tag(key: &[u8], value: &[u8], kept: &mut Vec<u8>) {
    let start = kept.len();
    kept.push(b';');
    write_clean(key, true, kept);
    if kept.len() == start + 1 {
        kept.truncate(start);
        return;
    }
    kept.push(b'=');
    let value_start = kept.len();
    write_clean(value, true, kept);
    if kept.len() == value_start {
        kept.extend_from_slice(b"true");
    }
}

fn write_clean(text: &[u8], is_tag: bool, kept: &mut Vec<u8>) {
    let mut is_gap = false;
    for &byte in text {
        // As statsd has it: a run of whitespace is one `_`.
        if is_space(byte) {
            if !is_gap {
                kept.push(b'_');
            }
            is_gap = true;
            continue;
        }
        is_gap = false;
        match byte {
            b'/' => kept.push(b'-'),
            b';' if is_tag => kept.push(b'_'),
            b'_' | b'-' | b'.' | b';' | b'=' => kept.push(byte),
            _ if byte.is_ascii_alphanumeric() => kept.push(byte),
            _ => {}
        }
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Cuts a kept name into the name itself and its tags, each `key=value`.
pub fn split_tags(kept: &[u8]) -> (&[u8], impl Iterator<Item = (&[u8], &[u8])>) {
    let end = memchr::memchr(b';', kept).unwrap_or(kept.len());
    let tags = kept[end..].split(|byte| *byte == b';').filter(|tag| !tag.is_empty());
    let pairs = tags.map(|tag| match memchr::memchr(b'=', tag) {
        Some(at) => (&tag[..at], &tag[at + 1..]),
        None => (tag, &b""[..]),
    });
    (&kept[..end], pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(name: &[u8], tags: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        write_name(name, tags, &mut kept);
        kept
    }

    fn check(name: &str, tags: &str, expected: &str) {
        assert_eq!(String::from_utf8(kept(name.as_bytes(), tags.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn names_are_made_clean() {
        check("app.hits-x_9", "", "app.hits-x_9");
        check("a b \t c/d", "", "a_b_c-d");
        check("é(a)\0", "", "a");
        check("a;x=1", "", "a;x=1");
        check("é", "", "");
    }

    #[test]
    fn tags_stand_behind_the_name_in_order() {
        check("a", "x:1", "a;x=1");
        check("a", "y:2,x:1,y:2", "a;x=1;y=2");
        check("a", "canary", "a;canary=true");
        check("a", "url:http://x/y z", "a;url=http--x-y_z");
        check("a", ",:,é:1,x:é", "a;x=true");
        check("a", "x:1;2", "a;x=1_2");
    }

    #[test]
    fn kept_names_are_cut_again() {
        let (name, tags) = split_tags(b"a.b;x=1;y=2=3;z");
        assert_eq!(name, b"a.b");
        let tags: Vec<_> = tags.collect();
        assert_eq!(tags, [(&b"x"[..], &b"1"[..]), (b"y", b"2=3"), (b"z", b"")]);
    }

    proptest! {
        #[test]
        fn a_clean_name_stays_as_it_is(name in proptest::collection::vec(any::<u8>(), 0..40), tags in "([a-c:,;/ é])*") {
            let once = kept(&name, tags.as_bytes());
            prop_assert!(!once.iter().any(|byte| is_space(*byte) || *byte == b':'));
            prop_assert_eq!(kept(&once, b""), once);
        }
    }
}
