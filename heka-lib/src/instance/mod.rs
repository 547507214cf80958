//! One running plugin: its functions called safely, its failures as values.

mod host;

use crate::health::State;
use crate::plugin::Kind;
use crate::stats::HasCounters;
use heka_plugin_api::abi::{self, Plugin, Slice, Writer, status};
use host::HostState;
use std::ffi::c_void;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use host::Acknowledgements;

/// What a call to a plugin failed with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
    /// Not before this time has passed; zero leaves it to the host.
    pub(crate) after: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FailureKind {
    Config,
    Message,
    Retry,
    Fatal,
    Panic,
}

impl FailureKind {
    fn of(status: i32) -> FailureKind {
        match status {
            status::CONFIG => FailureKind::Config,
            status::MESSAGE => FailureKind::Message,
            status::RETRY => FailureKind::Retry,
            status::PANIC => FailureKind::Panic,
            _ => FailureKind::Fatal,
        }
    }
}

/// A fault of one option: path of its key, and what is wrong.
pub(crate) type OptionFault = (String, String);

/// What an instance is made from; kept, so that it can be made again after a panic.
#[derive(Clone)]
pub(crate) struct InstanceSpec {
    pub(crate) table: &'static Plugin,
    pub(crate) is_static: bool,
    pub(crate) name: String,
    pub(crate) hostname: String,
    pub(crate) state_dir: PathBuf,
    /// The options as a MessagePack map.
    pub(crate) section: Vec<u8>,
    pub(crate) counters: Counters,
    /// Names of the outputs that a filter may mark, by bit.
    pub(crate) outputs: OutputNames,
}

/// Names of the outputs of a chain, by bit of its marks; empty for a bit that is free. A reload may add some while the
/// instances that look names up go on.
#[derive(Clone, Default)]
pub(crate) struct OutputNames(Arc<Mutex<Vec<String>>>);

impl OutputNames {
    pub(crate) fn new(names: Vec<String>) -> OutputNames {
        OutputNames(Arc::new(Mutex::new(names)))
    }

    pub(crate) fn set(&self, names: Vec<String>) {
        *self.lock() = names;
    }

    fn bit(&self, name: &str) -> Option<usize> {
        self.lock().iter().position(|known| known == name)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an instance's own counters are kept: with the statistics of a stage, under `prefix.` if that isn't empty.
#[derive(Clone)]
pub(crate) struct Counters {
    pub(crate) stats: Arc<dyn HasCounters>,
    pub(crate) prefix: String,
}

impl Counters {
    fn cell(&self, name: &str) -> Arc<std::sync::atomic::AtomicU64> {
        match self.prefix.as_str() {
            "" => self.stats.counters().cell(name),
            prefix => self.stats.counters().cell(&format!("{prefix}.{name}")),
        }
    }
}

impl InstanceSpec {
    /// Tells whether an instance of one does what an instance of the other does: the same code, the same options.
    pub(crate) fn is_same(&self, other: &InstanceSpec) -> bool {
        std::ptr::eq(self.table, other.table) && self.section == other.section
    }

    /// Lets the plugin check the options.
    pub(crate) fn check(&self) -> Vec<OptionFault> {
        let state = HostState::new(self);
        // SAFETY: host and section are valid during the call.
        let status = unsafe { (self.table.check)(state.host(), Slice::new(&self.section)) };
        let mut faults = state.take_faults();
        if status != status::OK && faults.is_empty() {
            faults.push((String::new(), state.take_failure(status).reason));
        }
        faults
    }

    /// Opens an instance.
    ///
    /// The directory for its files is made first, for the kinds that keep some.
    pub(crate) fn open(&self) -> Result<Instance, Failure> {
        let keeps_files = matches!(self.table.kind, abi::kind::INPUT | abi::kind::OUTPUT);
        if let (true, Err(error)) = (keeps_files, std::fs::create_dir_all(&self.state_dir)) {
            let reason = format!("failed to make `{}`: {error}", self.state_dir.display());
            return Err(Failure { kind: FailureKind::Config, reason, after: Duration::ZERO });
        }
        let state = HostState::new(self);
        // SAFETY: host and section are valid; the host stays as long as the instance.
        let pointer = unsafe { (self.table.open)(state.host(), Slice::new(&self.section)) };
        if pointer.is_null() {
            return Err(state.take_failure(status::CONFIG));
        }
        Ok(Instance { table: self.table, pointer, state, poisoned: false, health: InstanceCell::new(self) })
    }
}

/// Where an instance's health is noted.
struct InstanceCell {
    stats: Arc<dyn HasCounters>,
    kind: &'static str,
    name: String,
    /// Whether the next call that goes well is news.
    failing: bool,
}

impl InstanceCell {
    fn new(spec: &InstanceSpec) -> InstanceCell {
        let kind = Kind::ALL.into_iter().find(|kind| kind.number() == spec.table.kind).map_or("", Kind::name);
        let stats = spec.counters.stats.clone();
        let failing = stats.health().opened(kind, &spec.name) != State::Ok;
        InstanceCell { stats, kind, name: spec.name.clone(), failing }
    }

    /// Notes a failed call. One that is not tried again stops the instance, and so does a panic, until it is opened
    /// anew.
    #[cold]
    fn failed(&mut self, failure: &Failure) {
        let state = match failure.kind {
            FailureKind::Message => return,
            FailureKind::Retry => State::Retrying,
            FailureKind::Config | FailureKind::Fatal | FailureKind::Panic => State::Stopped,
        };
        self.failing = true;
        self.stats.health().set(self.kind, &self.name, state, Some(&failure.reason));
    }

    #[cold]
    fn recovered(&mut self) {
        self.failing = false;
        self.stats.health().set(self.kind, &self.name, State::Ok, None);
    }
}

/// One running plugin. Used by one thread at a time.
pub(crate) struct Instance {
    table: &'static Plugin,
    pointer: *mut c_void,
    state: Box<HostState>,
    poisoned: bool,
    health: InstanceCell,
}

// SAFETY: an instance may move between threads between calls; that is part of the border's contract.
unsafe impl Send for Instance {}

impl Instance {
    /// Acquires what lies outside memory, or takes it over from an instance of the same plugin; one of another
    /// plugin, or of another build, has nothing to take over.
    pub(crate) fn start(&mut self, predecessor: Option<&mut Instance>) -> Result<(), Failure> {
        let same = predecessor.filter(|old| self.can_follow(old));
        let predecessor = same.map_or(std::ptr::null_mut(), |old| old.pointer);
        // SAFETY: both instances are open and of the same table, and the caller calls neither meanwhile.
        let status = unsafe { (self.table.start)(self.pointer, predecessor) };
        self.result(status).map(|_| ())
    }

    /// Tells whether this instance can take over from another one.
    pub(crate) fn can_follow(&self, old: &Instance) -> bool {
        std::ptr::eq(self.table, old.table) && !old.poisoned
    }

    /// Notes that a successor refused to start, so that the instance goes on: its health is its own again.
    pub(crate) fn goes_on(&mut self) {
        self.health.failing = true;
    }

    /// Raises the stop signal, on the instance's own thread.
    pub(crate) fn ask_to_stop(&mut self) {
        // SAFETY: open.
        unsafe { (self.table.stop)(self.pointer) };
    }

    pub(crate) fn read(&mut self, reader: &mut abi::Reader, timeout: Duration) -> Result<i32, Failure> {
        let Some(read) = self.table.read else { return Err(missing("read")) };
        // SAFETY: the instance is open, the reader valid.
        let status = unsafe { read(self.pointer, reader, timeout.as_nanos() as u64) };
        self.result(status)
    }

    pub(crate) fn acknowledged(&mut self, stream: u64, position: u64) {
        if let (Some(acknowledged), false) = (self.table.acknowledged, self.poisoned) {
            // SAFETY: the instance is open.
            unsafe { acknowledged(self.pointer, stream, position) };
        }
    }

    pub(crate) fn decode(&mut self, frames: &mut abi::Frames, out: &mut Writer) -> Result<i32, Failure> {
        let Some(decode) = self.table.decode else { return Err(missing("decode")) };
        // SAFETY: the instance is open, frames and writer are valid.
        let status = unsafe { decode(self.pointer, frames, out) };
        self.result(status)
    }

    pub(crate) fn process(
        &mut self,
        batch: &mut abi::Batch,
        out: &mut Writer,
        emitted: &mut Writer,
        absorbed: &mut u32,
    ) -> Result<i32, Failure> {
        let Some(process) = self.table.process else { return Err(missing("process")) };
        // SAFETY: the instance is open, batch and writers are valid.
        let status = unsafe { process(self.pointer, batch, out, emitted, absorbed) };
        self.result(status)
    }

    pub(crate) fn encode(&mut self, batch: &mut abi::Batch, out: &mut abi::Buffer) -> Result<i32, Failure> {
        let Some(encode) = self.table.encode else { return Err(missing("encode")) };
        // SAFETY: the instance is open, batch and buffer are valid.
        let status = unsafe { encode(self.pointer, batch, out) };
        self.result(status)
    }

    pub(crate) fn deliver(&mut self, delivery: &mut abi::Delivery) -> Result<i32, Failure> {
        let Some(deliver) = self.table.deliver else { return Err(missing("deliver")) };
        // SAFETY: the instance is open, the delivery valid.
        let status = unsafe { deliver(self.pointer, delivery) };
        self.result(status)
    }

    /// Makes durable what was delivered.
    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        let Some(sync) = self.table.sync else { return Ok(()) };
        // SAFETY: the instance is open.
        let status = unsafe { sync(self.pointer) };
        self.outcome(status).map(|_| ())
    }

    pub(crate) fn reopen(&mut self) -> Result<(), Failure> {
        let Some(reopen) = self.table.reopen else { return Ok(()) };
        // SAFETY: the instance is open.
        let status = unsafe { reopen(self.pointer) };
        self.outcome(status).map(|_| ())
    }

    pub(crate) fn tick(&mut self, emitted: *mut Writer) -> Result<(), Failure> {
        let Some(tick) = self.table.tick else { return Ok(()) };
        // SAFETY: the instance is open; the writer is valid for filters and not used by others.
        let status = unsafe { tick(self.pointer, emitted) };
        self.outcome(status).map(|_| ())
    }

    /// Takes what the last call said of single messages: index and reason.
    pub(crate) fn take_failed(&mut self, failed: &mut Vec<(u32, String)>) {
        self.state.take_failed(failed);
    }

    /// The interval that the plugin asked its ticker for.
    pub(crate) fn ticker(&self) -> Option<Duration> {
        self.state.ticker()
    }

    /// Where deferred deliveries are answered.
    pub(crate) fn acknowledgements(&self) -> Acknowledgements {
        self.state.acknowledgements()
    }

    /// A way for other threads to ask the instance to stop.
    pub(crate) fn stopper(&self) -> Stopper {
        Stopper { stop: self.table.stop, pointer: self.pointer }
    }

    /// The outcome of a call that the instance is there for: if it goes well, so does the instance.
    fn result(&mut self, status: i32) -> Result<i32, Failure> {
        let result = self.outcome(status);
        if self.health.failing && result.is_ok() {
            self.health.recovered();
        }
        result
    }

    fn outcome(&mut self, status: i32) -> Result<i32, Failure> {
        if self.poisoned {
            let reason = "was called again after a panic".to_owned();
            return Err(Failure { kind: FailureKind::Fatal, reason, after: Duration::ZERO });
        }
        if status >= status::OK {
            return Ok(status);
        }
        let failure = self.state.take_failure(status);
        self.poisoned = failure.kind == FailureKind::Panic;
        self.health.failed(&failure);
        Err(failure)
    }
}

fn missing(function: &str) -> Failure {
    let reason = format!("the plugin has no `{function}` function");
    Failure { kind: FailureKind::Fatal, reason, after: Duration::ZERO }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: open, and not used afterwards; the host state is dropped after this.
        unsafe { (self.table.destroy)(self.pointer) };
    }
}

/// Asks an instance to stop, from any thread. Must not outlive the instance: see [`stage`](crate::stage).
#[derive(Clone, Copy)]
pub(crate) struct Stopper {
    stop: unsafe extern "C" fn(*mut c_void),
    pointer: *mut c_void,
}

// SAFETY: `stop` may be called from any thread while the instance lives.
unsafe impl Send for Stopper {}

impl Stopper {
    /// # Safety
    /// The instance must not have been dropped.
    pub(crate) unsafe fn stop(self) {
        // SAFETY: the caller's promise.
        unsafe { (self.stop)(self.pointer) };
    }
}
