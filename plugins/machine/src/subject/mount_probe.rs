//! Asks file systems how full they are, without ever waiting long: a share whose server is gone answers never.

use rustix::fs::StatVfs;
use rustix::io::Errno;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::Duration;

/// Asks one file system; may block for ever.
pub type Ask = fn(&Path) -> Result<StatVfs, Errno>;

/// What became of a question.
pub enum Answer {
    /// It said how full it is.
    Is(StatVfs),
    /// It refused.
    Failed(Errno),
    /// It did not answer in time, now or earlier.
    Silent,
    /// No thread could be made to ask it.
    NotAsked,
}

/// Asks many file systems on threads of its own; one that is silent keeps its thread until it answers, and is not
/// asked again before.
pub struct MountProbe {
    ask: Ask,
    timeout: Duration,
    silent: HashMap<PathBuf, Receiver<Result<StatVfs, Errno>>>,
}

impl MountProbe {
    /// Each has so long to answer.
    pub fn new(ask: Ask, timeout: Duration) -> MountProbe {
        MountProbe { ask, timeout, silent: HashMap::new() }
    }

    /// Asks all of them; the answers come in the same order.
    pub fn ask_all(&mut self, paths: &[PathBuf]) -> Vec<Answer> {
        self.silent.retain(|_, answers| matches!(answers.try_recv(), Err(TryRecvError::Empty)));
        let mut answers: Vec<Answer> = Vec::with_capacity(paths.len());
        while answers.len() < paths.len() {
            self.ask_from(paths, &mut answers);
        }
        answers
    }

    /// Asks from the first one on that has no answer yet, until one is silent.
    fn ask_from(&mut self, paths: &[PathBuf], answers: &mut Vec<Answer>) {
        let next = &paths[answers.len()];
        if self.silent.contains_key(next) {
            return answers.push(Answer::Silent);
        }
        let rest = paths[answers.len()..].iter().take_while(|path| !self.silent.contains_key(*path));
        let rest: Vec<PathBuf> = rest.cloned().collect();
        let (told, heard) = channel();
        let (ask, given_up) = (self.ask, Arc::new(AtomicBool::new(false)));
        let (is_over, asked) = (given_up.clone(), rest.clone());
        let body = move || {
            for path in asked {
                if told.send(ask(&path)).is_err() || is_over.load(Ordering::Acquire) {
                    return;
                }
            }
        };
        if thread::Builder::new().name("host_stats".to_owned()).spawn(body).is_err() {
            return answers.push(Answer::NotAsked);
        }
        for path in rest {
            match heard.recv_timeout(self.timeout) {
                Ok(Ok(found)) => answers.push(Answer::Is(found)),
                Ok(Err(errno)) => answers.push(Answer::Failed(errno)),
                Err(RecvTimeoutError::Timeout) => {
                    given_up.store(true, Ordering::Release);
                    self.silent.insert(path, heard);
                    return answers.push(Answer::Silent);
                }
                Err(RecvTimeoutError::Disconnected) => return answers.push(Answer::NotAsked),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    static IS_DEAD: AtomicBool = AtomicBool::new(true);
    static ASKED: AtomicUsize = AtomicUsize::new(0);

    /// A file system below `/dead` answers only when the test says so.
    fn ask(path: &Path) -> Result<StatVfs, Errno> {
        if path.starts_with("/dead") {
            ASKED.fetch_add(1, Ordering::SeqCst);
            while IS_DEAD.load(Ordering::SeqCst) {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        rustix::fs::statvfs("/")
    }

    #[test]
    fn a_dead_share_holds_nothing_up_and_is_asked_once() {
        let mut probe = MountProbe::new(ask, Duration::from_millis(50));
        let paths = ["/", "/dead/1", "/", "/dead/2", "/"].map(PathBuf::from);
        let shown = |answers: Vec<Answer>| -> String {
            answers.iter().map(|answer| if matches!(answer, Answer::Is(_)) { '+' } else { '-' }).collect()
        };
        assert_eq!(shown(probe.ask_all(&paths)), "+-+-+");
        assert_eq!(shown(probe.ask_all(&paths)), "+-+-+");
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
        IS_DEAD.store(false, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(10);
        while shown(probe.ask_all(&paths)) != "+++++" {
            assert!(Instant::now() < deadline, "they answer again");
        }
    }
}
