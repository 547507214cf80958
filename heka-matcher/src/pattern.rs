//! Compiles a regex: to a comparison where it is only a literal, to an automaton otherwise.

use super::ast::Spanned;
use super::bytes_test::BytesTest;
use super::error::MatcherError;
use super::number::Comparison;
use memchr::memmem::Finder;
use regex::bytes::RegexBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};

/// Most bytes that one compiled regex may take; what needs more (`\w{1000}`) is refused.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// Compiles `regex`, which is part of `text`.
pub(super) fn compile(text: &str, regex: &Spanned<String>) -> Result<BytesTest, MatcherError> {
    // The automaton would parse it too, but its error does not tell the place.
    let hir = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .build()
        .parse(&regex.value)
        .map_err(|error| syntax_error(text, regex, &error))?;
    match literal_test(&hir) {
        Some(test) => Ok(test),
        None => {
            RegexBuilder::new(&regex.value).size_limit(REGEX_BYTES_MAX).build().map(BytesTest::Regex).map_err(
                |_| {
                    let reason =
                        format!("regex takes more than {REGEX_BYTES_MAX} bytes compiled; repeat less in it");
                    MatcherError::new(text, regex.span.start, reason)
                },
            )
        }
    }
}

fn syntax_error(text: &str, regex: &Spanned<String>, error: &regex_syntax::Error) -> MatcherError {
    let (offset, reason) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span().start.offset, error.kind().to_string()),
        _ => (0, "does not parse".to_owned()),
    };
    MatcherError::new(text, regex.span.start + offset, format!("regex: {reason}"))
}

/// Makes the plain test that a regex such as `^GET `, `\.php$`, `timeout` or `^ok$` stands for.
fn literal_test(hir: &Hir) -> Option<BytesTest> {
    let hir = without_groups(hir);
    let mut parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    let at_start = take(&mut parts, <[Hir]>::split_first, |part| is_look(part, Look::Start));
    let at_end = take(&mut parts, <[Hir]>::split_last, |part| is_look(part, Look::End));
    // Where nothing is anchored, what may be empty at an edge changes nothing: `.*timeout.*`.
    while !at_start && !at_end && take(&mut parts, <[Hir]>::split_first, may_be_anything) {}
    while !at_start && !at_end && take(&mut parts, <[Hir]>::split_last, may_be_anything) {}
    let literal: Box<[u8]> = match parts {
        [] => Box::default(),
        [part] => match without_groups(part).kind() {
            HirKind::Literal(literal) => literal.0.clone(),
            HirKind::Empty => Box::default(),
            _ => return None,
        },
        _ => return None,
    };
    Some(match (at_start, at_end) {
        (true, true) => BytesTest::compare(Comparison::Equal, literal),
        (true, false) => BytesTest::Prefix(literal),
        (false, true) => BytesTest::Suffix(literal),
        (false, false) if literal.is_empty() => BytesTest::Prefix(literal),
        (false, false) => BytesTest::Contains(Box::new(Finder::new(&literal).into_owned())),
    })
}

/// Splits off the first or the last part.
type Split<'h> = fn(&'h [Hir]) -> Option<(&'h Hir, &'h [Hir])>;

/// Takes one part from an edge if it passes the test.
fn take<'h>(parts: &mut &'h [Hir], split: Split<'h>, test: impl Fn(&Hir) -> bool) -> bool {
    match split(parts) {
        Some((edge, rest)) if test(edge) => {
            *parts = rest;
            true
        }
        _ => false,
    }
}

fn without_groups(mut hir: &Hir) -> &Hir {
    while let HirKind::Capture(group) = hir.kind() {
        hir = &group.sub;
    }
    hir
}

fn is_look(hir: &Hir, look: Look) -> bool {
    matches!(without_groups(hir).kind(), HirKind::Look(found) if *found == look)
}

/// Tells whether the part, a repetition, matches the empty text everywhere.
fn may_be_anything(hir: &Hir) -> bool {
    matches!(without_groups(hir).kind(), HirKind::Repetition(repetition) if repetition.min == 0)
}

#[cfg(test)]
mod tests {
    use super::super::ast::Span;
    use super::*;

    fn compiled(pattern: &str) -> Result<BytesTest, MatcherError> {
        let span = Span { start: 0, end: pattern.len() };
        compile(pattern, &Spanned { value: pattern.to_owned(), span })
    }

    #[track_caller]
    fn check(pattern: &str, kind: &str) {
        let test = compiled(pattern).unwrap();
        let found = match &test {
            BytesTest::Equal(literal) => format!("= {}", literal.escape_ascii()),
            BytesTest::Prefix(literal) => format!("^ {}", literal.escape_ascii()),
            BytesTest::Suffix(literal) => format!("$ {}", literal.escape_ascii()),
            BytesTest::Contains(finder) => format!("~ {}", finder.needle().escape_ascii()),
            BytesTest::Regex(_) => "regex".to_owned(),
            _ => "another".to_owned(),
        };
        assert_eq!(found, kind, "{pattern}");
        // Whatever it became, it must decide as the automaton does.
        let regex = regex::bytes::Regex::new(pattern).unwrap();
        for text in ["", "timeout", "a timeout b", "x\ntimeout", "timeout\n", "GET /", "/a/b", "TimeOut", "ü"]
        {
            assert_eq!(test.holds(text.as_bytes()), regex.is_match(text.as_bytes()), "{pattern} on {text:?}");
        }
    }

    #[test]
    fn literals_need_no_automaton() {
        check("timeout", "~ timeout");
        check("(timeout)", "~ timeout");
        check("^timeout", "^ timeout");
        check("timeout$", "$ timeout");
        check("^timeout$", "= timeout");
        check(r"\Atimeout\z", "= timeout");
        check(".*timeout.*", "~ timeout");
        check(r"\/a\/b", "~ /a/b");
        check("^$", "= ");
        check("", "^ ");
        check(".*", "^ ");
        check("ü", "~ \\xc3\\xbc");
    }

    #[test]
    fn what_is_more_than_a_literal_keeps_its_automaton() {
        for pattern in
            ["^.*timeout", "timeout.*$", "(?i)timeout", "(?m)^timeout", "time|out", "t.meout", r"\btimeout"]
        {
            check(pattern, "regex");
        }
    }

    #[test]
    fn refused_regexes_tell_the_place() {
        let error = compiled(r"ab(c").unwrap_err();
        assert_eq!((error.offset(), error.message()), (2, "regex: unclosed group"));
        let error = compiled(r"\w{1000}").unwrap_err();
        assert!(error.message().contains("repeat less"), "{error}");
        assert!(compiled("((a{1000}){1000}){1000}").is_err());
    }
}
