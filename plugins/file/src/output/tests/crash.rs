//! What is in the files after the process was killed: whole records, each once.

use super::*;
use std::io::Write;

/// An output whose process is killed and started again.
struct Crashing {
    case: Case,
    options: &'static str,
}

impl Crashing {
    fn new(options: &'static str) -> Crashing {
        let case = Case::new();
        fs::create_dir(case.root().join("state")).unwrap();
        Crashing { case, options }
    }

    fn open(&self) -> OutputTest<FileOutput> {
        let toml = self.options.replace("DIR", self.case.root().to_str().unwrap());
        let mut output = OutputTest::open_in(&self.case.root().join("state"), &toml).unwrap();
        output.start().unwrap();
        output
    }

    /// Ends an output as `kill -9` does: what its destruction writes never happened.
    fn kill(&self, output: OutputTest<FileOutput>) {
        let commits = self.case.root().join("state/commits");
        let kept = fs::read(&commits).unwrap();
        drop(output);
        fs::write(&commits, kept).unwrap();
    }

    /// Writes what a killed process had not committed.
    fn tear(&self, name: &str, text: &str) {
        let mut file = fs::File::options().append(true).open(self.case.root().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn read(&self, name: &str) -> String {
        self.case.read(name)
    }
}

/// Delivers records of a type each, with numbers from `first` on; returns how many were in the files already.
fn send_from(output: &mut OutputTest<FileOutput>, first: u64, records: &[(&str, &str)]) -> u64 {
    let before = output.host().counter("repeated");
    let messages: Vec<_> = records.iter().map(|(kind, bytes)| (of_type(kind), bytes.as_bytes())).collect();
    assert_eq!(output.deliver_from_queue(&messages, Some(first)), Ok(vec![]));
    output.host().counter("repeated") - before
}

const ONE: &str = "path = 'DIR/out.log'";
const MANY: &str = "path = 'DIR/{type}.log'\nopen_files_max = 2";

#[test]
fn what_was_torn_is_cut_off_and_only_what_was_not_committed_is_written_again() {
    let crashing = Crashing::new(ONE);
    fs::write(crashing.case.root().join("out.log"), "before\n").unwrap();
    let mut output = crashing.open();
    send_from(&mut output, 5, &[("a", "5\n"), ("a", "6\n")]);
    crashing.tear("out.log", "7\n8");
    crashing.kill(output);
    let mut output = crashing.open();
    assert_eq!(crashing.read("out.log"), "before\n5\n6\n");
    // The queue had not heard of the delivery of 6.
    assert_eq!(send_from(&mut output, 6, &[("a", "6\n"), ("a", "7\n"), ("a", "8\n")]), 1);
    assert_eq!(crashing.read("out.log"), "before\n5\n6\n7\n8\n");
}

#[test]
fn the_first_write_may_be_torn_too() {
    let crashing = Crashing::new(ONE);
    let output = crashing.open();
    crashing.tear("out.log", "half");
    crashing.kill(output);
    crashing.open();
    assert_eq!(crashing.read("out.log"), "");
}

#[test]
fn messages_from_memory_are_only_kept_whole() {
    let crashing = Crashing::new(ONE);
    let mut output = crashing.open();
    send(&mut output, &[("a", "1\n")]).unwrap();
    crashing.tear("out.log", "2");
    crashing.kill(output);
    let mut output = crashing.open();
    send(&mut output, &[("a", "1\n"), ("a", "2\n")]).unwrap();
    assert_eq!(crashing.read("out.log"), "1\n1\n2\n");
}

#[test]
fn each_file_of_a_batch_knows_what_it_has() {
    let crashing = Crashing::new(MANY);
    let mut output = crashing.open();
    send_from(&mut output, 1, &[("a", "1\n"), ("b", "2\n"), ("c", "3\n"), ("a", "4\n")]);
    crashing.tear("a.log", "7");
    crashing.tear("b.log", "6\n");
    crashing.kill(output);
    let mut output = crashing.open();
    // `b` was closed before `a` was written to again: what it was given afterwards is nobody's to cut.
    let again =
        [("a", "1\n"), ("b", "2\n"), ("c", "3\n"), ("a", "4\n"), ("c", "5\n"), ("b", "6\n"), ("a", "7\n")];
    assert_eq!(send_from(&mut output, 1, &again), 4);
    assert_eq!(crashing.read("a.log"), "1\n4\n7\n");
    assert_eq!(crashing.read("b.log"), "2\n6\n6\n");
    assert_eq!(crashing.read("c.log"), "3\n5\n");
}

#[test]
fn a_file_closed_in_order_is_not_cut() {
    let crashing = Crashing::new(ONE);
    let mut output = crashing.open();
    send_from(&mut output, 1, &[("a", "1\n")]);
    drop(output);
    crashing.tear("out.log", "by hand\n");
    let mut output = crashing.open();
    assert_eq!(send_from(&mut output, 1, &[("a", "1\n"), ("a", "2\n")]), 1);
    assert_eq!(crashing.read("out.log"), "1\nby hand\n2\n");
}

#[test]
fn a_file_that_is_another_one_is_only_appended_to() {
    type Change = fn(&Path);
    let moved: Change = |path| {
        fs::rename(path, path.with_extension("1")).unwrap();
        fs::write(path, "other, and longer than it was\n").unwrap();
    };
    let rewritten: Change = |path| fs::write(path, "other, and longer than it was\n").unwrap();
    let cut: Change = |path| fs::write(path, "1\n").unwrap();
    let deleted: Change = |path| fs::remove_file(path).unwrap();
    for (change, found) in [
        (moved, "other, and longer than it was\n3\n"),
        (rewritten, "other, and longer than it was\n3\n"),
        (cut, "1\n3\n"),
        (deleted, "3\n"),
    ] {
        let crashing = Crashing::new(ONE);
        let mut output = crashing.open();
        send_from(&mut output, 1, &[("a", "1\n"), ("a", "2\n")]);
        crashing.kill(output);
        change(&crashing.case.root().join("out.log"));
        let mut output = crashing.open();
        assert_eq!(send_from(&mut output, 1, &[("a", "1\n"), ("a", "2\n"), ("a", "3\n")]), 2);
        assert_eq!(crashing.read("out.log"), found);
    }
}

#[test]
fn rotation_commits_first() {
    let crashing = Crashing::new("path = 'DIR/out.log'\nrotate_bytes = 4");
    let mut output = crashing.open();
    send_from(&mut output, 1, &[("a", "1\n"), ("a", "2\n"), ("a", "3\n")]);
    crashing.tear("out.log", "4");
    crashing.kill(output);
    let mut output = crashing.open();
    assert_eq!(send_from(&mut output, 1, &[("a", "1\n"), ("a", "2\n"), ("a", "3\n"), ("a", "4\n")]), 3);
    assert_eq!(crashing.case.rotated("out.log"), ["1\n2\n"]);
    assert_eq!(crashing.read("out.log"), "3\n4\n");
    // As after logrotate.
    fs::rename(crashing.case.root().join("out.log"), crashing.case.root().join("out.1")).unwrap();
    output.reopen().unwrap();
    crashing.kill(output);
    let mut output = crashing.open();
    assert_eq!(send_from(&mut output, 4, &[("a", "4\n"), ("a", "5\n")]), 1);
    assert_eq!((crashing.read("out.1"), crashing.read("out.log")), ("3\n4\n".to_owned(), "5\n".to_owned()));
}

#[test]
fn what_another_queue_gives_is_written() {
    let crashing = Crashing::new(ONE);
    let mut output = crashing.open();
    send_from(&mut output, 1, &[("a", "1\n")]);
    send(&mut output, &[("a", "memory\n")]).unwrap();
    crashing.kill(output);
    // The commit as it would be, had it come from another queue.
    let path = crashing.case.root().join("state/commits");
    let mut content = fs::read(&path).unwrap();
    for start in [256, 256 + 128] {
        content[start + 48..start + 64].fill(9);
        let sum = crc32c::crc32c(&content[start + 4..start + 128]);
        content[start..start + 4].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(&path, content).unwrap();
    let mut output = crashing.open();
    assert_eq!(send_from(&mut output, 1, &[("a", "1\n")]), 0);
    assert_eq!(crashing.read("out.log"), "1\nmemory\n1\n");
}

#[test]
fn a_sync_marks_what_survives_the_machine() {
    let crashing = Crashing::new(MANY);
    let mut output = crashing.open();
    send_from(&mut output, 1, &[("a", "1\n"), ("b", "2\n"), ("c", "3\n")]);
    output.sync().unwrap();
    send_from(&mut output, 4, &[("a", "4\n"), ("c", "5\n")]);
    crashing.kill(output);
    // The machine went down, and came up with more than was synced.
    let path = crashing.case.root().join("state/commits");
    let mut content = fs::read(&path).unwrap();
    for commit in content[256..].chunks_mut(128) {
        commit[64] ^= 1;
        let sum = crc32c::crc32c(&commit[4..]);
        commit[..4].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(&path, content).unwrap();
    let mut output = crashing.open();
    let again = [("a", "1\n"), ("b", "2\n"), ("c", "3\n"), ("a", "4\n"), ("c", "5\n")];
    send_from(&mut output, 1, &again);
    assert_eq!((crashing.read("a.log"), crashing.read("c.log")), ("1\n4\n".to_owned(), "3\n5\n".to_owned()));
}

#[test]
fn a_full_disk_tears_nothing_and_commits_what_is_whole() {
    // See `what_was_not_written_whole_is_taken_back`.
    let crashing = Crashing::new(ONE);
    if std::env::var_os("HEKA_FILE_LIMITED").is_none() {
        run_limited("output::tests::crash::a_full_disk_tears_nothing_and_commits_what_is_whole", 1);
        return;
    }
    let mut output = crashing.open();
    let record = format!("{}\n", "x".repeat(399));
    let messages: Vec<_> = (0..4).map(|_| (of_type("a"), record.as_bytes())).collect();
    for (first, len) in [(0, 4), (2, 2)] {
        let (completed, why) = output.deliver_from_queue(&messages[..len], Some(first)).unwrap_err();
        assert_eq!(completed, if first == 0 { 2 } else { 0 }, "{why}");
        assert_eq!(crashing.read("out.log"), record.repeat(2));
    }
    crashing.kill(output);
    fs::write(crashing.case.root().join("out.log"), record.repeat(2) + "x").unwrap();
    let mut output = crashing.open();
    let (completed, _) = output.deliver_from_queue(&messages, Some(0)).unwrap_err();
    assert_eq!((completed, crashing.read("out.log")), (2, record.repeat(2)));
}

#[test]
fn damaged_commits_are_moved_aside_and_files_appended_to() {
    let crashing = Crashing::new(ONE);
    let mut output = crashing.open();
    send_from(&mut output, 1, &[("a", "1\n")]);
    crashing.kill(output);
    let state = crashing.case.root().join("state");
    fs::write(state.join("commits"), [0; 512]).unwrap();
    let mut output = crashing.open();
    assert!(state.join("commits.bad").exists());
    assert_eq!(send_from(&mut output, 1, &[("a", "1\n")]), 0);
    assert_eq!(crashing.read("out.log"), "1\n1\n");
}

#[test]
fn a_successor_goes_on_in_the_same_file() {
    let crashing = Crashing::new(ONE);
    let mut old = crashing.open();
    send_from(&mut old, 1, &[("a", "1\n"), ("a", "2\n")]);
    let toml = format!("path = '{}/out.log'\nrotate_bytes = 100", crashing.case.root().display());
    let mut new = OutputTest::<FileOutput>::open_in(&crashing.case.root().join("state"), &toml).unwrap();
    new.start_after(&mut old).unwrap();
    drop(old);
    assert_eq!(send_from(&mut new, 2, &[("a", "2\n"), ("a", "3\n")]), 1);
    crashing.kill(new);
    let mut output = crashing.open();
    assert_eq!(send_from(&mut output, 2, &[("a", "2\n"), ("a", "3\n"), ("a", "4\n")]), 2);
    assert_eq!(crashing.read("out.log"), "1\n2\n3\n4\n");
}

#[test]
fn a_predecessor_goes_on_when_its_successor_can_not_start() {
    let crashing = Crashing::new(ONE);
    let mut old = crashing.open();
    send_from(&mut old, 1, &[("a", "1\n")]);
    let toml = format!("path = '{}'", crashing.case.root().display());
    let mut new = OutputTest::<FileOutput>::open_in(&crashing.case.root().join("state"), &toml).unwrap();
    new.start_after(&mut old).unwrap_err();
    drop(new);
    assert_eq!(send_from(&mut old, 1, &[("a", "1\n"), ("a", "2\n")]), 1);
    crashing.kill(old);
    assert_eq!(send_from(&mut crashing.open(), 2, &[("a", "2\n"), ("a", "3\n")]), 1);
    assert_eq!(crashing.read("out.log"), "1\n2\n3\n");
}
