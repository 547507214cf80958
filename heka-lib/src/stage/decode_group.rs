//! Frames on their way from an input's thread to one of its decode stages.

use super::decode::{GROUP_FRAMES_MAX, Read};
use super::decoder::FatalSlot;
use crate::routes::RoutePlan;
use crate::token::TokenRef;
use crossbeam_channel::{Receiver, Sender, bounded};
use heka_plugin_api::abi::{Frame, Slice};

/// Groups that wait for a decode stage at most.
const CHANNEL_GROUPS: usize = 8;
/// A group with room for more bytes than this, left by a long frame, is not kept for the next.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Frames of one stream that are decoded together, with memory of their own.
#[derive(Default)]
pub(super) struct FrameGroup {
    bytes: Vec<u8>,
    /// Their bytes lie in `bytes`, one behind the other.
    frames: Vec<Frame>,
    stream: u64,
    name: Vec<u8>,
    time: i64,
    token: Option<TokenRef>,
}

// SAFETY: the frames point into `bytes`, which moves along and is not changed while they are there.
unsafe impl Send for FrameGroup {}

impl FrameGroup {
    /// Copies frames into the group, which is empty.
    fn fill(&mut self, frames: &[Frame], bytes: usize, read: Read<'_>) {
        self.bytes.reserve(bytes);
        for frame in frames {
            // SAFETY: the frames borrow bytes that stay as they are during the call.
            self.bytes.extend_from_slice(unsafe { frame.bytes.bytes() });
        }
        let mut rest = self.bytes.as_slice();
        self.frames.reserve(frames.len().max(GROUP_FRAMES_MAX));
        for frame in frames {
            let (bytes, behind) = rest.split_at(frame.bytes.len);
            self.frames.push(Frame { bytes: Slice::new(bytes), ..*frame });
            rest = behind;
        }
        self.name.extend_from_slice(read.name);
        (self.stream, self.time, self.token) = (read.stream, read.time, Some(read.token));
    }

    /// Calls `take` with the frames, and empties the group.
    pub(super) fn take(&mut self, take: impl FnOnce(&[Frame], &Read<'_>)) {
        if let Some(token) = self.token.take() {
            take(&self.frames, &Read { stream: self.stream, name: &self.name, time: self.time, token });
        }
        self.frames.clear();
        self.bytes.clear();
        self.name.clear();
    }

    fn is_worth_keeping(&self) -> bool {
        self.bytes.capacity() <= KEPT_BYTES_MAX
    }
}

impl Drop for FrameGroup {
    /// What nobody decoded is never acknowledged: its token is not let go.
    fn drop(&mut self) {
        std::mem::forget(self.token.take());
    }
}

/// What a decode stage is sent.
pub(super) enum ToDecode {
    Group(FrameGroup),
    /// Another way of routing, from here on.
    Routes(Box<RoutePlan>),
}

/// The way from an input's thread to its decode stages.
pub(crate) struct DecodeThreads {
    senders: Vec<Sender<ToDecode>>,
    emptied: Receiver<FrameGroup>,
    fatal: FatalSlot,
}

/// A decode stage's end of the way.
pub(crate) struct GroupReceiver {
    pub(super) groups: Receiver<ToDecode>,
    emptied: Sender<FrameGroup>,
}

impl DecodeThreads {
    /// Makes the channels for `count` stages.
    pub(crate) fn new(count: usize, fatal: &FatalSlot) -> (DecodeThreads, Vec<GroupReceiver>) {
        // As many as can be anywhere, so that each finds room when it comes back.
        let (give_back, emptied) = bounded(count * (CHANNEL_GROUPS + 2));
        let channels: Vec<_> = (0..count).map(|_| bounded(CHANNEL_GROUPS)).collect();
        let senders = channels.iter().map(|(sender, _)| sender.clone()).collect();
        let receiver = |(_, groups)| GroupReceiver { groups, emptied: give_back.clone() };
        let receivers = channels.into_iter().map(receiver).collect();
        (DecodeThreads { senders, emptied, fatal: fatal.clone() }, receivers)
    }

    /// Hands a group of `bytes` bytes to the stage of its stream; blocks while the stage's channel is full.
    pub(super) fn send(&mut self, frames: &[Frame], bytes: usize, read: Read<'_>) {
        let mut group = self.emptied.try_recv().unwrap_or_default();
        // Always the same stage for a stream, so that its messages stay in order.
        let stage = (read.stream % self.senders.len() as u64) as usize;
        group.fill(frames, bytes, read);
        if self.senders[stage].send(ToDecode::Group(group)).is_err() {
            // Stages end after their senders, unless the host itself is at fault.
            let _ = self.fatal.set(format!("decode thread {} has ended", stage + 1));
        }
    }
}

impl DecodeThreads {
    /// Lets all stages route in another way, once they have done what they were sent before.
    pub(super) fn change_routes(&self, plan: &RoutePlan) {
        // A stage that has ended routes nothing.
        self.senders.iter().for_each(|stage| _ = stage.send(ToDecode::Routes(Box::new(plan.clone()))));
    }

    /// Ends the stages; waits until they have done what they were sent.
    pub(super) fn finish(self) {
        drop(self.senders);
        // Their ends of this channel go when they end.
        while self.emptied.recv().is_ok() {}
    }
}

impl GroupReceiver {
    /// Gives an emptied group back to the input's thread.
    pub(super) fn give_back(&self, group: FrameGroup) {
        if group.is_worth_keeping() {
            let _ = self.emptied.try_send(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Ledger;

    fn frames<'b>(texts: &'b [&'b [u8]]) -> Vec<Frame> {
        let frame = |(position, text)| Frame { bytes: Slice::new(text), position, flags: 0, reserved: 0 };
        (0..).zip(texts.iter().copied()).map(frame).collect()
    }

    fn send(threads: &mut DecodeThreads, ledger: &mut Ledger, stream: u64, texts: &[&[u8]]) {
        let read = Read { stream, name: b"name", time: 7, token: ledger.token(stream, 1) };
        let bytes = texts.iter().map(|text| text.len()).sum();
        threads.send(&frames(texts), bytes, read);
    }

    fn received(receiver: &GroupReceiver) -> FrameGroup {
        match receiver.groups.try_recv() {
            Ok(ToDecode::Group(group)) => group,
            _ => panic!("no group"),
        }
    }

    fn texts(group: &mut FrameGroup) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        group.take(|frames, read| {
            assert_eq!((read.name, read.time), (&b"name"[..], 7));
            // SAFETY: during the call.
            texts.extend(frames.iter().map(|frame| unsafe { frame.bytes.bytes() }.to_vec()));
        });
        texts
    }

    #[test]
    fn a_stream_always_goes_to_the_same_stage_and_its_frames_are_copied() {
        let mut ledger = Ledger::default();
        let (mut threads, receivers) = DecodeThreads::new(3, &FatalSlot::default());
        for round in 0..3_u8 {
            for stream in 0..6 {
                send(&mut threads, &mut ledger, stream, &[b"a", b"", &[round; 300]]);
            }
            for (stage, receiver) in receivers.iter().enumerate() {
                for _ in 0..2 {
                    let mut group = received(receiver);
                    assert_eq!(group.stream % 3, stage as u64);
                    assert_eq!(texts(&mut group), [b"a".to_vec(), Vec::new(), vec![round; 300]]);
                    receiver.give_back(group);
                }
            }
        }
        ledger.collect(|_, _| {});
        assert!(ledger.is_settled(), "what was taken is let go");
    }

    #[test]
    fn what_nobody_decodes_is_not_acknowledged() {
        let (mut ledger, fatal) = (Ledger::default(), FatalSlot::default());
        let (mut threads, receivers) = DecodeThreads::new(1, &fatal);
        send(&mut threads, &mut ledger, 1, &[b"waits"]);
        drop(receivers);
        send(&mut threads, &mut ledger, 1, &[b"comes too late"]);
        assert_eq!(fatal.get().map(String::as_str), Some("decode thread 1 has ended"));
        drop(threads);
        ledger.collect(|_, _| panic!("acknowledged"));
        assert!(!ledger.is_settled());
    }

    #[test]
    fn memory_of_a_long_frame_is_not_kept() {
        let (mut threads, receivers) = DecodeThreads::new(1, &FatalSlot::default());
        send(&mut threads, &mut Ledger::default(), 1, &[&vec![0; KEPT_BYTES_MAX + 1]]);
        let mut group = received(&receivers[0]);
        texts(&mut group);
        receivers[0].give_back(group);
        assert!(threads.emptied.is_empty());
    }
}
