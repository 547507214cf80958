//! Following files under a writer: every line arrives exactly once, whatever is done to the files.

use heka_tests::{Directory, Host, wait_until};
use std::collections::BTreeMap;
use std::fs;

const CONFIG: &str = "[inputs.logs]\nplugin = \"file\"\npaths = [\"logs/*.log\"]\nfrom = \"beginning\"\n\
     [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"file\"\npath = \"out\"\nencoder = \"payload\"\n";

/// Numbers the lines that a test writes.
#[derive(Default)]
struct Writer {
    written: usize,
}

impl Writer {
    fn write(&mut self, directory: &Directory, name: &str, lines: usize) {
        let text: String =
            (self.written..self.written + lines).map(|number| format!("line {number}\n")).collect();
        directory.append(format!("logs/{name}"), &text);
        self.written += lines;
    }
}

/// Runs a daemon that follows `logs/*.log`, and then `write`, which returns how many lines it wrote; expects each in
/// the output, once.
fn check(write: impl FnOnce(&Directory, &mut Writer)) {
    let directory = Directory::new();
    directory.write("logs/app.log", "");
    let host = Host::run(&directory, CONFIG);
    let mut writer = Writer::default();
    write(&directory, &mut writer);
    wait_for_lines(&directory, writer.written);
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    directory.lines("out").into_iter().for_each(|line| *times.entry(line).or_default() += 1);
    for number in 0..writer.written {
        assert_eq!(times.remove(&format!("line {number}")), Some(1), "line {number}");
    }
    assert!(times.is_empty(), "lines that nobody wrote: {times:?}");
}

fn wait_for_lines(directory: &Directory, count: usize) {
    wait_until(&format!("{count} lines arrive"), || directory.lines("out").len() >= count);
}

fn rename(directory: &Directory, from: &str, to: &str) {
    fs::rename(directory.join("logs").join(from), directory.join("logs").join(to)).unwrap();
}

#[test]
fn a_growing_file_is_followed() {
    check(|directory, writer| (0..200).for_each(|_| writer.write(directory, "app.log", 50)));
}

#[test]
fn a_file_that_is_renamed_under_its_writer_is_read_to_its_end() {
    check(|directory, writer| {
        for turn in 0..10 {
            writer.write(directory, "app.log", 1);
            // A file that came and went before anybody looked could not be read by anybody.
            wait_for_lines(directory, writer.written);
            writer.write(directory, "app.log", 200);
            rename(directory, "app.log", &format!("app.log.{turn}"));
            // The writer has not noticed yet.
            writer.write(directory, &format!("app.log.{turn}"), 100);
            directory.write("logs/app.log", "");
        }
    });
}

#[test]
fn a_file_that_is_renamed_within_the_pattern_is_read_once() {
    check(|directory, writer| {
        for turn in 0..10 {
            writer.write(directory, "app.log", 100);
            rename(directory, "app.log", &format!("app.{turn}.log"));
            writer.write(directory, "app.log", 100);
        }
    });
}

#[test]
fn a_file_that_is_copied_and_truncated_is_read_from_its_beginning() {
    check(|directory, writer| {
        for turn in 0..10 {
            writer.write(directory, "app.log", 150 - turn * 10);
            // What is written between the copy and the truncation is lost to everybody, so nothing is.
            wait_for_lines(directory, writer.written);
            fs::copy(directory.join("logs/app.log"), directory.join(format!("logs/app.log.{turn}"))).unwrap();
            fs::OpenOptions::new().write(true).truncate(true).open(directory.join("logs/app.log")).unwrap();
        }
        writer.write(directory, "app.log", 10);
    });
}

#[test]
fn new_files_are_found() {
    check(|directory, writer| {
        for turn in 0..100 {
            writer.write(directory, &format!("new{turn}.log"), 20);
        }
        for turn in 0..100 {
            writer.write(directory, &format!("new{turn}.log"), 5);
        }
    });
}

#[test]
fn many_files_grow_at_once() {
    check(|directory, writer| {
        for _ in 0..20 {
            for file in 0..300 {
                writer.write(directory, &format!("many{file}.log"), 2);
            }
        }
    });
}

#[test]
fn a_file_that_is_deleted_is_read_to_its_end() {
    check(|directory, writer| {
        writer.write(directory, "gone.log", 100);
        wait_for_lines(directory, writer.written);
        let path = directory.join("logs/gone.log");
        let mut open = fs::OpenOptions::new().append(true).open(&path).unwrap();
        fs::remove_file(path).unwrap();
        std::io::Write::write_all(&mut open, format!("line {}\n", writer.written).as_bytes()).unwrap();
        writer.written += 1;
    });
}

#[test]
fn a_file_that_was_renamed_while_nobody_looked_is_read_on() {
    let directory = Directory::new();
    let mut writer = Writer::default();
    directory.write("logs/app.log", "");
    writer.write(&directory, "app.log", 1000);
    let host = Host::run(&directory, CONFIG);
    wait_for_lines(&directory, 1000);
    assert_eq!(host.stop().status, Some(0));
    writer.write(&directory, "app.log", 500);
    rename(&directory, "app.log", "app.log.1");
    writer.write(&directory, "app.log", 300);
    let host = Host::run(&directory, CONFIG);
    wait_for_lines(&directory, 1800);
    assert_eq!(host.stop().status, Some(0));
    let mut numbers: Vec<usize> =
        directory.lines("out").iter().map(|line| line.trim_start_matches("line ").parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1800).collect::<Vec<_>>());
}
