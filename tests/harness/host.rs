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
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Host {
    /// Starts `heka-host` in a directory. Plugin files are found beside it.
    ///
    /// # Panics
    /// If it can't be started; so do the others below when what they wait for doesn't come.
    pub fn spawn(directory: &Directory, arguments: &[&str]) -> Host {
        Host::spawn_with(directory, arguments, Stdio::null())
    }

    /// As `spawn`, with something to read on standard input.
    pub fn spawn_with(directory: &Directory, arguments: &[&str], stdin: Stdio) -> Host {
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| {
            let name = format!("{stream}-{}", fs::read_dir(directory.path()).map_or(0, Iterator::count));
            directory.join(name)
        });
        let file = |path: &PathBuf| File::create(path).expect("a file for output");
        let child = Command::new(plugin_dir().join("heka-host"))
            .args(arguments)
            .current_dir(directory.path())
            .env_remove("RUST_LOG")
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
        let stdout = fs::read_to_string(&self.stdout).unwrap_or_default();
        Ended { status: status.code(), stdout, stderr: self.stderr() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
