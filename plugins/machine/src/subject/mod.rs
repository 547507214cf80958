//! The subjects: what can be looked at, one file each.

mod cpu;
mod disk_io;
mod file_system;
mod load;
mod memory;
mod mount;
mod mount_probe;
mod network;
mod process;
mod process_stat;
mod system;

pub use cpu::Cpu;
pub use disk_io::DiskIo;
pub use file_system::FileSystems;
pub use load::Load;
pub use memory::Memory;
pub use network::Network;
pub use process::{ProcessOptions, Processes};
pub use system::System;

use crate::proc_file::Troubles;
use crate::report::Report;
use std::path::Path;
use std::time::Instant;

/// One look at the machine.
pub struct Look<'l> {
    /// Where `/proc` is.
    pub proc: &'l Path,
    /// Where `/sys` is.
    pub sys: &'l Path,
    /// When it is, by the monotonic clock.
    pub now: Instant,
    pub troubles: &'l mut Troubles,
}

/// Looks at one subject again and again.
pub trait Subject: Send {
    /// Adds readings of what is there to the report; what is missing is a trouble.
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A `/proc` and a `/sys` of a test's own.
    pub struct Machine {
        directory: tempfile::TempDir,
        start: Instant,
        pub troubles: Troubles,
    }

    impl Machine {
        pub fn new() -> Machine {
            let directory = tempfile::tempdir().unwrap();
            Machine { directory, start: Instant::now(), troubles: Troubles::of("test") }
        }

        /// Writes a file, such as `proc/stat`.
        pub fn write(&self, path: &str, text: &str) {
            let path = self.directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        pub fn remove(&self, path: &str) {
            std::fs::remove_dir_all(self.directory.path().join(path)).unwrap();
        }

        /// Looks at a subject, so many seconds after the test began.
        pub fn look(&mut self, subject: &mut dyn Subject, seconds: u64) -> Report {
            let mut report = Report::default();
            let (proc, sys) = (self.directory.path().join("proc"), self.directory.path().join("sys"));
            let now = self.start + Duration::from_secs(seconds);
            let mut look = Look { proc: &proc, sys: &sys, now, troubles: &mut self.troubles };
            subject.look(&mut look, &mut report);
            report
        }
    }

    #[test]
    fn a_machine_without_files_has_troubles_and_nothing_else() {
        let mut machine = Machine::new();
        let options = ProcessOptions { top: 3, named: vec!["x".to_owned()] };
        for _ in 0..2 {
            let subjects: [Box<dyn Subject>; 8] = [
                Box::new(Cpu::new(true)),
                Box::new(Load),
                Box::new(Memory::default()),
                Box::new(DiskIo::default()),
                Box::new(Network::default()),
                Box::new(System::default()),
                Box::new(Processes::new(options.clone())),
                Box::new(FileSystems::default()),
            ];
            for mut subject in subjects {
                assert_eq!(machine.look(&mut *subject, 0).readings, []);
            }
        }
        assert!((8..=11).contains(&machine.troubles.count()), "{}", machine.troubles.count());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s)[ -~\\n]{0,300}", numbers in "([a-z]{0,4}[0-9]{0,22}[ :\\n()-]{0,3}){0,40}") {
            let mut machine = Machine::new();
            for text in [&text, &numbers] {
                for file in ["stat", "loadavg", "meminfo", "vmstat", "diskstats", "net/dev", "uptime", "self/mountinfo", "7/stat"] {
                    machine.write(&format!("proc/{file}"), text);
                }
                for _ in 0..2 {
                    let _ = machine.look(&mut Cpu::new(true), 1);
                    let _ = machine.look(&mut Load, 1);
                    let _ = machine.look(&mut Memory::default(), 1);
                    let _ = machine.look(&mut DiskIo::default(), 1);
                    let _ = machine.look(&mut Network::default(), 1);
                    let _ = machine.look(&mut System::default(), 1);
                    let options = ProcessOptions { top: 3, named: vec!["*".to_owned()] };
                    let _ = machine.look(&mut Processes::new(options), 1);
                }
            }
        }
    }
}
