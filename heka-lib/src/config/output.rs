//! What the host owns of an output's table.

use std::time::Duration;

use super::instance::{INTERVAL_MAX, InstanceConfig, ticker_interval};
use super::position::Located;
use super::section::Section;
use heka_plugin_api::units::format_duration;

/// An output's table.
pub type OutputConfig = InstanceConfig<OutputSettings>;

/// What the host owns of an output's table.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSettings {
    /// The encoder: the name of a section, or of a plugin that needs no options; by default the output's own.
    pub encoder: Option<Located<String>>,
    /// What waits for the output.
    pub queue: QueueConfig,
    /// How failed deliveries are tried again.
    pub retry: RetryConfig,
    /// The output that gets what this one refuses for good; by default the one that `[heka]` names.
    pub dead_letter: Option<Located<String>>,
    /// How often the output is called without messages; 1 ms to 1 day.
    pub ticker_interval: Option<Duration>,
}

/// How an output's queue keeps what waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Where. Default [`QueueKind::Spill`].
    pub kind: QueueKind,
    /// The most bytes, in memory 64 KiB, on the disk 1 MiB, to 16 TiB. Default 64 MiB in memory, 1 GiB for the other kinds.
    pub max_bytes: u64,
    /// The most messages; by default only the bytes count.
    pub max_messages: Option<u64>,
    /// What happens when there is no room. Default [`WhenFull::Block`].
    pub when_full: WhenFull,
    /// From when on a waiting message counts as taken. Default [`Durability::Disk`], in memory
    /// [`Durability::Memory`].
    pub durability: Durability,
}

/// Where a queue keeps its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// In memory only.
    Memory,
    /// On disk, always.
    Disk,
    /// In memory first, and on disk when that gets full.
    Spill,
}

/// What happens to a message that a full queue has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits, and with it the inputs that feed the output.
    Block,
    /// The oldest waiting ones make room.
    DropOldest,
    /// It is dropped itself.
    DropNewest,
}

/// From when on a message in a queue counts as taken by its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Never: only delivery counts.
    Memory,
    /// When it is written: survives the end of the process.
    Disk,
    /// When it is synced: survives the loss of power.
    Fsync,
}

/// How often and for how long a failed delivery is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// The first delay; it doubles with every try. 1 ms to 1 day; default 100 ms.
    pub delay_min: Duration,
    /// The longest delay. 1 ms to 1 day; default 30 s.
    pub delay_max: Duration,
    /// How many tries make a dead letter; by default none does.
    pub attempts_max: Option<u32>,
    /// How old a message may get before it is a dead letter, up to 1 year; by default any age.
    pub age_max: Option<Duration>,
    /// Whether delays vary at random, so that many hosts don't come back at once. Default `true`.
    pub jitter: bool,
}

impl QueueKind {
    fn default_bytes(self) -> u64 {
        if self == QueueKind::Memory { 64 << 20 } else { 1 << 30 }
    }

    fn least_bytes(self) -> u64 {
        if self == QueueKind::Memory { 64 << 10 } else { heka_queue::BYTES_MIN }
    }

    fn default_durability(self) -> Durability {
        if self == QueueKind::Memory { Durability::Memory } else { Durability::Disk }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        let kind = QueueKind::Spill;
        QueueConfig {
            kind,
            max_bytes: kind.default_bytes(),
            max_messages: None,
            when_full: WhenFull::Block,
            durability: kind.default_durability(),
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            delay_min: Duration::from_millis(100),
            delay_max: Duration::from_secs(30),
            attempts_max: None,
            age_max: None,
            jitter: true,
        }
    }
}

impl OutputSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        OutputSettings {
            encoder: section.string("encoder"),
            queue: section.table("queue").map(QueueConfig::read).unwrap_or_default(),
            retry: section.table("retry").map(RetryConfig::read).unwrap_or_default(),
            dead_letter: section.string("dead_letter"),
            ticker_interval: ticker_interval(section),
        }
    }
}

impl QueueConfig {
    /// The limits of its part on the disk.
    pub(crate) fn disk_options(&self) -> heka_queue::QueueOptions {
        heka_queue::QueueOptions {
            messages_max: self.max_messages,
            roll_syncs: self.durability == Durability::Fsync,
            ..heka_queue::QueueOptions::new(self.max_bytes)
        }
    }

    fn read(mut section: Section<'_, '_>) -> Self {
        let kinds = [("memory", QueueKind::Memory), ("disk", QueueKind::Disk), ("spill", QueueKind::Spill)];
        let policies = [
            ("block", WhenFull::Block),
            ("drop_oldest", WhenFull::DropOldest),
            ("drop_newest", WhenFull::DropNewest),
        ];
        let durabilities =
            [("memory", Durability::Memory), ("disk", Durability::Disk), ("fsync", Durability::Fsync)];
        let kind = section.keyword("kind", &kinds).unwrap_or(QueueKind::Spill);
        let queue = QueueConfig {
            kind,
            max_bytes: section
                .bytes("max_bytes", kind.least_bytes()..=16 << 40)
                .unwrap_or(kind.default_bytes()),
            max_messages: section.integer("max_messages", 1..=i64::MAX).map(i64::unsigned_abs),
            when_full: section.keyword("when_full", &policies).unwrap_or(WhenFull::Block),
            durability: section.keyword("durability", &durabilities).unwrap_or(kind.default_durability()),
        };
        if let Some(node) = section.value("durability")
            && kind == QueueKind::Memory
            && queue.durability != Durability::Memory
        {
            section.fail::<()>(
                "durability",
                node,
                "a queue in memory has only `memory`; make it `spill` or `disk`",
            );
        }
        section.finish();
        queue
    }
}

impl RetryConfig {
    fn read(mut section: Section<'_, '_>) -> Self {
        let default = RetryConfig::default();
        let delays = Duration::from_millis(1)..=INTERVAL_MAX;
        let retry = RetryConfig {
            delay_min: section.duration("delay_min", delays.clone()).unwrap_or(default.delay_min),
            delay_max: section.duration("delay_max", delays.clone()).unwrap_or(default.delay_max),
            attempts_max: section.integer("attempts_max", 1..=u32::MAX),
            age_max: section.duration("age_max", *delays.start()..=365 * INTERVAL_MAX),
            jitter: section.bool("jitter").unwrap_or(default.jitter),
        };
        if let Some(node) = section.value("delay_max").or(section.value("delay_min"))
            && retry.delay_min > retry.delay_max
        {
            let (least, most) = (format_duration(retry.delay_min), format_duration(retry.delay_max));
            let why = format!("`delay_max`, {most}, is shorter than `delay_min`, {least}");
            section.faults.add(&node.position, format!("{}: {why}", section.who));
        }
        section.finish();
        retry
    }
}
