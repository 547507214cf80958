//! What goes over the network interfaces, from `/proc/net/dev`.

use super::{Look, Subject};
use crate::name_filter::NameFilter;
use crate::proc_file::{numbers, odd, read_text};
use crate::rate::History;
use crate::report::Report;

/// Columns of the file: where, our name, unit.
const COLUMNS: [(usize, &str, &str); 10] = [
    (0, "received_bytes", "B"),
    (1, "received_packets", "packets"),
    (2, "receive_errors", "packets"),
    (3, "receive_drops", "packets"),
    (7, "received_multicast", "packets"),
    (8, "sent_bytes", "B"),
    (9, "sent_packets", "packets"),
    (10, "send_errors", "packets"),
    (11, "send_drops", "packets"),
    (13, "collisions", "packets"),
];
/// Columns that there are at least.
const COLUMNS_MIN: usize = 16;

/// Looks at the network interfaces.
#[derive(Default)]
pub struct Network {
    filter: NameFilter,
    history: History<{ COLUMNS.len() }>,
}

impl Network {
    /// Looks at those that the filter takes.
    pub fn new(filter: NameFilter) -> Network {
        Network { filter, history: History::default() }
    }
}

impl Subject for Network {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let path = look.proc.join("net/dev");
        let Some(text) = read_text(&path, look.troubles) else { return };
        let mut found = false;
        // A name may hold a colon, as that of an alias does; numbers never do.
        for (name, rest) in text.lines().filter_map(|line| line.rsplit_once(':')) {
            let row: Vec<u64> = numbers(rest).collect();
            if row.len() < COLUMNS_MIN {
                continue;
            }
            found = true;
            let name = name.trim();
            if !self.filter.takes(name) {
                continue;
            }
            let reading = report.begin("host.network");
            reading.label("interface", name);
            let counts = COLUMNS.map(|(column, _, _)| row[column]);
            let rates = self.history.rates(name, look.now, counts);
            for (index, (_, name, unit)) in COLUMNS.into_iter().enumerate() {
                reading.integer(name, unit, counts[index]);
                let rate_unit = if unit == "B" { "B/s" } else { "packets/s" };
                reading.double(format!("{name}_rate"), rate_unit, rates[index]);
            }
        }
        self.history.end_look();
        if !found {
            odd(&path, "interfaces", look.troubles);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    const HEAD: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

    fn dev(received: u64, sent: u64) -> String {
        format!(
            "{HEAD}    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0:{received} 10 1 2 0 0 0 3 {sent} 20 4 5 0 6 0 0\n"
        )
    }

    #[test]
    fn interfaces_have_counters_and_rates_across_a_wrap() {
        let mut machine = Machine::new();
        let mut network = Network::new(NameFilter::new(&[], &["lo".to_owned()]));
        machine.write("proc/net/dev", &dev((1 << 32) - 1_000, 500));
        let report = machine.look(&mut network, 0);
        assert_eq!(report.devices("host.network"), ["eth0"]);
        assert_eq!(report.number("host.network", "eth0", "sent_bytes"), Some(500.0));
        assert_eq!(report.number("host.network", "eth0", "collisions"), Some(6.0));
        machine.write("proc/net/dev", &dev(1_000, 600));
        let report = machine.look(&mut network, 10);
        assert_eq!(report.number("host.network", "eth0", "received_bytes_rate"), Some(200.0));
        assert_eq!(report.number("host.network", "eth0", "sent_bytes_rate"), Some(10.0));
        assert_eq!(report.number("host.network", "eth0", "received_packets_rate"), Some(0.0));
        assert_eq!(machine.troubles.count(), 0);
    }

    #[test]
    fn odd_lines_are_left_out() {
        let mut machine = Machine::new();
        machine.write("proc/net/dev", &format!("{HEAD}  eth1: 1 2 3\n"));
        assert_eq!(machine.look(&mut Network::default(), 0).readings, []);
        assert_eq!(machine.troubles.count(), 1);
    }
}
