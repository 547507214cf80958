//! An agent for tests: an output, and what a host does with it.

use super::grater::wait_until;
use crate::output::HopOutput;
use heka_plugin_api::testing::{OutputTest, message};
use heka_plugin_api::{Context, Delivered, Delivery, Faults, Output, OwnedMessage, PluginError};
use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

thread_local! {
    static LATER: Cell<bool> = const { Cell::new(false) };
}

/// The output, telling whether a batch is answered later.
pub struct Telling(HopOutput);

impl Output for Telling {
    type Config = <HopOutput as Output>::Config;

    fn check(config: &Self::Config, faults: &mut Faults) {
        HopOutput::check(config, faults);
    }

    fn open(config: Self::Config, context: &mut Context) -> Result<Self, PluginError> {
        HopOutput::open(config, context).map(Telling)
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        self.0.start(predecessor.map(|old| &mut old.0), context)
    }

    fn deliver(
        &mut self,
        delivery: &mut Delivery<'_>,
        context: &mut Context,
    ) -> Result<Delivered, PluginError> {
        let delivered = self.0.deliver(delivery, context);
        LATER.set(delivered == Ok(Delivered::Later));
        delivered
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        self.0.tick(context)
    }
}

/// Batches as the host holds them.
struct Batch {
    first: u64,
    messages: Vec<OwnedMessage>,
}

/// An output, and what it has not answered.
pub struct Agent {
    pub output: OutputTest<Telling>,
    /// Whether messages come from a durable queue.
    durable: bool,
    next: u64,
    deferred: VecDeque<Batch>,
    answered: usize,
    /// The failures that it told.
    pub told: Vec<String>,
    /// The messages that were refused.
    pub refused: Vec<String>,
}

/// Makes a message.
pub fn text(text: &str) -> OwnedMessage {
    message(|m| _ = m.payload(text))
}

/// Makes messages `prefix 0`, `prefix 1`, …
pub fn texts(prefix: &str, count: usize) -> Vec<OwnedMessage> {
    (0..count).map(|number| text(&format!("{prefix} {number}"))).collect()
}

impl Agent {
    /// Starts one that sends from a durable queue.
    pub fn start(address: &str, options: &str) -> Agent {
        Agent::open(&format!("address = \"{address}\"\n{options}"), true)
    }

    /// Starts one with these options.
    pub fn open(toml: &str, durable: bool) -> Agent {
        let mut output = OutputTest::open(toml).unwrap();
        output.start().unwrap();
        Agent {
            output,
            durable,
            next: 1,
            deferred: VecDeque::new(),
            answered: 0,
            told: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Ends it as a crash would, and starts one in its place, which gives again what was not answered.
    pub fn restart(mut self, toml: &str) -> Agent {
        self.collect();
        let mut agent = Agent::open(toml, self.durable);
        (agent.next, agent.deferred) = (self.next, std::mem::take(&mut self.deferred));
        drop(self);
        agent.give_again();
        agent
    }

    /// Skips numbers, as a queue may.
    pub fn skip(&mut self, numbers: u64) {
        self.next += numbers;
    }

    /// Sends a batch once.
    ///
    /// # Errors
    /// Why that failed.
    pub fn try_send(&mut self, messages: Vec<OwnedMessage>) -> Result<(), String> {
        let first = self.next;
        self.next += messages.len() as u64;
        self.deferred.push_back(Batch { first, messages });
        let last = self.deferred.len() - 1;
        self.deliver(last)
    }

    /// Sends a batch, however often it takes.
    pub fn send(&mut self, messages: Vec<OwnedMessage>) {
        if self.try_send(messages).is_err() {
            self.give_again();
        }
    }

    fn deliver(&mut self, index: usize) -> Result<(), String> {
        let batch = &self.deferred[index];
        let given: Vec<(OwnedMessage, &[u8])> =
            batch.messages.iter().map(|message| (message.clone(), &b""[..])).collect();
        let first = self.durable.then_some(batch.first);
        match self.output.deliver_from_queue(&given, first) {
            Ok(refused) => {
                self.refused.extend(refused.into_iter().map(|(_, why)| why));
                if !LATER.get() {
                    self.deferred.remove(index);
                }
                Ok(())
            }
            Err((completed, why)) => {
                let batch = &mut self.deferred[index];
                batch.messages.drain(..completed as usize);
                batch.first += u64::from(completed);
                self.told.push(why.clone());
                Err(why)
            }
        }
    }

    /// Gives everything again that was not answered, until it is taken.
    pub fn give_again(&mut self) {
        let until = Instant::now() + Duration::from_secs(10);
        'again: loop {
            self.collect();
            assert!(Instant::now() < until, "timed out giving again: {:?}", self.told.last());
            let mut index = 0;
            while index < self.deferred.len() {
                let before = self.deferred.len();
                if self.deliver(index).is_err() {
                    continue 'again;
                }
                index += usize::from(self.deferred.len() == before);
            }
            return;
        }
    }

    /// Takes answers, in the order of the batches.
    pub fn collect(&mut self) {
        let answers = self.output.acknowledged();
        for (_, count) in &answers[self.answered..] {
            let index = self.deferred.iter().position(|batch| batch.messages.len() == *count as usize);
            self.deferred.remove(index.unwrap_or_else(|| panic!("an answer of {count} to nothing")));
        }
        self.answered = answers.len();
    }

    /// Ticks and gives again until everything is answered.
    pub fn settle(&mut self) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            self.collect();
            if self.deferred.is_empty() {
                return;
            }
            assert!(
                Instant::now() < until,
                "timed out with {} batches: {:?}",
                self.deferred.len(),
                self.told
            );
            if let Err(why) = self.output.tick() {
                self.told.push(why);
                self.give_again();
            }
            std::thread::yield_now();
        }
    }

    /// Ticks until that fails; returns why.
    pub fn tick_until_it_fails(&mut self) -> String {
        let mut why = None;
        wait_until("a tick fails", || {
            why = self.output.tick().err();
            why.is_some()
        });
        why.unwrap_or_default()
    }

    /// Returns how many batches are not answered.
    pub fn left(&mut self) -> usize {
        self.collect();
        self.deferred.len()
    }

    /// Returns a counter.
    pub fn counter(&self, name: &str) -> u64 {
        self.output.host().counter(name)
    }
}
