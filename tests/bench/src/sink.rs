//! A peer that takes everything and counts it.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Length of the lines that are sent to it.
pub(crate) const LINE_BYTES: u64 = 200;

/// A peer that reads and forgets; counts the bytes.
pub(crate) struct Sink {
    pub(crate) address: String,
    bytes: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) fn open() -> Result<Sink, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?.to_string();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = bytes.clone();
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|connection| drain(connection, &counted))
        });
        Ok(Sink { address, bytes })
    }

    /// Lines so far.
    pub(crate) fn lines(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) / LINE_BYTES
    }

    /// Millions of lines in each second of the next `seconds`: their median.
    pub(crate) fn rate(&self, seconds: u64) -> f64 {
        per_second(seconds, || self.bytes.load(Ordering::Relaxed) as f64 / LINE_BYTES as f64)
    }
}

fn drain(mut connection: TcpStream, counted: &AtomicU64) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(len @ 1..) = connection.read(&mut buffer) {
        counted.fetch_add(len as u64, Ordering::Relaxed);
    }
}

/// The median of how much `count` grows a second, in millions.
pub(crate) fn per_second(seconds: u64, count: impl Fn() -> f64) -> f64 {
    let mut rates = Vec::new();
    for _ in 0..seconds.max(1) {
        let (before, started) = (count(), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        rates.push((count() - before) / started.elapsed().as_secs_f64() / 1e6);
    }
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
