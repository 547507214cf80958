use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn decode(toml: &str, line: &str) -> Result<Vec<OwnedMessage>, String> {
    DecoderTest::<CsvDecoder>::open(toml)?.decode(line.as_bytes())
}

fn check(toml: &str, line: &str, expected: &[(&str, Value<'_>)]) {
    let messages = decode(toml, line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
    let view = messages[0].view();
    let found: Vec<(String, Value<'_>)> = view
        .fields()
        .map(|field| (String::from_utf8_lossy(field.name()).into_owned(), field.value(0).unwrap()))
        .collect();
    let expected: Vec<(String, Value<'_>)> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(found, expected, "{line}");
}

const ABC: &str = "columns = ['a', 'b', 'c']\n";

#[test]
fn values_have_the_names_of_their_columns() {
    let text = |text: &'static str| Value::String(text.as_bytes());
    check(ABC, "1,x y,", &[("a", text("1")), ("b", text("x y"))]);
    check(
        ABC,
        "\"1,2\",\"say \"\"hi\"\"\",\"\"\r",
        &[("a", text("1,2")), ("b", text("say \"hi\"")), ("c", text(""))],
    );
    check(
        "columns = ['a', '', 'c']\ntypes = { a = 'integer', c = 'double' }",
        "1,2,0.5",
        &[("a", Value::Integer(1)), ("c", Value::Double(0.5))],
    );
    check(
        "columns = ['a', 'b', 'c']\ndelimiter = \"\\t\"\nabsent = ['-']",
        "1\t-\t",
        &[("a", text("1")), ("c", text(""))],
    );
    check(
        "columns = ['a', 'b', 'c']\ntrim = true\ndelimiter = ';'",
        " 1 ; \"2 \" ;3",
        &[("a", text("1")), ("b", text("2 ")), ("c", text("3"))],
    );
    check(
        "columns = ['a', 'b', 'c']\nescape = '\\'",
        "x\\,y,\"say \\\"hi\\\"\",\\",
        &[("a", text("x,y")), ("b", text("say \"hi\"")), ("c", text(""))][..2],
    );
    check(
        "columns = ['a', 'b', 'c']\nquote = ''",
        "\"1,\"2,3\"",
        &[("a", text("\"1")), ("b", text("\"2")), ("c", text("3\""))],
    );
    check(
        "columns = ['a', 'b', 'c']\nstrict = false",
        "1,2,3,4",
        &[("a", text("1")), ("b", text("2")), ("c", text("3"))],
    );
    check("columns = ['a', 'b', 'c']\nstrict = false", "1", &[("a", text("1"))]);
}

#[test]
fn columns_set_the_header() {
    let toml = "columns = ['at', 'severity', 'hostname', 'payload', 'pid']\ntimestamp_column = 'at'\nseverity_map = { BAD = 1 }";
    let messages = decode(toml, "2024-02-29 12:00:00,BAD,web1,\"it, broke\",7").unwrap();
    let view = messages[0].view();
    assert_eq!((view.timestamp(), view.severity(), view.pid()), (1_709_208_000_000_000_000, 1, 7));
    assert_eq!((view.hostname(), view.payload(), view.fields().len()), (&b"web1"[..], &b"it, broke"[..], 0));
}

#[test]
fn headers_and_comments_are_skipped_wherever_they_come() {
    let mut decoder = DecoderTest::<CsvDecoder>::open("columns = ['a', 'b']\ncomment = '#'").unwrap();
    for (line, count) in [("a,b", 0), ("1,2", 1), ("\"a\",\"b\"\r", 0), ("# x", 0), ("b,a", 1)] {
        assert_eq!(decoder.decode(line.as_bytes()).unwrap().len(), count, "{line}");
    }
    assert_eq!(decode("columns = ['a', 'b']\nskip_header = false", "a,b").unwrap().len(), 1);
}

#[test]
fn what_does_not_fit_says_why() {
    let check =
        |toml: &str, line: &str, reason: &str| assert_eq!(decode(toml, line).unwrap_err(), reason, "{line}");
    check(ABC, "1,2", "2 values for 3 columns");
    check(ABC, "", "1 values for 3 columns");
    check(ABC, "1,2,3,4", "4 values for 3 columns");
    check(
        ABC,
        "1,\"2",
        "no `\"` closes the value that begins at column 3; values with newlines need a splitter that keeps them together: `\"2`",
    );
    check(ABC, "1,\"2\"x,3", "text behind the closing quote at column 5: `x,3`");
    check("columns = ['a']\ntypes = { a = 'integer' }", "x", "column `a` is not an integer: `x`");
}

#[test]
fn bad_options_are_faults() {
    let faults = DecoderTest::<CsvDecoder>::faults(
        "columns = ['a']\ndelimiter = ''\nquote = 'ab'\nescape = 'é'\ntypes = { b = 'bool' }\ntimestamp_column = 'c'",
    );
    assert_eq!(
        faults,
        [
            "delimiter: `` is not one ASCII character",
            "quote: `ab` is not one ASCII character",
            "escape: `é` is not one ASCII character",
            "types.b: `columns` has no `b`; it has a",
            "timestamp_column: `columns` has no `c`; it has a",
        ]
    );
    let faults = DecoderTest::<CsvDecoder>::faults("columns = ['']\ndelimiter = ';'\nquote = ';'");
    assert_eq!(
        faults,
        [
            "columns: there is no name; write for example `[\"time\", \"host\", \"status\"]`",
            "quote: is the same as `delimiter`",
        ]
    );
}

proptest! {
    #[test]
    fn rows_are_those_of_another_implementation(values in proptest::collection::vec("[a,\"\\\\ é;]{0,6}", 1..6)) {
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(&values).unwrap();
        let written = writer.into_inner().unwrap();
        let line = written.strip_suffix(b"\n").unwrap();
        let mut rows = RowReader::new(b',', Some(b'"'), None, false);
        rows.read(line).unwrap();
        let found: Vec<&[u8]> = rows.cells().iter().map(|cell| rows.value(line, cell)).collect();
        let expected: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'"'), Just(b'\\'), Just(b' ')], 0..60)) {
        for more in ["", "strict = false\ntrim = true", "strict = false\nescape = '\\'", "quote = ''\nescape = '\\'\nstrict = false"] {
            let _ = DecoderTest::<CsvDecoder>::open(&format!("{ABC}{more}")).unwrap().decode(&line);
        }
    }
}
