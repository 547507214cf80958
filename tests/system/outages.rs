//! What stands between an agent and its grater fails in every way but a crash: nothing is lost, torn or doubled.

use crate::ledger::{AGENT, Arrived, GRATER, arrived, free_address, write_lines};
use heka_tests::{Directory, Host, wait_until};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LINES: u64 = 60_000;
const WRITING: Duration = Duration::from_secs(4);
/// Both sides give a silent connection up after so long.
const TIMEOUT: &str = "timeout = \"1 s\"";
/// Nothing is to be passed on.
const NOTHING: u64 = 0;
/// As much as comes.
const EVERYTHING: u64 = u64::MAX;

/// A wire between agent and grater, in the hands of the test.
struct Wire {
    address: String,
    hold: Arc<Hold>,
}

struct Hold {
    /// Bytes that pass in each 10 ms and direction.
    pace: AtomicU64,
    /// After so many bytes a connection is closed, wherever that is in a frame.
    cut_after: AtomicU64,
}

impl Wire {
    fn to(grater: &str) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let hold = Arc::new(Hold { pace: AtomicU64::new(EVERYTHING), cut_after: AtomicU64::new(EVERYTHING) });
        let (far, held) = (grater.to_owned(), hold.clone());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&far) else { continue };
                let ends = [(&near, &far), (&far, &near)];
                for (from, to) in ends.map(|(from, to)| (from.try_clone(), to.try_clone())) {
                    let (from, to) = (from.expect("a clone"), to.expect("a clone"));
                    let hold = held.clone();
                    thread::spawn(move || hold.pass(from, to));
                }
            }
        });
        Wire { address, hold }
    }

    fn pace(&self, bytes: u64) {
        self.hold.pace.store(bytes, Ordering::Relaxed);
    }

    fn cut_after(&self, bytes: u64) {
        self.hold.cut_after.store(bytes, Ordering::Relaxed);
    }
}

impl Hold {
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        let mut passed = 0;
        from.set_read_timeout(Some(Duration::from_millis(10))).expect("a timeout");
        loop {
            let pace = self.pace.load(Ordering::Relaxed);
            let room = pace.min(buffer.len() as u64) as usize;
            let read =
                if room == 0 { Err(ErrorKind::WouldBlock.into()) } else { from.read(&mut buffer[..room]) };
            let mut len = match read {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::park_timeout(Duration::from_millis(if room == 0 { 10 } else { 0 }));
                    continue;
                }
                Err(_) => break,
            };
            let left = self.cut_after.load(Ordering::Relaxed).saturating_sub(passed);
            len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
            if to.write_all(&buffer[..len]).is_err() || len as u64 == left {
                break;
            }
            passed += len as u64;
            if pace < buffer.len() as u64 {
                thread::park_timeout(Duration::from_millis(10));
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

/// Lets lines flow from an agent over the wire to a grater while `fault` does its work; then all must be there.
fn check(fault: impl FnOnce(&Wire, &Host, &Host) + Send) {
    let directory = Directory::new();
    let free = free_address();
    let wire = Wire::to(&free);
    let listens = format!("address = \"ADDRESS\"\n{TIMEOUT}");
    let config = |text: &str, address: &str| {
        text.replace("address = \"ADDRESS\"", &listens).replace("ADDRESS", address)
    };
    directory.write("agent.toml", config(AGENT, &wire.address));
    directory.write("grater.toml", config(GRATER, &free));
    directory.write("logs/first.log", "");
    let grater = Host::spawn(&directory, &["run", "grater.toml"]);
    let agent = Host::spawn(&directory, &["run", "agent.toml"]);
    wait_until("both run", || [&grater, &agent].iter().all(|host| host.stderr().contains("running: ")));
    thread::scope(|threads| {
        threads.spawn(|| write_lines(&directory, LINES, WRITING));
        fault(&wire, &agent, &grater);
    });
    wire.pace(EVERYTHING);
    wire.cut_after(EVERYTHING);
    wait_until("everything has arrived", || arrived(&directory, LINES).lost == 0);
    assert_whole(&directory, agent, grater);
}

/// Stops both, and looks at the ledger and at their own accounts.
fn assert_whole(directory: &Directory, agent: Host, grater: Host) {
    let ended = [agent.stop(), grater.stop()];
    let found = arrived(directory, LINES);
    let shown = format!("{}\n{}", ended[0].stderr, ended[1].stderr);
    assert_eq!(found, Arrived { lines: LINES, ..Arrived::default() }, "{shown}");
    assert_eq!(ended.map(|ended| ended.status), [Some(0), Some(0)], "{shown}");
    assert!(!shown.contains("does not balance"), "{shown}");
}

/// Lets time pass in which the fault holds.
fn wait(millis: u64) {
    let until = Instant::now() + Duration::from_millis(millis);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

#[test]
fn a_process_that_stands_still_and_goes_on() {
    check(|_, agent, grater| {
        for host in [grater, agent, grater, agent] {
            wait(300);
            host.signal("STOP");
            // Longer than the other side waits for it, and shorter.
            wait(if std::ptr::eq(host, grater) { 1_500 } else { 200 });
            host.signal("CONT");
        }
    });
}

#[test]
fn a_wire_that_passes_nothing_for_a_while() {
    check(|wire, _, _| {
        for millis in [300, 1_800, 700] {
            wait(300);
            wire.pace(NOTHING);
            wait(millis);
            wire.pace(EVERYTHING);
        }
    });
}

#[test]
fn connections_that_end_in_the_middle_of_a_frame() {
    check(|wire, _, _| {
        for bytes in [1_000, 5_003, 20_011, 77_777, 300_007, 90_001, 41, 150_001] {
            wire.cut_after(bytes);
            wait(400);
        }
    });
}

#[test]
fn a_wire_that_passes_little() {
    check(|wire, _, _| {
        // 100 kB a second, where 1.5 MB come.
        wire.pace(1_000);
        wait(3_000);
    });
}

/// A small file system in memory, over a folder of a test's directory; gone with the test.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// `None`, said loudly, where this user may not mount anything.
    fn mount(path: PathBuf) -> Option<SmallDisk> {
        std::fs::create_dir_all(&path).expect("a folder");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&path);
        match command.output() {
            Ok(output) if output.status.success() => Some(SmallDisk { path }),
            refused => {
                eprintln!("skipped: a full disk can't be tried, mounting needs root: {refused:?}");
                None
            }
        }
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut ballast = File::create(self.path.join("ballast")).expect("a file");
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.path.join("ballast")).expect("the ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Fills the disk under the state of the agent or the grater for a while, with the other side there or not.
fn check_full_disk(state: &str, grater_is_down: bool) {
    let directory = Directory::new();
    let Some(disk) = SmallDisk::mount(directory.join(state)) else { return };
    let free = free_address();
    directory.write("agent.toml", AGENT.replace("ADDRESS", &free));
    directory.write("grater.toml", GRATER.replace("ADDRESS", &free));
    directory.write("logs/first.log", "");
    let grater = || Host::spawn(&directory, &["run", "grater.toml"]);
    let agent = Host::spawn(&directory, &["run", "agent.toml"]);
    let early = (!grater_is_down).then(grater);
    wait_until("the agent runs", || agent.stderr().contains("running: "));
    thread::scope(|threads| {
        threads.spawn(|| write_lines(&directory, LINES, WRITING));
        for _ in 0..2 {
            wait(500);
            disk.fill();
            wait(1_000);
            disk.empty();
        }
    });
    let grater = early.unwrap_or_else(grater);
    wait_until("everything has arrived", || arrived(&directory, LINES).lost == 0);
    assert_whole(&directory, agent, grater);
}

#[test]
fn a_full_disk_under_the_agent() {
    check_full_disk("agent-state", false);
}

#[test]
fn a_full_disk_under_the_agent_while_the_grater_is_down() {
    check_full_disk("agent-state", true);
}

#[test]
fn a_full_disk_under_the_grater() {
    check_full_disk("grater-state", false);
}

/// Starts a daemon on a state directory that was prepared; it must refuse, with this line.
fn check_refused(prepare: impl FnOnce(&Path) -> bool, why: &str) {
    let directory = Directory::new();
    let config = GRATER.replace("ADDRESS", &free_address());
    let host = Host::run(&directory, &config);
    assert_eq!(host.stop().status, Some(0));
    let queue = directory.join("grater-state/queues/all");
    if !prepare(&queue) {
        return eprintln!("skipped: this user may not prepare a queue so that it is {why}");
    }
    let ended = Host::finish(&directory, &["run", "heka.toml"]);
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert!(matches!(ended.status, Some(1 | 78)), "{:?}: {}", ended.status, ended.stderr);
}

#[test]
fn a_queue_of_another_version_is_refused_and_left_as_it_is() {
    let rewrite = |queue: &Path| {
        let path = queue.join("queue");
        let mut bytes = std::fs::read(&path).expect("the identity");
        // The version stands at 8, a checksum of all other bytes at 12.
        bytes[8] = 99;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        std::fs::write(&path, bytes).is_ok()
    };
    check_refused(rewrite, "of version 99, this program knows 1; use a later one or another directory");
}

#[test]
fn a_queue_of_another_user_is_refused() {
    check_refused(|queue| std::os::unix::fs::chown(queue, Some(12_345), None).is_ok(), "owned by user 12345");
}

#[test]
fn a_queue_that_can_not_be_written_is_refused() {
    check_refused(
        |queue| {
            let mount = |options: &[&str]| {
                Command::new("mount")
                    .args(options)
                    .args([queue, queue])
                    .status()
                    .is_ok_and(|done| done.success())
            };
            mount(&["--bind"]) && mount(&["-o", "remount,bind,ro"])
        },
        "read-only file system",
    );
}
