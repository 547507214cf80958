//! Counts per stage: atomics that the stages add to once a batch, read out of band.

use crate::accounting::Accounting;
use crate::health::{HealthCells, InstanceHealth};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One number.
#[derive(Default, Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, count: usize) {
        if count > 0 {
            // Whoever sees this count also sees those that were made before it: see `snapshot`.
            self.0.fetch_add(count as u64, Ordering::Release);
        }
    }

    pub(crate) fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The counters that plugins of a stage make for themselves, by `instance.name`.
#[derive(Default, Debug)]
pub(crate) struct PluginCounters {
    cells: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl PluginCounters {
    /// Returns the cell of a counter. It lives as long as `self`.
    pub(crate) fn cell(&self, name: &str) -> Arc<AtomicU64> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.entry(name.to_owned()).or_default().clone()
    }

    fn snapshot(&self) -> BTreeMap<String, u64> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.iter().map(|(name, cell)| (name.clone(), cell.load(Ordering::Relaxed))).collect()
    }
}

/// Statistics of a stage that plugins add counters to, and its instances their health.
pub(crate) trait HasCounters: Send + Sync {
    fn counters(&self) -> &PluginCounters;

    fn health(&self) -> &HealthCells;
}

macro_rules! stage_stats {
    ($(#[$doc:meta])* $live:ident => $(#[$shown_doc:meta])* $shown:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Default, Debug)]
        pub(crate) struct $live {
            pub(crate) name: String,
            $(pub(crate) $field: Count,)*
            pub(crate) plugin: PluginCounters,
            pub(crate) health: HealthCells,
        }

        impl $live {
            pub(crate) fn new(name: &str) -> Arc<$live> {
                Arc::new($live { name: name.to_owned(), ..$live::default() })
            }

            /// Reads the last counts first: a message that is seen to have left is also seen to have come.
            fn snapshot(&self) -> $shown {
                let mut values = [$((&self.$field, 0)),*];
                values.iter_mut().rev().for_each(|(count, value)| *value = count.value());
                let [$((_, $field)),*] = values;
                $shown { name: self.name.clone(), $($field,)* plugin: self.plugin.snapshot() }
            }
        }

        impl HasCounters for $live {
            fn counters(&self) -> &PluginCounters {
                &self.plugin
            }

            fn health(&self) -> &HealthCells {
                &self.health
            }
        }

        $(#[$shown_doc])*
        #[derive(Clone, PartialEq, Eq, Debug, Serialize)]
        #[non_exhaustive]
        pub struct $shown {
            /// Name of the instance or chain.
            pub name: String,
            $($(#[$field_doc])* pub $field: u64,)*
            /// Counters of the plugins themselves.
            pub plugin: BTreeMap<String, u64>,
        }
    };
}

stage_stats! {
    /// Counts of an input stage.
    InputStats =>
    /// What an input has done.
    InputCounts {
        /// Bytes read from streams and datagrams.
        bytes,
        /// Frames cut out of them.
        frames,
        /// Messages handed to the router.
        messages,
        /// Frames that the decoder refused.
        undecoded,
        /// Frames that were longer than `frame_bytes_max` and skipped.
        rejected,
        /// Frames that were longer than `frame_bytes_max` and cut.
        truncated,
        /// Bytes skipped while looking for the next good frame.
        broken_bytes,
        /// Messages and frames that became dead letters here.
        dead_lettered,
        /// Messages that no chain wanted.
        unrouted,
    }
}

stage_stats! {
    /// Counts of a chain.
    ChainStats =>
    /// What a chain has done: taken + emitted = passed + destroyed + absorbed + dead-lettered + in flight.
    ChainCounts {
        /// Messages that the chain's matcher accepted.
        taken,
        /// Messages that its filters emitted into it.
        emitted,
        /// Messages that went through all filters.
        passed,
        /// Messages that a filter dropped.
        destroyed,
        /// Messages that a filter took in, to live on in something emitted later.
        absorbed,
        /// Messages that became dead letters here.
        dead_lettered,
    }
}

stage_stats! {
    /// Counts of an output stage.
    OutputStats =>
    /// What an output has done: queued at start + marked + replayed = delivered + dead-lettered + dropped + duplicates
    /// + abandoned + queued and in flight.
    OutputCounts {
        /// Messages that were on the disk when the router started.
        queued_at_start,
        /// Messages that chains marked for it.
        marked,
        /// Dead letters that were put back into it.
        replayed,
        /// Messages that it has delivered.
        delivered,
        /// Encoded bytes that it has delivered.
        bytes,
        /// Messages that it or its encoder refused for good.
        dead_lettered,
        /// Messages dropped because its queue was full and its policy says so.
        dropped,
        /// Messages that its durable queue had taken before, and that came again after a crash.
        duplicates,
        /// Messages given up at a shutdown past its deadline.
        abandoned,
        /// Messages that are in its queue on the disk now, delivered ones that the queue has not forgotten yet included.
        on_disk,
        /// Calls that had to be tried again.
        retries,
    }
}

stage_stats! {
    /// Counts of the injection stage.
    InjectionStats =>
    /// What the injection stage has done with messages emitted to the router.
    InjectionCounts {
        /// Messages put into the lane.
        injected,
        /// Messages handed to the router again.
        routed,
        /// Messages refused: the lane was full, or they had gone round too often.
        dead_lettered,
    }
}

/// All live counts of a router. A reload keeps the counts of what goes on, also of what was removed.
pub(crate) struct Stats {
    pub(crate) injection: Arc<InjectionStats>,
    stages: Mutex<StageStats>,
}

/// The counts of all stages, in the order of the config.
#[derive(Clone, Default)]
pub(crate) struct StageStats {
    pub(crate) inputs: Vec<Arc<InputStats>>,
    pub(crate) chains: Vec<Arc<ChainStats>>,
    pub(crate) outputs: Vec<Arc<OutputStats>>,
}

macro_rules! counts_of {
    ($(#[$doc:meta])* $function:ident, $list:ident, $live:ident) => {
        $(#[$doc])*
        pub(crate) fn $function(&self, name: &str) -> Arc<$live> {
            let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
            let known = stages.$list.iter().find(|stats| stats.name == name);
            known.cloned().unwrap_or_else(|| $live::new(name))
        }
    };
}

impl Default for Stats {
    fn default() -> Stats {
        Stats { injection: InjectionStats::new(""), stages: Mutex::default() }
    }
}

impl Stats {
    counts_of! {
        /// Returns the counts of an input: those that there are, or new ones.
        input, inputs, InputStats
    }

    counts_of! {
        /// Returns the counts of a chain.
        chain, chains, ChainStats
    }

    counts_of! {
        /// Returns the counts of an output.
        output, outputs, OutputStats
    }

    /// Tells whether there is, or was, an output of this name.
    pub(crate) fn knows_output(&self, name: &str) -> bool {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.outputs.iter().any(|stats| stats.name == name)
    }

    /// Says which stages there are now. What those counted that are gone stays, behind the others.
    pub(crate) fn set_stages(&self, new: StageStats) {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *stages, new);
        keep_gone(&mut stages.inputs, old.inputs);
        keep_gone(&mut stages.chains, old.chains);
        keep_gone(&mut stages.outputs, old.outputs);
    }

    pub(crate) fn snapshot(&self) -> RouterStats {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        RouterStats {
            inputs: stages.inputs.iter().map(|stats| stats.snapshot()).collect(),
            chains: stages.chains.iter().map(|stats| stats.snapshot()).collect(),
            outputs: stages.outputs.iter().map(|stats| stats.snapshot()).collect(),
            injection: self.injection.snapshot(),
        }
    }

    pub(crate) fn health(&self) -> Vec<InstanceHealth> {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let inputs = stages.inputs.iter().flat_map(|stats| stats.health.snapshot(&stats.name, "input"));
        let chains = stages.chains.iter().flat_map(|stats| stats.health.snapshot(&stats.name, "chain"));
        let outputs = stages.outputs.iter().flat_map(|stats| stats.health.snapshot(&stats.name, "output"));
        inputs.chain(chains).chain(outputs).collect()
    }
}

fn keep_gone<T>(stages: &mut Vec<Arc<T>>, old: Vec<Arc<T>>) {
    let is_gone = |old: &Arc<T>| !stages.iter().any(|stage| Arc::ptr_eq(stage, old));
    let gone: Vec<_> = old.into_iter().filter(is_gone).collect();
    stages.extend(gone);
}

/// What a router has done so far; `Display` is a table for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RouterStats {
    /// Each input.
    pub inputs: Vec<InputCounts>,
    /// Each chain.
    pub chains: Vec<ChainCounts>,
    /// Each output.
    pub outputs: Vec<OutputCounts>,
    /// What filters and embedders injected.
    pub injection: InjectionCounts,
}

impl ChainCounts {
    /// Messages that are inside the chain now.
    pub fn in_flight(&self) -> u64 {
        let out = self.passed + self.destroyed + self.absorbed + self.dead_lettered;
        (self.taken + self.emitted).saturating_sub(out)
    }
}

impl OutputCounts {
    /// Messages that wait for the output or are being delivered.
    pub fn queued(&self) -> u64 {
        let out = self.delivered + self.dead_lettered + self.dropped + self.duplicates + self.abandoned;
        (self.queued_at_start + self.marked + self.replayed).saturating_sub(out)
    }

    /// Messages that wait for the output and are nowhere but in memory.
    pub fn in_memory(&self) -> u64 {
        self.queued().saturating_sub(self.on_disk)
    }
}

impl RouterStats {
    /// Returns the counts of the input with this name.
    pub fn input(&self, name: &str) -> Option<&InputCounts> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Returns the counts of the chain with this name.
    pub fn chain(&self, name: &str) -> Option<&ChainCounts> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    /// Returns the equations that all messages are accounted for by.
    pub fn accounting(&self) -> Accounting {
        Accounting::of(self)
    }

    /// Returns the counts of the output with this name.
    pub fn output(&self, name: &str) -> Option<&OutputCounts> {
        self.outputs.iter().find(|output| output.name == name)
    }

    /// Messages that wait on the disk, for the next run.
    pub fn kept(&self) -> u64 {
        self.outputs.iter().map(|output| output.queued() - output.in_memory()).sum()
    }

    /// Messages that were read but are neither delivered, nor on the disk, nor otherwise accounted for: lost if the
    /// router ends now, unless their inputs can read them again.
    pub fn left(&self) -> u64 {
        let chains: u64 = self.chains.iter().map(ChainCounts::in_flight).sum();
        let outputs: u64 = self.outputs.iter().map(|output| output.in_memory() + output.abandoned).sum();
        chains + outputs
    }
}

impl fmt::Display for RouterStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for input in &self.inputs {
            let shown = [
                ("messages", input.messages),
                ("bytes", input.bytes),
                ("undecoded", input.undecoded),
                ("rejected", input.rejected),
                ("truncated", input.truncated),
                ("broken bytes", input.broken_bytes),
                ("dead-lettered", input.dead_lettered),
                ("unrouted", input.unrouted),
            ];
            line(f, "input", &input.name, &shown)?;
        }
        for chain in &self.chains {
            let shown = [
                ("taken", chain.taken),
                ("emitted", chain.emitted),
                ("passed", chain.passed),
                ("destroyed", chain.destroyed),
                ("absorbed", chain.absorbed),
                ("dead-lettered", chain.dead_lettered),
                ("in flight", chain.in_flight()),
            ];
            line(f, "chain", &chain.name, &shown)?;
        }
        for output in &self.outputs {
            let shown = [
                ("marked", output.marked),
                ("queued at start", output.queued_at_start),
                ("replayed", output.replayed),
                ("delivered", output.delivered),
                ("bytes", output.bytes),
                ("dead-lettered", output.dead_lettered),
                ("dropped", output.dropped),
                ("duplicates", output.duplicates),
                ("abandoned", output.abandoned),
                ("retries", output.retries),
                ("queued", output.queued()),
                ("of these on the disk", output.queued() - output.in_memory()),
            ];
            line(f, "output", &output.name, &shown)?;
        }
        let injection = &self.injection;
        if injection.injected + injection.dead_lettered > 0 {
            let shown = [
                ("injected", injection.injected),
                ("routed", injection.routed),
                ("dead-lettered", injection.dead_lettered),
            ];
            line(f, "injection", "", &shown)?;
        }
        Ok(())
    }
}

/// Writes one stage; of its numbers the first is always shown, the others when they are not 0.
fn line(f: &mut fmt::Formatter<'_>, kind: &str, name: &str, shown: &[(&str, u64)]) -> fmt::Result {
    write!(f, "{kind:<9} {name:<20}")?;
    for (index, (what, count)) in shown.iter().enumerate() {
        if index == 0 || *count > 0 {
            write!(f, "  {what} {count}")?;
        }
    }
    writeln!(f)
}
