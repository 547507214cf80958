//! The options of input `host_stats`.

use crate::name_filter::check_patterns;
use heka_plugin_api::{Faults, Interval, OptionType, Schema};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Longest interval: a day.
const INTERVAL_MAX: Duration = Duration::from_secs(86_400);
/// The shortest, and the shortest time that a file system is given.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Most processes that are told of each kind.
const TOP_MAX: usize = 1_000;

/// What can be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum SubjectName {
    /// Time of the processors.
    Cpu,
    /// Tasks that want to run.
    Load,
    /// Memory and swap.
    Memory,
    /// How full file systems are.
    FileSystem,
    /// What disks read and write.
    DiskIo,
    /// What goes over the network.
    Network,
    /// The processes.
    Processes,
    /// Uptime and the kernel's counters.
    System,
}

impl SubjectName {
    /// All subjects.
    pub const ALL: [SubjectName; 8] = [
        SubjectName::Cpu,
        SubjectName::Load,
        SubjectName::Memory,
        SubjectName::FileSystem,
        SubjectName::DiskIo,
        SubjectName::Network,
        SubjectName::Processes,
        SubjectName::System,
    ];
}

/// Reports the machine's own statistics at an interval.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often everything is looked at.
    #[schema(default = "10 s", unit = "s")]
    pub interval: Interval,
    /// What is looked at: `cpu`, `load`, `memory`, `file_system`, `disk_io`, `network`, `processes`, `system`.
    #[schema(
        default = "[\"cpu\", \"load\", \"memory\", \"file_system\", \"disk_io\", \"network\", \"processes\", \"system\"]"
    )]
    pub subjects: Vec<SubjectName>,
    /// Whether there is a message for each subject and device.
    #[schema(default = "true")]
    pub messages: bool,
    /// Whether there is a gauge, a message of type `heka.statmetric`, for each number.
    #[schema(default = "false")]
    pub gauges: bool,
    /// What the names of gauges begin with, before `host.cpu.user` and so on.
    #[schema(default = "")]
    pub prefix: String,
    /// Whether there is a message for each core too.
    #[schema(default = "false")]
    pub per_core: bool,
    /// Patterns of mount points that are looked at; empty for all.
    #[schema(default = "[]")]
    pub mounts: Vec<String>,
    /// Patterns of mount points that are left out.
    #[schema(default = "[]")]
    pub mounts_exclude: Vec<String>,
    /// Patterns of file system types that are looked at; empty for all.
    #[schema(default = "[]")]
    pub fs_types: Vec<String>,
    /// Patterns of file system types that are left out.
    #[schema(
        default = "[\"autofs\", \"binfmt_misc\", \"bpf\", \"cgroup\", \"cgroup2\", \"configfs\", \"debugfs\", \"devpts\", \"devtmpfs\", \"efivarfs\", \"fuse.lxcfs\", \"fusectl\", \"hugetlbfs\", \"mqueue\", \"nsfs\", \"overlay\", \"proc\", \"pstore\", \"ramfs\", \"rpc_pipefs\", \"securityfs\", \"selinuxfs\", \"squashfs\", \"sysfs\", \"tmpfs\", \"tracefs\", \"iso9660\"]"
    )]
    pub fs_types_exclude: Vec<String>,
    /// How long a file system may take to answer; one that doesn't is told as not responsive.
    #[schema(default = "1 s", unit = "s")]
    pub fs_timeout: Interval,
    /// Patterns of disks that are looked at; empty for all.
    #[schema(default = "[]")]
    pub disks: Vec<String>,
    /// Patterns of disks that are left out.
    #[schema(default = "[\"loop*\", \"ram*\"]")]
    pub disks_exclude: Vec<String>,
    /// Whether partitions are disks too.
    #[schema(default = "false")]
    pub partitions: bool,
    /// Patterns of network interfaces that are looked at; empty for all.
    #[schema(default = "[]")]
    pub interfaces: Vec<String>,
    /// Patterns of network interfaces that are left out.
    #[schema(default = "[\"lo\"]")]
    pub interfaces_exclude: Vec<String>,
    /// How many processes are told that use the most processor time, and how many that use the most memory.
    #[schema(default = "0", unit = "processes")]
    pub top: usize,
    /// Patterns of process names, at most 15 bytes as the kernel keeps them; the processes of each are added up.
    #[schema(default = "[]")]
    pub named: Vec<String>,
    /// Where the kernel's files about processes are.
    #[schema(default = "/proc")]
    pub proc: PathBuf,
    /// Where the kernel's files about devices are.
    #[schema(default = "/sys")]
    pub sys: PathBuf,
    /// Below which directory the machine's file systems are mounted, for who runs in a container.
    #[schema(default = "/")]
    pub root: PathBuf,
}

/// File systems that are no place for data, or another one's.
const WITHOUT_DISK: [&str; 27] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.lxcfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "iso9660",
];

impl Default for Config {
    fn default() -> Config {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Config {
            interval: Interval(Duration::from_secs(10)),
            subjects: SubjectName::ALL.to_vec(),
            messages: true,
            gauges: false,
            prefix: String::new(),
            per_core: false,
            mounts: Vec::new(),
            mounts_exclude: Vec::new(),
            fs_types: Vec::new(),
            fs_types_exclude: texts(&WITHOUT_DISK),
            fs_timeout: Interval(Duration::from_secs(1)),
            disks: Vec::new(),
            disks_exclude: texts(&["loop*", "ram*"]),
            partitions: false,
            interfaces: Vec::new(),
            interfaces_exclude: texts(&["lo"]),
            top: 0,
            named: Vec::new(),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            root: PathBuf::from("/"),
        }
    }
}

impl Config {
    /// Finds all faults that the types let through.
    pub fn check(&self, faults: &mut Faults) {
        for (option, time) in [("interval", self.interval), ("fs_timeout", self.fs_timeout)] {
            if time.0 < INTERVAL_MIN || time.0 > INTERVAL_MAX {
                faults.add(option, "from 10 ms to 1 d");
            }
        }
        if self.subjects.is_empty() {
            faults.add("subjects", "name at least one, or leave it out for all");
        }
        if !self.messages && !self.gauges {
            faults.add("gauges", "without `messages` and `gauges` nothing would be reported");
        }
        if self.top > TOP_MAX {
            faults.add("top", format!("at most {TOP_MAX}"));
        }
        if self.prefix.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            faults.add("prefix", "must not hold white space");
        }
        for (option, patterns) in [
            ("mounts", &self.mounts),
            ("mounts_exclude", &self.mounts_exclude),
            ("fs_types", &self.fs_types),
            ("fs_types_exclude", &self.fs_types_exclude),
            ("disks", &self.disks),
            ("disks_exclude", &self.disks_exclude),
            ("interfaces", &self.interfaces),
            ("interfaces_exclude", &self.interfaces_exclude),
            ("named", &self.named),
        ] {
            check_patterns(option, patterns, faults);
        }
    }
}
