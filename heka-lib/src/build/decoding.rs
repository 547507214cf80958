//! What decodes for an input: its own thread, or stages of their own.

use super::blueprint::InputBlueprint;
use super::builder::record_bytes_max;
use super::{Builder, Tier};
use crate::routes::{RoutePlan, Routes};
use crate::stage::decode::{DecodePlan, Decoding};
use crate::stage::decode_group::DecodeThreads;
use crate::stage::decode_stage::DecodeStage;
use crate::stage::decoder::{DecoderPlan, FatalSlot};
use crate::stage::intake::Intake;

impl Builder<'_> {
    /// Makes what an input decodes and routes with, and, with `decode_threads`, its decode stages; `None` if a decoder
    /// can't be started.
    pub(crate) fn intake(&mut self, input: &InputBlueprint, routes: &RoutePlan) -> Option<Intake> {
        let fatal = FatalSlot::default();
        let decoders = input.decoders.as_slice();
        let count = usize::from(input.config.settings.decode_threads);
        if count == 0 {
            let decoding = self.decoding(input, decoders, routes, &fatal)?;
            return Some(Intake::new(decoding, None));
        }
        let (threads, receivers) = DecodeThreads::new(count, &fatal);
        for (index, receiver) in receivers.into_iter().enumerate() {
            let decoding = self.decoding(input, decoders, routes, &fatal)?;
            let stage = DecodeStage::new(receiver, decoding, self.host().batch_linger);
            let name = format!("decode{} {}", index + 1, input.config.name);
            self.ready.push((Tier::Input, name, Box::new(move || stage.run())));
        }
        let own = self.decoding(input, &[], routes, &fatal)?;
        Some(Intake::new(own, Some(threads)))
    }

    fn decoding(
        &mut self,
        input: &InputBlueprint,
        decoders: &[DecoderPlan],
        routes: &RoutePlan,
        fatal: &FatalSlot,
    ) -> Option<Decoding> {
        let settings = &input.config.settings;
        let who = format!("input `{}`", input.config.name);
        let decoding = Decoding::new(DecodePlan {
            decoders: decoders.to_vec(),
            pool: self.common.pool.clone(),
            record_bytes_max: record_bytes_max(self.host()),
            routes: Routes::new(routes.clone()),
            stats: input.stats.clone(),
            dead_letters: self.dead_letters(who.clone()),
            message_type: settings.message_type.clone(),
            raw_type: settings.message_type.clone().unwrap_or_else(|| input.config.plugin.name.clone()),
            hostname: settings.hostname.clone().unwrap_or_else(|| self.common.around.hostname.clone()),
            on_decode_error: settings.on_decode_error,
            fatal: fatal.clone(),
            stop: self.common.around.stop.clone(),
        });
        let refused = |failure: &crate::instance::Failure| format!("{who}: decoder: {}", failure.reason);
        decoding.map_err(|failure| self.faults.add(&input.config.position, refused(&failure))).ok()
    }
}
