//! Signs of life: a thread of its own, because the input's stands still while the outputs behind it are full.

use super::connection::{SharedLink, locked};
use crate::protocol::{FrameKind, push_frame};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the connections are looked through, at most and at least.
const LOOK_MIN: Duration = Duration::from_millis(5);
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Keeps silent connections alive.
pub struct Beat {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    links: Mutex<Links>,
    changed: Condvar,
}

#[derive(Default)]
struct Links {
    /// By number of the connection: its link, and after how long without a frame it needs a sign of life.
    by_number: HashMap<usize, (SharedLink, Duration)>,
    is_over: bool,
}

impl Beat {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Beat> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread =
            std::thread::Builder::new().name("hop alive".to_owned()).spawn(move || of_thread.run())?;
        Ok(Beat { shared, thread: Some(thread) })
    }

    /// Keeps a connection alive from now on.
    pub fn add(&self, number: usize, link: SharedLink, interval: Duration) {
        self.shared.links().by_number.insert(number, (link, interval));
        self.shared.changed.notify_one();
    }

    /// Lets a connection be.
    pub fn remove(&self, number: usize) {
        self.shared.links().by_number.remove(&number);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.shared.links().is_over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut alive = Vec::new();
        if push_frame(&mut alive, FrameKind::Alive, &()).is_err() {
            return;
        }
        let mut links = self.links();
        while !links.is_over {
            let shortest = links.by_number.values().map(|(_, interval)| *interval).min();
            links = match shortest {
                None => self.changed.wait(links).unwrap_or_else(PoisonError::into_inner),
                Some(shortest) => {
                    let pause = (shortest / 4).clamp(LOOK_MIN, LOOK_MAX);
                    let waited = self.changed.wait_timeout(links, pause);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            let now = Instant::now();
            for (link, interval) in links.by_number.values() {
                let mut link = locked(link);
                let silent = now.saturating_duration_since(link.last_sent()) >= *interval;
                if silent && !link.has_waiting() {
                    // A failure shows when the input's thread uses the connection.
                    let _ = link.send(&alive);
                }
            }
        }
    }
}
