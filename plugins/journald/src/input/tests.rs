//! The input with a real journal, made by systemd's own program, and with programs that do odd things.

use super::*;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{InputTest, TestStream};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const WRITER: &str = "/lib/systemd/systemd-journal-remote";
const ENTRIES: usize = 250;

fn export_text() -> String {
    let mut text = String::new();
    for entry in 0..ENTRIES {
        let time = 1_700_000_000_000_000_u64 + entry as u64 * 1_000;
        let _ = write!(
            text,
            "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             PRIORITY={}\nSYSLOG_IDENTIFIER=app{}\n_PID={}\n_HOSTNAME=web1\nMESSAGE=message {entry}\n\n",
            entry * 1_000 + 5,
            entry % 8,
            entry % 3,
            100 + entry,
        );
    }
    text
}

/// A directory with a journal of the export text; `None`, loudly, where systemd's programs are missing.
fn journal() -> Option<tempfile::TempDir> {
    let is_there = Path::new(WRITER).exists() && Command::new("journalctl").arg("--version").output().is_ok();
    if !is_there {
        println!("SKIPPED: no {WRITER} or no journalctl: apt-get install systemd systemd-journal-remote");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = format!("--output={}", directory.path().join("test.journal").display());
    let mut writer = Command::new(WRITER)
        .args([&output, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(export_text().as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success(), "{WRITER} failed");
    Some(directory)
}

fn options(directory: &Path) -> String {
    format!("directory = \"{}\"\nfrom = \"beginning\"\nfollow = false", directory.display())
}

/// Reads to the end; returns the messages and the positions that were handed on.
fn read(state: &Path, options: &str) -> (InputTest<JournaldInput>, Vec<OwnedMessage>, u64, u64) {
    let mut input = InputTest::<JournaldInput>::open_in(state, options).unwrap();
    input.start().unwrap();
    let (streams, messages) = input.read_until(|_, _, read| read == Read::End).unwrap();
    let last = streams.iter().flat_map(|stream| &stream.handed_on).map(|(position, _)| *position).max();
    let id = streams.first().map_or(0, |stream| stream.id);
    (input, messages, id, last.unwrap_or_default())
}

#[test]
fn a_real_journal_is_read_and_gone_on_with_behind_what_was_acknowledged() {
    let Some(directory) = journal() else { return };
    let (options, state) = (options(directory.path()), tempfile::tempdir().unwrap());
    let (input, messages, ..) = read(state.path(), &options);
    drop(input);
    assert_eq!(messages.len(), ENTRIES);
    for (number, message) in messages.iter().enumerate() {
        let message = message.view();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(message.payload()), format!("message {number}"));
        assert_eq!(text(message.logger()), format!("app{}", number % 3));
        assert_eq!(message.timestamp(), 1_700_000_000_000_000_000 + number as i64 * 1_000_000);
        assert_eq!((message.severity(), message.pid()), ((number % 8) as i32, 100 + number as i32));
        assert_eq!(text(message.hostname()), "web1");
        assert!(message.is_ordered());
    }
    // Nothing was acknowledged: all is there again, the same.
    let (mut input, again, id, last) = read(state.path(), &options);
    let uuids =
        |messages: &[OwnedMessage]| messages.iter().map(|message| message.view().uuid()).collect::<Vec<_>>();
    assert_eq!(uuids(&again), uuids(&messages));
    input.acknowledged(id, last);
    drop(input);
    assert_eq!(read(state.path(), &options).1.len(), 0);
}

#[test]
fn matches_choose_entries() {
    let Some(directory) = journal() else { return };
    let options = format!("{}\nmatches = [\"SYSLOG_IDENTIFIER=app1\"]", options(directory.path()));
    let (_, messages, ..) = read(tempfile::tempdir().unwrap().path(), &options);
    assert_eq!(messages.len(), (0..ENTRIES).filter(|entry| entry % 3 == 1).count());
}

/// A program in place of `journalctl`.
fn program(directory: &Path, script: &str) -> PathBuf {
    let path = directory.join("journal.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn it_goes_on_behind_the_last_whole_entry_when_the_program_ends() {
    let directory = tempfile::tempdir().unwrap();
    let script = "case \"$*\" in *after-cursor=s=a\\;i=1*) printf '__CURSOR=s=a;i=2\\nMESSAGE=two\\n\\n'; sleep 60;; \
                  *) printf '__CURSOR=s=a;i=1\\nMESSAGE=one\\n\\n__CURSOR=s=a;i=2\\nMESS'; echo broke >&2; exit 3;; esac";
    let path = program(directory.path(), script);
    let mut input = InputTest::<JournaldInput>::open(&format!("program = \"{}\"", path.display())).unwrap();
    input.start().unwrap();
    let failure = input.read_until(|_, _, _| false).unwrap_err();
    assert!(failure.contains("failed: exit status: 3: broke"), "{failure}");
    // The stream that the failed call had opened.
    let streams = vec![TestStream::default()];
    let (streams, messages) = input.read_on_until(streams, |_, messages, _| !messages.is_empty()).unwrap();
    assert_eq!(messages[0].view().payload(), b"two");
    input.host().stop();
    input.read_on_until(streams, |_, _, read| read == Read::End).unwrap();
}

#[test]
fn an_entry_that_cannot_be_read_is_counted_and_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let script = "case \"$*\" in *after-cursor=s=a\\;i=1*) printf '__CURSOR=s=a;i=2\\nMESSAGE=good\\n\\n'; sleep 60;; \
                  *) printf '__CURSOR=s=a;i=1\\n=nonsense\\n\\n'; sleep 60;; esac";
    let path = program(directory.path(), script);
    let mut input = InputTest::<JournaldInput>::open(&format!("program = \"{}\"", path.display())).unwrap();
    input.start().unwrap();
    let (_, messages) = input.read_until(|_, messages, _| !messages.is_empty()).unwrap();
    assert_eq!(messages[0].view().payload(), b"good");
    assert_eq!(input.host().counter("broken"), 1);
}

#[test]
fn a_program_that_writes_something_else_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let path = program(directory.path(), "printf '=nonsense\\n\\n'; sleep 60");
    let mut input = InputTest::<JournaldInput>::open(&format!("program = \"{}\"", path.display())).unwrap();
    input.start().unwrap();
    let failure = input.read_until(|_, _, _| false).unwrap_err();
    assert_eq!(failure, "failed to read an entry: no entry of the journal's export format");
}

#[test]
fn a_program_that_is_missing_is_tried_again() {
    let mut input = InputTest::<JournaldInput>::open("program = \"/nowhere/journalctl\"").unwrap();
    input.start().unwrap();
    let failure = input.read_until(|_, _, _| false).unwrap_err();
    let expected = "failed to start `/nowhere/journalctl`: no such file or directory; is systemd installed?";
    assert_eq!(failure, expected);
}

#[test]
fn wrong_options_are_found() {
    let faults = InputTest::<JournaldInput>::faults(
        "from = \"now\"\nprogram = \"\"\nmatches = [\"--all\", \"=x\", \"A=b\", \"+\"]",
    );
    assert_eq!(faults.len(), 4, "{faults:?}");
}
