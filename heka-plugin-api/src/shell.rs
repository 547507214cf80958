//! What surrounds an author's type inside a plugin file: the life of an instance, and the guard that no panic
//! crosses.

use crate::abi::{Host, Plugin, Slice, status};
use crate::config::{self, Faults};
use crate::context::{Context, StopSignal};
use crate::error::PluginError;
use crate::logging;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The part of a plugin's life that is the same for all kinds.
pub trait Life: Sized + Send + 'static {
    /// The options.
    type Config: DeserializeOwned;
    /// Checks options; pure.
    fn check(config: &Self::Config, faults: &mut Faults);
    /// Makes an instance.
    fn open(config: Self::Config, context: &mut Context) -> Result<Self, PluginError>;
    /// Acquires what lies outside memory.
    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError>;
}

/// An instance as the host holds it: the stop signal may be raised while another thread is inside the body.
struct Shell<P> {
    stop: StopSignal,
    body: UnsafeCell<Body<P>>,
}

struct Body<P> {
    plugin: P,
    context: Context,
}

/// Returns a table with the functions that all kinds share.
pub const fn table<P: Life>(kind: u32, name: &'static str) -> Plugin {
    Plugin {
        struct_size: size_of::<Plugin>() as u32,
        kind,
        name: Slice::new(name.as_bytes()),
        check: check::<P>,
        open: open::<P>,
        start: start::<P>,
        read: None,
        acknowledged: None,
        decode: None,
        process: None,
        encode: None,
        deliver: None,
        sync: None,
        reopen: None,
        tick: None,
        stop: stop::<P>,
        destroy: destroy::<P>,
        extension: None,
    }
}

/// Calls into an instance; a failure's text is left with the host.
///
/// # Safety
/// `instance` must come from `open` of the same `P`, and no other thread may be inside it.
#[inline]
pub unsafe fn call<P: Life>(
    instance: *mut c_void,
    run: impl FnOnce(&mut P, &mut Context) -> Result<i32, PluginError>,
) -> i32 {
    // SAFETY: the caller's promise; `stop` is the only other access and doesn't touch the body.
    let body = unsafe { &mut *(*instance.cast::<Shell<P>>()).body.get() };
    let host: *const Host = body.context.host();
    // SAFETY: the host outlives the instance.
    guard(unsafe { &*host }, || run(&mut body.plugin, &mut body.context))
}

unsafe extern "C" fn check<P: Life>(host: *const Host, section: Slice) -> i32 {
    // SAFETY: the host's promise.
    let (host, section) = unsafe { (&*host, section.bytes()) };
    let report = |key: &str, reason: &str| {
        // SAFETY: the host's function with its own context.
        unsafe { (host.fault)(host.context, Slice::new(key.as_bytes()), Slice::new(reason.as_bytes())) };
    };
    guard(host, || {
        let mut faults = Faults::default();
        match config::parse::<P::Config>(section) {
            Ok(config) => P::check(&config, &mut faults),
            Err(fault) => faults.add(fault.key, fault.reason),
        }
        faults.iter().for_each(|fault| report(&fault.key, &fault.reason));
        Ok(if faults.is_empty() { status::OK } else { status::CONFIG })
    })
}

unsafe extern "C" fn open<P: Life>(host: *const Host, section: Slice) -> *mut c_void {
    let mut instance = std::ptr::null_mut();
    // SAFETY: the host's promise.
    let (host, section) = unsafe { (&*host, section.bytes()) };
    logging::install(host);
    guard(host, || {
        let stop = StopSignal::default();
        // SAFETY: the host outlives the instance.
        let mut context = unsafe { Context::new(host, stop.clone()) };
        let config = config::parse(section)
            .map_err(|fault| PluginError::Config(format!("{}: {}", fault.key, fault.reason)))?;
        let plugin = P::open(config, &mut context)?;
        let shell = Box::new(Shell { stop, body: UnsafeCell::new(Body { plugin, context }) });
        instance = Box::into_raw(shell).cast();
        Ok(status::OK)
    });
    instance
}

unsafe extern "C" fn start<P: Life>(instance: *mut c_void, predecessor: *mut c_void) -> i32 {
    let predecessor = (!predecessor.is_null()).then(|| {
        // SAFETY: the host only names an instance of this very table, which it has stopped calling.
        unsafe { &mut (*(*predecessor.cast::<Shell<P>>()).body.get()).plugin }
    });
    // SAFETY: the host's promise.
    unsafe { call::<P>(instance, |plugin, context| plugin.start(predecessor, context).map(|()| status::OK)) }
}

unsafe extern "C" fn stop<P: Life>(instance: *mut c_void) {
    // SAFETY: the instance lives until `destroy`, and `stop` is only ever shared.
    let stop = unsafe { &(*instance.cast::<Shell<P>>()).stop };
    let _ = catch_unwind(AssertUnwindSafe(|| stop.raise())).map_err(std::mem::forget);
}

unsafe extern "C" fn destroy<P: Life>(instance: *mut c_void) {
    // SAFETY: comes from `open` and is not used again.
    let shell = unsafe { Box::from_raw(instance.cast::<Shell<P>>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(shell))).map_err(std::mem::forget);
}

/// Runs the author's code; turns failures and panics into a status and a text left with the host.
#[inline]
fn guard(host: &Host, run: impl FnOnce() -> Result<i32, PluginError>) -> i32 {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => fail(host, error.status(), error.retry_after().as_nanos() as u64, error.reason()),
        Err(panic) => {
            let text = logging::panic_text(panic_message(&*panic));
            // Dropping what was thrown could panic again.
            std::mem::forget(panic);
            fail(host, status::PANIC, 0, &text)
        }
    }
}

#[cold]
fn fail(host: &Host, status: i32, retry_after_ns: u64, reason: &str) -> i32 {
    // SAFETY: the host's function with its own context.
    unsafe { (host.fail)(host.context, status, retry_after_ns, Slice::new(reason.as_bytes())) };
    status
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("")
}
