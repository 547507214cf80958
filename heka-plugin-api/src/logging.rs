//! Forwards `log` lines and panic places of a plugin file to the host; each file has its own `log` statics.

use crate::abi::{Host, Slice, host_flag};
use log::{LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Once;

/// Calls the host. It keeps what it needs of the first instance's host table, whose functions live for ever.
struct HostLogger {
    context: usize,
    log: unsafe extern "C" fn(*mut std::ffi::c_void, u32, Slice, Slice),
}

static INSTALL: Once = Once::new();

thread_local! {
    static PANIC_PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Installs logger and panic hook, once for each plugin file; does nothing in a statically linked plugin.
pub(crate) fn install(host: &Host) {
    if host.flags & host_flag::STATIC != 0 {
        return;
    }
    INSTALL.call_once(|| {
        let logger = HostLogger { context: host.context as usize, log: host.log };
        let _ = log::set_boxed_logger(Box::new(logger));
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
            PANIC_PLACE.with_borrow_mut(|kept| *kept = place.unwrap_or_default());
        }));
    });
    log::set_max_level(level(host.log_level));
}

/// Returns a panic's message with its place, where the hook has left one.
pub(crate) fn panic_text(message: &str) -> String {
    let place = PANIC_PLACE.take();
    match (message.is_empty(), place.is_empty()) {
        (true, true) => "panicked".to_owned(),
        (false, true) => format!("panicked: {message}"),
        (true, false) => format!("panicked at {place}"),
        (false, false) => format!("panicked at {place}: {message}"),
    }
}

fn level(number: u32) -> LevelFilter {
    LevelFilter::iter().nth(number as usize).unwrap_or(LevelFilter::Trace)
}

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let target = Slice::new(record.target().as_bytes());
        LINE.with_borrow_mut(|line| {
            line.clear();
            let _ = write!(line, "{}", record.args());
            let text = Slice::new(line.as_bytes());
            // SAFETY: the host's function with its own context, from any thread.
            unsafe { (self.log)(self.context as *mut std::ffi::c_void, record.level() as u32, target, text) };
        });
    }

    fn flush(&self) {}
}
