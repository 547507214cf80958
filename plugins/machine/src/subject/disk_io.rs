//! What disks read and write, from `/proc/diskstats`.

use super::{Look, Subject};
use crate::name_filter::NameFilter;
use crate::proc_file::{numbers, odd, read_text};
use crate::rate::History;
use crate::report::Report;

/// A sector of the file, whatever the disk's own are.
const SECTOR_BYTES: u64 = 512;
/// Numbers behind a name that there are at least.
const COLUMNS_MIN: usize = 11;

/// Looks at disks.
#[derive(Default)]
pub struct DiskIo {
    filter: NameFilter,
    partitions: bool,
    history: History<5>,
}

impl DiskIo {
    /// Looks at the disks, and with `partitions` at their parts too, that the filter takes.
    pub fn new(filter: NameFilter, partitions: bool) -> DiskIo {
        DiskIo { filter, partitions, history: History::default() }
    }

    fn report(&mut self, name: &str, row: &[u64], look: &Look<'_>, report: &mut Report) {
        let bytes = |sectors: u64| sectors.wrapping_mul(SECTOR_BYTES);
        let (read, written) = (bytes(row[2]), bytes(row[6]));
        // Milliseconds in which something was under way wrap at 32 bits.
        let rates = self.history.rates(name, look.now, [row[0], row[4], row[2], row[6], row[9]]);
        let reading = report.begin("host.disk_io");
        reading.label("device", name);
        reading.integer("reads", "", row[0]).integer("writes", "", row[4]);
        reading.integer("read_bytes", "B", read).integer("written_bytes", "B", written);
        let seconds = |ms: u64| ms as f64 / 1e3;
        reading.double("read_time", "s", seconds(row[3])).double("write_time", "s", seconds(row[7]));
        reading.integer("in_flight", "", row[8]).double("busy_time", "s", seconds(row[9]));
        let sectors = |rate: Option<f64>| rate.map(|rate| rate * SECTOR_BYTES as f64);
        reading.double("reads_rate", "1/s", rates[0]).double("writes_rate", "1/s", rates[1]);
        reading.double("read_bytes_rate", "B/s", sectors(rates[2]));
        reading.double("written_bytes_rate", "B/s", sectors(rates[3]));
        reading.double("busy", "fraction", rates[4].map(|ms| (ms / 1e3).min(1.0)));
    }

    /// Partitions are no block devices of their own in `/sys/block`; without it everything counts.
    fn is_wanted(&self, name: &str, look: &Look<'_>) -> bool {
        let block = look.sys.join("block");
        let is_disk = || !block.is_dir() || block.join(name.replace('/', "!")).exists();
        self.filter.takes(name) && (self.partitions || is_disk())
    }
}

impl Subject for DiskIo {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let path = look.proc.join("diskstats");
        let Some(text) = read_text(&path, look.troubles) else { return };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(name) = words.nth(2) else { continue };
            let from = name.as_ptr() as usize - line.as_ptr() as usize + name.len();
            let row: Vec<u64> = numbers(&line[from..]).collect();
            if row.len() < COLUMNS_MIN {
                odd(&path, &format!("counters of `{name}`"), look.troubles);
            } else if self.is_wanted(name, look) {
                self.report(name, &row, look, report);
            }
        }
        self.history.end_look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    #[test]
    fn disks_have_counters_and_rates_and_partitions_are_left_out() {
        let mut machine = Machine::new();
        machine.write("sys/block/sda/size", "1");
        machine.write("sys/block/loop0/size", "1");
        let mut disks = DiskIo::new(NameFilter::new(&[], &["loop*".to_owned()]), false);
        let text = |reads, sectors, busy| {
            format!(
                "   8       0 sda {reads} 0 {sectors} 4000 30 0 50 6000 2 {busy} 900 0 0 0 0\n   \
                 8 1 sda1 1 0 1 1 1 1 1 1 1 1 1\n 7 0 loop0 1 1 1 1 1 1 1 1 1 1 1\n"
            )
        };
        machine.write("proc/diskstats", &text(10, 100, u64::from(u32::MAX) - 999));
        let report = machine.look(&mut disks, 0);
        assert_eq!(report.devices("host.disk_io"), ["sda"]);
        let number = |name| report.number("host.disk_io", "sda", name);
        assert_eq!((number("read_bytes"), number("written_bytes")), (Some(51_200.0), Some(25_600.0)));
        assert_eq!((number("read_time"), number("in_flight")), (Some(4.0), Some(2.0)));
        machine.write("proc/diskstats", &text(30, 300, 4_000));
        let report = machine.look(&mut disks, 10);
        let number = |name| report.number("host.disk_io", "sda", name);
        assert_eq!((number("reads_rate"), number("read_bytes_rate")), (Some(2.0), Some(10_240.0)));
        assert_eq!((number("writes_rate"), number("busy")), (Some(0.0), Some(0.5)));
        assert_eq!(machine.troubles.count(), 0);
    }

    #[test]
    fn short_lines_are_left_out() {
        let mut machine = Machine::new();
        machine.write("proc/diskstats", "8 0 sda 1 2 3\n8 16\n8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n");
        let report = machine.look(&mut DiskIo::default(), 0);
        assert_eq!((report.devices("host.disk_io"), machine.troubles.count()), (vec!["sdb"], 1));
    }
}
