//! Takes new messages into the host's memory.

use crate::abi::{FieldEntry, Writer};
use crate::builder::MessageBuilder;
use crate::error::PluginError;
use crate::message::Message;
use crate::origin::Origin;

/// What a new message starts with, where its builder doesn't say otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Defaults<'a> {
    pub(crate) timestamp: i64,
    pub(crate) message_type: &'a [u8],
    pub(crate) logger: &'a [u8],
    pub(crate) hostname: &'a [u8],
    pub(crate) origin: Origin,
    pub(crate) flags: u16,
    pub(crate) hops: u16,
    pub(crate) severity: i32,
    pub(crate) pid: i32,
}

impl Default for Defaults<'_> {
    fn default() -> Self {
        Defaults {
            timestamp: 0,
            message_type: &[],
            logger: &[],
            hostname: &[],
            origin: Origin::default(),
            flags: 0,
            hops: 0,
            severity: SEVERITY_UNKNOWN,
            pid: 0,
        }
    }
}

/// The severity of messages that say none.
const SEVERITY_UNKNOWN: i32 = 7;

/// Takes new messages; each is written in place by a [`MessageBuilder`].
pub struct MessageWriter<'a> {
    raw: &'a mut Writer,
    entries: &'a mut Vec<FieldEntry>,
    pub(crate) defaults: Defaults<'a>,
    index: u32,
}

impl<'a> MessageWriter<'a> {
    pub(crate) fn new(
        raw: &'a mut Writer,
        entries: &'a mut Vec<FieldEntry>,
        defaults: Defaults<'a>,
    ) -> MessageWriter<'a> {
        MessageWriter { raw, entries, defaults, index: 0 }
    }

    /// Makes a writer over the host's memory, for hosts.
    ///
    /// # Safety
    /// `raw` must obey the rules of [`Writer`]; `entries` is scratch space to be kept between calls.
    pub unsafe fn from_raw(raw: &'a mut Writer, entries: &'a mut Vec<FieldEntry>) -> MessageWriter<'a> {
        MessageWriter { raw, entries, defaults: Defaults::default(), index: 0 }
    }

    /// Sets what new messages start with, for hosts.
    pub fn set_defaults(
        &mut self,
        timestamp: i64,
        message_type: &'a [u8],
        logger: &'a [u8],
        hostname: &'a [u8],
        origin: Origin,
    ) {
        self.index = origin.index;
        self.defaults = Defaults { timestamp, message_type, logger, hostname, origin, ..self.defaults };
    }

    /// Sets the `record_flag` bits that new messages start with, for hosts.
    pub fn set_flags(&mut self, flags: u16) {
        self.defaults.flags = flags;
    }

    /// Returns the logger that new messages start with: in a decoder the stream's name, such as a file's path.
    pub fn logger(&self) -> &'a [u8] {
        self.defaults.logger
    }

    /// Starts a message; nothing happens unless its [`finish`](MessageBuilder::finish) is called.
    ///
    /// Time, type, logger, hostname and origin start as the host knows them for the frame or instance at hand.
    #[inline]
    pub fn message(&mut self) -> MessageBuilder<'_> {
        MessageBuilder::new(self.raw, self.entries, &self.defaults, &mut self.index)
    }

    /// Writes a copy of a whole message.
    ///
    /// # Errors
    /// [`PluginError::Message`] if it is larger than the host's limit.
    pub fn copy(&mut self, message: &Message<'_>) -> Result<(), PluginError> {
        self.message().copy(message)
    }

    /// Writes a copy of a whole message that came from elsewhere.
    ///
    /// # Errors
    /// As [`MessageWriter::copy`].
    pub fn copy_from(
        &mut self,
        message: &Message<'_>,
        origin: Origin,
        flags: u16,
    ) -> Result<(), PluginError> {
        self.copy(message)?;
        // SAFETY: the record was just written here and nobody else has seen it.
        unsafe {
            let record = (*self.raw.items.add(self.raw.len as usize - 1)).record.cast_mut();
            (*record).origin_stream = origin.stream;
            (*record).origin_position = origin.position;
            (*record).origin_index = origin.index;
            (*record).flags = flags;
        }
        Ok(())
    }

    /// Begins with the messages of another frame.
    #[inline]
    pub(crate) fn start_frame(&mut self, origin: Origin, flags: u16) {
        self.defaults.origin = origin;
        self.defaults.flags = flags;
        self.index = 0;
    }

    /// Returns a place to which [`undo`](MessageWriter::undo) goes back.
    pub(crate) fn mark(&self) -> u32 {
        self.raw.len
    }

    /// Takes back the messages written since `mark`; their memory stays used.
    pub(crate) fn undo(&mut self, mark: u32) {
        self.raw.len = mark;
    }

    /// Returns how many messages were written in this call.
    pub fn len(&self) -> usize {
        self.raw.len as usize
    }

    /// Tells whether none were.
    pub fn is_empty(&self) -> bool {
        self.raw.len == 0
    }
}
