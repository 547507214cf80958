//! Commands that an input runs end with the host, however it ends, and leave nothing behind.

use heka_tests::{Directory, Host, wait_for, wait_until};
use std::fs;
use std::path::Path;

/// A config whose input runs a shell script.
fn config(script: &str, options: &str) -> String {
    format!(
        "[inputs.script]\nplugin = \"process\"\nshell = true\ncommand = ['''{script}''']\n{options}\n\
         [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"file\"\npath = \"out\"\nencoder = \"json\"\n"
    )
}

fn number_in(path: &Path) -> u32 {
    wait_for("a number is written", || fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok())
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_stop_kills_what_ignores_sigterm() {
    let directory = Directory::new();
    let script = "trap '' TERM; echo $$ > pid; while :; do sleep 1; done";
    let host = Host::run(&directory, &config(script, "keep_running = true\nkill_after = 0.2"));
    let pid = number_in(&directory.join("pid"));
    assert_eq!(host.stop().status, Some(0));
    assert!(!is_alive(pid));
    let written = fs::read_to_string(directory.join("out")).unwrap();
    assert!(written.contains("\"type\":\"process.exit\"") && written.contains("\"signal\":9"), "{written}");
}

#[test]
fn a_killed_host_takes_its_command_along() {
    let directory = Directory::new();
    let host =
        Host::run(&directory, &config("echo $$ > pid; while :; do sleep 1; done", "keep_running = true"));
    let pid = number_in(&directory.join("pid"));
    host.signal("KILL");
    host.wait();
    wait_until("the command is gone", || !is_alive(pid));
}

#[test]
fn many_runs_leave_no_descriptor_and_no_zombie() {
    let directory = Directory::new();
    let host = Host::run(&directory, &config("echo line | cat", "interval = 0.01"));
    let runs = |count| {
        wait_until("commands run", || {
            let written = fs::read_to_string(directory.join("out")).unwrap_or_default();
            written.matches("\"type\":\"process.exit\"").count() >= count
        });
    };
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", host.id())).unwrap().count();
    runs(5);
    let before = descriptors();
    runs(100);
    // A run may be under way at each of the two looks.
    assert!(descriptors() <= before + 6, "{before} before, {} now", descriptors());
    let zombie = format!(" Z {} ", host.id());
    let zombies = || {
        let stats = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("stat"));
        stats.filter_map(|stat| fs::read_to_string(stat).ok()).filter(|stat| stat.contains(&zombie)).count()
    };
    wait_until("no zombie is left", || zombies() == 0);
    assert_eq!(host.stop().status, Some(0));
    let written = fs::read_to_string(directory.join("out")).unwrap();
    let lines = written.matches("\"payload\":\"line\"").count();
    assert!(lines >= 100, "{lines}");
}
