//! What memory is used for, from `/proc/meminfo`, and how much is swapped, from there and `/proc/vmstat`.

use super::{Look, Subject};
use crate::proc_file::{numbers, odd, read, read_text};
use crate::rate::History;
use crate::report::Report;
use std::collections::HashMap;

/// The file's names of what is reported as it stands there, and ours.
const PARTS: [(&str, &str); 10] = [
    ("MemTotal", "total"),
    ("MemFree", "free"),
    ("MemAvailable", "available"),
    ("Buffers", "buffers"),
    ("Cached", "cached"),
    ("Slab", "slab"),
    ("Shmem", "shared"),
    ("Dirty", "dirty"),
    ("Writeback", "writeback"),
    ("Committed_AS", "committed"),
];

/// Looks at memory and swap.
#[derive(Default)]
pub struct Memory {
    swapped: History<2>,
}

impl Subject for Memory {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let path = look.proc.join("meminfo");
        let Some(text) = read_text(&path, look.troubles) else { return };
        let sizes: HashMap<&str, u64> = text.lines().filter_map(size).collect();
        if !sizes.contains_key("MemTotal") {
            odd(&path, "`MemTotal`", look.troubles);
        }
        report_memory(&sizes, report);
        self.report_swap(&sizes, look, report);
    }
}

impl Memory {
    fn report_swap(&mut self, sizes: &HashMap<&str, u64>, look: &mut Look<'_>, report: &mut Report) {
        let (Some(&total), Some(&free)) = (sizes.get("SwapTotal"), sizes.get("SwapFree")) else { return };
        let used = total.saturating_sub(free);
        let reading = report.begin("host.swap");
        reading.integer("total", "B", total).integer("free", "B", free).integer("used", "B", used);
        reading.double("used_fraction", "fraction", fraction(used, total));
        // Kernels without swap have none of these counters.
        let text = read(&look.proc.join("vmstat")).unwrap_or_default();
        let pages = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|line| numbers(line).next())
        };
        if let (Some(read), Some(written)) = (pages("pswpin"), pages("pswpout")) {
            let [reads, writes] = self.swapped.rates("", look.now, [read, written]);
            reading.integer("pages_in", "pages", read).integer("pages_out", "pages", written);
            reading.double("pages_in_rate", "pages/s", reads).double("pages_out_rate", "pages/s", writes);
        }
        self.swapped.end_look();
    }
}

fn report_memory(sizes: &HashMap<&str, u64>, report: &mut Report) {
    if !PARTS.iter().any(|(theirs, _)| sizes.contains_key(theirs)) {
        return;
    }
    let reading = report.begin("host.memory");
    for (theirs, ours) in PARTS {
        if let Some(&bytes) = sizes.get(theirs) {
            reading.integer(ours, "B", bytes);
        }
    }
    let Some(&total) = sizes.get("MemTotal") else { return };
    // Kernels before 3.14 don't say what is available.
    let of = |name| sizes.get(name).copied().unwrap_or(0);
    let available = sizes.get("MemAvailable").copied();
    let available = available.unwrap_or_else(|| of("MemFree") + of("Buffers") + of("Cached"));
    let used = total.saturating_sub(available);
    reading.integer("used", "B", used).double("used_fraction", "fraction", fraction(used, total));
}

/// Reads `Name:   123 kB`; returns bytes.
fn size(line: &str) -> Option<(&str, u64)> {
    let (name, rest) = line.split_once(':')?;
    let number = numbers(rest).next()?;
    let factor = if rest.trim_end().ends_with("kB") { 1024 } else { 1 };
    Some((name, number.saturating_mul(factor)))
}

/// Returns the part of the whole; nothing of nothing is none.
pub fn fraction(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    #[test]
    fn memory_and_swap_are_read() {
        let (mut machine, mut memory) = (Machine::new(), Memory::default());
        machine.write(
            "proc/meminfo",
            "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\nBuffers: 10 kB\n\
             Odd line\nSwapTotal: 200 kB\nSwapFree: 150 kB\nHugePages_Total: 4\n",
        );
        machine.write("proc/vmstat", "pswpin 10\npswpout 20\n");
        machine.look(&mut memory, 0);
        machine.write("proc/vmstat", "pswpin 20\npswpout 20\n");
        let report = machine.look(&mut memory, 5);
        let number = |name| report.number("host.memory", "", name);
        assert_eq!((number("total"), number("available")), (Some(1_024_000.0), Some(256_000.0)));
        assert_eq!((number("used"), number("used_fraction")), (Some(768_000.0), Some(0.75)));
        assert_eq!(number("cached"), None);
        let number = |name| report.number("host.swap", "", name);
        assert_eq!((number("used"), number("used_fraction")), (Some(51_200.0), Some(0.25)));
        assert_eq!((number("pages_in_rate"), number("pages_out_rate")), (Some(2.0), Some(0.0)));
        assert_eq!(machine.troubles.count(), 0);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let (mut machine, mut memory) = (Machine::new(), Memory::default());
        machine.write(
            "proc/meminfo",
            "MemTotal: 1000 kB\nMemFree: 100 kB\nCached: 50 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        );
        let report = machine.look(&mut memory, 0);
        assert_eq!(report.number("host.memory", "", "used"), Some(870_400.0));
        assert_eq!(report.number("host.swap", "", "total"), Some(0.0));
        assert_eq!(report.number("host.swap", "", "used_fraction"), None);
        machine.write("proc/meminfo", "MemFree: 100 kB\n");
        let report = machine.look(&mut memory, 0);
        assert_eq!(report.number("host.memory", "", "free"), Some(102_400.0));
        assert_eq!((report.number("host.memory", "", "used"), machine.troubles.count()), (None, 1));
    }
}
