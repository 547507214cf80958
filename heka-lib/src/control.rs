//! Where a reload leaves what a stage is to do differently; the stage looks there between two pieces of work.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place for one command to a stage. A channel would not do: that of an output which nobody reads is full, and the
/// command may be what makes it go on.
pub(crate) struct Control<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    is_waiting: AtomicBool,
    content: Mutex<Content<C>>,
}

struct Content<C> {
    command: Option<C>,
    has_ended: bool,
}

/// The stage's end of a control: says that the stage has ended when it is dropped, also by a panic.
pub(crate) struct Attention<C>(Control<C>);

impl<C> Clone for Control<C> {
    fn clone(&self) -> Self {
        Control { shared: self.shared.clone() }
    }
}

impl<C> Control<C> {
    /// Makes a control and the stage's end of it.
    pub(crate) fn new() -> (Control<C>, Attention<C>) {
        let content = Mutex::new(Content { command: None, has_ended: false });
        let control = Control { shared: Arc::new(Shared { is_waiting: AtomicBool::new(false), content }) };
        (control.clone(), Attention(control))
    }

    /// Leaves a command for the stage, in the place of one that it has not taken yet; tells whether the stage lives.
    pub(crate) fn put(&self, command: C) -> bool {
        let mut content = self.content();
        if !content.has_ended {
            content.command = Some(command);
            self.shared.is_waiting.store(true, Ordering::Release);
        }
        !content.has_ended
    }

    /// Takes a command back that the stage has not taken.
    pub(crate) fn take_back(&self) -> Option<C> {
        let mut content = self.content();
        self.shared.is_waiting.store(false, Ordering::Release);
        content.command.take()
    }

    /// Tells whether the stage has ended, or takes no more commands.
    pub(crate) fn has_ended(&self) -> bool {
        self.content().has_ended
    }

    fn content(&self) -> MutexGuard<'_, Content<C>> {
        self.shared.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Attention<C> {
    /// Tells whether a command waits.
    #[inline]
    pub(crate) fn is_called(&self) -> bool {
        self.0.shared.is_waiting.load(Ordering::Acquire)
    }

    /// Takes the command that waits.
    #[inline]
    pub(crate) fn take(&self) -> Option<C> {
        if self.is_called() { self.0.take_back() } else { None }
    }

    /// Takes no more commands.
    pub(crate) fn end(&self) {
        let mut content = self.0.content();
        (content.command, content.has_ended) = (None, true);
    }
}

impl<C> Drop for Attention<C> {
    fn drop(&mut self) {
        self.end();
    }
}

/// By which a stage says how it went; dropped without a word by a stage that ended.
pub(crate) struct Answer(Sender<Result<(), String>>);

/// Where an answer comes.
pub(crate) type Answered = Receiver<Result<(), String>>;

impl Answer {
    pub(crate) fn new() -> (Answer, Answered) {
        let (sender, receiver) = bounded(1);
        (Answer(sender), receiver)
    }

    pub(crate) fn give(self, result: Result<(), String>) {
        // Who asked may have gone away meanwhile.
        let _ = self.0.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_waits_until_it_is_taken_or_taken_back() {
        let (control, attention) = Control::new();
        assert!(attention.take().is_none() && control.put(1) && attention.is_called());
        assert_eq!((attention.take(), attention.take()), (Some(1), None));
        assert!(control.put(2) && control.put(3));
        assert_eq!((control.take_back(), attention.take()), (Some(3), None));
    }

    #[test]
    fn a_stage_that_ended_takes_no_command_and_lets_the_answer_go() {
        let (control, attention) = Control::new();
        let (answer, answered) = Answer::new();
        assert!(control.put(answer) && !control.has_ended());
        drop(attention);
        assert!(control.has_ended() && answered.recv().is_err());
        assert!(!control.put(Answer::new().0));
    }
}
