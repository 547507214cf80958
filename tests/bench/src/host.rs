//! Runs the daemon and other programs, and times them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What all cases share.
pub(crate) struct Bench {
    /// Where the daemon and the plugin files are.
    pub(crate) binaries: PathBuf,
    /// A directory in memory, removed at the end.
    pub(crate) work: PathBuf,
    runs: usize,
    scale: u64,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.work);
    }
}

impl Bench {
    pub(crate) fn new(binaries: PathBuf, work: PathBuf, runs: usize, scale: u64) -> Bench {
        let _ = fs::create_dir_all(&work);
        Bench { binaries, work, runs, scale }
    }

    /// `count`, made smaller or larger as the user asked.
    pub(crate) fn scaled(&self, count: u64) -> u64 {
        (count * self.scale / 100).max(1)
    }

    /// How often each figure is measured.
    pub(crate) fn runs(&self) -> usize {
        self.runs
    }

    /// The median of all runs.
    pub(crate) fn median(&self, mut run: impl FnMut() -> Result<f64, String>) -> Result<f64, String> {
        let figures: Result<Vec<f64>, String> = (0..self.runs).map(|_| run()).collect();
        Ok(median(figures?))
    }

    /// The medians of two things measured in turn, so that both see the same noise, and of their ratio.
    pub(crate) fn medians(
        &self,
        mut first: impl FnMut() -> Result<f64, String>,
        mut second: impl FnMut() -> Result<f64, String>,
    ) -> Result<(f64, f64, f64), String> {
        let mut pairs = Vec::new();
        for _ in 0..self.runs {
            pairs.push((first()?, second()?));
        }
        let ratio = median(pairs.iter().map(|(first, second)| first / second).collect());
        let (first, second) = pairs.into_iter().unzip();
        Ok((median(first), median(second), ratio))
    }

    /// Writes a config.
    pub(crate) fn config(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        self.config_in(name, text, &self.work.join("state"))
    }

    /// Writes a config whose state is in this directory.
    fn config_in(&self, name: &str, text: &str, state: &Path) -> Result<PathBuf, String> {
        let path = self.work.join(format!("{name}.toml"));
        let state = state.display().to_string();
        fs::write(&path, format!("[heka]\nstate_dir = \"{state}\"\n{text}"))
            .map_err(|error| error.to_string())?;
        Ok(path)
    }

    /// Runs a config to its end; returns the seconds, and the peak resident memory in MiB.
    pub(crate) fn run_once(&self, name: &str, text: &str) -> Result<(f64, f64), String> {
        let state = self.work.join("state");
        let _ = fs::remove_dir_all(&state);
        let _ = fs::remove_dir_all(self.work.join("out"));
        self.run_once_in(name, text, &state)
    }

    /// As `run_once`, with the state in a directory that the caller removes.
    pub(crate) fn run_once_in(&self, name: &str, text: &str, state: &Path) -> Result<(f64, f64), String> {
        let config = self.config_in(name, text, state)?;
        let started = Instant::now();
        let mut child = self.host(&["run", &config.display().to_string(), "--once"])?;
        let mut peak = 0.0_f64;
        loop {
            peak = peak.max(resident_mib(&child, "VmHWM"));
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok((started.elapsed().as_secs_f64(), peak)),
                Some(status) => return Err(format!("the daemon ended with {status}")),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Starts the daemon.
    pub(crate) fn host(&self, arguments: &[&str]) -> Result<Child, String> {
        let mut command = Command::new(self.binaries.join("heka-host"));
        command.args(arguments).current_dir(&self.work).env("RUST_LOG", "warn");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|error| format!("failed to start the daemon: {error}"))
    }

    /// As `serve`, with the state in a directory that the caller removes.
    pub(crate) fn serve_in(&self, name: &str, text: &str, state: &Path) -> Result<Served, String> {
        let config = self.config_in(name, text, state)?;
        Ok(Served { child: self.host(&["run", &config.display().to_string()])? })
    }

    /// Starts the daemon with a config that goes on until it is stopped.
    pub(crate) fn serve(&self, name: &str, text: &str) -> Result<Served, String> {
        let config = self.config(name, text)?;
        let _ = fs::remove_dir_all(self.work.join("state"));
        let _ = fs::remove_dir_all(self.work.join("out"));
        Ok(Served { child: self.host(&["run", &config.display().to_string()])? })
    }
}

/// A running daemon, stopped when dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
}

impl Served {
    /// Asks the daemon to stop and waits for it.
    pub(crate) fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }

    /// Seconds of processor time so far.
    pub(crate) fn processor_seconds(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks =
            |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        resident_mib(&self.child, "VmRSS")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A directory on the disk, not in memory, for state that is to be durable.
pub(crate) struct OnDisk(pub(crate) PathBuf);

impl OnDisk {
    pub(crate) fn new(bench: &Bench) -> Result<OnDisk, String> {
        let path = bench.binaries.join(format!("bench-state-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        Ok(OnDisk(path))
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn resident_mib(child: &Child, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints one figure.
pub(crate) fn show(what: &str, figure: f64, unit: &str, aim: &str) {
    println!("{what:<58} {figure:>9.2} {unit:<5} {aim}");
}
