//! How many tasks want to run, from `/proc/loadavg`.

use super::{Look, Subject};
use crate::proc_file::{odd, read_text};
use crate::report::Report;

/// Looks at the load.
pub struct Load;

impl Subject for Load {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let path = look.proc.join("loadavg");
        let Some(text) = read_text(&path, look.troubles) else { return };
        let mut words = text.split_ascii_whitespace();
        let loads: Vec<Option<f64>> = words.by_ref().take(3).map(|word| word.parse().ok()).collect();
        let [Some(minute), five, fifteen] = loads[..] else {
            return odd(&path, "three loads", look.troubles);
        };
        let reading = report.begin("host.load");
        reading.double("load_1", "tasks", minute);
        reading.double("load_5", "tasks", five);
        reading.double("load_15", "tasks", fifteen);
        if let Some((runnable, all)) = words.next().and_then(|word| word.split_once('/'))
            && let (Ok(runnable), Ok(all)) = (runnable.parse(), all.parse())
        {
            reading.integer("runnable", "tasks", runnable);
            reading.integer("tasks", "tasks", all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    #[test]
    fn loads_and_tasks_are_read() {
        let mut machine = Machine::new();
        machine.write("proc/loadavg", "0.52 1.25 2.00 3/417 12345\n");
        let report = machine.look(&mut Load, 0);
        let number = |name| report.number("host.load", "", name);
        assert_eq!(
            ["load_1", "load_5", "load_15", "runnable", "tasks"].map(number),
            [Some(0.52), Some(1.25), Some(2.0), Some(3.0), Some(417.0)]
        );
        machine.write("proc/loadavg", "0.52 1.25\n");
        assert_eq!(machine.look(&mut Load, 0).readings, []);
        assert_eq!(machine.troubles.count(), 1);
    }
}
