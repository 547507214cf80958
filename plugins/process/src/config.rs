//! The options of input `process`.

use heka_plugin_api::{ByteSize, Faults, Interval, OptionType, Schema};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time that an option takes.
const TIME_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Shortest time between two starts.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Most programs of a pipeline.
const PROGRAMS_MAX: usize = 64;
/// How long a run may take, and how much it may write, when nobody says otherwise and it is to end some time.
const TIMEOUT: Duration = Duration::from_secs(60);
const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// Of which runs there is a message at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum ReportOf {
    /// Of all.
    #[default]
    Always,
    /// Of those that did not end with status 0.
    Failures,
    /// Of none.
    Never,
}

/// Runs a command, or a pipeline, and reads what it writes.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The program and its arguments, as they are: no shell looks at them.
    #[schema(default = "")]
    pub command: Vec<String>,
    /// Several programs with their arguments, each of which reads what the one before it writes; instead of `command`.
    #[schema(default = "")]
    pub pipeline: Vec<Vec<String>>,
    /// Whether `command` is one text that `/bin/sh` runs.
    #[schema(default = "false")]
    pub shell: bool,
    /// Time from the start of one run to that of the next, which waits for the end of the one before.
    #[schema(default = "10 s", unit = "s")]
    pub interval: Interval,
    /// Whether it is to run all the time: it is started again whenever it ends, instead of at an interval.
    #[schema(default = "false")]
    pub keep_running: bool,
    /// With `keep_running`, how long after its end it is started again; doubled each time it ends soon.
    #[schema(default = "1 s", unit = "s")]
    pub restart_delay: Interval,
    /// The longest such delay; who runs longer than that begins with `restart_delay` again.
    #[schema(default = "1 m", unit = "s")]
    pub restart_delay_max: Interval,
    /// How long a run may take; 0 for ever. Left out: 1 m, with `keep_running` for ever.
    pub timeout: Option<Interval>,
    /// How long what was asked to end (SIGTERM) may take before it is killed (SIGKILL); at a stop at most 2 s.
    #[schema(default = "2 s", unit = "s")]
    pub kill_after: Interval,
    /// The directory in which it runs; left out, the host's.
    pub working_dir: Option<PathBuf>,
    /// Variables of its environment.
    #[schema(default = "")]
    pub environment: BTreeMap<String, String>,
    /// Whether those are all; otherwise it has the host's too.
    #[schema(default = "false")]
    pub clear_environment: bool,
    /// The user, by name or number, as whom it runs; only root may say so.
    pub user: Option<String>,
    /// Whether standard output is read; otherwise it goes nowhere.
    #[schema(default = "true")]
    pub stdout: bool,
    /// Whether standard error is read; otherwise it goes nowhere.
    #[schema(default = "true")]
    pub stderr: bool,
    /// How much of a run's output is taken; 0 for all. Left out: 64 MiB, with `keep_running` all.
    pub output_bytes_max: Option<ByteSize>,
    /// Of which runs there is a message `process.exit` at the end.
    #[schema(default = "always")]
    pub report: ReportOf,
}

impl Default for Config {
    fn default() -> Config {
        let seconds = |seconds| Interval(Duration::from_secs(seconds));
        Config {
            command: Vec::new(),
            pipeline: Vec::new(),
            shell: false,
            interval: seconds(10),
            keep_running: false,
            restart_delay: seconds(1),
            restart_delay_max: seconds(60),
            timeout: None,
            kill_after: seconds(2),
            working_dir: None,
            environment: BTreeMap::new(),
            clear_environment: false,
            user: None,
            stdout: true,
            stderr: true,
            output_bytes_max: None,
            report: ReportOf::Always,
        }
    }
}

impl Config {
    /// Finds all faults that the types let through.
    pub fn check(&self, faults: &mut Faults) {
        self.check_command(faults);
        for (option, time) in [
            ("interval", self.interval),
            ("restart_delay", self.restart_delay),
            ("restart_delay_max", self.restart_delay_max),
        ] {
            if time.0 < PAUSE_MIN || time.0 > TIME_MAX {
                faults.add(option, "from 10 ms to 366 d");
            }
        }
        if self.restart_delay_max < self.restart_delay {
            faults.add("restart_delay_max", "at least `restart_delay`");
        }
        for (option, time) in [("timeout", self.timeout), ("kill_after", Some(self.kill_after))] {
            if time.is_some_and(|time| time.0 > TIME_MAX) {
                faults.add(option, "at most 366 d");
            }
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                faults.add(format!("environment.{name}"), "not a variable: NUL, `=` in its name, or no name");
            }
        }
        if self.user.as_deref() == Some("") {
            faults.add("user", "must not be empty");
        }
    }

    fn check_command(&self, faults: &mut Faults) {
        match (self.command.is_empty(), self.pipeline.is_empty()) {
            (true, true) => faults.add("command", "is needed, or `pipeline`"),
            (false, false) => faults.add("pipeline", "`command` is there too: name one of them"),
            _ => {}
        }
        if self.shell && !self.pipeline.is_empty() {
            faults.add("shell", "is for `command`; the shell has pipelines of its own");
        } else if self.shell && self.command.len() > 1 {
            faults.add("command", "with `shell` it is one text: `command = [\"a | b\"]`");
        }
        if self.pipeline.len() > PROGRAMS_MAX {
            faults.add("pipeline", format!("at most {PROGRAMS_MAX} programs"));
        }
        let programs = std::iter::once(("command", &self.command)).filter(|(_, words)| !words.is_empty());
        for (option, words) in programs.chain(self.pipeline.iter().map(|words| ("pipeline", words))) {
            if words.first().is_none_or(String::is_empty) {
                faults.add(option, "the program's name is missing");
            }
            if words.iter().any(|word| word.contains('\0')) {
                faults.add(option, "a word holds a NUL byte");
            }
        }
    }

    /// Returns the programs with their arguments, in order.
    pub fn programs(&self) -> Vec<Vec<String>> {
        match (self.shell, self.command.first()) {
            (true, Some(text)) => vec![vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()]],
            (false, Some(_)) => vec![self.command.clone()],
            _ => self.pipeline.clone(),
        }
    }

    /// Returns how the run reads for people: without what the shell adds.
    pub fn shown(&self) -> String {
        match self.command.is_empty() {
            true => self.pipeline.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join(" | "),
            false => self.command.join(" "),
        }
    }

    /// Returns how long a run may take.
    pub fn run_timeout(&self) -> Option<Duration> {
        let by_default = if self.keep_running { Duration::ZERO } else { TIMEOUT };
        Some(self.timeout.map_or(by_default, |timeout| timeout.0)).filter(|timeout| !timeout.is_zero())
    }

    /// Returns how many bytes of a run's output are taken.
    pub fn run_bytes_max(&self) -> u64 {
        let by_default = if self.keep_running { 0 } else { OUTPUT_BYTES_MAX };
        match self.output_bytes_max.map_or(by_default, |size| size.0) {
            0 => u64::MAX,
            bytes => bytes,
        }
    }
}
