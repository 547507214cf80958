//! What becomes of a decoder's messages when others go on with their payloads: one message of both.

use super::decoder::{Around, Decoder, DecoderPlan, Refused, Start, ThenPlan};
use crate::arena::{ArenaRef, RecordWriter};
use crate::instance::Failure;
use heka_matcher::Matcher;
use heka_plugin_api::abi::{FieldEntry, Frame, Item, Slice};
use heka_plugin_api::{Field, Message, MessageBuilder, MessageWriter, Origin, PluginError};

/// The field that says why a frame or payload was not decoded …
pub(super) const ERROR_FIELD: &str = "decode_error";
/// … and the one that names the decoders that refused it.
pub(super) const DECODER_FIELD: &str = "decoder";

/// The decoders behind one, and room for what is written on the way.
pub(super) struct Followed {
    /// What the first decoder made.
    pub(super) made: RecordWriter,
    branches: Vec<Branch>,
    /// What a branch made of one message.
    more: RecordWriter,
    refused: Vec<Refused>,
    room: Room,
}

struct Branch {
    matcher: Option<Matcher>,
    decoder: Decoder,
}

/// Memory that is used again and again.
#[derive(Default)]
struct Room {
    entries: Vec<FieldEntry>,
    items: Vec<Item>,
    arenas: Vec<ArenaRef>,
    more_items: Vec<Item>,
    more_arenas: Vec<ArenaRef>,
}

/// Counts the messages that are made from one position.
#[derive(Default)]
struct Places {
    last: Option<(u64, u64)>,
    index: u32,
}

impl Places {
    /// Returns the origin of another message that is made from where `first` was.
    fn next(&mut self, first: &Message<'_>) -> Origin {
        let origin = first.origin();
        let place = (origin.stream, origin.position);
        self.index = if self.last == Some(place) { self.index + 1 } else { 0 };
        self.last = Some(place);
        Origin { index: self.index, ..origin }
    }
}

impl Followed {
    /// # Errors
    /// Those of `open`.
    pub(super) fn open(
        then: &[ThenPlan],
        open: impl Fn(&DecoderPlan) -> Result<Decoder, Failure>,
        writer: impl Fn() -> RecordWriter,
    ) -> Result<Followed, Failure> {
        let branch =
            |then: &ThenPlan| Ok(Branch { matcher: then.matcher.clone(), decoder: open(&then.decoder)? });
        let branches = then.iter().map(branch).collect::<Result<_, Failure>>()?;
        let (made, more) = (writer(), writer());
        Ok(Followed { made, branches, more, refused: Vec::new(), room: Room::default() })
    }

    /// Takes what was made, of which `first_type` is the default type, and writes what becomes of it to `out`.
    pub(super) fn go_on(&mut self, first_type: &[u8], out: &mut RecordWriter, around: &mut Around) {
        let mut items = std::mem::take(&mut self.room.items);
        let mut arenas = std::mem::take(&mut self.room.arenas);
        self.made.take(&mut items, &mut arenas);
        let mut places = Places::default();
        // SAFETY: `arenas` keeps the records.
        for first in unsafe { Message::from_items(&items) } {
            if let Err(error) = self.follow(&first, first_type, &mut places, out, around) {
                around.warn(|| error.to_string());
                around.stats.rejected.add(1);
            }
        }
        arenas.clear();
        (self.room.items, self.room.arenas) = (items, arenas);
    }

    fn follow(
        &mut self,
        first: &Message<'_>,
        first_type: &[u8],
        places: &mut Places,
        out: &mut RecordWriter,
        around: &mut Around,
    ) -> Result<(), PluginError> {
        let Followed { branches, more, refused, room, .. } = self;
        let is_it =
            |branch: &&mut Branch| branch.matcher.as_ref().is_none_or(|matcher| matcher.matches(first));
        let Some(Branch { decoder, .. }) = branches.iter_mut().find(is_it) else {
            return write(out, &mut room.entries, first, first, places.next(first), |_| {});
        };
        let origin = first.origin();
        let flags = u32::from(first.record().flags);
        let frame =
            Frame { bytes: Slice::new(first.payload()), position: origin.position, flags, reserved: 0 };
        let message_type = Some(first.message_type()).filter(|name| *name != first_type);
        let start = Start {
            stream: origin.stream,
            time: first.timestamp(),
            message_type,
            logger: first.logger(),
            hostname: first.hostname(),
            severity: first.severity(),
            pid: first.pid(),
        };
        decoder.decode(std::slice::from_ref(&frame), &start, more, refused, around);
        if let Some((_, reason)) = refused.pop() {
            refused.clear();
            let name = decoder.name();
            around.stats.undecoded.add(1);
            around.warn(|| format!("decoder `{name}`: left as it was: {reason}"));
            let mark = |message: &mut MessageBuilder<'_>| {
                message.field(ERROR_FIELD, &reason).field(DECODER_FIELD, name);
            };
            return write(out, &mut room.entries, first, first, places.next(first), mark);
        }
        let (mut items, mut arenas) =
            (std::mem::take(&mut room.more_items), std::mem::take(&mut room.more_arenas));
        more.take(&mut items, &mut arenas);
        let mut result = Ok(());
        // SAFETY: `arenas` keeps the records.
        for second in unsafe { Message::from_items(&items) } {
            let keep = |message: &mut MessageBuilder<'_>| {
                let is_kept = |field: &Field<'_>| second.field(field.name()).is_none();
                first.fields().filter(is_kept).for_each(|field| add(message, &field));
            };
            result = result.and(write(out, &mut room.entries, first, &second, places.next(first), keep));
        }
        arenas.clear();
        (room.more_items, room.more_arenas) = (items, arenas);
        result
    }
}

/// Writes a message as `second` is, which `first` led to: its UUID is the first's, if that came with it.
fn write(
    out: &mut RecordWriter,
    entries: &mut Vec<FieldEntry>,
    first: &Message<'_>,
    second: &Message<'_>,
    origin: Origin,
    more: impl FnOnce(&mut MessageBuilder<'_>),
) -> Result<(), PluginError> {
    let given = |message: &Message<'_>| {
        let made = message.origin().uuid();
        (message.origin().stream != 0 && message.uuid() != made).then(|| message.uuid())
    };
    // SAFETY: the writer is the host's own.
    let mut writer = unsafe { MessageWriter::from_raw(out.raw(), entries) };
    writer.set_defaults(
        second.timestamp(),
        second.message_type(),
        second.logger(),
        second.hostname(),
        origin,
    );
    writer.set_flags(first.record().flags | second.record().flags);
    let mut message = writer.message();
    message.severity(second.severity()).pid(second.pid()).payload(second.payload());
    let env_version = if second.env_version().is_empty() { first } else { second }.env_version();
    if !env_version.is_empty() {
        message.env_version(env_version);
    }
    if let Some(uuid) = given(second).or_else(|| given(first).filter(|_| origin.index == 0)) {
        message.uuid(uuid);
    }
    more(&mut message);
    second.fields().for_each(|field| add(&mut message, &field));
    message.finish()
}

fn add(message: &mut MessageBuilder<'_>, field: &Field<'_>) {
    match (field.len(), field.value(0)) {
        (1, Some(value)) => message.field_as(field.name(), field.representation(), value),
        _ => message.field_values(field.name(), field.representation(), field.values()),
    };
}
