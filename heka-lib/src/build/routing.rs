//! Makes the plan by which messages find their chains.

use super::blueprint::ChainBlueprint;
use crate::batch::BatchLimits;
use crate::config::HostConfig;
use crate::outlet::{ChainSender, Outlet};
use crate::queue::QueueSender;
use crate::routes::{ChainRoute, RoutePlan, chain_tag};

/// Makes a plan; `stages` are the ways into the chains that have filters, by chain.
pub(crate) fn route_plan(
    chains: &[ChainBlueprint],
    stages: &[Option<ChainSender>],
    outputs: &[(String, QueueSender)],
    host: &HostConfig,
) -> RoutePlan {
    let mut outlets: Vec<Outlet> = outputs.iter().map(|(_, queue)| Outlet::Output(queue.clone())).collect();
    let (mut matchers, mut routes, mut default) = (Vec::new(), Vec::new(), None);
    for (chain, stage) in chains.iter().zip(stages) {
        let tag = chain_tag(&chain.config.name);
        let route = match stage {
            None => ChainRoute { tag, outlets: chain.named.clone(), stats: Some(chain.stats.clone()) },
            Some(stage) => {
                outlets.push(Outlet::Chain(stage.clone()));
                ChainRoute { tag, outlets: vec![outlets.len() - 1], stats: None }
            }
        };
        match chain.matcher.clone().filter(|_| !chain.config.is_default()) {
            Some(matcher) => {
                matchers.push(matcher);
                routes.push(route);
            }
            None => default = Some(route),
        }
    }
    RoutePlan {
        matchers: heka_matcher::MatcherSet::new(matchers),
        chains: routes,
        default,
        outlets,
        limits: limits(host),
        linger: host.batch_linger,
    }
}

pub(super) fn limits(host: &HostConfig) -> BatchLimits {
    BatchLimits { messages_max: host.batch_messages_max, bytes_max: host.batch_bytes_max }
}
