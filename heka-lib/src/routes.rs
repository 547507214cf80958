//! The router: finds the chains that want a message and gathers it for them.

use crate::batch::BatchLimits;
use crate::outlet::{Gathering, Group, Outlet};
use crate::stats::ChainStats;
use heka_matcher::MatcherSet;
use heka_plugin_api::Message;
use heka_plugin_api::abi::Item;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything a stage needs to route; each routing stage has a copy of its own.
#[derive(Clone)]
pub(crate) struct RoutePlan {
    /// One matcher for each chain but the one called `default`.
    pub(crate) matchers: MatcherSet,
    /// In the matchers' order.
    pub(crate) chains: Vec<ChainRoute>,
    /// The chain that takes what no other took.
    pub(crate) default: Option<ChainRoute>,
    /// Where chains lead to.
    pub(crate) outlets: Vec<Outlet>,
    pub(crate) limits: BatchLimits,
    pub(crate) linger: Duration,
}

/// Where a chain's messages go first.
#[derive(Clone)]
pub(crate) struct ChainRoute {
    /// Tells the chain's messages apart at outputs, as `Item::marks`: see [`chain_tag`].
    pub(crate) tag: u64,
    /// Indexes of outlets: the chain's own stage, or, where it has no filters, its outputs.
    pub(crate) outlets: Vec<usize>,
    /// The chain's counts, where it has no stage that counts.
    pub(crate) stats: Option<Arc<ChainStats>>,
}

/// The router of one stage.
pub(crate) struct Routes {
    matchers: MatcherSet,
    chains: Vec<Taking>,
    default: Option<Taking>,
    gatherings: Vec<Gathering>,
    linger: Duration,
    oldest: Option<Instant>,
    groups: u64,
}

/// A chain's route, with what it took of the group at hand.
struct Taking {
    route: ChainRoute,
    taken: usize,
}

/// A number for a chain's name, the same in every run, never 0: FNV-1a.
pub(crate) fn chain_tag(name: &str) -> u64 {
    let hash = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash).max(1)
}

impl Taking {
    fn new(route: ChainRoute) -> Taking {
        Taking { route, taken: 0 }
    }

    #[inline]
    fn take(&mut self, gatherings: &mut [Gathering], item: Item, bytes: usize, group: Group<'_>) {
        self.taken += 1;
        let item = Item { marks: self.route.tag, ..item };
        for &outlet in &self.route.outlets {
            gatherings[outlet].push(item, bytes, group);
        }
    }

    fn count(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if let Some(stats) = &self.route.stats {
            stats.taken.add(taken);
            stats.passed.add(taken);
        }
    }
}

impl Routes {
    pub(crate) fn new(plan: RoutePlan) -> Routes {
        let limits = plan.limits;
        Routes {
            matchers: plan.matchers,
            chains: plan.chains.into_iter().map(Taking::new).collect(),
            default: plan.default.map(Taking::new),
            gatherings: plan.outlets.into_iter().map(|outlet| Gathering::new(outlet, limits)).collect(),
            linger: plan.linger,
            oldest: None,
            groups: 0,
        }
    }

    /// Sends everything that was gathered, and routes by another plan from now on.
    pub(crate) fn change(&mut self, plan: RoutePlan) {
        self.flush();
        // Groups go on counting: a gathering of the new plan holds nothing of the old.
        *self = Routes { groups: self.groups, ..Routes::new(plan) };
    }

    /// Routes messages of one group; returns how many no chain wanted.
    pub(crate) fn route(&mut self, items: &[Item], group: Group<'_>) -> usize {
        self.groups += 1;
        let group = Group { id: self.groups, ..group };
        let Routes { matchers, chains, default, gatherings, .. } = self;
        let mut unrouted = 0;
        for &item in items {
            // SAFETY: the group's arenas keep the record.
            let message = unsafe { Message::from_record(item.record) };
            let bytes = message.record().size as usize;
            let accepted =
                matchers.matching(&message, |chain| chains[chain].take(gatherings, item, bytes, group));
            if accepted == 0 {
                match default {
                    Some(chain) => chain.take(gatherings, item, bytes, group),
                    None => unrouted += 1,
                }
            }
        }
        self.chains.iter_mut().chain(&mut self.default).for_each(Taking::count);
        if self.oldest.is_none() && self.gatherings.iter().any(|gathering| !gathering.is_empty()) {
            self.oldest = Some(Instant::now());
        }
        unrouted
    }

    /// Sends everything that was gathered.
    pub(crate) fn flush(&mut self) {
        self.gatherings.iter_mut().for_each(Gathering::flush);
        self.oldest = None;
    }

    /// Sends what has waited for `batch_linger`; returns how long what is left may still wait.
    pub(crate) fn flush_due(&mut self) -> Option<Duration> {
        let waited = self.oldest?.elapsed();
        if waited >= self.linger {
            self.flush();
            return None;
        }
        Some(self.linger - waited)
    }
}
