//! How the processors spend their time, from `/proc/stat`.

use super::{Look, Subject};
use crate::proc_file::{numbers, odd, read_text};
use crate::report::Report;
use std::collections::HashMap;

/// The modes in the file's order. Time of guests is in `user` and `nice` too.
const MODES: [&str; 10] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
/// The modes that make up the whole time.
const WHOLE: usize = 8;
/// The modes in which nothing is done.
const IDLE: [usize; 2] = [3, 4];

/// Ticks in each mode.
type Ticks = [u64; MODES.len()];

/// Looks at the processors.
pub struct Cpu {
    per_core: bool,
    ticks_per_second: f64,
    before: HashMap<String, Ticks>,
}

impl Cpu {
    /// `per_core` asks for a reading of each core too.
    pub fn new(per_core: bool) -> Cpu {
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Cpu { per_core, ticks_per_second, before: HashMap::new() }
    }

    fn report(&mut self, core: Option<&str>, ticks: Ticks, cores: usize, report: &mut Report) {
        let reading = report.begin("host.cpu");
        match core {
            Some(core) => _ = reading.label("core", core),
            None => _ = reading.integer("cores", "", cores as u64),
        }
        let before = self.before.insert(core.unwrap_or_default().to_owned(), ticks);
        // Idle time may go back a little: what fell did not grow.
        let grown = before.map(|before| std::array::from_fn(|mode| ticks[mode].saturating_sub(before[mode])));
        let whole = grown.map_or(0, |grown: Ticks| grown[..WHOLE].iter().sum());
        for (mode, name) in MODES.iter().enumerate() {
            let fraction = grown.filter(|_| whole > 0).map(|grown| grown[mode] as f64 / whole as f64);
            reading.double(*name, "fraction", fraction);
        }
        if let Some(grown) = grown.filter(|_| whole > 0) {
            let idle: u64 = IDLE.iter().map(|&mode| grown[mode]).sum();
            reading.double("busy", "fraction", 1.0 - idle as f64 / whole as f64);
        }
        for (mode, name) in MODES.iter().enumerate() {
            reading.double(format!("{name}_time"), "s", ticks[mode] as f64 / self.ticks_per_second);
        }
    }
}

impl Subject for Cpu {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let path = look.proc.join("stat");
        let Some(text) = read_text(&path, look.troubles) else { return };
        let lines = text.lines().filter_map(|line| line.strip_prefix("cpu")?.split_once(' '));
        let lines: Vec<(&str, Ticks)> = lines.filter_map(|(core, rest)| Some((core, ticks(rest)?))).collect();
        let cores = lines.iter().filter(|(core, _)| !core.is_empty()).count();
        for (core, ticks) in &lines {
            match *core {
                "" => self.report(None, *ticks, cores, report),
                core if self.per_core => self.report(Some(core), *ticks, cores, report),
                _ => {}
            }
        }
        if lines.is_empty() {
            odd(&path, "times of processors", look.troubles);
        }
    }
}

/// Old kernels know fewer modes than new ones; four there always are.
fn ticks(text: &str) -> Option<Ticks> {
    let mut ticks = [0; MODES.len()];
    let found = ticks.iter_mut().zip(numbers(text)).map(|(place, number)| *place = number).count();
    (found >= 4).then_some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    #[test]
    fn fractions_are_of_the_time_between_two_looks() {
        let (mut machine, mut cpu) = (Machine::new(), Cpu::new(true));
        machine
            .write("proc/stat", "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 100 0 50 800 50 0 0 0 0 0\nintr 5\n");
        let first = machine.look(&mut cpu, 0);
        assert_eq!(first.devices("host.cpu"), ["", "0"]);
        assert_eq!(first.number("host.cpu", "", "user"), None);
        assert_eq!(first.number("host.cpu", "", "cores"), Some(1.0));
        assert_eq!(first.number("host.cpu", "", "user_time"), Some(100.0 / cpu.ticks_per_second));
        // Waiting for I/O goes back, as it does on real machines.
        machine.write("proc/stat", "cpu  130 0 60 860 40 0 0 0 30 0\n");
        let second = machine.look(&mut cpu, 1);
        let number = |name| second.number("host.cpu", "", name);
        assert_eq!((number("user"), number("system")), (Some(0.3), Some(0.1)));
        assert_eq!((number("idle"), number("iowait"), number("guest")), (Some(0.6), Some(0.0), Some(0.3)));
        assert!((number("busy").unwrap() - 0.4).abs() < 1e-9);
        assert_eq!(machine.troubles.count(), 0);
    }

    #[test]
    fn old_kernels_have_fewer_modes_and_odd_lines_are_left_out() {
        let (mut machine, mut cpu) = (Machine::new(), Cpu::new(true));
        machine.write("proc/stat", "cpu 1 2 3 4\ncpu0 1 2\ncpu1 x\n");
        let report = machine.look(&mut cpu, 0);
        assert_eq!(report.devices("host.cpu"), [""]);
        machine.write("proc/stat", "nothing\n");
        assert_eq!(machine.look(&mut cpu, 0).readings, []);
        assert_eq!(machine.troubles.count(), 1);
    }
}
