//! The input as its host sees it: growth, rotation, restarts.

mod compressed;
mod reload;
mod restarts;
mod rotation;

use super::file_input::FileInput;
use heka_plugin_api::Read;
use heka_plugin_api::testing::{InputTest, TestStream};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to do once the streams are as said.
type Step<'a> = (&'a str, &'a dyn Fn());

struct Case {
    directory: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("logs")).unwrap();
        fs::create_dir(directory.path().join("state")).unwrap();
        Case { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("logs").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = File::options().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Cuts a file and writes to it.
    fn rewrite(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn open(&self, options: &str) -> InputTest<FileInput> {
        let mut input = self.opened(options);
        input.start().unwrap();
        input
    }

    /// Opens an input whose host acknowledges at once what it has cut.
    fn opened(&self, options: &str) -> InputTest<FileInput> {
        let mut input =
            InputTest::open_in(&self.directory.path().join("state"), &self.options(options)).unwrap();
        input.acknowledge_all();
        input
    }

    fn options(&self, options: &str) -> String {
        let directory = self.directory.path().to_str().unwrap();
        let defaults =
            [("paths", "['DIR/logs/*.log']"), ("from", "'beginning'"), ("rotated_wait", "'100 ms'")];
        let mut toml = options.to_owned() + "\n";
        for (key, value) in defaults {
            if !options.contains(key) {
                toml += &format!("{key} = {value}\n");
            }
        }
        toml.replace("DIR", directory)
    }

    /// Runs an input through the steps; returns the streams, by name and then in the order of opening.
    fn run(&self, options: &str, steps: &[Step<'_>]) -> Vec<TestStream> {
        let mut input = self.open(options);
        self.steps(&mut input, steps)
    }

    fn steps(&self, input: &mut InputTest<FileInput>, steps: &[Step<'_>]) -> Vec<TestStream> {
        let mut left = steps.iter();
        let mut step = left.next();
        let mut found = String::new();
        let result = input.read_until(|streams, _, _| {
            found = shown(streams);
            if let Some((expected, act)) = step
                && found == *expected
            {
                act();
                step = left.next();
            }
            step.is_none()
        });
        match result {
            Ok((streams, _)) => streams,
            Err(_) => panic!("expected {:?}\n   found {found:?}", step.map(|step| step.0)),
        }
    }
}

/// Shows streams: `name=bytes`, with `.` behind those closed with a flush and `!` behind those closed without.
fn shown(streams: &[TestStream]) -> String {
    let mut sorted: Vec<&TestStream> = streams.iter().collect();
    sorted.sort_by_key(|stream| &stream.name);
    let shown = sorted.iter().map(|stream| {
        let name = Path::new(&stream.name).file_name().unwrap().to_string_lossy();
        let bytes = String::from_utf8_lossy(&stream.bytes).replace('\n', "|");
        let end = stream.closed.map_or("", |flushed| if flushed { "." } else { "!" });
        format!("{name}={bytes}{end}")
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Options that make each way of learning of changes quick.
const WAYS: [&str; 2] =
    ["watch = 'inotify'", "watch = 'poll'\npoll_interval = '20 ms'\nrescan_interval = '20 ms'"];

fn nothing() {}

#[test]
fn files_are_read_to_their_ends_and_then_the_input_ends() {
    let case = Case::new();
    case.append("a.log", "one\ntwo");
    case.append("b.log", "one\n");
    case.append("empty.log", "");
    case.append("other.txt", "x\n");
    let streams = case.run("follow = false", &[("a.log=one|two. b.log=one|.", &nothing)]);
    assert_eq!(streams[0].name, case.path("a.log").to_str().unwrap());
    assert_ne!(streams[0].id, streams[1].id);
}

#[test]
fn from_the_end_only_what_is_written_later_is_read() {
    for way in WAYS {
        let case = Case::new();
        case.append("a.log", "old\n");
        let mut input = case.open(&format!("{way}\nfrom = 'end'"));
        let mut is_first = true;
        let found = input.read_until(|streams, _, _| {
            if std::mem::take(&mut is_first) {
                case.append("a.log", "new\n");
                case.append("b.log", "later\n");
            }
            shown(streams) == "a.log=new| b.log=later|"
        });
        assert_eq!(found.unwrap().0.iter().map(|stream| stream.start).max(), Some(4));
    }
}

#[test]
fn growing_and_appearing_files_are_followed() {
    for way in WAYS {
        let case = Case::new();
        case.append("empty.log", "");
        case.append("a.log", "one\n");
        case.run(
            way,
            &[
                ("a.log=one|", &|| case.append("a.log", "tw")),
                ("a.log=one|tw", &|| case.append("a.log", "o\n")),
                ("a.log=one|two|", &|| case.append("b.log", "one\n")),
                ("a.log=one|two| b.log=one|", &|| case.append("empty.log", "x\n")),
                ("a.log=one|two| b.log=one| empty.log=x|", &nothing),
            ],
        );
    }
}

#[test]
fn files_in_directories_that_appear_later_are_found() {
    let case = Case::new();
    case.run(
        "paths = ['DIR/logs/new/*/*.log']",
        &[
            ("", &|| {
                fs::create_dir_all(case.path("new/deep")).unwrap();
                case.append("new/deep/a.log", "one\n");
            }),
            ("a.log=one|", &|| {
                fs::create_dir(case.path("new/more")).unwrap();
                case.append("new/more/b.log", "two\n");
            }),
            ("a.log=one| b.log=two|", &nothing),
        ],
    );
}

#[test]
fn excluded_compressed_and_irregular_files_are_left_out() {
    let case = Case::new();
    case.append("a.log", "one\n");
    case.append("skip.log", "x\n");
    fs::write(case.path("packed.log"), b"\x1f\x8b\x08\0\0\0").unwrap();
    fs::create_dir(case.path("directory.log")).unwrap();
    std::os::unix::fs::symlink(case.path("nowhere"), case.path("broken.log")).unwrap();
    fs::hard_link(case.path("a.log"), case.path("same.log")).unwrap();
    let streams = case.run("follow = false\nexclude = ['skip*']", &[("a.log=one|.", &nothing)]);
    assert_eq!(streams.len(), 1);
}

#[test]
fn a_file_without_permission_does_not_stop_the_others() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new();
    case.append("a.log", "secret\n");
    case.append("b.log", "one\n");
    let permit = |mode| fs::set_permissions(case.path("a.log"), fs::Permissions::from_mode(mode)).unwrap();
    permit(0);
    if File::open(case.path("a.log")).is_ok() {
        eprintln!(
            "SKIPPED a_file_without_permission_does_not_stop_the_others: runs as root, which may read anything"
        );
        return;
    }
    case.run(
        "rescan_interval = '50 ms'",
        &[("b.log=one|", &|| permit(0o600)), ("a.log=secret| b.log=one|", &nothing)],
    );
}

#[test]
fn a_thousand_files_are_followed_with_few_open() {
    let case = Case::new();
    let names: Vec<String> = (0..1000).map(|number| format!("{number:04}.log")).collect();
    names.iter().for_each(|name| case.append(name, "one\n"));
    let mut input = case.open("open_files_max = 50");
    let mut grown = false;
    let found = input.read_until(|streams, _, _| {
        let total: usize = streams.iter().map(|stream| stream.bytes.len()).sum();
        if total == 4000 && !grown {
            grown = true;
            names.iter().for_each(|name| case.append(name, "two\n"));
        }
        total == 8000
    });
    let (streams, _) = found.unwrap();
    assert_eq!(streams.len(), 1000);
    assert!(streams.iter().all(|stream| stream.bytes == b"one\ntwo\n"));
    assert_eq!((input.host().counter("files"), input.host().counter("bytes")), (1000, 8000));
    let open = fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 900, "{open} descriptors");
}

#[test]
fn a_big_file_does_not_keep_a_small_one_waiting() {
    let case = Case::new();
    let big: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    case.append("a.log", &big);
    case.append("b.log", "small\n");
    let mut input = case.open("follow = false\nread_bytes = '64 KiB'");
    let mut small_after = None;
    let found = input.read_until(|streams, _, read| {
        if streams.len() == 2 && small_after.is_none() {
            small_after = Some(streams[0].bytes.len());
        }
        read == Read::End
    });
    let (streams, _) = found.unwrap();
    assert!(streams[0].bytes == big.as_bytes());
    assert!(small_after.unwrap() < 1 << 20);
}

#[test]
fn a_raised_stop_ends_the_input() {
    let case = Case::new();
    case.append("a.log", "one\n");
    let mut input = case.open("");
    input.host().stop();
    assert!(input.read_until(|_, _, read| read == Read::End).unwrap().0.is_empty());
}

#[test]
fn faults_are_found_together() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(InputTest::<FileInput>::faults(toml), faults, "{toml}");
    check("paths = ['/var/log/*.log']", &[]);
    check("paths = []", &["paths: names no file; write for example [\"/var/log/*.log\"]"]);
    check(
        "paths = ['/a', '/b/']\nexclude = ['']\npoll_interval = 0\nread_bytes = 1\nopen_files_max = 0",
        &[
            "paths[1]: `/b/` names no file",
            "exclude[0]: `` names no file",
            "poll_interval: at least 10 ms",
            "read_bytes: from 512 B to 16 MiB",
            "open_files_max: at least 1",
        ],
    );
}
