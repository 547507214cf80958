//! Whatever is done to followed files while the daemon is down, after a clean stop or after `kill -9`: no line is lost,
//! none comes twice after a clean stop, and one that comes twice after a kill has the same UUID.

use heka_tests::{Directory, Ended, Host, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;

/// How the daemon ends, between the two halves of each test.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Stop,
    Kill,
}

/// A writer of numbered lines, and a daemon that reads them.
struct Case {
    directory: Directory,
    paths: &'static str,
    host: Option<Host>,
    end: End,
    written: usize,
    /// Whether the daemon forgets which streams it has read.
    forgets: bool,
}

impl Case {
    fn new(end: End, paths: &'static str) -> Case {
        let directory = Directory::new();
        fs::create_dir(directory.join("logs")).unwrap();
        Case { directory, paths, host: None, end, written: 0, forgets: false }
    }

    fn config(&self) -> String {
        format!(
            "[inputs.logs]\nplugin = \"file\"\npaths = [{}]\nfrom = \"beginning\"\nrescan_interval = \"200 ms\"\n\
             rotated_wait = \"500 ms\"\n[chains.default]\noutputs = [\"out\"]\n\
             [outputs.out]\nplugin = \"file\"\npath = \"out\"\nencoder = \"json\"\n",
            self.paths
        )
    }

    fn start(&mut self) {
        self.host = Some(Host::run(&self.directory, &self.config()));
    }

    fn end(&mut self) {
        let Some(host) = self.host.take() else { return };
        match self.end {
            End::Stop => assert_eq!(host.stop().status, Some(0)),
            End::Kill => {
                host.signal("KILL");
                assert_eq!(host.wait().status, None);
            }
        }
    }

    /// Ends the daemon, does something, and starts it again.
    fn restart(&mut self, meanwhile: impl FnOnce(&mut Case)) {
        self.end();
        meanwhile(self);
        self.start();
    }

    /// Returns the next lines.
    fn lines(&mut self, count: usize) -> String {
        let from = self.written;
        self.written += count;
        (from..self.written).map(|number| format!("line {number:07}\n")).collect()
    }

    fn write(&mut self, name: &str, count: usize) {
        let lines = self.lines(count);
        self.append(name, &lines);
    }

    fn append(&self, name: &str, text: &str) {
        self.directory.append(format!("logs/{name}"), text);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.join("logs").join(name)
    }

    /// Waits until all lines written so far are in the output.
    fn wait(&self) {
        let count = self.written;
        wait_until(&format!("{count} lines arrive"), || {
            self.directory.lines("out").len() >= count && self.received().len() >= count
        });
    }

    /// Waits until a line is in the output: a file that came and went before anybody looked could not be read by anybody.
    fn wait_for_line(&self, number: usize) {
        let line = format!("line {number:07}");
        wait_until(&format!("{line} arrives"), || self.directory.read("out").contains(&line));
    }

    /// UUIDs of each payload, as often as it came.
    fn received(&self) -> BTreeMap<String, Vec<String>> {
        let text = self.directory.read("out");
        let mut received: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // The last record may be half written now.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let message: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("a torn record: {error}: {line}"));
            let [payload, uuid] = ["payload", "uuid"].map(|key| message[key].as_str().unwrap().to_owned());
            received.entry(payload).or_default().push(uuid);
        }
        received
    }

    /// Ends the test: each line must be there.
    fn finish(mut self) {
        self.wait();
        let ended: Ended = self.host.take().unwrap().stop();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(self.directory.read("out").ends_with('\n'), "the last record is torn");
        let mut received = self.received();
        let mut uuids = BTreeSet::new();
        for number in 0..self.written {
            let line = format!("line {number:07}");
            let Some(of_line) = received.remove(&line) else { panic!("{line} is lost: {}", ended.stderr) };
            let different: BTreeSet<&String> = of_line.iter().collect();
            assert!(self.forgets || different.len() == 1, "{line} came with different UUIDs: {of_line:?}");
            assert!(uuids.insert(of_line[0].clone()), "{line} has the UUID of another one");
            assert!(self.end == End::Kill || of_line.len() == 1, "{line} came {} times", of_line.len());
        }
        assert!(received.is_empty(), "lines that nobody wrote: {received:?}");
    }
}

/// Runs a test with both ends of the daemon.
fn check(paths: &'static str, test: impl Fn(&mut Case)) {
    for end in [End::Stop, End::Kill] {
        let mut case = Case::new(end, paths);
        test(&mut case);
        case.finish();
    }
}

const LOGS: &str = "\"logs/*.log\"";
const LOGS_AND_ROTATED: &str = "\"logs/*.log*\"";

#[test]
fn renamed_while_down_and_written_on_by_its_writer() {
    check(LOGS, |case| {
        case.write("app.log", 20_000);
        case.start();
        for turn in 0..2 {
            case.wait_for_line(case.written - 20_000);
            case.restart(|case| {
                case.write("app.log", 50);
                let rotated = format!("app.log.{turn}");
                case.rename("app.log", &rotated);
                case.write(&rotated, 30);
                case.write("app.log", 40);
            });
            case.write("app.log", 20_000);
        }
    });
}

#[test]
fn renamed_within_the_patterns_while_down() {
    check(LOGS, |case| {
        case.write("app.log", 20_000);
        case.start();
        case.wait_for_line(0);
        case.restart(|case| {
            case.rename("app.log", "app.1.log");
            case.write("app.1.log", 30);
            case.write("app.log", 40);
        });
        case.write("app.log", 20);
    });
}

#[test]
fn renamed_while_up_and_killed_before_it_is_read() {
    check(LOGS, |case| {
        case.write("app.log", 1);
        case.start();
        // A file that came and went before anybody looked could not be read by anybody.
        case.wait();
        for turn in 0..3 {
            case.write("app.log", 20_000);
            case.rename("app.log", &format!("app.log.{turn}"));
            case.write(&format!("app.log.{turn}"), 10);
            case.write("app.log", 10);
            case.restart(|_| {});
            case.wait();
        }
    });
}

#[test]
fn copied_and_truncated_while_down() {
    check(LOGS, |case| {
        case.write("app.log", 20_000);
        case.start();
        for turn in 0..2 {
            case.wait_for_line(case.written - 20);
            case.restart(|case| {
                case.write("app.log", 50);
                fs::copy(case.path("app.log"), case.path(&format!("app.log.{turn}"))).unwrap();
                File::create(case.path("app.log")).unwrap();
                case.write("app.log", 40);
            });
            case.write("app.log", 20);
        }
    });
}

#[test]
fn truncated_and_rewritten_while_down() {
    for count in [30, 100, 300] {
        check(LOGS, |case| {
            case.write("app.log", 100);
            case.start();
            // What was cut off before it was read is lost to everybody.
            case.wait();
            case.restart(|case| {
                let lines = case.lines(count);
                fs::write(case.path("app.log"), lines).unwrap();
            });
            case.write("app.log", 20);
        });
    }
}

#[test]
fn truncated_and_rewritten_while_up() {
    for count in [30, 100, 300] {
        check(LOGS, |case| {
            case.write("app.log", 100);
            case.start();
            case.wait();
            let lines = case.lines(count);
            fs::write(case.path("app.log"), lines).unwrap();
            case.restart(|_| {});
            case.write("app.log", 20);
        });
    }
}

#[test]
fn deleted_and_its_inode_used_again() {
    for count in [1, 100, 300] {
        check(LOGS, |case| {
            case.write("app.log", 100);
            case.start();
            case.wait();
            case.restart(|case| {
                fs::remove_file(case.path("app.log")).unwrap();
                case.write("app.log", count);
            });
            case.write("app.log", 20);
        });
    }
}

#[test]
fn small_files_that_begin_alike_use_one_inode_after_another() {
    for end in [End::Stop, End::Kill] {
        let mut case = Case::new(end, LOGS);
        let rounds = 5;
        for round in 0..rounds {
            case.append("app.log", "# the same first line\n");
            case.start();
            case.write("app.log", 2);
            wait_until("this round's lines arrive", || {
                let first = format!("line {:07}", 2 * round);
                let headers = case.received().get("# the same first line").map_or(0, Vec::len);
                case.received().contains_key(&first)
                    && case.received().len() == case.written + 1
                    && headers > round
            });
            case.end();
            fs::remove_file(case.path("app.log")).unwrap();
        }
        case.append("app.log", "# the same first line\n");
        case.start();
        wait_until("the last header arrives", || {
            let received = case.received();
            let uuids: BTreeSet<&String> = received["# the same first line"].iter().collect();
            uuids.len() == rounds + 1
        });
        assert_eq!(case.received().len(), case.written + 1);
    }
}

#[test]
fn two_files_with_the_same_lines_are_both_read() {
    for end in [End::Stop, End::Kill] {
        let mut case = Case::new(end, LOGS);
        let lines = case.lines(1000);
        case.append("a.log", &lines);
        case.append("b.log", &lines);
        case.start();
        case.restart(|_| {});
        let is_there = |case: &Case| {
            let received = case.received();
            received.len() == 1000
                && received.values().all(|uuids| uuids.iter().collect::<BTreeSet<_>>().len() == 2)
        };
        wait_until("all lines arrive, each from both files", || is_there(&case));
        assert_eq!(case.host.take().unwrap().stop().status, Some(0));
        assert!(end == End::Kill || case.received().values().all(|uuids| uuids.len() == 2));
    }
}

#[test]
fn empty_files() {
    check(LOGS, |case| {
        case.append("app.log", "");
        case.start();
        case.restart(|case| case.write("app.log", 10));
        case.wait();
        case.restart(|case| {
            File::create(case.path("app.log")).unwrap();
        });
        case.restart(|case| {
            fs::remove_file(case.path("app.log")).unwrap();
            case.append("app.log", "");
        });
        case.write("app.log", 5);
    });
}

#[test]
fn a_last_line_without_newline() {
    check(LOGS, |case| {
        let lines = case.lines(101);
        let (first, second) = lines.split_at(lines.len() - 8);
        case.append("app.log", first);
        case.start();
        case.restart(|case| case.append("app.log", &second[..3]));
        case.restart(|case| case.append("app.log", &second[3..]));
        case.wait_for_line(0);
        let last = case.lines(1);
        case.append("app.log", last.trim_end());
        case.restart(|case| {
            case.rename("app.log", "app.log.1");
            case.write("app.log", 10);
        });
    });
}

#[test]
fn compressed_when_rotated() {
    for paths in [LOGS, LOGS_AND_ROTATED] {
        check(paths, |case| {
            let gzip = |case: &Case, name: &str| {
                assert!(Command::new("gzip").arg(case.path(name)).status().expect("run gzip").success());
            };
            case.write("app.log", 20_000);
            case.start();
            case.wait_for_line(0);
            // While it is down, before it is read.
            case.restart(|case| {
                case.write("app.log", 50);
                case.rename("app.log", "app.log.2");
                gzip(case, "app.log.2");
                case.write("app.log", 40);
            });
            case.wait();
            // While it is up, after it is read.
            case.rename("app.log", "app.log.1");
            case.write("app.log", 20);
            case.wait();
            gzip(case, "app.log.1");
            case.write("app.log", 20);
            case.wait();
            case.restart(|_| {});
            case.write("app.log", 20);
        });
    }
}

#[test]
fn compressed_files_are_read_once() {
    check("\"logs/*.gz\"", |case| {
        for name in ["a", "b", "c"] {
            case.write(name, 30_000);
            assert!(Command::new("gzip").arg(case.path(name)).status().expect("run gzip").success());
        }
        case.start();
        case.restart(|_| {});
        case.restart(|_| {});
    });
}

#[test]
fn deleted_while_open() {
    check(LOGS, |case| {
        case.write("app.log", 100);
        case.start();
        case.wait();
        let mut open = OpenOptions::new().append(true).open(case.path("app.log")).unwrap();
        fs::remove_file(case.path("app.log")).unwrap();
        let lines = case.lines(10);
        open.write_all(lines.as_bytes()).unwrap();
        case.wait();
        case.restart(|case| case.write("app.log", 20));
    });
}

#[test]
fn a_symlink_swapped_while_down() {
    check("\"logs/current/app.log\"", |case| {
        let swap = |case: &Case, to: &str| {
            symlink(to, case.path("new")).unwrap();
            case.rename("new", "current");
        };
        fs::create_dir(case.path("v1")).unwrap();
        fs::create_dir(case.path("v2")).unwrap();
        case.write("v1/app.log", 20_000);
        swap(case, "v1");
        case.start();
        case.wait_for_line(0);
        case.restart(|case| {
            case.write("v1/app.log", 50);
            case.write("v2/app.log", 40);
            swap(case, "v2");
        });
        case.write("v2/app.log", 20);
    });
}

#[test]
fn ten_thousand_files() {
    check(LOGS, |case| {
        let write = |case: &mut Case| (0..10_000).for_each(|file| case.write(&format!("{file}.log"), 1));
        write(case);
        case.start();
        wait_until("some arrive", || case.directory.lines("out").len() > 1000);
        case.restart(write);
        wait_until("more arrive", || case.directory.lines("out").len() > 12_000);
        case.restart(|case| {
            (0..5_000).for_each(|file| case.rename(&format!("{file}.log"), &format!("{file}.log.1")));
            (0..1_000).for_each(|file| case.write(&format!("{file}.log"), 1));
        });
    });
}

#[test]
fn positions_that_can_not_be_read_lose_nothing() {
    let zeros = vec![0; 3000];
    for content in [&zeros[..], b"", b"heka file positions 2\nfile 00", b"heka file positions 99\nnew\n"] {
        let mut case = Case { forgets: true, ..Case::new(End::Kill, LOGS) };
        case.write("app.log", 1000);
        case.start();
        case.wait();
        let positions = case.directory.join("state/inputs/logs/positions");
        wait_until("positions are saved", || positions.exists());
        case.restart(|case| {
            fs::write(&positions, content).unwrap();
            case.write("app.log", 10);
        });
        let told = case.host.as_ref().unwrap().stderr();
        assert!(told.contains("can't be used: "), "{told}");
        case.finish();
    }
}

#[test]
fn positions_that_can_not_be_written_stop_nothing() {
    let mut case = Case::new(End::Kill, LOGS);
    case.write("app.log", 1000);
    // A directory in its place can't be replaced, not even by root.
    fs::create_dir_all(case.directory.join("state/inputs/logs/positions/x")).unwrap();
    fs::create_dir_all(case.directory.join("state/inputs/logs/positions.bad/x")).unwrap();
    case.start();
    case.wait();
    let told = case.host.as_ref().unwrap().stderr();
    assert!(told.contains("failed to save the positions in"), "{told}");
    case.write("app.log", 10);
    case.finish();
}
