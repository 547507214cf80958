//! A grater for tests: an input on a thread of its own.

use crate::input::HopInput;
use heka_plugin_api::testing::InputTest;
use heka_plugin_api::{Context, Faults, Input, Origin, PluginError, Read, Reader};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One message as it was handed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub text: String,
    pub origin: Origin,
    pub flags: u16,
}

#[derive(Default)]
struct Control {
    /// Whether what was handed on is acknowledged at once.
    acknowledge: AtomicBool,
    /// Whether the input stands still, as behind full outputs.
    still: AtomicBool,
    /// Whether all connections are to be cut.
    cut: AtomicBool,
    /// Whether another instance is to take over.
    reload: AtomicBool,
    over: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    counters: Mutex<Vec<(&'static str, u64)>>,
}

thread_local! {
    static CONTROL: RefCell<Arc<Control>> = RefCell::default();
}

/// The input, and between two reads the acknowledgements that a host would give.
struct Acknowledging(HopInput, Arc<Control>);

impl Input for Acknowledging {
    type Config = <HopInput as Input>::Config;

    fn check(config: &Self::Config, faults: &mut Faults) {
        HopInput::check(config, faults);
    }

    fn open(config: Self::Config, context: &mut Context) -> Result<Self, PluginError> {
        let control = CONTROL.with(|control| control.borrow().clone());
        HopInput::open(config, context).map(|input| Acknowledging(input, control))
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        self.0.start(predecessor.map(|old| &mut old.0), context)
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        while self.1.still.load(Ordering::Relaxed) && !self.1.over.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        if self.1.cut.swap(false, Ordering::Relaxed) {
            self.0.cut();
        }
        if self.1.acknowledge.load(Ordering::Relaxed) {
            for (stream, position) in self.0.handed_on() {
                self.0.acknowledged(stream, position, context);
            }
        }
        let counters = COUNTERS.map(|name| (name, context.counter(name).value()));
        *self.1.counters.lock().unwrap() = counters.to_vec();
        self.0.read(reader, timeout, context)
    }
}

const COUNTERS: [&str; 6] = ["frames", "messages", "duplicates", "refused", "rejected", "connections"];

/// A running grater.
pub struct Grater {
    pub address: String,
    directory: PathBuf,
    toml: String,
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

/// Waits, at most 10 s, until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "timed out waiting until {what}");
        std::thread::yield_now();
    }
}

impl Grater {
    /// Starts one at a free port that acknowledges at once.
    pub fn start(directory: &Path, options: &str) -> Grater {
        Grater::start_at(directory, "127.0.0.1:0", options, true)
    }

    /// Starts one that acknowledges at once or not at all.
    pub fn start_at(directory: &Path, address: &str, options: &str, acknowledge: bool) -> Grater {
        let toml = format!("address = \"{address}\"\n{options}");
        let control = Arc::new(Control::default());
        control.acknowledge.store(acknowledge, Ordering::Relaxed);
        let (ready, started) = mpsc::channel();
        let (of_thread, to_open, in_directory) = (control.clone(), toml.clone(), directory.to_owned());
        let thread = std::thread::spawn(move || run(&of_thread, &in_directory, &to_open, &ready));
        let address = started.recv().unwrap();
        let toml = options.to_owned();
        Grater { address, directory: directory.to_owned(), toml, control, thread: Some(thread) }
    }

    /// Ends it as a crash would, and starts one in its place.
    pub fn restart(self) -> Grater {
        let acknowledge = self.control.acknowledge.load(Ordering::Relaxed);
        let (directory, address, toml) = (self.directory.clone(), self.address.clone(), self.toml.clone());
        drop(self);
        Grater::start_at(&directory, &address, &toml, acknowledge)
    }

    /// Lets it acknowledge or not from now on.
    pub fn acknowledge(&self, acknowledge: bool) {
        self.control.acknowledge.store(acknowledge, Ordering::Relaxed);
    }

    /// Lets it stand still, as behind full outputs, or go on.
    pub fn stand_still(&self, still: bool) {
        self.control.still.store(still, Ordering::Relaxed);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.control.cut.store(true, Ordering::Relaxed);
    }

    /// Lets another instance take over.
    pub fn reload(&self) {
        self.control.reload.store(true, Ordering::Relaxed);
        wait_until("it is taken over", || !self.control.reload.load(Ordering::Relaxed));
    }

    /// Returns what was handed on.
    pub fn seen(&self) -> Vec<Seen> {
        self.control.seen.lock().unwrap().clone()
    }

    /// Returns the texts of what was handed on.
    pub fn texts(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.text).collect()
    }

    /// Waits until so many messages were handed on.
    pub fn wait_for(&self, count: usize) {
        wait_until(&format!("{count} messages are there"), || self.seen().len() >= count);
    }

    /// Returns a counter.
    pub fn counter(&self, name: &str) -> u64 {
        let counters = self.control.counters.lock().unwrap();
        counters.iter().find(|(of, _)| *of == name).map_or(0, |(_, count)| *count)
    }
}

impl Drop for Grater {
    fn drop(&mut self) {
        self.control.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

fn run(control: &Arc<Control>, directory: &Path, toml: &str, ready: &mpsc::Sender<String>) {
    CONTROL.with(|own| *own.borrow_mut() = control.clone());
    let mut input = InputTest::<Acknowledging>::open_in(directory, toml).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while let Err(why) = input.start() {
        assert!(Instant::now() < until && why.contains("in use"), "{why}");
    }
    let address = std::fs::read_to_string(directory.join(heka_socket::ADDRESS_FILE)).unwrap();
    ready.send(address.trim_end().to_owned()).unwrap();
    loop {
        let mut published = 0;
        let read = input.read_until(|_, messages, _| {
            let fresh = messages[published..].iter().map(|message| {
                let message = message.view();
                let text = String::from_utf8_lossy(message.payload()).into_owned();
                Seen { text, origin: message.origin(), flags: message.record().flags }
            });
            control.seen.lock().unwrap().extend(fresh);
            published = messages.len();
            control.over.load(Ordering::Relaxed) || control.reload.load(Ordering::Relaxed)
        });
        read.unwrap();
        if control.over.load(Ordering::Relaxed) {
            return;
        }
        let mut next = InputTest::<Acknowledging>::open_in(directory, toml).unwrap();
        next.start_after(&mut input).unwrap();
        input = next;
        control.reload.store(false, Ordering::Relaxed);
    }
}
