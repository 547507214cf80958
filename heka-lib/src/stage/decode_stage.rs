//! The decode stage: decodes and routes what an input with `decode_threads` reads, on a thread of its own.

use super::decode::Decoding;
use super::decode_group::{GroupReceiver, ToDecode};
use crossbeam_channel::RecvTimeoutError;
use std::time::{Duration, Instant};

/// One decode stage of an input. It ends when its input has, with everything decoded and sent on: past the deadline
/// of a shutdown as well, so that what was read is counted as given up by whoever doesn't take it.
pub(crate) struct DecodeStage {
    receiver: GroupReceiver,
    decoding: Decoding,
    linger: Duration,
}

impl DecodeStage {
    pub(crate) fn new(receiver: GroupReceiver, decoding: Decoding, linger: Duration) -> DecodeStage {
        DecodeStage { receiver, decoding, linger }
    }

    /// Runs until its input has ended.
    pub(crate) fn run(mut self) {
        loop {
            let asked = Instant::now();
            match self.receive() {
                Ok(ToDecode::Routes(plan)) => {
                    self.decoding.routes().flush();
                    self.decoding.routes().change(*plan);
                }
                Ok(ToDecode::Group(mut group)) => {
                    // A stage that had nothing to do for so long passes on at once what comes then.
                    let was_idle = asked.elapsed() >= self.linger;
                    group.take(|frames, read| self.decoding.take(frames, read));
                    self.receiver.give_back(group);
                    if was_idle {
                        self.decoding.routes().flush();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.decoding.routes().flush();
    }

    /// Sends what is due, and waits for the next group until more is.
    fn receive(&mut self) -> Result<ToDecode, RecvTimeoutError> {
        let groups = &self.receiver.groups;
        match self.decoding.routes().flush_due() {
            Some(left) => groups.recv_timeout(left),
            None => groups.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }
}
