//! How full file systems are.

use super::memory::fraction;
use super::mount::{Mount, distinct, parse};
use super::mount_probe::{Answer, MountProbe};
use super::{Look, Subject};
use crate::name_filter::NameFilter;
use crate::proc_file::{odd, read, read_text};
use crate::report::Report;
use rustix::fs::{StatVfs, StatVfsMountFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a file system may take to answer, when nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Looks at the mounted file systems.
pub struct FileSystems {
    types: NameFilter,
    mounts: NameFilter,
    /// Below which the mounts are found.
    root: PathBuf,
    probe: MountProbe,
}

impl Default for FileSystems {
    fn default() -> FileSystems {
        FileSystems::new(NameFilter::default(), NameFilter::default(), PathBuf::from("/"), TIMEOUT)
    }
}

impl FileSystems {
    /// Looks at those that both filters take; each has so long to answer.
    pub fn new(types: NameFilter, mounts: NameFilter, root: PathBuf, timeout: Duration) -> FileSystems {
        let ask = |path: &Path| rustix::fs::statvfs(path);
        FileSystems { types, mounts, root, probe: MountProbe::new(ask, timeout) }
    }

    fn mounts(&self, look: &mut Look<'_>) -> Option<Vec<Mount>> {
        // Who looks from inside a container wants the mounts of the machine's first process.
        let whose = if self.root == Path::new("/") { "self" } else { "1" };
        let path = look.proc.join(whose).join("mountinfo");
        let text = match read(&look.proc.join("self/mountinfo")) {
            Ok(text) if whose == "self" => text,
            _ => read_text(&path, look.troubles)?,
        };
        let mounts: Vec<Mount> = text.lines().filter_map(parse).collect();
        if mounts.is_empty() {
            odd(&path, "mounts", look.troubles);
        }
        let is_wanted = |mount: &Mount| {
            self.types.takes(&mount.fs_type) && self.mounts.takes(&mount.point.to_string_lossy())
        };
        Some(distinct(mounts).into_iter().filter(is_wanted).collect())
    }
}

impl Subject for FileSystems {
    fn look(&mut self, look: &mut Look<'_>, report: &mut Report) {
        let Some(mounts) = self.mounts(look) else { return };
        let below = |mount: &Mount| match mount.point.strip_prefix("/") {
            Ok(point) => self.root.join(point),
            Err(_) => mount.point.clone(),
        };
        let paths: Vec<PathBuf> = mounts.iter().map(below).collect();
        let answers = self.probe.ask_all(&paths);
        for (mount, answer) in mounts.iter().zip(answers) {
            let shown = mount.point.display();
            match answer {
                Answer::Is(found) => report_usage(mount, Some(&found), report),
                Answer::Silent => {
                    report_usage(mount, None, report);
                    look.troubles.tell(format!("the file system at `{shown}` doesn't answer"));
                }
                Answer::Failed(errno) => {
                    let why = heka_plugin_api::cause(&errno.into());
                    look.troubles.tell(format!("failed to ask the file system at `{shown}`: {why}"));
                }
                Answer::NotAsked => {
                    look.troubles.tell("failed to make a thread that asks file systems".to_owned());
                }
            }
        }
    }
}

/// Reports what a file system said; of a silent one only that it is.
fn report_usage(mount: &Mount, found: Option<&StatVfs>, report: &mut Report) {
    // Such as /proc, which has no room at all.
    if found.is_some_and(|found| found.f_blocks == 0) {
        return;
    }
    let reading = report.begin("host.file_system");
    reading.label("mount", mount.point.to_string_lossy());
    reading.label("device", &*mount.device).label("fs_type", &*mount.fs_type);
    reading.integer("responsive", "", found.is_some().into());
    let Some(found) = found else { return };
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    reading.integer("total", "B", bytes(found.f_blocks)).integer("used", "B", bytes(used));
    reading.integer("free", "B", bytes(found.f_bfree)).integer("available", "B", bytes(found.f_bavail));
    // What only root may use counts neither way, as in `df`.
    reading.double("used_fraction", "fraction", fraction(used, used.saturating_add(found.f_bavail)));
    let is_read_only = mount.is_read_only || found.f_flag.contains(StatVfsMountFlags::RDONLY);
    reading.integer("read_only", "", is_read_only.into());
    if found.f_files > 0 {
        let used = found.f_files.saturating_sub(found.f_ffree);
        reading.integer("inodes_total", "inodes", found.f_files).integer("inodes_used", "inodes", used);
        reading.integer("inodes_free", "inodes", found.f_ffree);
        reading.double("inodes_used_fraction", "fraction", fraction(used, found.f_files));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::Machine;

    #[test]
    fn real_file_systems_are_asked_and_filtered() {
        let mut machine = Machine::new();
        machine.write(
            "proc/self/mountinfo",
            "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /proc rw - proc proc rw\n\
             3 1 8:2 / /nonexistent/mount rw - ext4 /dev/sdb rw\n4 1 0:8 / /tmp rw - tmpfs tmpfs rw\n",
        );
        let types = NameFilter::new(&[], &["tmpfs".to_owned()]);
        let mut systems = FileSystems::new(types, NameFilter::default(), PathBuf::from("/"), TIMEOUT);
        let report = machine.look(&mut systems, 0);
        assert_eq!(report.devices("host.file_system"), ["/"], "/proc has no room");
        let number = |name| report.number("host.file_system", "/", name).unwrap();
        assert!(number("total") > 0.0 && number("used") <= number("total"));
        assert!((0.0..=1.0).contains(&number("used_fraction")));
        assert_eq!((number("responsive"), machine.troubles.count()), (1.0, 1));
    }

    #[test]
    fn inside_a_container_the_first_processs_mounts_are_found_below_the_root() {
        let mut machine = Machine::new();
        machine.write("proc/1/mountinfo", "1 1 8:1 / /dev rw - ext4 /dev/sda1 rw\n");
        let root = PathBuf::from("/proc/self/root");
        let mut systems = FileSystems::new(NameFilter::default(), NameFilter::default(), root, TIMEOUT);
        let report = machine.look(&mut systems, 0);
        assert_eq!((report.devices("host.file_system"), machine.troubles.count()), (vec!["/dev"], 0));
    }
}
