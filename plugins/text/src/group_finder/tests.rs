use super::*;
use proptest::prelude::*;

/// Expressions of every kind of step, and the letters that their lines are made of.
const PATTERNS: [(&str, &str); 26] = [
    (r"^(\S+) (\w+) \[([^\]]*)\]$", "[ab \\[\\]é]{0,12}"),
    (r"(a+)(b*)(c?)", "[abc]{0,8}"),
    (r"(a+?)(b*?)(c??)$", "[abc]{0,8}"),
    (r"^(.*?),(.*),(.*?)$", "[a,é\n]{0,10}"),
    (r"(\w+)=(\w*);?", "[a=; ]{0,10}"),
    (r"^(?:(a+)|(b)c|(bd*))(e?)", "[abcde]{0,6}"),
    (r"^(?:(ab)|(a))(?:(bc)|(c))$", "[abc]{0,4}"),
    (r"(a|ab)(c|bcd)(d*)$", "[abcd]{0,6}"),
    (r#""((?:[^"\\]|\\.)*)" (\d{1,3})"#, "[a\"\\\\ 1]{0,12}"),
    (r"(?:(x)y)?(x?)(z*)", "[xyz]{0,6}"),
    (r"(?:(x)y)??(x?)(.*)", "[xyz]{0,6}"),
    (r"^(\d{2,3})(\d)(.)", "[0-9a]{0,6}"),
    (r"(?<a>[ab]*?)(?:,)?(?<t>[ab]*,?[xy]*)$", "[abxy,]{0,8}"),
    (r"(?<a>[ab]*)(?:,(?<b>b+))?(?<t>[ab,]*)$", "[ab,]{0,8}"),
    (r"\b(\w+)\b ?(\w+)?", "[a é]{0,8}"),
    (r"(a*)(?:b|)(c)", "[abc]{0,6}"),
    (r"((a)|(b))+c", "[abc]{0,6}"),
    (r"^((?:1?[0-9]|2[0-4])(?:\.[0-9]+)?) (.+)", "[0-9. ]{0,8}"),
    (r"(é+)(.?)", "[éa]{0,6}"),
    (r"^(?:(a)(?:(b)|(c))?|(d))(.*)", "[abcd]{0,5}"),
    (r"([^,]{2,4}),(.{1,2})", "[aé,]{0,9}"),
    (r"(?m)^(a)$", "[a\n]{0,5}"),
    (r"(?i)(ab+) (c)", "[abcABC ]{0,8}"),
    (r"(.+)b(.+?)b", "[ab]{0,8}"),
    (r"(\S+?) (\S+) ?(\S*?)$", "[ab ]{0,9}"),
    (r"^(a?)(a?)(a?)(a+)$", "a{0,6}"),
];

fn spans(finder: &GroupFinder) -> Vec<Option<(usize, usize)>> {
    finder.spans.clone()
}

/// Checks that the first path, where it leads to the end, found what the `regex` crate finds; tells whether it did.
fn check(pattern: &str, is_unicode: bool, line: &[u8]) -> bool {
    let mut finder = GroupFinder::new(pattern, is_unicode).unwrap();
    let Some(path) = &mut finder.first_path else { return false };
    if !path.walk(line, &mut finder.spans) {
        return false;
    }
    let walked = spans(&finder);
    assert!(finder.find_slowly(line), "{pattern}: {:?} doesn't match", line.escape_ascii().to_string());
    assert_eq!(walked, spans(&finder), "{pattern}: {:?}", line.escape_ascii().to_string());
    true
}

#[test]
fn ordinary_lines_are_walked() {
    for (pattern, line) in [
        (r"^(\S+) (\w+) \[([^\]]*)\]$", "a b [c d]"),
        (r"^(.*?), (.*)$", "one, two, three"),
        (r#""(?:(\w+) (\S+)(?: HTTP/(\d+))?)" (?:(\d+)|-)"#, "\"GET / HTTP/1\" -"),
        (r#""(?:(\w+) (\S+)(?: HTTP/(\d+))?)" (?:(\d+)|-)"#, "\"GET /\" 5"),
        (r"(.*)=(.*)", "a=b=c"),
    ] {
        assert!(check(pattern, true, line.as_bytes()), "{pattern}: {line}");
        assert!(check(pattern, false, line.as_bytes()), "{pattern}: {line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_first_path_finds_what_the_expression_stands_for(
        (pattern, line) in (0..PATTERNS.len()).prop_flat_map(|at| (Just(PATTERNS[at].0), PATTERNS[at].1)),
        is_unicode: bool,
    ) {
        check(pattern, is_unicode, line.as_bytes());
    }

    #[test]
    fn invalid_text_is_no_trouble(
        at in 0..PATTERNS.len(),
        line in proptest::collection::vec(prop_oneof![Just(0x80u8), Just(0xc3), Just(0xa9), Just(b'a'), Just(b','), Just(b' '), Just(b'b')], 0..9),
        is_unicode: bool,
    ) {
        check(PATTERNS[at].0, is_unicode, &line);
    }
}
