//! How long the machine is up and what its kernel does, from `/proc/uptime` and `/proc/stat`.

use super::{Look, Subject};
use crate::proc_file::{numbers, odd, read_text};
use crate::rate::History;
use crate::report::Report;

/// The kernel's counters: its names, and ours.
const COUNTERS: [(&str, &str, &str); 3] = [
    ("ctxt", "context_switches", "context_switches_rate"),
    ("intr", "interrupts", "interrupts_rate"),
    ("processes", "forks", "forks_rate"),
];

/// Looks at the system as a whole.
#[derive(Default)]
pub struct System {
    counted: [History<1>; COUNTERS.len()],
}

impl Subject for System {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let path = look.proc.join("uptime");
        let text = read_text(&path, look.troubles);
        let word = text.as_deref().and_then(|text| text.split_ascii_whitespace().next());
        let uptime = word.and_then(|word| word.parse::<f64>().ok());
        if text.is_some() && uptime.is_none() {
            odd(&path, "time", look.troubles);
        }
        let stat = read_text(&look.proc.join("stat"), look.troubles).unwrap_or_default();
        let count = |name: &str| {
            let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|line| numbers(line).next())
        };
        if uptime.is_none() && COUNTERS.iter().all(|(theirs, _, _)| count(theirs).is_none()) {
            return;
        }
        let reading = report.begin("host.system");
        reading.double("uptime", "s", uptime);
        if let Some(booted) = count("btime") {
            reading.integer("boot_time", "unix seconds", booted);
        }
        for (history, (theirs, ours, rate)) in self.counted.iter_mut().zip(COUNTERS) {
            if let Some(number) = count(theirs) {
                reading.integer(ours, "", number);
                reading.double(rate, "1/s", history.rates("", look.now, [number])[0]);
            }
            history.end_look();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    #[test]
    fn uptime_and_counters_are_read() {
        let (mut machine, mut system) = (Machine::new(), System::default());
        machine.write("proc/uptime", "350735.47 234388.90\n");
        machine.write("proc/stat", "cpu 1 2 3 4\nintr 1000 5 6\nctxt 500\nbtime 1700000000\nprocesses 40\n");
        machine.look(&mut system, 0);
        machine.write("proc/stat", "intr 1100 5 6\nctxt 400\nprocesses 60\n");
        let report = machine.look(&mut system, 10);
        let number = |name| report.number("host.system", "", name);
        assert_eq!((number("uptime"), number("interrupts")), (Some(350_735.47), Some(1_100.0)));
        assert_eq!((number("interrupts_rate"), number("forks_rate")), (Some(10.0), Some(2.0)));
        assert_eq!((number("context_switches_rate"), number("boot_time")), (None, None), "it was reset");
        assert_eq!(machine.troubles.count(), 0);
    }
}
