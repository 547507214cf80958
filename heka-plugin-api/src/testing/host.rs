//! A host for one instance.

use super::batch::BatchMemory;
use crate::abi::{API_VERSION, Host, Plugin, Slice, host_flag, status};
use crate::config::Fault;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What one instance told its host.
#[derive(Default)]
pub(super) struct Told {
    pub(super) faults: Vec<Fault>,
    pub(super) failure: Option<String>,
    pub(super) failed: Vec<(u32, String)>,
    pub(super) counters: BTreeMap<String, Box<u64>>,
    pub(super) outputs: Vec<String>,
    pub(super) ticker_ns: u64,
    pub(super) acknowledged: Vec<(u64, u32)>,
}

/// A host for one instance, and the instance.
pub struct TestHost {
    table: &'static Plugin,
    host: Box<Host>,
    told: Box<Mutex<Told>>,
    instance: *mut c_void,
    memory: BatchMemory,
    /// Whether what an input's streams are cut into is acknowledged after each read.
    pub(super) acknowledges: bool,
    /// The instance's directory, when it was made for this host alone.
    own_dir: Option<PathBuf>,
    state_dir: PathBuf,
}

const INSTANCE: &str = "test";
const HOSTNAME: &str = "test-host";

impl TestHost {
    /// Makes a host and opens an instance with the options in `toml`. `outputs` are what marks may name; without a
    /// `state_dir` the instance gets an empty one, which is removed at the end.
    ///
    /// # Errors
    /// The faults of `check`, or the reason why `open` refused.
    pub fn open(
        table: Plugin,
        toml: &str,
        outputs: &[&str],
        state_dir: Option<&Path>,
    ) -> Result<TestHost, String> {
        let mut host = TestHost::new(table, outputs, state_dir);
        let section = section(toml)?;
        let faults = host.check(&section);
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        // SAFETY: the host table and section are valid; `open` gets the same host for the instance's life.
        host.instance = unsafe { (host.table.open)(&*host.host, Slice::new(&section)) };
        if host.instance.is_null() { Err(host.failure()) } else { Ok(host) }
    }

    /// Returns the directory for the instance's own durable files.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Returns the faults that `check` finds in the options in `toml`, each as `key: reason`.
    pub fn faults(table: Plugin, toml: &str) -> Vec<String> {
        let host = TestHost::new(table, &[], None);
        section(toml).map_or_else(|fault| vec![fault], |section| host.check(&section))
    }

    fn new(table: Plugin, outputs: &[&str], given: Option<&Path>) -> TestHost {
        let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
        let told = Box::new(Mutex::new(Told { outputs, ..Told::default() }));
        let context: *const Mutex<Told> = &*told;
        let own_dir = if given.is_none() { Some(own_dir()) } else { None };
        let state_dir = given.or(own_dir.as_deref()).map(Path::to_string_lossy).unwrap_or_default();
        let shown_dir = PathBuf::from(&*state_dir);
        let state_dir: &'static str = Box::leak(state_dir.into_owned().into_boxed_str());
        let host = Box::new(Host {
            struct_size: size_of::<Host>() as u32,
            api_version: API_VERSION,
            flags: host_flag::STATIC,
            log_level: 5,
            context: context.cast_mut().cast(),
            plugin: table.name,
            instance: Slice::new(INSTANCE.as_bytes()),
            hostname: Slice::new(HOSTNAME.as_bytes()),
            state_dir: Slice::new(state_dir.as_bytes()),
            log: log_line,
            fail,
            fault,
            message_failed,
            counter,
            set_ticker,
            output_bit,
            acknowledge,
            extension,
        });
        let table = Box::leak(Box::new(table));
        TestHost {
            table,
            host,
            told,
            instance: std::ptr::null_mut(),
            memory: BatchMemory::default(),
            acknowledges: false,
            own_dir,
            state_dir: shown_dir,
        }
    }

    fn check(&self, section: &[u8]) -> Vec<String> {
        // SAFETY: the host table and section are valid.
        unsafe { (self.table.check)(&*self.host, Slice::new(section)) };
        self.told().faults.drain(..).map(|fault| format!("{}: {}", fault.key, fault.reason)).collect()
    }

    /// Starts the instance, after another one of the same plugin where that is to be replaced.
    ///
    /// # Errors
    /// The reason why it refused.
    pub fn start(&mut self, predecessor: Option<&TestHost>) -> Result<(), String> {
        let predecessor = predecessor.map_or(std::ptr::null_mut(), |host| host.instance);
        // SAFETY: the instances are open, and nobody calls the other one meanwhile.
        let status = unsafe { (self.table.start)(self.instance, predecessor) };
        self.result(status).map(|_| ())
    }

    /// Asks the instance to stop.
    pub fn stop(&self) {
        // SAFETY: the instance is open.
        unsafe { (self.table.stop)(self.instance) };
    }

    /// Returns the value of a counter; 0 if there is none.
    pub fn counter(&self, name: &str) -> u64 {
        self.told().counters.get(name).map_or(0, |cell| **cell)
    }

    /// Returns the interval that the instance asked its ticker for, in nanoseconds.
    pub fn ticker_ns(&self) -> u64 {
        self.told().ticker_ns
    }

    pub(super) fn table(&self) -> &'static Plugin {
        self.table
    }

    pub(super) fn instance(&self) -> *mut c_void {
        self.instance
    }

    pub(super) fn memory(&mut self) -> &mut BatchMemory {
        &mut self.memory
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failure(&self) -> String {
        self.told().failure.take().unwrap_or_else(|| "failed without a reason".to_owned())
    }

    pub(super) fn result(&self, status: i32) -> Result<i32, String> {
        if status >= status::OK { Ok(status) } else { Err(self.failure()) }
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if !self.instance.is_null() {
            // SAFETY: the instance is open and not used afterwards.
            unsafe { (self.table.destroy)(self.instance) };
        }
        if let Some(directory) = &self.own_dir {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

fn section(toml: &str) -> Result<Vec<u8>, String> {
    let table: toml::Table = toml.parse().map_err(|error| format!("{error}"))?;
    rmp_serde::to_vec_named(&table).map_err(|error| error.to_string())
}

/// Makes an empty directory for an instance's files.
fn own_dir() -> PathBuf {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("heka-plugin-test-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let _ = std::fs::create_dir_all(&directory);
    directory
}

fn told<'a>(context: *mut c_void) -> MutexGuard<'a, Told> {
    // SAFETY: the context is the host's `told`, which lives as long as the instance.
    unsafe { &*context.cast::<Mutex<Told>>() }.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(slice: Slice) -> String {
    // SAFETY: the plugin's slice is valid during the call.
    String::from_utf8_lossy(unsafe { slice.bytes() }).into_owned()
}

unsafe extern "C" fn log_line(_: *mut c_void, _: u32, _: Slice, _: Slice) {}

unsafe extern "C" fn fail(context: *mut c_void, _: i32, _: u64, reason: Slice) {
    told(context).failure = Some(text(reason));
}

unsafe extern "C" fn fault(context: *mut c_void, key: Slice, reason: Slice) {
    told(context).faults.push(Fault { key: text(key), reason: text(reason) });
}

unsafe extern "C" fn message_failed(context: *mut c_void, index: u32, reason: Slice) {
    told(context).failed.push((index, text(reason)));
}

unsafe extern "C" fn counter(context: *mut c_void, name: Slice) -> *mut u64 {
    let mut told = told(context);
    let cell: *mut u64 = &mut **told.counters.entry(text(name)).or_default();
    cell
}

unsafe extern "C" fn set_ticker(context: *mut c_void, interval_ns: u64) {
    told(context).ticker_ns = interval_ns;
}

unsafe extern "C" fn output_bit(context: *mut c_void, name: Slice) -> i32 {
    let name = text(name);
    told(context).outputs.iter().position(|output| *output == name).map_or(-1, |index| index as i32)
}

unsafe extern "C" fn acknowledge(context: *mut c_void, ticket: u64, count: u32) {
    told(context).acknowledged.push((ticket, count));
}

unsafe extern "C" fn extension(_: *mut c_void, _: Slice) -> *const c_void {
    std::ptr::null()
}
