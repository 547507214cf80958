use super::*;
use proptest::prelude::*;

/// What a line holds, parts joined by `¦`.
fn shown(line: &str) -> String {
    let line = CefLine::parse(line.as_bytes()).unwrap();
    let header = line.header().map(unescape);
    let pairs = line.pairs().flat_map(|(key, value)| [Cow::Borrowed(key), unescape(value)]);
    let parts = [Cow::Borrowed(line.prefix)].into_iter().chain(header).chain(pairs);
    parts.map(|part| String::from_utf8_lossy(&part).into_owned()).collect::<Vec<_>>().join("¦")
}

#[test]
fn lines_are_cut() {
    let cases = [
        (
            "CEF:0|security|threatmanager|1.0|100|worm stopped|10|src=10.0.0.1 dst=2.1.2.2 spt=1232",
            "¦0¦security¦threatmanager¦1.0¦100¦worm stopped¦10¦src¦10.0.0.1¦dst¦2.1.2.2¦spt¦1232",
        ),
        ("Nov  2 09:26:37 vm CEF:0|a|b|c|d|e|5|", "Nov  2 09:26:37 vm ¦0¦a¦b¦c¦d¦e¦5"),
        ("CEF:0|a|b|c|d|e|5\r\n", "¦0¦a¦b¦c¦d¦e¦5"),
        (r"CEF:0|a\|b|c\\|d||x\=y\q|5|", r"¦0¦a|b¦c\¦d¦¦x=y\q¦5"),
        (
            r"CEF:0|a|b|c|d|e|5|msg=two words \= one request=/a?b=c&d=e act=blocked a | end",
            "¦0¦a¦b¦c¦d¦e¦5¦msg¦two words = one¦request¦/a?b=c&d=e¦act¦blocked a | end",
        ),
        (
            r"CEF:0|a|b|c|d|e|5|msg=one\ntwo\rthree\ path=C:\\dir\\",
            "¦0¦a¦b¦c¦d¦e¦5¦msg¦one\ntwo\rthree\\¦path¦C:\\dir\\",
        ),
        ("CEF:0|a|b|c|d|e\\\nf|5|a=1", "¦0¦a¦b¦c¦d¦e\nf¦5¦a¦1"),
        ("CEF:1|a|b|c|d|e|High|noise a= b=  c=x ", "¦1¦a¦b¦c¦d¦e¦High¦a¦¦b¦¦c¦x"),
        ("it was CEF: no, CEF:0|a|b|c|d|e|5|ad.field[0]=x", "it was CEF: no, ¦0¦a¦b¦c¦d¦e¦5¦ad.field[0]¦x"),
    ];
    for (line, expected) in cases {
        assert_eq!(shown(line), expected, "{line}");
    }
}

#[test]
fn what_is_no_line_says_why() {
    let check = |line: &str, why: &str| assert_eq!(CefLine::parse(line.as_bytes()), Err(why), "{line}");
    check("", "no `CEF:` with a version begins it");
    check("hello", "no `CEF:` with a version begins it");
    check("CEF:|a|b", "no `CEF:` with a version begins it");
    check("xCEF:0|a|b|c|d|e|f|", "no `CEF:` with a version begins it");
    check("CEF:0", "the header ends before its severity");
    check(r"CEF:0|a|b|c|d|e\|5", "the header ends before its severity");
}

#[test]
fn severities_are_numbers_or_words() {
    let check = |severity: &str, number: Option<u8>| {
        let line = format!("CEF:0|a|b|c|d|e|{severity}|");
        assert_eq!(CefLine::parse(line.as_bytes()).unwrap().severity(), number, "{severity}");
    };
    check("0", Some(0));
    check("10", Some(10));
    check("11", None);
    check("-1", None);
    check("very-High", Some(9));
    check("Low", Some(0));
    check("x", None);
}

/// Writes a text as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('|', r"\|")
        .replace('=', r"\=")
        .replace('\n', r"\n")
        .replace('\r', r"\r")
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, text in r"(CEF:0|[|\\= a\n]|key=){0,40}") {
        for line in [&bytes[..], text.as_bytes(), format!("CEF:0|a|b|c|d|e|1|{text}").as_bytes()] {
            if let Ok(line) = CefLine::parse(line) {
                let _ = line.pairs().map(|(key, value)| (key.len(), unescape(value).len())).max();
            }
        }
    }

    #[test]
    fn what_was_written_is_read(name in r"[a-z|=\\\n]{0,20}", values in prop::collection::vec(r"([a-z|=\\\n\r]([ a-z|=\\\n\r]{0,20}[a-z|=\\\n\r])?)?", 0..6)) {
        let pairs: Vec<String> =
            values.iter().enumerate().map(|(index, value)| format!("k{index}={}", escaped(value))).collect();
        let line = format!("CEF:0|v|p|1|s|{}|5|{}", escaped(&name), pairs.join(" "));
        let line = CefLine::parse(line.as_bytes()).unwrap();
        prop_assert_eq!(&*unescape(line.header()[5]), name.as_bytes());
        let read: Vec<Vec<u8>> = line.pairs().map(|(_, value)| unescape(value).into_owned()).collect();
        let expected: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        prop_assert_eq!(read, expected);
    }
}
