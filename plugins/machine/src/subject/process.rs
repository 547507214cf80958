//! Which processes there are, and what the largest and the named ones use.

use super::process_stat::{ProcessStat, parse};
use super::{Look, Subject};
use crate::name_filter::NameFilter;
use crate::proc_file::{odd, read};
use crate::report::{Reading, Report};
use heka_plugin_api::cause;
use std::collections::HashMap;
use std::time::Instant;

/// States by the kernel's letter; others are counted as `other`.
const STATES: [(&[u8], &str); 7] = [
    (b"R", "running"),
    (b"S", "sleeping"),
    (b"D", "blocked"),
    (b"Z", "zombies"),
    (b"Tt", "stopped"),
    (b"I", "idle"),
    (b"", "other"),
];

/// What to tell of single processes.
#[derive(Clone, Default)]
pub struct ProcessOptions {
    /// How many of those that use the most processor time, and the most memory.
    pub top: usize,
    /// Patterns of names whose processes are added up.
    pub named: Vec<String>,
}

/// Looks at the processes.
pub struct Processes {
    top: usize,
    named: Vec<(String, NameFilter)>,
    page_bytes: u64,
    ticks_per_second: f64,
    before: HashMap<(u32, u64), u64>,
    looked: Option<Instant>,
}

/// A process at a look.
struct Process {
    pid: u32,
    stat: ProcessStat,
    /// Processors that it kept busy since the last look; `None` if it is new.
    cpu: Option<f64>,
}

impl Processes {
    /// Looks at all, and closer at some.
    pub fn new(options: ProcessOptions) -> Processes {
        let filter = |name: String| (name.clone(), NameFilter::new(&[name], &[]));
        Processes {
            top: options.top,
            named: options.named.into_iter().map(filter).collect(),
            page_bytes: rustix::param::page_size() as u64,
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            before: HashMap::new(),
            looked: None,
        }
    }

    /// Reads all processes; those that end meanwhile are left out.
    fn read(&mut self, look: &mut Look<'_>) -> Vec<Process> {
        let entries = match std::fs::read_dir(look.proc) {
            Ok(entries) => entries,
            Err(why) => {
                let shown = look.proc.display();
                look.troubles.tell(format!("failed to read `{shown}`: {}", cause(&why)));
                return Vec::new();
            }
        };
        let seconds = self.looked.map(|looked| look.now.saturating_duration_since(looked).as_secs_f64());
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut processes = Vec::new();
        for pid in pids {
            let path = look.proc.join(format!("{pid}/stat"));
            let Ok(text) = read(&path) else { continue };
            let Some(stat) = parse(&text) else {
                odd(&look.proc.join("PID/stat"), "process", look.troubles);
                continue;
            };
            let before = self.before.get(&(pid, stat.started));
            let grown =
                before.map(|before| stat.ticks.saturating_sub(*before) as f64 / self.ticks_per_second);
            let cpu =
                grown.zip(seconds.filter(|seconds| *seconds > 0.0)).map(|(grown, seconds)| grown / seconds);
            processes.push(Process { pid, stat, cpu });
        }
        if self.top > 0 || !self.named.is_empty() {
            let ticks =
                processes.iter().map(|process| ((process.pid, process.stat.started), process.stat.ticks));
            self.before = ticks.collect();
        }
        self.looked = Some(look.now);
        processes
    }

    fn report_top(&self, processes: &[Process], report: &mut Report) {
        let mut by_cpu: Vec<&Process> = processes.iter().filter(|process| process.cpu > Some(0.0)).collect();
        by_cpu.sort_by(|a, b| b.cpu.partial_cmp(&a.cpu).unwrap_or(std::cmp::Ordering::Equal));
        let mut by_memory: Vec<&Process> = processes.iter().collect();
        by_memory.sort_by_key(|process| std::cmp::Reverse(process.stat.pages));
        by_cpu.truncate(self.top);
        by_memory.truncate(self.top);
        by_memory.retain(|process| !by_cpu.iter().any(|other| other.pid == process.pid));
        for process in by_cpu.into_iter().chain(by_memory) {
            let reading = report.begin("host.process");
            reading.is_fleeting = true;
            reading.label("name", &*process.stat.name).integer("pid", "", process.pid.into());
            self.report_use(&[process], reading);
        }
    }

    fn report_named(&self, processes: &[Process], report: &mut Report) {
        for (name, filter) in &self.named {
            let found = processes.iter().filter(|process| filter.takes(&process.stat.name));
            let found: Vec<&Process> = found.collect();
            let reading = report.begin("host.named_process");
            reading.label("name", &**name).integer("count", "processes", found.len() as u64);
            self.report_use(&found, reading);
        }
    }

    fn report_use(&self, processes: &[&Process], reading: &mut Reading) {
        let sum = |number: fn(&ProcessStat) -> u64| -> u64 {
            processes.iter().map(|process| number(&process.stat)).fold(0, u64::saturating_add)
        };
        let cpu = processes.iter().filter_map(|process| process.cpu).reduce(|a, b| a + b);
        reading.double("cpu", "processors", cpu);
        reading.double("cpu_time", "s", sum(|stat| stat.ticks) as f64 / self.ticks_per_second);
        let pages = sum(|stat| stat.pages);
        reading.integer("resident", "B", pages.saturating_mul(self.page_bytes));
        reading.integer("threads", "threads", sum(|stat| stat.threads));
    }
}

impl Subject for Processes {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let processes = self.read(look);
        if processes.is_empty() {
            if look.proc.is_dir() {
                odd(look.proc, "processes", look.troubles);
            }
            return;
        }
        let reading = report.begin("host.processes");
        reading.integer("total", "processes", processes.len() as u64);
        let mut counts = [0; STATES.len()];
        for process in &processes {
            let known = STATES.iter().position(|(letters, _)| letters.contains(&process.stat.state));
            counts[known.unwrap_or(STATES.len() - 1)] += 1;
        }
        for ((_, name), count) in STATES.into_iter().zip(counts) {
            reading.integer(name, "processes", count);
        }
        let threads = processes.iter().map(|process| process.stat.threads).fold(0, u64::saturating_add);
        reading.integer("threads", "threads", threads);
        self.report_top(&processes, report);
        self.report_named(&processes, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    fn stat(machine: &Machine, pid: u32, name: &str, state: char, ticks: u64, pages: u64) {
        let text =
            format!("{pid} ({name}) {state} 1 2 3 0 -1 4 5 6 7 8 {ticks} 0 0 0 20 0 2 0 9999 1000 {pages} 1");
        machine.write(&format!("proc/{pid}/stat"), &text);
    }

    #[test]
    fn processes_are_counted_by_state_and_the_largest_and_named_ones_told() {
        let mut machine = Machine::new();
        let options = ProcessOptions { top: 1, named: vec!["web*".to_owned(), "absent".to_owned()] };
        let mut processes = Processes::new(options);
        stat(&machine, 1, "init", 'S', 10, 5);
        stat(&machine, 20, "web 1", 'R', 100, 50);
        stat(&machine, 21, "web 2", 'S', 100, 60);
        stat(&machine, 30, "gone", 'Z', 0, 0);
        machine.write("proc/self/stat", "not a number");
        machine.write("proc/99/stat", "odd");
        let report = machine.look(&mut processes, 0);
        let number = |name| report.number("host.processes", "", name);
        assert_eq!((number("total"), number("threads")), (Some(4.0), Some(8.0)));
        assert_eq!(
            (number("running"), number("sleeping"), number("zombies")),
            (Some(1.0), Some(2.0), Some(1.0))
        );
        assert_eq!(report.devices("host.process"), ["web 2"], "by memory; nothing is known of the time yet");
        let ticks = processes.ticks_per_second as u64;
        stat(&machine, 1, "init", 'S', 10 + 20 * ticks, 5);
        stat(&machine, 20, "web 1", 'R', 100 + 5 * ticks, 50);
        machine.remove("proc/30");
        let report = machine.look(&mut processes, 10);
        assert_eq!(report.devices("host.process"), ["init", "web 2"]);
        assert_eq!(report.number("host.process", "init", "cpu"), Some(2.0));
        let number = |name| report.number("host.named_process", "web*", name);
        assert_eq!((number("count"), number("cpu"), number("threads")), (Some(2.0), Some(0.5), Some(4.0)));
        assert_eq!(report.number("host.named_process", "absent", "count"), Some(0.0));
        assert_eq!(machine.troubles.count(), 1);
    }
}
