//! Finds secrets in a text: all expressions as one automaton, which looks at each byte once where there is nothing.

use crate::kind::{Group, KINDS, Kind};
use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use std::collections::BTreeMap;
use std::ops::Range;

/// Most memory of the automaton, beside its cache.
const AUTOMATON_BYTES_MAX: usize = 16 << 20;
/// Most memory of its cache, which grows with what is read.
const CACHE_BYTES_MAX: usize = 4 << 20;

/// Where a secret is, and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub range: Range<usize>,
    /// Its number among the finder's names.
    pub name: usize,
}

/// A finder of one set of kinds.
pub struct Finder {
    regex: Regex,
    cache: Cache,
    slots: Vec<Option<NonMaxUsize>>,
    /// For each expression: its name's number, and the kind, unless it is the user's own.
    expressions: Vec<(usize, Option<&'static Kind>)>,
    names: Vec<String>,
}

/// Compiles expressions; says in one line what is wrong with them.
fn compile(patterns: &[&str]) -> Result<Regex, String> {
    let config = Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(AUTOMATON_BYTES_MAX))
        .hybrid_cache_capacity(CACHE_BYTES_MAX);
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    let built = Regex::builder().configure(config).syntax(syntax).build_many(patterns);
    built.map_err(|error| match error.syntax_error() {
        Some(error) => error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        None => error.to_string(),
    })
}

/// Says what is wrong with an expression of the user's.
pub fn check(pattern: &str) -> Result<(), String> {
    match compile(&[pattern])?.is_match("") {
        true => Err("must not accept an empty text".to_owned()),
        false => Ok(()),
    }
}

impl Finder {
    /// Makes a finder of groups of kinds and of the user's own expressions, by name; these count first.
    ///
    /// # Errors
    /// What is wrong with the expressions.
    pub fn new(groups: &[Group], own: &BTreeMap<String, String>) -> Result<Finder, String> {
        let kinds = || KINDS.iter().filter(|kind| groups.contains(&kind.group));
        let named = own.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str(), None));
        let named = named.chain(kinds().map(|kind| (kind.name, kind.pattern, Some(kind))));
        let (mut names, mut expressions, mut patterns) = (Vec::<String>::new(), Vec::new(), Vec::new());
        for (name, pattern, kind) in named {
            let number = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            expressions.push((number, kind));
            patterns.push(pattern);
        }
        let regex = compile(&patterns)?;
        let (cache, slots) = (regex.create_cache(), vec![None; regex.group_info().slot_len()]);
        Ok(Finder { regex, cache, slots, expressions, names })
    }

    /// Returns the names of what is looked for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the first secret that begins at or behind a place.
    pub fn find(&mut self, text: &[u8], mut from: usize) -> Option<Found> {
        while from <= text.len() {
            let input = Input::new(text).range(from..);
            let found = self.regex.search_with(&mut self.cache, &input)?;
            let (name, kind) = self.expressions[found.pattern().as_usize()];
            let range = self.secret(text, found.range(), found.pattern());
            if !range.is_empty() && kind.is_none_or(|kind| (kind.is_one)(text, range.clone())) {
                return Some(Found { range, name });
            }
            from = found.start() + 1;
        }
        None
    }

    /// The part of what was found that is to be hidden: its first group, if it has one.
    fn secret(
        &mut self,
        text: &[u8],
        found: Range<usize>,
        pattern: regex_automata::PatternID,
    ) -> Range<usize> {
        let Some((start, end)) = self.regex.group_info().slots(pattern, 1) else { return found };
        let input = Input::new(text).range(found.clone()).anchored(Anchored::Yes);
        self.regex.search_slots_with(&mut self.cache, &input, &mut self.slots);
        match (self.slots[start], self.slots[end]) {
            (Some(start), Some(end)) => start.get()..end.get(),
            _ => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Group; 5] =
        [Group::Cards, Group::Tokens, Group::Passwords, Group::Emails, Group::IpAddresses];

    fn all(own: &[(&str, &str)]) -> Finder {
        let own = own.iter().map(|(name, pattern)| ((*name).to_owned(), (*pattern).to_owned())).collect();
        Finder::new(&ALL, &own).unwrap()
    }

    fn found(finder: &mut Finder, text: &[u8]) -> Vec<(String, String)> {
        let (mut all, mut from) = (Vec::new(), 0);
        while let Some(found) = finder.find(text, from) {
            let secret = String::from_utf8_lossy(&text[found.range.clone()]).into_owned();
            all.push((finder.names()[found.name].clone(), secret));
            from = found.range.end;
        }
        all
    }

    fn check_found(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(name, secret)| (name.to_string(), secret.to_string())).collect();
        assert_eq!(found(&mut all(&[]), text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn secrets_are_found() {
        check_found("paid with 4111 1111 1111 1111.", &[("card", "4111 1111 1111 1111")]);
        check_found("card=5500000000000004&x=1", &[("card", "5500000000000004")]);
        check_found("amex 3400-000000-00009", &[("card", "3400-000000-00009")]);
        check_found("Authorization: Bearer abc.def", &[("authorization", "abc.def")]);
        check_found(r#"{"authorization":"Basic dXNlcjpwYXNz"}"#, &[("authorization", "dXNlcjpwYXNz")]);
        check_found("got bearer abcdefgh12== from x", &[("bearer", "abcdefgh12==")]);
        check_found("key AKIAIOSFODNN7EXAMPLE used", &[("aws_key", "AKIAIOSFODNN7EXAMPLE")]);
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123";
        check_found(&format!("cookie s={jwt};"), &[("jwt", jwt)]);
        check_found("postgres://app:s3cret@db/x", &[("url_password", "s3cret")]);
        check_found("user=a password=hunter2&x", &[("password", "hunter2")]);
        check_found(r#"{"db_password": "two words", "x": 1}"#, &[("password", "two words")]);
        check_found("aws_secret_access_key = abc/def", &[("password", "abc/def")]);
        check_found("mail from jo.doe+x@mail.example.org, sent", &[("email", "jo.doe+x@mail.example.org")]);
        check_found("peer 192.168.0.12:80", &[("ip", "192.168.0.12")]);
        check_found("peer [2001:db8::7]:80", &[("ip", "2001:db8::7")]);
        check_found("from ::ffff:10.0.0.1 to fe80::1", &[("ip", "::ffff:10.0.0.1"), ("ip", "fe80::1")]);
        check_found(
            "a@b.io 10.0.0.1 b@c.io",
            &[("email", "a@b.io"), ("ip", "10.0.0.1"), ("email", "b@c.io")],
        );
    }

    #[test]
    fn other_texts_are_left_alone() {
        let texts = [
            "",
            "order 4111111111111112 of 2024",
            "at 1700000000123456789 ns",
            "id 41111111111111111111111111",
            "1 2 3 4 5 6 7 8 9 10 11 12 13 14",
            "version 1.2.3.4.5 or 999.1.1.1",
            "at 12:34:56 in std::vec and a::b",
            "the bearer of news",
            "http://host:80/path@x",
            "the secretary has a token",
            "a@b @x x@ user@host",
            "uuid 0f8fad5b-d9cb-469f-a165-70867728950e",
        ];
        texts.iter().for_each(|text| check_found(text, &[]));
    }

    #[test]
    fn a_refused_number_hides_no_other_one() {
        check_found("4111111111111112 4111111111111111", &[("card", "4111111111111111")]);
    }

    #[test]
    fn own_expressions_hide_their_first_group() {
        let mut finder = all(&[("badge", r"badge (\d+)"), ("word", "quux"), ("email", "ME")]);
        let text = b"badge 17 quux \xff ME a@b.io";
        let names = found(&mut finder, text);
        let expected = [("badge", "17"), ("word", "quux"), ("email", "ME"), ("email", "a@b.io")];
        assert_eq!(names, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn bad_expressions_are_refused() {
        assert_eq!(check("a+"), Ok(()));
        assert_eq!(check("a*"), Err("must not accept an empty text".to_owned()));
        assert!(check("(a").unwrap_err().contains("unclosed group"), "{:?}", check("(a"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            found(&mut all(&[]), &text);
        }

        #[test]
        fn a_card_is_found_wherever_it_stands(before in "[a-z ,=:]{0,40}", after in "[ a-z,&;]{0,40}") {
            let text = format!("{before} 4111111111111111 {after}");
            let names = found(&mut all(&[]), text.as_bytes());
            prop_assert!(names.iter().any(|(_, secret)| secret == "4111111111111111"), "{text}: {names:?}");
        }
    }
}
