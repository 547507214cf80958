//! Input `host_stats`: looks at the machine at an interval.

use crate::config::{Config, SubjectName};
use crate::message::{write_gauges, write_messages};
use crate::name_filter::NameFilter;
use crate::proc_file::Troubles;
use crate::report::Report;
use crate::subject::{
    Cpu, DiskIo, FileSystems, Load, Look, Memory, Network, ProcessOptions, Processes, Subject, System,
};
use heka_plugin_api::{Context, Counter, Faults, Input, PluginError, Read, Reader, StopSignal, now};
use std::time::{Duration, Instant};

/// Looks at the machine at an interval.
pub struct HostStatsInput {
    config: Config,
    subjects: Vec<Box<dyn Subject>>,
    troubles: Troubles,
    next: Option<Instant>,
    stop: StopSignal,
    looks: Counter,
    left_out: Counter,
}

impl Input for HostStatsInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let mut names = config.subjects.clone();
        names.sort_by_key(|name| *name as usize);
        names.dedup();
        let subjects = names.into_iter().map(|name| subject(name, &config)).collect();
        Ok(HostStatsInput {
            subjects,
            config,
            troubles: Troubles::of(context.instance()),
            next: None,
            stop: context.stop_signal(),
            looks: context.counter("looks"),
            left_out: context.counter("left_out"),
        })
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        _: &mut Context,
    ) -> Result<Read, PluginError> {
        if self.stop.is_raised() {
            return Ok(Read::End);
        }
        let due = self.next.unwrap_or_else(Instant::now);
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            std::thread::sleep(left.min(timeout));
            if left > timeout {
                return Ok(Read::Idle);
            }
        }
        let looked = self.report(reader);
        // After a suspended machine or a blocked pipeline nothing is made up for.
        let now = Instant::now();
        self.next = Some((due + self.config.interval.0).max(now));
        looked.map(|()| Read::Some)
    }
}

impl HostStatsInput {
    /// Looks at everything and hands it on.
    fn report(&mut self, reader: &mut Reader<'_>) -> Result<(), PluginError> {
        let (timestamp, mut report) = (now(), Report::default());
        for subject in &mut self.subjects {
            let mut look = Look {
                proc: &self.config.proc,
                sys: &self.config.sys,
                now: Instant::now(),
                troubles: &mut self.troubles,
            };
            subject.look(&mut look, &mut report);
        }
        self.looks.add(1);
        self.left_out.set(self.troubles.count() as u64);
        let mut writer = reader.messages();
        if self.config.messages {
            write_messages(&report, timestamp, &mut writer)?;
        }
        if self.config.gauges {
            write_gauges(&report, &self.config.prefix, timestamp, &mut writer)?;
        }
        Ok(())
    }
}

fn subject(name: SubjectName, config: &Config) -> Box<dyn Subject> {
    match name {
        SubjectName::Cpu => Box::new(Cpu::new(config.per_core)),
        SubjectName::Load => Box::new(Load),
        SubjectName::Memory => Box::new(Memory::default()),
        SubjectName::FileSystem => {
            let types = NameFilter::new(&config.fs_types, &config.fs_types_exclude);
            let mounts = NameFilter::new(&config.mounts, &config.mounts_exclude);
            Box::new(FileSystems::new(types, mounts, config.root.clone(), config.fs_timeout.0))
        }
        SubjectName::DiskIo => {
            let filter = NameFilter::new(&config.disks, &config.disks_exclude);
            Box::new(DiskIo::new(filter, config.partitions))
        }
        SubjectName::Network => {
            Box::new(Network::new(NameFilter::new(&config.interfaces, &config.interfaces_exclude)))
        }
        SubjectName::Processes => {
            Box::new(Processes::new(ProcessOptions { top: config.top, named: config.named.clone() }))
        }
        SubjectName::System => Box::new(System::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::InputTest;
    use heka_plugin_api::{OwnedMessage, Value};

    fn first_messages(toml: &str, count: usize) -> Vec<OwnedMessage> {
        let mut input = InputTest::<HostStatsInput>::open(toml).unwrap();
        input.start().unwrap();
        input.read_until(|_, messages, _| messages.len() >= count).unwrap().1
    }

    #[test]
    fn this_machine_is_reported() {
        let messages = first_messages("interval = 0.05\nper_core = true\ntop = 2\nnamed = [\"*\"]", 40);
        let types: Vec<&[u8]> = messages.iter().map(|message| message.view().message_type()).collect();
        for expected in
            ["host.cpu", "host.load", "host.memory", "host.system", "host.processes", "host.named_process"]
        {
            assert!(types.contains(&expected.as_bytes()), "{expected}");
        }
        let cpu = messages.iter().rfind(|message| message.view().message_type() == b"host.cpu").unwrap();
        let field = cpu.view().field("user_time").unwrap();
        assert_eq!(field.representation(), b"s");
        assert!(matches!(field.value(0), Some(Value::Double(time)) if time > 0.0));
    }

    #[test]
    fn gauges_have_names_values_and_times() {
        let toml =
            "interval = 0.05\nsubjects = [\"load\"]\nmessages = false\ngauges = true\nprefix = \"agent1\"";
        let messages = first_messages(toml, 5);
        let gauge = messages[0].view();
        assert_eq!(gauge.message_type(), b"heka.statmetric");
        assert_eq!(gauge.value("name"), Some(Value::String(b"agent1.host.load.load_1")));
        assert_eq!(gauge.value("kind"), Some(Value::String(b"gauge")));
        let Some(Value::Double(value)) = gauge.value("value") else { panic!("no value") };
        let seconds = gauge.timestamp() / 1_000_000_000;
        let expected = format!("agent1.host.load.load_1 {value} {seconds}\n");
        assert_eq!(gauge.payload(), expected.as_bytes());
    }

    #[test]
    fn devices_are_parts_of_a_gauges_name() {
        let proc = tempfile::tempdir().unwrap();
        let lines = "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 c/d 1 2 3 4 5 6 7 8 9 10 11\n";
        std::fs::write(proc.path().join("diskstats"), lines).unwrap();
        let toml = format!(
            "subjects = [\"disk_io\"]\ngauges = true\nmessages = false\nproc = \"{0}\"\nsys = \"{0}\"",
            proc.path().display()
        );
        let messages = first_messages(&toml, 16);
        let names: Vec<_> = messages.iter().filter_map(|message| message.view().value("name")).collect();
        assert!(names.contains(&Value::String(b"host.disk_io.sda.reads")));
        assert!(names.contains(&Value::String(b"host.disk_io.c_d.read_bytes")));
    }

    #[test]
    fn faults_are_found_at_once() {
        let toml =
            "interval = 0\nsubjects = []\nmessages = false\ntop = 1001\nprefix = \"a b\"\ndisks = [\"[\"]";
        let faults = InputTest::<HostStatsInput>::faults(toml);
        let expected = [
            "interval: from 10 ms to 1 d",
            "subjects: name at least one, or leave it out for all",
            "gauges: without `messages` and `gauges` nothing would be reported",
            "top: at most 1000",
            "prefix: must not hold white space",
            "disks: `[` is not a pattern: invalid range pattern",
        ];
        assert_eq!(faults, expected);
    }
}
