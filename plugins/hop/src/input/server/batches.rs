//! Batches, and what is answered to them.

use super::{PATIENCE_MIN, RANGES_MAX, Server};
use crate::input::connection::locked;
use crate::input::source::Taken;
use crate::protocol::{
    Acknowledged, BatchHeader, Fault, Frame, FrameKind, Range, Refused, SourceId, push_frame,
    push_frame_parts,
};
use heka_plugin_api::{Reader, fault_point};
use serde_bytes::ByteArray;

impl Server {
    pub(super) fn take_batch(
        &mut self,
        number: usize,
        source: usize,
        frame: Frame<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<(), String> {
        let header: BatchHeader = frame.parse().map_err(|fault: Fault| fault.to_string())?;
        let id = self.sources.at(source).map(|source| source.id);
        if id != Some(header.source_id()) {
            return Err("it sent a batch of another source".to_owned());
        }
        let bytes_max = self.setup.manners.batch_bytes_max;
        let body = self.unpacker.unpack(&header, frame.body, bytes_max).map_err(|why| why.to_string())?;
        let taken = self.sources.take(source, &header, body, reader)?;
        let counters = &self.setup.counters;
        counters.frames.add(1);
        counters.messages.add(taken.handed_on);
        counters.bytes.add(frame.body.len() as u64);
        counters.bytes_uncompressed.add(header.uncompressed.into());
        counters.duplicates.add(taken.duplicates);
        if !taken.refused.is_empty() || !taken.done.is_empty() {
            self.answer_batch(number, header.source_id(), &taken)?;
        }
        Ok(())
    }

    /// Says what of a batch is refused, and what was done before.
    fn answer_batch(&mut self, number: usize, id: SourceId, taken: &Taken) -> Result<(), String> {
        self.frame.clear();
        for (sequence, reason) in &taken.refused {
            let refused = Refused { source: ByteArray::new(id), sequence: *sequence, reason: reason.clone() };
            push_frame(&mut self.frame, FrameKind::Refused, &refused).map_err(|fault| fault.to_string())?;
        }
        self.setup.counters.refused.add(taken.refused.len() as u64);
        push_acknowledged(&mut self.frame, id, &taken.done);
        let connection = self.connections.at(number).ok_or("it is gone")?;
        locked(&connection.link).send(&self.frame)
    }

    /// Everything up to a position of a host's stream has happened: the agent is told, if it is there.
    pub fn acknowledged(&mut self, stream_id: u64, position: u64) {
        let Some((source, ranges)) = self.sources.acknowledge(stream_id, position, &self.setup.instance)
        else {
            return;
        };
        self.patience = PATIENCE_MIN;
        let Some(source) = self.sources.at(source) else { return };
        let (id, Some(number)) = (source.id, source.connection) else { return };
        let Some(connection) = self.connections.at(number) else { return };
        self.frame.clear();
        push_acknowledged(&mut self.frame, id, &ranges);
        let sent = locked(&connection.link).send(&self.frame);
        fault_point("hop.acknowledged.sent");
        match sent {
            Ok(()) => {
                let messages = ranges.iter().map(|(first, last)| last - first + 1).sum();
                self.setup.counters.acknowledged.add(messages);
                self.settle_interest(number);
            }
            Err(why) => self.broken(number, &why),
        }
    }
}

fn push_acknowledged(frame: &mut Vec<u8>, id: SourceId, ranges: &[Range]) {
    for ranges in ranges.chunks(RANGES_MAX) {
        let acknowledged = Acknowledged { source: ByteArray::new(id), ranges: ranges.to_vec() };
        // Far below the longest header: it fits.
        let _ = push_frame_parts(frame, FrameKind::Acknowledged, &acknowledged, &[]);
    }
}
