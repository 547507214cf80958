//! The ways to the graters: one to the first that answers, or one to each.

use super::config::Mode;
use super::counters::Counters;
use super::desk::Desk;
use super::dial::{DialOptions, dial};
use super::prober::{Found, Prober, Target};
use super::session::Session;
use crate::bell::Bell;
use crate::protocol::SourceId;
use heka_plugin_api::StopSignal;
use heka_socket::{Address, cause};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a switch to a better grater waits for what is under way at the other one.
const SWITCH_WAIT: Duration = Duration::from_secs(2);

/// One way, to one grater at a time.
struct Lane {
    addresses: Vec<Address>,
    /// Index of the address that the session goes to.
    at: usize,
    session: Option<Session>,
}

/// All ways.
pub struct Lanes {
    options: Arc<DialOptions>,
    mode: Mode,
    retry_interval: Duration,
    queue: [u8; 16],
    lanes: Vec<Lane>,
    prober: Option<Prober>,
    /// Graters that have answered and wait for their turn.
    found: Vec<Found>,
    bell: Arc<Bell>,
    stop: StopSignal,
    sessions: u64,
}

impl Lanes {
    /// Makes the ways; connects nowhere yet.
    ///
    /// # Errors
    /// Why that can't be.
    pub fn new(
        options: DialOptions,
        mode: Mode,
        addresses: Vec<Address>,
        retry_interval: Duration,
        stop: StopSignal,
    ) -> Result<Lanes, String> {
        let lane = |addresses| Lane { addresses, at: 0, session: None };
        let lanes = match mode {
            Mode::Failover => vec![lane(addresses)],
            Mode::LoadBalance => addresses.into_iter().map(|address| lane(vec![address])).collect(),
        };
        let bell = Arc::new(Bell::new().map_err(cause)?);
        let options = Arc::new(options);
        let mut made = Lanes {
            options,
            mode,
            retry_interval,
            queue: [0; 16],
            lanes,
            prober: None,
            found: Vec::new(),
            bell,
            stop,
            sessions: 0,
        };
        made.watch_stop();
        Ok(made)
    }

    fn watch_stop(&mut self) {
        let bell = self.bell.clone();
        self.stop.on_stop(move || bell.ring());
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Tells whether other ways with these options would go the same.
    pub fn go_alike(&self, mode: Mode, addresses: &[Address]) -> bool {
        let own = self.lanes.iter().flat_map(|lane| &lane.addresses);
        self.mode == mode && own.eq(addresses)
    }

    /// Takes over the connections of other ways that go the same.
    pub fn take_over(&mut self, other: &mut Lanes) {
        self.lanes = std::mem::take(&mut other.lanes);
        self.found = std::mem::take(&mut other.found);
        (self.queue, self.sessions) = (other.queue, other.sessions);
        // It dials as it was told; this instance may be told otherwise.
        other.prober = None;
    }

    /// Sends for another queue from now on; the connections of the one before are closed.
    pub fn send_for(&mut self, queue: [u8; 16]) {
        if self.queue != queue {
            self.close();
            self.queue = queue;
        }
    }

    /// Returns the queue that is sent for; zeros before the first.
    pub fn queue(&self) -> [u8; 16] {
        self.queue
    }

    /// Closes all connections.
    pub fn close(&mut self) {
        (self.prober, self.found) = (None, Vec::new());
        self.lanes.iter_mut().for_each(|lane| lane.session = None);
    }

    /// Closes the connection of a lane.
    pub fn close_lane(&mut self, lane: usize) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.session = None;
        }
    }

    /// Returns the name under which a lane's grater knows the queue: with several graters at once one for each, because
    /// what is taken from one of them may go to another, below what that one has.
    pub fn source(&self, lane: usize) -> SourceId {
        match (self.mode, self.lanes.get(lane).and_then(|lane| lane.addresses.first())) {
            (Mode::LoadBalance, Some(address)) => {
                let digest =
                    Sha256::new().chain_update(self.queue).chain_update(address.to_string()).finalize();
                digest.first_chunk().copied().unwrap_or_default()
            }
            _ => self.queue,
        }
    }

    /// Tells whether batches go out in order.
    pub fn are_ordered(&self) -> bool {
        self.mode == Mode::Failover
    }

    /// Returns the address that a lane goes to.
    pub fn address(&self, lane: usize) -> String {
        let address = self.lanes.get(lane).and_then(|lane| lane.addresses.get(lane.at));
        address.map(Address::to_string).unwrap_or_default()
    }

    /// Returns the connection of a lane.
    pub fn session(&self, lane: usize) -> Option<&Session> {
        self.lanes.get(lane)?.session.as_ref()
    }

    /// Connects to the first grater that answers, if none is connected; returns the lane to send on.
    ///
    /// # Errors
    /// Why none could be reached.
    pub fn connect(&mut self, desk: &Arc<Desk>, settled: u64, counters: &Counters) -> Result<usize, String> {
        if let Some(lane) = desk.state().least_busy() {
            return Ok(lane);
        }
        if desk.state().pending() > 0 {
            return Err("lost the connection while messages were under way".to_owned());
        }
        let mut whys = Vec::new();
        for lane in 0..self.lanes.len() {
            self.close_lane(lane);
            let source = self.source(lane);
            for index in 0..self.lanes[lane].addresses.len() {
                let address = &self.lanes[lane].addresses[index];
                match dial(&self.options, address, source, settled, &self.bell) {
                    Ok(dialed) => {
                        self.install(Found { lane, index, dialed }, desk, counters)?;
                        self.probe(desk, settled)?;
                        return Ok(lane);
                    }
                    Err(why) => whys.push(why),
                }
            }
        }
        Err(whys.join("; "))
    }

    fn install(&mut self, found: Found, desk: &Arc<Desk>, counters: &Counters) -> Result<(), String> {
        self.sessions += 1;
        let lane = &mut self.lanes[found.lane];
        // Its thread ends first, so that it says nothing more.
        lane.session = None;
        lane.at = found.index;
        let timeout = self.options.timeout;
        lane.session = Some(Session::begin(found.dialed, self.sessions, found.lane, desk, timeout)?);
        counters.connects.add(1);
        if self.sessions > 1 {
            counters.reconnects.add(1);
        }
        Ok(())
    }

    /// Sees to it that graters which would be better, or more, are tried now and then.
    ///
    /// # Errors
    /// Why there can be no thread for it.
    pub fn probe(&mut self, desk: &Desk, settled: u64) -> Result<(), String> {
        if self.prober.as_ref().is_some_and(|prober| !prober.is_done() || prober.has_found()) {
            return Ok(());
        }
        let targets = self.targets(desk, settled);
        if targets.is_empty() {
            self.prober = None;
            return Ok(());
        }
        let first_only = self.mode == Mode::Failover;
        let prober =
            Prober::begin(self.options.clone(), targets, self.retry_interval, first_only, &self.stop)?;
        self.prober = Some(prober);
        Ok(())
    }

    fn targets(&self, desk: &Desk, settled: u64) -> Vec<Target> {
        let state = desk.state();
        let mut targets = Vec::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            let better = match (self.mode, state.is_live(number)) {
                (Mode::Failover, true) => lane.at,
                (Mode::LoadBalance, false) => lane.addresses.len(),
                _ => 0,
            };
            let waits = self.found.iter().any(|found| found.lane == number);
            for index in 0..if waits { 0 } else { better } {
                let (address, source) = (lane.addresses[index].clone(), self.source(number));
                targets.push(Target { lane: number, index, address, source, settled });
            }
        }
        targets
    }

    /// Uses graters that have answered meanwhile. Tells of a switch after which everything is to be sent again, because
    /// something was under way for too long.
    ///
    /// # Errors
    /// Why a connection can't be used.
    pub fn pick_up(
        &mut self,
        desk: &Arc<Desk>,
        may_wait: bool,
        counters: &Counters,
    ) -> Result<Option<String>, String> {
        if let Some(prober) = &self.prober {
            self.found.append(&mut prober.take_found());
        }
        let Some(found) = self.found.pop() else { return Ok(None) };
        let is_live = desk.state().is_live(found.lane);
        if self.mode == Mode::LoadBalance || !is_live {
            return self.install(found, desk, counters).map(|()| None);
        }
        let is_quiet = match may_wait {
            true => desk.wait_until(Instant::now() + SWITCH_WAIT, |state| {
                state.pending() == 0 || !state.is_live(found.lane)
            }),
            false => desk.state().pending() == 0,
        };
        if !is_quiet && !may_wait {
            self.found.push(found);
            return Ok(None);
        }
        let is_quiet = is_quiet && desk.state().pending() == 0;
        self.install(found, desk, counters)?;
        let address = self.address(0);
        log::info!("`{address}` answers again: messages go there");
        Ok((!is_quiet).then(|| format!("`{address}` answers again; what is under way elsewhere goes there")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(mode: Mode) -> Lanes {
        let options = DialOptions {
            host: "h".to_owned(),
            secret: None,
            tls: None,
            server_name: None,
            is_guarded: false,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
        };
        let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| Address::Network(text.to_owned()));
        let mut lanes =
            Lanes::new(options, mode, addresses.to_vec(), Duration::from_secs(1), StopSignal::default())
                .unwrap();
        lanes.send_for([7; 16]);
        lanes
    }

    #[test]
    fn sources_of_balanced_lanes_differ() {
        assert_eq!(lanes(Mode::Failover).source(0), [7; 16]);
        let balanced = lanes(Mode::LoadBalance);
        assert_ne!(balanced.source(0), balanced.source(1));
        assert_eq!(balanced.source(1), lanes(Mode::LoadBalance).source(1));
    }

    #[test]
    fn ways_are_alike_with_the_same_addresses() {
        let one = lanes(Mode::Failover);
        let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| Address::Network(text.to_owned()));
        assert!(one.go_alike(Mode::Failover, &addresses));
        assert!(!one.go_alike(Mode::LoadBalance, &addresses));
        assert!(!one.go_alike(Mode::Failover, &addresses[..1]));
    }
}
