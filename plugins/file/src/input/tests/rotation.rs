//! Rotation under the input's eyes.

use super::*;

/// Runs the steps with each way of learning of changes.
fn check(prepare: impl Fn(&Case), steps: impl Fn(&Case, &mut dyn FnMut(&[Step<'_>]))) {
    for way in WAYS {
        let case = Case::new();
        prepare(&case);
        steps(&case, &mut |steps| {
            case.run(way, steps);
        });
    }
}

fn one(case: &Case) {
    case.append("a.log", "one\n");
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_its_successor_from_the_beginning() {
    check(one, |case, run| {
        run(&[
            ("a.log=one|", &|| {
                let mut old = File::options().append(true).open(case.path("a.log")).unwrap();
                case.rename("a.log", "a.log.1");
                old.write_all(b"two\n").unwrap();
                case.append("a.log", "three\n");
                old.write_all(b"four").unwrap();
            }),
            ("a.log=one|two|four. a.log=three|", &nothing),
        ]);
    });
}

#[test]
fn a_file_renamed_to_a_name_that_is_matched_too_is_read_once() {
    check(one, |case, run| {
        run(&[
            ("a.log=one|", &|| {
                case.rename("a.log", "old.log");
                case.append("a.log", "two\n");
            }),
            ("a.log=one| a.log=two|", &|| case.append("old.log", "three\n")),
            ("a.log=one|three| a.log=two|", &|| case.append("a.log", "four\n")),
            ("a.log=one|three| a.log=two|four|", &nothing),
        ]);
    });
}

#[test]
fn a_file_moved_over_another_replaces_it() {
    check(one, |case, run| {
        run(&[
            ("a.log=one|", &|| {
                case.append("new", "two\n");
                case.rename("new", "a.log");
            }),
            ("a.log=one|. a.log=two|", &nothing),
        ]);
    });
}

#[test]
fn a_truncated_file_is_another_stream() {
    check(
        |case| case.append("a.log", "one\nlast"),
        |case, run| {
            run(&[
                ("a.log=one|last", &|| case.rewrite("a.log", "")),
                ("a.log=one|last.", &|| case.append("a.log", "two\n")),
                ("a.log=one|last. a.log=two|", &nothing),
            ]);
        },
    );
}

#[test]
fn a_rewritten_file_is_another_stream_whatever_its_size() {
    for (content, found) in [("2\n", "2|"), ("two\n", "two|"), ("three\nfour\n", "three|four|")] {
        check(one, |case, run| {
            run(&[
                ("a.log=one|", &|| case.rewrite("a.log", content)),
                (&format!("a.log=one|. a.log={found}"), &nothing),
            ]);
        });
    }
}

#[test]
fn a_truncated_file_has_a_new_id() {
    let case = Case::new();
    one(&case);
    let streams =
        case.run("", &[("a.log=one|", &|| case.rewrite("a.log", "2\n")), ("a.log=one|. a.log=2|", &nothing)]);
    assert_ne!(streams[0].id, streams[1].id);
    assert_eq!((streams[0].start, streams[1].start), (0, 0));
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    check(one, |case, run| {
        run(&[
            ("a.log=one|", &|| {
                let mut old = File::options().append(true).open(case.path("a.log")).unwrap();
                fs::remove_file(case.path("a.log")).unwrap();
                old.write_all(b"two").unwrap();
            }),
            ("a.log=one|two.", &|| case.append("a.log", "three\n")),
            ("a.log=one|two. a.log=three|", &nothing),
        ]);
    });
}

#[test]
fn an_empty_file_may_be_deleted_while_open() {
    check(
        |case| case.append("a.log", ""),
        |case, run| {
            run(&[
                ("", &|| {
                    fs::remove_file(case.path("a.log")).unwrap();
                    case.append("a.log", "one\n");
                }),
                ("a.log=one|", &nothing),
            ]);
        },
    );
}

#[test]
fn a_symlink_that_is_swapped_is_a_rotation() {
    let link = |case: &Case, to: &str| {
        std::os::unix::fs::symlink(case.path(to), case.path("new")).unwrap();
        case.rename("new", "a.log");
    };
    check(
        |case| {
            case.append("1", "one\n");
            link(case, "1");
        },
        |case, run| {
            run(&[
                ("a.log=one|", &|| case.append("1", "two\n")),
                ("a.log=one|two|", &|| {
                    case.append("2", "three\n");
                    link(case, "2");
                }),
                // It takes the look at everything to see that the old file is no longer led to.
                ("a.log=one|two|. a.log=three|", &nothing),
            ]);
        },
    );
}

#[test]
fn a_file_renamed_while_it_is_read_is_read_whole() {
    let case = Case::new();
    let big: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    case.append("a.log", &big);
    let mut renamed = false;
    let mut input = case.open("read_bytes = '16 KiB'");
    let found = input.read_until(|streams, _, _| {
        if !renamed {
            renamed = true;
            assert!(streams[0].bytes.len() < big.len());
            case.rename("a.log", "a.log.1");
            case.append("a.log", "new\n");
        }
        streams.len() == 2 && streams[0].closed.is_some()
    });
    let (streams, _) = found.unwrap();
    assert!(streams[0].bytes == big.as_bytes());
    assert_eq!(streams[1].bytes, b"new\n");
}

#[test]
fn many_rotations_lose_and_repeat_nothing() {
    let case = Case::new();
    let rounds = 30;
    let mut input = case.open("rotated_wait = '20 ms'");
    let mut round = 0;
    let found = input.read_until(|streams, _, _| {
        let seen: usize = streams.iter().map(|stream| stream.bytes.len()).sum();
        if seen == round * 7 && round < rounds {
            case.append("a.log", &format!("line{:02}\n", round));
            if round % 3 == 2 {
                case.rename("a.log", &format!("a.{round}"));
            }
            round += 1;
            return false;
        }
        seen >= rounds * 7
    });
    let (streams, _) = found.unwrap();
    let all: Vec<u8> = streams.iter().flat_map(|stream| stream.bytes.clone()).collect();
    let expected: String = (0..rounds).map(|round| format!("line{round:02}\n")).collect();
    assert_eq!(String::from_utf8(all).unwrap(), expected);
    assert_eq!(streams.len(), 10);
}
