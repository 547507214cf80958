//! What the host offers an instance, as the table of functions that plugins call.

use super::{Counters, Failure, FailureKind, InstanceSpec, OptionFault, OutputNames};
use heka_plugin_api::abi::{API_VERSION, Host, Slice, host_flag};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The host's side of one instance.
pub(super) struct HostState {
    host: Host,
    told: Box<Told>,
    // Owns what the slices in `host` borrow.
    _texts: [Box<str>; 3],
}

/// What an instance tells its host. Only the instance's thread uses most of it; the lock is never contended.
struct Told {
    during_call: Mutex<DuringCall>,
    ticker_ns: AtomicU64,
    counters: Counters,
    cells: Mutex<Vec<Arc<AtomicU64>>>,
    outputs: OutputNames,
    acknowledgements: Acknowledgements,
}

#[derive(Default)]
struct DuringCall {
    faults: Vec<OptionFault>,
    failure: Option<(String, u64)>,
    failed: Vec<(u32, String)>,
}

/// Answers to deferred deliveries: ticket, and how many messages are delivered.
#[derive(Clone, Default)]
pub(crate) struct Acknowledgements {
    shared: Arc<Answers>,
}

#[derive(Default)]
struct Answers {
    answers: Mutex<Vec<(u64, u32)>>,
    given: Condvar,
}

impl Acknowledgements {
    /// Waits at most `time` for answers and takes them.
    pub(crate) fn wait(&self, time: Duration) -> Vec<(u64, u32)> {
        let Answers { answers, given } = &*self.shared;
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.is_empty() && !time.is_zero() {
            answers = given.wait_timeout(answers, time).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut *answers)
    }

    fn give(&self, ticket: u64, count: u32) {
        let Answers { answers, given } = &*self.shared;
        answers.lock().unwrap_or_else(PoisonError::into_inner).push((ticket, count));
        given.notify_all();
    }
}

impl HostState {
    pub(super) fn new(spec: &InstanceSpec) -> Box<HostState> {
        let texts = [
            spec.name.clone().into_boxed_str(),
            spec.hostname.clone().into_boxed_str(),
            spec.state_dir.to_string_lossy().into_owned().into_boxed_str(),
        ];
        let told = Box::new(Told {
            during_call: Mutex::default(),
            ticker_ns: AtomicU64::new(0),
            counters: spec.counters.clone(),
            cells: Mutex::default(),
            outputs: spec.outputs.clone(),
            acknowledgements: Acknowledgements::default(),
        });
        let context: *const Told = &*told;
        let host = Host {
            struct_size: size_of::<Host>() as u32,
            api_version: API_VERSION,
            flags: if spec.is_static { host_flag::STATIC } else { 0 },
            log_level: log::max_level() as u32,
            context: context.cast_mut().cast(),
            plugin: spec.table.name,
            instance: Slice::new(texts[0].as_bytes()),
            hostname: Slice::new(texts[1].as_bytes()),
            state_dir: Slice::new(texts[2].as_bytes()),
            log: log_line,
            fail,
            fault,
            message_failed,
            counter,
            set_ticker,
            output_bit,
            acknowledge,
            extension,
        };
        Box::new(HostState { host, told, _texts: texts })
    }

    pub(super) fn host(&self) -> *const Host {
        &self.host
    }

    pub(super) fn take_faults(&self) -> Vec<OptionFault> {
        std::mem::take(&mut self.told.call().faults)
    }

    pub(super) fn take_failure(&self, status: i32) -> Failure {
        let left = self.told.call().failure.take();
        let (reason, after) = left.unwrap_or_else(|| ("failed without a reason".to_owned(), 0));
        Failure { kind: FailureKind::of(status), reason, after: Duration::from_nanos(after) }
    }

    pub(super) fn take_failed(&self, failed: &mut Vec<(u32, String)>) {
        failed.clear();
        std::mem::swap(failed, &mut self.told.call().failed);
    }

    pub(super) fn ticker(&self) -> Option<Duration> {
        match self.told.ticker_ns.load(Ordering::Relaxed) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    pub(super) fn acknowledgements(&self) -> Acknowledgements {
        self.told.acknowledgements.clone()
    }
}

impl Told {
    fn call(&self) -> MutexGuard<'_, DuringCall> {
        self.during_call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told<'a>(context: *mut c_void) -> &'a Told {
    // SAFETY: the context is the `Told` of the instance that calls, which outlives it.
    unsafe { &*context.cast::<Told>() }
}

fn text(slice: Slice) -> String {
    // SAFETY: the plugin's slice is valid during the call.
    String::from_utf8_lossy(unsafe { slice.bytes() }).into_owned()
}

/// The context is not used: a plugin file keeps the table of its first instance for logging.
unsafe extern "C" fn log_line(_: *mut c_void, level: u32, target: Slice, line: Slice) {
    let level = log::Level::iter().nth(level.saturating_sub(1) as usize).unwrap_or(log::Level::Trace);
    log::log!(target: &text(target), level, "{}", text(line));
}

unsafe extern "C" fn fail(context: *mut c_void, _: i32, retry_after_ns: u64, reason: Slice) {
    told(context).call().failure = Some((text(reason), retry_after_ns));
}

unsafe extern "C" fn fault(context: *mut c_void, key: Slice, reason: Slice) {
    told(context).call().faults.push((text(key), text(reason)));
}

unsafe extern "C" fn message_failed(context: *mut c_void, index: u32, reason: Slice) {
    told(context).call().failed.push((index, text(reason)));
}

unsafe extern "C" fn counter(context: *mut c_void, name: Slice) -> *mut u64 {
    let told = told(context);
    let cell = told.counters.cell(&text(name));
    let pointer = cell.as_ptr();
    told.cells.lock().unwrap_or_else(PoisonError::into_inner).push(cell);
    pointer
}

unsafe extern "C" fn set_ticker(context: *mut c_void, interval_ns: u64) {
    told(context).ticker_ns.store(interval_ns, Ordering::Relaxed);
}

unsafe extern "C" fn output_bit(context: *mut c_void, name: Slice) -> i32 {
    let name = text(name);
    told(context).outputs.bit(&name).map_or(-1, |bit| bit as i32)
}

unsafe extern "C" fn acknowledge(context: *mut c_void, ticket: u64, count: u32) {
    told(context).acknowledgements.give(ticket, count);
}

unsafe extern "C" fn extension(_: *mut c_void, _: Slice) -> *const c_void {
    std::ptr::null()
}
