//! A running daemon.

use crate::directory::{Directory, plugin_dir};
use crate::wait::{wait_for, wait_until};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A daemon, or another command of the program, that a test runs in a directory of its own.
pub struct Host {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a program left when it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: Option<i32>,
    /// What it wrote to standard output, as text.
    pub stdout: String,
    /// The same, byte for byte.
    pub stdout_bytes: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// One of the counts that it showed at its end: `count("input web", "messages")`.
    pub fn count(&self, stage: &str, what: &str) -> u64 {
        count_in(&self.stderr, stage, what)
    }
}

/// Looks a count up in the table that was shown last; what is not shown is 0.
fn count_in(stderr: &str, stage: &str, what: &str) -> u64 {
    let stage: Vec<&str> = stage.split_whitespace().collect();
    let is_stage = |line: &&str| line.split_whitespace().take(stage.len()).eq(stage.iter().copied());
    let Some(line) = stderr.lines().rfind(is_stage) else { return 0 };
    let (_, rest) = line.split_once(&format!("  {what} ")).unwrap_or_default();
    rest.split_whitespace().next().map_or(0, |number| number.parse().expect("a count"))
}

impl Host {
    /// Starts `heka-host` in a directory. Plugin files are found beside it.
    ///
    /// # Panics
    /// If it can't be started; so do the others below when what they wait for doesn't come.
    pub fn spawn(directory: &Directory, arguments: &[&str]) -> Host {
        Host::spawn_with(directory, arguments, Stdio::null())
    }

    /// As `spawn`, of a debug build that dies at a fault point, such as `queue.append.written:3`.
    pub fn spawn_dying(directory: &Directory, arguments: &[&str], point: &str) -> Host {
        Host::spawn_as(directory, arguments, Stdio::null(), &[("HEKA_FAULT_POINT", point)])
    }

    /// As `spawn`, with something to read on standard input.
    pub fn spawn_with(directory: &Directory, arguments: &[&str], stdin: Stdio) -> Host {
        Host::spawn_as(directory, arguments, stdin, &[])
    }

    fn spawn_as(directory: &Directory, arguments: &[&str], stdin: Stdio, more: &[(&str, &str)]) -> Host {
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| {
            let name = format!("{stream}-{}", fs::read_dir(directory.path()).map_or(0, Iterator::count));
            directory.join(name)
        });
        let file = |path: &PathBuf| File::create(path).expect("a file for output");
        let child = Command::new(plugin_dir().join("heka-host"))
            .args(arguments)
            .current_dir(directory.path())
            .env_remove("RUST_LOG")
            .envs(more.iter().copied())
            .stdin(stdin)
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .expect("start heka-host");
        Host { child, stdout, stderr }
    }

    /// Writes a config and runs it as a daemon; returns once it runs.
    pub fn run(directory: &Directory, config: &str) -> Host {
        directory.write("heka.toml", config);
        let mut host = Host::spawn(directory, &["run", "heka.toml"]);
        wait_until("the daemon runs", || {
            let ended = host.child.try_wait().expect("look at the daemon").is_some();
            assert!(!ended, "the daemon ended: {}", host.stderr());
            host.stderr().contains("running: ")
        });
        host
    }

    /// Writes a config and runs it with `--once`, to its end.
    pub fn run_once(directory: &Directory, config: &str) -> Ended {
        directory.write("heka.toml", config);
        Host::spawn(directory, &["run", "heka.toml", "--once"]).wait()
    }

    /// Runs a command of the program to its end.
    pub fn finish(directory: &Directory, arguments: &[&str]) -> Ended {
        Host::spawn(directory, arguments).wait()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Asks the daemon for its counts, and returns one of those that it has shown last: `count("input web", "messages")`.
    pub fn count(&self, stage: &str, what: &str) -> u64 {
        self.signal("USR1");
        count_in(&self.stderr(), stage, what)
    }

    /// Memory that it has resident, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the daemon runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("look at the program").is_some()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.id().to_string()]).status();
        assert!(sent.expect("run kill").success());
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let status = wait_for("the program ends", || self.child.try_wait().expect("look at the program"));
        self.ended(status)
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.wait()
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        let stdout_bytes = fs::read(&self.stdout).unwrap_or_default();
        let stdout = String::from_utf8_lossy(&stdout_bytes).into_owned();
        Ended { status: status.code(), stdout, stdout_bytes, stderr: self.stderr() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
