//! What is kept over a restart.

use super::*;

/// Runs until the first streams are as said, changes files, runs again until the second are.
fn check(first: &str, change: impl Fn(&Case), second: &str) -> (Vec<TestStream>, Vec<TestStream>) {
    let case = Case::new();
    case.append("a.log", "one\ntwo\npart");
    let before = case.run("", &[(first, &nothing)]);
    change(&case);
    let after = case.run("", &[(second, &nothing)]);
    (before, after)
}

const FIRST: &str = "a.log=one|two|part";

#[test]
fn reading_goes_on_where_it_was_acknowledged_in_the_same_stream() {
    let (before, after) = check(FIRST, |case| case.append("a.log", "ial\n"), "a.log=partial|");
    assert_eq!((after[0].id, after[0].start), (before[0].id, 8));
}

#[test]
fn a_file_rotated_meanwhile_is_read_to_its_end() {
    let rotate = |case: &Case| {
        case.append("a.log", "ial\n");
        case.rename("a.log", "a.log.1");
        case.append("a.log", "new\n");
    };
    let (before, after) = check(FIRST, rotate, "a.log=partial|. a.log=new|");
    assert_eq!((after[0].id, after[0].start), (before[0].id, 8));
}

#[test]
fn a_file_rewritten_meanwhile_is_another_stream() {
    for content in ["2\n", "ONE\nTWO\nPART", "three\nfour\nfive\nsix\n"] {
        let found = format!("a.log={}", content.replace('\n', "|"));
        let (before, after) = check(FIRST, |case| case.rewrite("a.log", content), &found);
        assert_ne!(after[0].id, before[0].id);
    }
}

#[test]
fn a_file_deleted_and_made_anew_meanwhile_is_another_stream() {
    // The inode is often the same one.
    let replace = |case: &Case| {
        fs::remove_file(case.path("a.log")).unwrap();
        case.append("a.log", "three\nfour\nfive\nsix\n");
    };
    let (before, after) = check(FIRST, replace, "a.log=three|four|five|six|");
    assert_ne!(after[0].id, before[0].id);
}

#[test]
fn a_file_that_appeared_meanwhile_is_read_from_the_beginning() {
    let case = Case::new();
    case.append("a.log", "old\n");
    let end = "from = 'end'";
    case.open(end).read_until(|_, _, _| true).unwrap();
    case.append("a.log", "one\n");
    case.append("b.log", "two\n");
    case.run(end, &[("a.log=one| b.log=two|", &nothing)]);
    case.append("other", "old\n");
    let mut input = case.open("from = 'end'\npaths = ['DIR/logs/*.log', 'DIR/logs/other']");
    let mut is_first = true;
    let found = input.read_until(|streams, _, _| {
        if std::mem::take(&mut is_first) {
            case.append("other", "new\n");
        }
        shown(streams) == "other=new|"
    });
    found.unwrap();
}

#[test]
fn after_a_crash_lines_come_again_in_the_same_stream() {
    let case = Case::new();
    case.append("a.log", "one\ntwo\n");
    let mut input = case.open("");
    let before = case.steps(&mut input, &[("a.log=one|two|", &nothing)]);
    // Nothing is saved at the end of a crash.
    std::mem::forget(input);
    let after = case.run("", &[("a.log=one|two|", &nothing)]);
    assert_eq!((after[0].id, after[0].start), (before[0].id, 0));
}

#[test]
fn positions_are_saved_while_running() {
    let case = Case::new();
    case.append("a.log", "one\n");
    let mut input = case.open("");
    let positions = case.directory.path().join("state/positions");
    let found = input.read_until(|_, _, _| {
        let text = fs::read(&positions).unwrap_or_default();
        let kept = super::super::position_text::read(&text);
        kept.is_ok_and(|(_, streams)| streams.iter().any(|stream| stream.position == 4))
    });
    found.unwrap();
}

#[test]
fn garbage_in_the_positions_does_not_stop_the_input() {
    let case = Case::new();
    case.append("a.log", "one\n");
    fs::write(case.directory.path().join("state/positions"), b"\0garbage").unwrap();
    case.run("", &[("a.log=one|", &nothing)]);
    assert_eq!(fs::read(case.directory.path().join("state/positions.bad")).unwrap(), b"\0garbage");
}
