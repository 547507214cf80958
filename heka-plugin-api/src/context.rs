//! What the host offers a running instance.

use crate::abi::{FieldEntry, Host, Slice, Writer};
use crate::builder::MessageBuilder;
use crate::edit::{Marks, OutputMark};
use crate::error::PluginError;
use crate::message::Message;
use crate::writer::{Defaults, MessageWriter};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the host offers an instance: names, counters, a ticker, marks, emitting, the stop signal.
///
/// Given to every call of a plugin's trait, on the instance's own thread.
pub struct Context {
    host: *const Host,
    stop: StopSignal,
    emitted: *mut Writer,
    entries: Vec<FieldEntry>,
}

// SAFETY: the host's functions that are not bound to a thread say so; the others need `&mut Context`, which only
// the instance's thread has.
unsafe impl Send for Context {}

impl Context {
    /// # Safety
    /// `host` must stay valid as long as the context.
    pub(crate) unsafe fn new(host: *const Host, stop: StopSignal) -> Context {
        Context { host, stop, emitted: std::ptr::null_mut(), entries: Vec::new() }
    }

    pub(crate) fn host(&self) -> &Host {
        // SAFETY: by the promise of `new`.
        unsafe { &*self.host }
    }

    /// Returns the instance's name in the config.
    pub fn instance(&self) -> &str {
        // SAFETY: the host's slices live as long as the instance.
        str_of(unsafe { self.host().instance.bytes() })
    }

    /// Returns the machine's name.
    pub fn hostname(&self) -> &str {
        // SAFETY: as above.
        str_of(unsafe { self.host().hostname.bytes() })
    }

    /// Returns the directory for the instance's own durable files. It exists for inputs and outputs.
    pub fn state_dir(&self) -> &Path {
        // SAFETY: as above.
        Path::new(str_of(unsafe { self.host().state_dir.bytes() }))
    }

    /// Returns the counter with this name, which the host shows with the instance's statistics.
    ///
    /// To be called once, in `open` or `start`; the counter is cheap to add to.
    pub fn counter(&mut self, name: &str) -> Counter {
        // SAFETY: the host's function with its own context.
        let cell = unsafe { (self.host().counter)(self.host().context, Slice::new(name.as_bytes())) };
        Counter { cell: cell.cast_const().cast() }
    }

    /// Asks for a `tick` every `interval`; zero for none. The config's `ticker_interval` has the last word.
    pub fn set_ticker(&mut self, interval: Duration) {
        let ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: the host's function with its own context.
        unsafe { (self.host().set_ticker)(self.host().context, ns) };
    }

    /// Returns the mark of the output with this name. For filters, in `open` only.
    ///
    /// # Errors
    /// [`PluginError::Config`] if there is no such output.
    pub fn output(&mut self, name: &str) -> Result<OutputMark, PluginError> {
        // SAFETY: the host's function with its own context.
        let bit = unsafe { (self.host().output_bit)(self.host().context, Slice::new(name.as_bytes())) };
        u32::try_from(bit).map(OutputMark).map_err(|_| PluginError::Config(format!("no output `{name}`")))
    }

    /// Emits a new message. For filters, in `process_message`, `process_batch` and `tick`.
    ///
    /// It goes on through the rest of the chain, or to the router, as the config's `emit_to` says. Its type
    /// starts as the plugin's name, its logger as the instance's, its time as now.
    ///
    /// # Errors
    /// [`PluginError::Message`] if it is too large; [`PluginError::Fatal`] outside of the calls named above.
    pub fn emit(&mut self, build: impl FnOnce(&mut MessageBuilder<'_>)) -> Result<(), PluginError> {
        if self.emitted.is_null() {
            return Err(PluginError::fatal("emitting is for filters, in process and tick"));
        }
        let host = self.host;
        // SAFETY: valid during the call in which it is set; `host` as long as the context.
        let (writer, host) = unsafe { (&mut *self.emitted, &*host) };
        // SAFETY: the host's slices live as long as the instance.
        let (plugin, instance, hostname) =
            unsafe { (host.plugin.bytes(), host.instance.bytes(), host.hostname.bytes()) };
        let defaults = Defaults {
            timestamp: now(),
            message_type: plugin,
            logger: instance,
            hostname,
            ..Defaults::default()
        };
        let mut writer = MessageWriter::new(writer, &mut self.entries, defaults);
        let mut builder = writer.message();
        build(&mut builder);
        builder.finish()
    }

    /// Emits a message that was held back, as it came: with its UUID, origin and marks. For filters, where
    /// [`emit`](Context::emit) may be called.
    ///
    /// # Errors
    /// As [`emit`](Context::emit).
    pub fn emit_copy(&mut self, message: &Message<'_>, marks: Marks) -> Result<(), PluginError> {
        if self.emitted.is_null() {
            return Err(PluginError::fatal("emitting is for filters, in process and tick"));
        }
        // SAFETY: valid during the call in which it is set.
        let writer = unsafe { &mut *self.emitted };
        let of_new = std::mem::replace(&mut writer.marks, marks.0);
        let copied = MessageWriter::new(writer, &mut self.entries, Defaults::default()).copy(message);
        writer.marks = of_new;
        copied
    }

    /// Returns the signal that the instance is asked to stop.
    pub fn stop_signal(&self) -> StopSignal {
        self.stop.clone()
    }

    /// Answers a batch that an output took for later ([`Delivered::Later`](crate::Delivered::Later)).
    pub fn acknowledger(&self) -> Acknowledger {
        Acknowledger { host: self.host }
    }

    pub(crate) fn set_emitted(&mut self, writer: *mut Writer) {
        self.emitted = writer;
    }

    pub(crate) fn entries(&mut self) -> &mut Vec<FieldEntry> {
        &mut self.entries
    }

    pub(crate) fn message_failed(&self, index: usize, reason: &str) {
        let text = Slice::new(reason.as_bytes());
        // SAFETY: the host's function with its own context.
        unsafe { (self.host().message_failed)(self.host().context, index as u32, text) };
    }
}

fn str_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("?")
}

/// Returns the time in nanoseconds since 1970-01-01 UTC.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// A number that the host shows with the instance's statistics; `[any thread]`.
#[derive(Clone, Copy)]
pub struct Counter {
    cell: *const AtomicU64,
}

// SAFETY: the cell is atomic and lives as long as the host.
unsafe impl Send for Counter {}
// SAFETY: as above.
unsafe impl Sync for Counter {}

impl Counter {
    /// Adds to the number.
    pub fn add(&self, count: u64) {
        self.cell().fetch_add(count, Ordering::Relaxed);
    }

    /// Sets the number, for values that are read elsewhere.
    pub fn set(&self, value: u64) {
        self.cell().store(value, Ordering::Relaxed);
    }

    /// Returns the number.
    pub fn value(&self) -> u64 {
        self.cell().load(Ordering::Relaxed)
    }

    fn cell(&self) -> &AtomicU64 {
        // SAFETY: the host's cells live as long as the host.
        unsafe { &*self.cell }
    }
}

/// Tells an instance, also one that blocks in a call, that it is asked to stop.
#[derive(Clone, Default)]
pub struct StopSignal {
    state: Arc<StopState>,
}

#[derive(Default)]
struct StopState {
    raised: AtomicBool,
    wakers: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl StopSignal {
    /// Tells whether stop was asked for.
    pub fn is_raised(&self) -> bool {
        self.state.raised.load(Ordering::Acquire)
    }

    /// Calls `wake`, from another thread, when stop is asked for; at once if it was already.
    pub fn on_stop(&self, wake: impl Fn() + Send + Sync + 'static) {
        let mut wakers = self.state.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_raised() {
            wake();
        }
        wakers.push(Box::new(wake));
    }

    pub(crate) fn raise(&self) {
        let wakers = self.state.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.raised.store(true, Ordering::Release);
        wakers.iter().for_each(|wake| wake());
    }
}

/// Answers deferred batches of an output; `[any thread]`.
#[derive(Clone, Copy)]
pub struct Acknowledger {
    host: *const Host,
}

// SAFETY: `acknowledge` may be called from any thread as long as the instance lives.
unsafe impl Send for Acknowledger {}
// SAFETY: as above.
unsafe impl Sync for Acknowledger {}

impl Acknowledger {
    /// Says that the first `count` messages of the batch with this ticket are delivered.
    ///
    /// Must not be called after the instance was destroyed.
    pub fn acknowledge(&self, ticket: u64, count: u32) {
        // SAFETY: the host outlives the instance.
        let host = unsafe { &*self.host };
        // SAFETY: the host's function with its own context.
        unsafe { (host.acknowledge)(host.context, ticket, count) };
    }
}
