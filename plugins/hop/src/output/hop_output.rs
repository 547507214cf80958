//! The output itself: what the host calls.

use super::batching::{Batch, Batching, body_bytes};
use super::config::Config;
use super::counters::Counters;
use super::desk::{Desk, Plan};
use super::dial::DialOptions;
use super::lanes::Lanes;
use super::numbering::Numbering;
use crate::protocol::Range;
use crate::secret;
use heka_link::TlsOptions;
use heka_plugin_api::{
    Context, Delivered, Delivery, Faults, Output, PluginError, StopSignal, fault_point, random_uuid,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the output looks after its connections when nothing is delivered.
const TICK_INTERVAL: Duration = Duration::from_millis(100);
/// Delay before everything is given again, where there is no reason to wait.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Sends messages to another host.
pub struct HopOutput {
    config: Config,
    counters: Counters,
    batching: Batching,
    numbering: Numbering,
    /// Name of the queue in memory, where there is no durable one.
    own_queue: [u8; 16],
    numbers: Vec<u64>,
    lanes: Option<Lanes>,
    desk: Arc<Desk>,
    stop: StopSignal,
}

impl Output for HopOutput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let counters = Counters::new(context);
        let batching = Batching::new(config.compression.codec())
            .map_err(|why| PluginError::config(format!("compression: {}", heka_plugin_api::cause(&why))))?;
        context.set_ticker(TICK_INTERVAL);
        Ok(HopOutput {
            counters,
            batching,
            numbering: Numbering::default(),
            own_queue: random_uuid(),
            numbers: Vec::new(),
            lanes: None,
            desk: Arc::new(Desk::new(config.all_addresses().len(), context.acknowledger(), counters)),
            stop: context.stop_signal(),
            config,
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let config = &self.config;
        let secret = secret::load(config.secret.clone(), config.secret_file.clone())?;
        secret::warn_if_short(&format!("output `{}`", context.instance()), secret.as_deref());
        let options = DialOptions {
            host: context.hostname().to_owned(),
            secret,
            tls: config.tls.as_ref().map(TlsOptions::client).transpose()?,
            server_name: config.tls.as_ref().and_then(|tls| tls.server_name.clone()),
            is_guarded: config.is_guarded(),
            connect_timeout: config.connect_timeout.0,
            timeout: config.timeout.0,
        };
        let (mode, addresses) = (config.mode, config.all_addresses());
        let interval = config.retry_interval.0;
        let lanes = Lanes::new(options, mode, addresses.clone(), interval, self.stop.clone());
        let mut lanes = lanes.map_err(PluginError::retry)?;
        if let Some(old) = predecessor {
            self.take_over(old, &mut lanes, &addresses, context);
        }
        self.lanes = Some(lanes);
        Ok(())
    }

    fn deliver(
        &mut self,
        delivery: &mut Delivery<'_>,
        context: &mut Context,
    ) -> Result<Delivered, PluginError> {
        let delivered = self.try_deliver(delivery, context);
        delivered.map_err(|error| self.given_again(error))
    }

    fn tick(&mut self, _: &mut Context) -> Result<(), PluginError> {
        self.look_after(false).map_err(|error| self.given_again(error))
    }
}

impl HopOutput {
    /// Takes over the connections of an instance that goes the same ways, and what is under way on them.
    fn take_over(
        &mut self,
        old: &mut HopOutput,
        lanes: &mut Lanes,
        addresses: &[heka_socket::Address],
        context: &Context,
    ) {
        let same_peers = old.config.secret == self.config.secret
            && old.config.secret_file == self.config.secret_file
            && old.config.tls == self.config.tls;
        self.own_queue = old.own_queue;
        self.numbering = std::mem::take(&mut old.numbering);
        self.numbering.start_again();
        let Some(others) = &mut old.lanes else { return };
        if same_peers && others.go_alike(self.config.mode, addresses) {
            old.desk.state().hand_over(context.acknowledger(), self.counters);
            self.desk = old.desk.clone();
            lanes.take_over(others);
        }
    }

    /// The host gives everything again that it was not answered.
    fn given_again(&mut self, error: PluginError) -> PluginError {
        self.desk.state().forget_pending();
        self.numbering.start_again();
        self.numbers.clear();
        error
    }

    fn try_deliver(
        &mut self,
        delivery: &mut Delivery<'_>,
        context: &mut Context,
    ) -> Result<Delivered, PluginError> {
        self.look_after(true)?;
        self.name_queue(delivery)?;
        let mut numbers = std::mem::take(&mut self.numbers);
        self.numbering.number(delivery, &mut numbers);
        let delivered = self.deliver_numbered(delivery, &numbers, context);
        self.numbers = numbers;
        delivered
    }

    /// Looks after connections: those that have ended, those that could be better.
    fn look_after(&mut self, may_wait: bool) -> Result<(), PluginError> {
        let Some(lanes) = &mut self.lanes else { return Err(PluginError::fatal("was not started")) };
        let broken = self.desk.state().take_broken();
        if let Some((lane, why)) = broken {
            let address = lanes.address(lane);
            lanes.close_lane(lane);
            if self.desk.state().pending() > 0 {
                return Err(PluginError::retry(format!("lost the connection to `{address}`: {why}")));
            }
            log::info!("lost the connection to `{address}`: {why}; nothing was under way");
        }
        if let Some(why) = lanes.pick_up(&self.desk, may_wait, &self.counters).map_err(PluginError::retry)? {
            return Err(PluginError::Retry { reason: why, after: Some(AT_ONCE) });
        }
        let first = self.numbers.first().copied().unwrap_or(0);
        let (settled, lost, refused) = {
            let mut state = self.desk.state();
            (state.settled(first), state.take_lost(), state.has_refused_pending())
        };
        if let Some(why) = lost {
            return Err(PluginError::retry(format!("lost a connection: {why}")));
        }
        if refused {
            let reason = "the grater refuses messages; what is under way is given again without them";
            return Err(PluginError::Retry { reason: reason.to_owned(), after: Some(AT_ONCE) });
        }
        lanes.probe(&self.desk, settled).map_err(PluginError::retry)
    }

    /// Sees to it that the connections are of the queue that the messages come from.
    fn name_queue(&mut self, delivery: &Delivery<'_>) -> Result<(), PluginError> {
        let queue = delivery.queue().unwrap_or(self.own_queue);
        let Some(lanes) = &mut self.lanes else { return Err(PluginError::fatal("was not started")) };
        if lanes.queue() == queue {
            return Ok(());
        }
        lanes.send_for(queue);
        let pending = self.desk.state().pending();
        let acknowledger = self.desk.state().acknowledger();
        self.desk = Arc::new(Desk::new(lanes.len(), acknowledger, self.counters));
        if pending > 0 {
            return Err(PluginError::Retry {
                reason: "the queue is another one".to_owned(),
                after: Some(AT_ONCE),
            });
        }
        Ok(())
    }

    fn deliver_numbered(
        &mut self,
        delivery: &mut Delivery<'_>,
        numbers: &[u64],
        context: &mut Context,
    ) -> Result<Delivered, PluginError> {
        let Some(&first) = numbers.first() else { return Ok(Delivered::Now) };
        let settled = self.desk.state().settled(first);
        self.numbering.forget_below(settled);
        let Some(lanes) = &mut self.lanes else { return Err(PluginError::fatal("was not started")) };
        let lane = lanes.connect(&self.desk, settled, &self.counters).map_err(PluginError::retry)?;
        let bytes_max = lanes.session(lane).map_or(0, |session| session.batch_bytes_max());
        let bytes_max = bytes_max.min(self.config.batch_bytes_max.0 as usize);
        self.refuse_large(delivery, numbers, bytes_max);
        if self.desk.state().has_refused(numbers) {
            return self.deliver_around(delivery, numbers, lane, bytes_max, context);
        }
        let to_send = {
            let mut state = self.desk.state();
            match state.plan(lane, numbers) {
                Plan::Done => return Ok(Delivered::Now),
                Plan::Send(to_send) => {
                    state.await_answer(delivery.ticket(), lane, numbers);
                    to_send
                }
            }
        };
        self.send(delivery, numbers, &to_send, lane, bytes_max)?;
        Ok(Delivered::Later)
    }

    fn send(
        &mut self,
        delivery: &Delivery<'_>,
        numbers: &[u64],
        to_send: &[Range],
        lane: usize,
        bytes_max: usize,
    ) -> Result<(), PluginError> {
        if to_send.is_empty() {
            return Ok(());
        }
        let Some(lanes) = &self.lanes else { return Err(PluginError::fatal("was not started")) };
        let settled = self.desk.state().settled(numbers.first().copied().unwrap_or(0));
        let batch = Batch { source: lanes.source(lane), settled, ordered: lanes.are_ordered(), bytes_max };
        let made = self.batching.make(batch, delivery, numbers, to_send);
        let (frames, made) = made.map_err(PluginError::retry)?;
        // Where there is no session any more the next look finds it broken.
        if let Some(session) = lanes.session(lane) {
            session.send(frames, &self.desk);
            fault_point("hop.batch.sent");
        }
        let counters = &self.counters;
        counters.frames.add(made.frames);
        counters.messages.add(made.messages);
        counters.bytes.add(made.bytes);
        counters.bytes_uncompressed.add(made.bytes_uncompressed);
        Ok(())
    }

    /// Refuses messages that no batch can hold.
    fn refuse_large(&mut self, delivery: &Delivery<'_>, numbers: &[u64], bytes_max: usize) {
        for ((message, _), number) in delivery.messages().zip(numbers) {
            let bytes = body_bytes(&message);
            if bytes > bytes_max {
                let why =
                    format!("the message has {bytes} bytes, the hop takes {bytes_max} (`batch_bytes_max`)");
                self.desk.state().refused.insert(*number, why);
            }
        }
    }

    /// Delivers a batch with refused messages in it, and waits until it is out of the way: these are rare.
    fn deliver_around(
        &mut self,
        delivery: &mut Delivery<'_>,
        numbers: &[u64],
        lane: usize,
        bytes_max: usize,
        context: &Context,
    ) -> Result<Delivered, PluginError> {
        let mut left = numbers;
        while let Some(&first) = left.first() {
            let refused = self.desk.state().refused.remove(&first);
            if let Some(reason) = refused {
                delivery.refuse(&reason, context);
                self.counters.refused.add(1);
                left = &left[1..];
                continue;
            }
            let good =
                left.iter().take_while(|number| !self.desk.state().refused.contains_key(number)).count();
            let (now, rest) = left.split_at(good);
            self.deliver_and_wait(delivery, now, lane, bytes_max)?;
            delivery.complete(good);
            left = rest;
        }
        Ok(Delivered::Now)
    }

    fn deliver_and_wait(
        &mut self,
        delivery: &Delivery<'_>,
        numbers: &[u64],
        lane: usize,
        bytes_max: usize,
    ) -> Result<(), PluginError> {
        let plan = self.desk.state().plan(lane, numbers);
        if let Plan::Send(to_send) = plan {
            self.send(delivery, numbers, &to_send, lane, bytes_max)?;
        }
        let until = Instant::now() + self.config.timeout.0;
        let stop = self.stop.clone();
        self.desk.wait_until(until, |state| {
            state.are_done(numbers) || !state.is_live(lane) || state.has_refused(numbers) || stop.is_raised()
        });
        match self.desk.state().are_done(numbers) {
            true => Ok(()),
            false => {
                Err(PluginError::retry("the grater has not acknowledged what comes before a refused message"))
            }
        }
    }
}

impl Drop for HopOutput {
    fn drop(&mut self) {
        // The threads end before the host that they would answer to.
        self.lanes = None;
    }
}
