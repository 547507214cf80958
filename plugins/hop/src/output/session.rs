//! A connection that batches go out on, and the thread that listens to it.

use super::desk::Desk;
use super::dial::Dialed;
use super::listening::Listening;
use crate::bell::Bell;
use heka_link::Link;
use heka_socket::cause;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What both threads of a connection use.
pub struct Wire {
    link: Mutex<Link>,
    /// Rung when there is something to send, or the end has come.
    pub bell: Bell,
    is_over: AtomicBool,
}

impl Wire {
    /// Locks the link.
    pub fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the output is done with the connection.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// A connection.
pub struct Session {
    number: u64,
    lane: usize,
    wire: Arc<Wire>,
    thread: Option<JoinHandle<()>>,
    batch_bytes_max: usize,
}

impl Session {
    /// Begins to listen to a grater, on a lane.
    ///
    /// # Errors
    /// Why that can't be.
    pub fn begin(
        dialed: Dialed,
        number: u64,
        lane: usize,
        desk: &Arc<Desk>,
        timeout: Duration,
    ) -> Result<Session, String> {
        let bell = Bell::new().map_err(cause)?;
        let wire = Arc::new(Wire { link: Mutex::new(dialed.link), bell, is_over: AtomicBool::new(false) });
        desk.state().begin(lane, number, &dialed.ready);
        let listening = Listening {
            wire: wire.clone(),
            desk: desk.clone(),
            lane,
            session: number,
            timeout,
            alive_interval: dialed.alive_interval,
        };
        let rest = dialed.rest;
        let thread =
            std::thread::Builder::new().name("hop listen".to_owned()).spawn(move || listening.run(&rest));
        let thread = Some(thread.map_err(|why| heka_plugin_api::cause(&why))?);
        let batch_bytes_max = usize::try_from(dialed.ready.batch_bytes_max).unwrap_or(usize::MAX);
        Ok(Session { number, lane, wire, thread, batch_bytes_max })
    }

    /// Returns the largest batch that the grater takes, in bytes.
    pub fn batch_bytes_max(&self) -> usize {
        self.batch_bytes_max
    }

    /// Sends frames; what the socket doesn't take at once is sent by the listening thread.
    ///
    /// A failure ends the connection at the desk.
    pub fn send(&self, frames: &[u8], desk: &Desk) {
        let sent = {
            let mut link = self.wire.link();
            link.send(frames).map(|()| link.has_waiting())
        };
        match sent {
            Ok(true) => self.wire.bell.ring(),
            Ok(false) => {}
            Err(why) => desk.end(self.lane, self.number, why),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.wire.is_over.store(true, Ordering::Release);
        self.wire.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
        let mut link = self.wire.link();
        link.finish();
        link.cut();
    }
}
