//! The decoders of an input, found and checked, each with those that go on with what it made.

use super::blueprint::Draft;
use crate::config::{InputConfig, Located};
use crate::instance::{Counters, OutputNames};
use crate::plugin::Kind;
use crate::stage::decoder::{DecoderPlan, ThenPlan};
use crate::stats::InputStats;
use std::sync::Arc;

/// Decoders that one input may have, each counted as often as something leads to it.
const DECODERS_MAX: usize = 64;

/// Where decoders are being looked for.
struct Search<'s> {
    input: &'s InputConfig,
    stats: Arc<InputStats>,
    /// Names on the way to the one at hand.
    path: Vec<&'s str>,
    found: usize,
}

impl<'d> Draft<'d> {
    /// Makes the plans of an input's decoders; `None` if one is at fault.
    pub(super) fn decoders(
        &mut self,
        input: &'d InputConfig,
        stats: &Arc<InputStats>,
    ) -> Option<Vec<DecoderPlan>> {
        let mut search = Search { input, stats: stats.clone(), path: Vec::new(), found: 0 };
        let names = &input.settings.decoders;
        let plans: Vec<_> = names.iter().map(|name| self.decoder(name, &mut search)).collect();
        if search.found > DECODERS_MAX {
            let text = format!("input `{}`: more than {DECODERS_MAX} decoders", input.name);
            self.faults.add(&input.position, text);
            return None;
        }
        plans.into_iter().collect()
    }

    fn decoder(&mut self, name: &'d Located<String>, search: &mut Search<'d>) -> Option<DecoderPlan> {
        search.found += 1;
        // What leads back to itself is a fault already.
        if search.found > DECODERS_MAX || search.path.contains(&name.value.as_str()) {
            return None;
        }
        let counters = Counters { stats: search.stats.clone(), prefix: name.value.clone() };
        let section = self.config.decoder(&name.value);
        let user = match search.path.last() {
            Some(before) => format!("decoder `{before}`: `then`"),
            None => format!("input `{}`", search.input.name),
        };
        let spec = match section {
            Some(section) => self.instance(Kind::Decoder, section, counters, &OutputNames::default()),
            None => self.bare(Kind::Decoder, name, &user, counters),
        };
        let mut then = Some(Vec::new());
        search.path.push(&name.value);
        for next in section.map_or(&[][..], |section| &section.settings.then) {
            let who = format!("decoder `{}`: `then`", name.value);
            let matcher = next.matcher.as_ref().map(|text| self.parsed(text, &who));
            let decoder = self.decoder(&next.decoder, search);
            let plan = match (matcher, decoder) {
                (Some(None), _) | (_, None) => None,
                (matcher, Some(decoder)) => Some(ThenPlan { matcher: matcher.flatten(), decoder }),
            };
            then = then.zip(plan).map(|(mut then, plan)| {
                then.push(plan);
                then
            });
        }
        search.path.pop();
        Some(DecoderPlan { spec: spec?, then: then? })
    }
}
