//! What decodes for an input: its own thread, or stages of their own.

use super::blueprint::InputBlueprint;
use super::{Builder, Ready, Tier, type_name};
use crate::arena::RecordWriter;
use crate::instance::InstanceSpec;
use crate::queue::QueueSender;
use crate::routes::{RoutePlan, Routes};
use crate::stage::decode::{DecodePlan, Decoding, FatalSlot};
use crate::stage::decode_group::DecodeThreads;
use crate::stage::decode_stage::DecodeStage;
use crate::stage::intake::Intake;

impl Builder<'_> {
    /// Makes an input's intake and, with `decode_threads`, its decode stages; `None` if a decoder can't be started.
    pub(super) fn intake(
        &mut self,
        input: &InputBlueprint,
        routes: &RoutePlan,
        outputs: &[(String, QueueSender)],
        ready: &mut Vec<Ready>,
    ) -> Option<Intake> {
        let fatal = FatalSlot::default();
        let decoder = input.decoder.as_ref();
        let count = usize::from(input.config.settings.decode_threads);
        if count == 0 {
            let decoding = self.decoding(input, decoder, routes, outputs, &fatal)?;
            return Some(Intake::new(decoding, None));
        }
        let (threads, receivers) = DecodeThreads::new(count, &fatal);
        for (index, receiver) in receivers.into_iter().enumerate() {
            let decoding = self.decoding(input, decoder, routes, outputs, &fatal)?;
            let stage = DecodeStage::new(receiver, decoding, self.host.batch_linger);
            let name = format!("decode{} {}", index + 1, input.config.name);
            ready.push((Tier::Input, name, Box::new(move || stage.run())));
        }
        let own = self.decoding(input, None, routes, outputs, &fatal)?;
        Some(Intake::new(own, Some(threads)))
    }

    fn decoding(
        &mut self,
        input: &InputBlueprint,
        decoder: Option<&InstanceSpec>,
        routes: &RoutePlan,
        outputs: &[(String, QueueSender)],
        fatal: &FatalSlot,
    ) -> Option<Decoding> {
        let settings = &input.config.settings;
        let who = format!("input `{}`", input.config.name);
        let decoding = Decoding::new(DecodePlan {
            decoder: decoder.cloned(),
            writer: RecordWriter::new(&self.pool, self.record_bytes_max()),
            routes: Routes::new(routes.clone()),
            stats: input.stats.clone(),
            dead_letters: self.dead_letters(who.clone(), None, outputs),
            message_type: type_name(&input.config, input.decoder.as_ref()),
            raw_type: type_name(&input.config, None),
            hostname: settings.hostname.clone().unwrap_or_else(|| self.around.hostname.clone()),
            on_decode_error: settings.on_decode_error,
            fatal: fatal.clone(),
            stop: self.around.stop.clone(),
        });
        match decoding {
            Ok(decoding) => Some(decoding),
            Err(failure) => {
                let text = format!("{who}: decoder: {}", failure.reason);
                self.faults.add(&input.config.position, text);
                None
            }
        }
    }
}
