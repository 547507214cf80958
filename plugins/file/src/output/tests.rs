//! The output as its host sees it.

mod crash;

use super::file_output::FileOutput;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{OutputTest, message};
use std::fs;
use std::path::Path;

struct Case {
    directory: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        Case { directory: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Opens and starts an output; `DIR` in the options stands for the case's directory.
    fn output(&self, toml: &str) -> OutputTest<FileOutput> {
        let toml = toml.replace("DIR", self.root().to_str().unwrap());
        let mut output = OutputTest::open(&toml).unwrap();
        output.start().unwrap();
        output
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Returns the contents of the rotated files of a name, oldest first.
    fn rotated(&self, name: &str) -> Vec<String> {
        let names =
            fs::read_dir(self.root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|found| found.starts_with(&format!("{name}."))).collect();
        names.sort_by_key(|name| {
            let mut parts = name.rsplitn(3, '.');
            let number: u32 = parts.next().unwrap().parse().unwrap();
            (parts.next().unwrap().to_owned(), number)
        });
        names.iter().map(|name| self.read(name)).collect()
    }
}

fn of_type(kind: &str) -> OwnedMessage {
    message(|m| {
        m.message_type(kind).timestamp(1_700_000_000_000_000_000);
    })
}

fn send(
    output: &mut OutputTest<FileOutput>,
    records: &[(&str, &str)],
) -> Result<Vec<(u32, String)>, (u32, String)> {
    let messages: Vec<_> = records.iter().map(|(kind, bytes)| (of_type(kind), bytes.as_bytes())).collect();
    output.deliver(&messages)
}

/// Runs one test in a process whose files can't grow beyond some KiB.
fn run_limited(test: &str, kib: u32) {
    let myself = std::env::current_exe().unwrap();
    // The commits are smaller than the limit.
    let command =
        format!("trap '' XFSZ; ulimit -f {kib}; exec {} --exact --nocapture {test}", myself.display());
    let mut child = std::process::Command::new("bash");
    child.arg("-c").arg(command).env("HEKA_FILE_LIMITED", "1");
    let result = child.output().unwrap();
    let told = String::from_utf8_lossy(&result.stdout);
    assert!(
        result.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&result.stderr)
    );
}

#[test]
fn records_are_appended_to_what_is_there() {
    let case = Case::new();
    fs::write(case.root().join("out.log"), "old\n").unwrap();
    let mut output = case.output("path = 'DIR/out.log'");
    send(&mut output, &[("a", "one\n"), ("b", "two\n")]).unwrap();
    send(&mut output, &[("a", "three\n")]).unwrap();
    assert_eq!(case.read("out.log"), "old\none\ntwo\nthree\n");
    assert_eq!(output.host().counter("bytes"), 14);
}

#[test]
fn missing_directories_are_made_and_modes_kept() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new();
    case.output("path = 'DIR/a/b/out.log'\nmode = '0600'\ndirectory_mode = '0700'");
    let mode = |name: &str| fs::metadata(case.root().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a"), mode("a/b"), mode("a/b/out.log")), (0o700, 0o700, 0o600));
}

#[test]
fn without_an_encoder_the_payload_is_written_as_a_line() {
    let case = Case::new();
    let mut output = case.output("path = 'DIR/{type}.log'");
    let messages = ["a", "b"].map(|kind| {
        let message = message(|m| {
            m.message_type(kind).payload(format!("hello {kind}"));
        });
        (message, &b""[..])
    });
    output.deliver(&messages).unwrap();
    assert_eq!((case.read("a.log"), case.read("b.log")), ("hello a\n".to_owned(), "hello b\n".to_owned()));
}

#[test]
fn each_message_goes_to_the_file_of_its_path() {
    let case = Case::new();
    let mut output = case.output("path = 'DIR/%Y/{type}.log'\nopen_files_max = 2");
    let records =
        [("a", "1\n"), ("a", "2\n"), ("b", "3\n"), ("a", "4\n"), ("c", "5\n"), ("../../etc/passwd", "6\n")];
    assert_eq!(send(&mut output, &records), Ok(vec![]));
    assert_eq!(case.read("2023/a.log"), "1\n2\n4\n");
    assert_eq!(case.read("2023/b.log"), "3\n");
    assert_eq!(case.read("2023/c.log"), "5\n");
    assert_eq!(case.read("2023/.._.._etc_passwd.log"), "6\n");
    assert_eq!(output.host().counter("open_files"), 2);
}

#[test]
fn symlinks_below_the_base_are_refused_for_their_messages_only() {
    let case = Case::new();
    fs::create_dir_all(case.root().join("base")).unwrap();
    fs::create_dir_all(case.root().join("outside")).unwrap();
    std::os::unix::fs::symlink(case.root().join("outside"), case.root().join("base/evil")).unwrap();
    std::os::unix::fs::symlink(case.root().join("outside/file"), case.root().join("base/link")).unwrap();
    let mut output = case.output("path = 'DIR/base/{type}/{logger}x'");
    let refused =
        send(&mut output, &[("good", "1\n"), ("evil", "2\n"), ("evil", "3\n"), ("good", "4\n")]).unwrap();
    assert_eq!(refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2]);
    assert!(refused[0].1.starts_with("can't write to `"), "{}", refused[0].1);
    assert_eq!(case.read("base/good/_x"), "1\n4\n");
    let mut output = case.output("path = 'DIR/base/{type}'");
    assert_eq!(send(&mut output, &[("link", "1\n")]).unwrap().len(), 1);
    assert_eq!(fs::read_dir(case.root().join("outside")).unwrap().count(), 0);
}

#[test]
fn files_are_rotated_by_size_between_records_and_the_oldest_deleted() {
    let case = Case::new();
    let mut output = case.output("path = 'DIR/out.log'\nrotate_bytes = 8\nkeep = 2");
    send(&mut output, &[("a", "111\n"), ("a", "222\n"), ("a", "333\n"), ("a", "4444444444\n"), ("a", "5\n")])
        .unwrap();
    assert_eq!(case.rotated("out.log"), ["333\n", "4444444444\n"]);
    assert_eq!(case.read("out.log"), "5\n");
    send(&mut output, &[("a", "66666\n")]).unwrap();
    assert_eq!(case.read("out.log"), "5\n66666\n");
}

#[test]
fn files_are_rotated_by_time_on_whole_intervals() {
    let case = Case::new();
    let path = case.root().join("out.log");
    fs::write(&path, "old\n").unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    fs::File::options().write(true).open(&path).unwrap().set_modified(yesterday).unwrap();
    let mut output = case.output("path = 'DIR/out.log'\nrotate_interval = '1 d'");
    send(&mut output, &[("a", "new\n")]).unwrap();
    assert_eq!(case.rotated("out.log"), ["old\n"]);
    assert_eq!(case.read("out.log"), "new\n");
    output.tick().unwrap();
    assert_eq!(case.rotated("out.log").len(), 1);
    assert!(output.host().ticker_ns() > 0);
}

#[test]
fn a_full_disk_is_tried_again() {
    let mut output = OutputTest::<FileOutput>::open("path = '/dev/full'").unwrap();
    output.start().unwrap();
    let (completed, reason) = send(&mut output, &[("a", "one\n"), ("a", "two\n")]).unwrap_err();
    assert_eq!(completed, 0);
    assert_eq!(reason, "failed to write `/dev/full`: no space left on device");
}

#[test]
fn what_was_not_written_whole_is_taken_back() {
    let case = Case::new();
    let mut output = case.output("path = 'DIR/out.log'");
    send(&mut output, &[("a", "old\n")]).unwrap();
    // A limit on the size of files is what can be set without a disk of one's own; the limit is the process's, so
    // it is set in a child that runs this one test.
    if std::env::var_os("HEKA_FILE_LIMITED").is_none() {
        run_limited("output::tests::what_was_not_written_whole_is_taken_back", 1);
        return;
    }
    let record = format!("{}\n", "x".repeat(499));
    let (completed, reason) =
        send(&mut output, &[("a", &record), ("a", &record), ("a", &record)]).unwrap_err();
    assert_eq!((completed, reason.ends_with("file too large")), (2, true), "{reason}");
    assert_eq!(case.read("out.log"), format!("old\n{record}{record}"));
}

#[test]
fn synced_batches_are_complete() {
    let case = Case::new();
    let mut output = case.output("path = 'DIR/{type}.log'\nsync = 'batch'\nopen_files_max = 1");
    send(&mut output, &[("a", "1\n"), ("b", "2\n"), ("a", "3\n")]).unwrap();
    assert_eq!((case.read("a.log"), case.read("b.log")), ("1\n3\n".to_owned(), "2\n".to_owned()));
}

#[test]
fn reopening_goes_on_in_a_new_file() {
    let case = Case::new();
    let mut output = case.output("path = 'DIR/out.log'");
    send(&mut output, &[("a", "1\n")]).unwrap();
    fs::rename(case.root().join("out.log"), case.root().join("out.1")).unwrap();
    output.reopen().unwrap();
    send(&mut output, &[("a", "2\n")]).unwrap();
    assert_eq!((case.read("out.1"), case.read("out.log")), ("1\n".to_owned(), "2\n".to_owned()));
}

#[test]
fn a_file_moved_away_by_others_is_made_anew_within_a_second() {
    let case = Case::new();
    let mut output = case.output("path = 'DIR/out.log'");
    send(&mut output, &[("a", "1\n")]).unwrap();
    fs::rename(case.root().join("out.log"), case.root().join("out.1")).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !case.root().join("out.log").exists() {
        assert!(std::time::Instant::now() < deadline, "timed out");
        send(&mut output, &[("a", "2\n")]).unwrap();
        std::thread::yield_now();
    }
    assert_eq!(case.read("out.log"), "2\n");
}

#[test]
fn a_second_writer_is_kept_out() {
    let case = Case::new();
    let _first = case.output("path = 'DIR/out.log'");
    let toml = format!("path = '{}/out.log'", case.root().display());
    let mut second = OutputTest::<FileOutput>::open(&toml).unwrap();
    let path = case.root().join("out.log");
    let expected =
        format!("failed to lock `{}`: another output of this process writes to it", path.display());
    assert_eq!(second.start(), Err(expected));
}

#[test]
fn a_path_that_can_not_be_opened_is_told_at_the_start() {
    let case = Case::new();
    let toml = format!("path = '{}'", case.root().display());
    let mut output = OutputTest::<FileOutput>::open(&toml).unwrap();
    assert_eq!(output.start(), Err(format!("failed to open `{}`: is a directory", case.root().display())));
}

#[test]
fn faults_are_found_together() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(OutputTest::<FileOutput>::faults(toml), faults, "{toml}");
    check("path = '/a/b'", &[]);
    check(
        "path = '{type}'\nmode = '0888'\ndirectory_mode = ''\nrotate_bytes = 0\nopen_files_max = 0",
        &[
            "base_dir: needed, since `path` has no directory before its first placeholder",
            "mode: `0888` is no mode; write octal digits, for example \"0644\"",
            "directory_mode: `` is no mode; write octal digits, for example \"0644\"",
            "rotate_bytes: at least 1 B",
            "open_files_max: at least 1",
        ],
    );
    check("path = '/a'\nkeep = 3", &["keep: needs rotate_bytes or rotate_interval"]);
    check("path = '/a'\nrotate_interval = '1 ms'\nkeep = 1", &["rotate_interval: at least 1 s"]);
}
