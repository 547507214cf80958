//! The trait of outputs.

use crate::abi::{self, Item, Writer, kind, status};
use crate::config::Faults;
use crate::context::Context;
use crate::error::PluginError;
use crate::message::Message;
use crate::schema::Schema;
use crate::shell::{Life, call, table};
use serde::de::DeserializeOwned;
use std::ffi::c_void;

/// How far an output is with a batch that it took without failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Delivered {
    /// Every message is delivered.
    Now,
    /// The output will answer the batch's ticket through an [`Acknowledger`](crate::Acknowledger).
    Later,
}

/// Delivers messages.
///
/// The host queues, retries with back-off and dead-letters: an output only delivers what it is given. All calls
/// come on the output's thread, one at a time; `check` on any.
pub trait Output: Sized + Send + 'static {
    /// The options: a struct with `#[derive(Deserialize, Schema)]` and `#[serde(deny_unknown_fields)]`.
    type Config: DeserializeOwned + Schema;

    /// Finds all faults that the types of the options let through. Pure: opens and reads nothing.
    fn check(config: &Self::Config, faults: &mut Faults) {
        let _ = (config, faults);
    }

    /// Makes an instance; acquires nothing outside memory.
    ///
    /// # Errors
    /// Any refuses to start.
    fn open(config: Self::Config, context: &mut Context) -> Result<Self, PluginError>;

    /// Acquires sockets, files and connections, or takes them over from the instance that this one replaces at a
    /// reload: an instance of the same build of the same plugin, with other options.
    ///
    /// The predecessor is not called again once this succeeded. Batches that it took for later and has not answered
    /// are given again.
    ///
    /// # Errors
    /// [`PluginError::Retry`] is tried again with back-off while messages wait, anything else refuses to start; the
    /// predecessor must then be as it was, since it goes on.
    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let _ = (predecessor, context);
        Ok(())
    }

    /// Delivers a batch. Messages that are out of the way before a failure are named with
    /// [`Delivery::complete`], so that they are not given again.
    ///
    /// # Errors
    /// [`PluginError::Retry`] gives the rest again later; [`PluginError::Message`] dead-letters the first message
    /// that was not completed and gives the rest again; [`PluginError::Fatal`] stops the output.
    fn deliver(
        &mut self,
        delivery: &mut Delivery<'_>,
        context: &mut Context,
    ) -> Result<Delivered, PluginError>;

    /// Makes durable, against loss of power, what was delivered so far.
    ///
    /// Called where the output's queue has `durability = "fsync"`, before the queue forgets what was delivered.
    ///
    /// # Errors
    /// The queue keeps the messages, and asks again later.
    fn sync(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let _ = context;
        Ok(())
    }

    /// Closes and opens files anew, after a log rotation (SIGHUP).
    ///
    /// # Errors
    /// Logged; the output goes on as it can.
    fn reopen(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let _ = context;
        Ok(())
    }

    /// The ticker is due.
    ///
    /// # Errors
    /// [`PluginError::Fatal`] stops the instance, others are logged.
    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let _ = context;
        Ok(())
    }
}

/// The messages of one call to an output.
pub struct Delivery<'a> {
    raw: &'a mut abi::Delivery,
}

impl<'a> Delivery<'a> {
    /// Returns the count of messages that are left to deliver.
    #[expect(clippy::len_without_is_empty, reason = "the host gives no empty batch")]
    pub fn len(&self) -> usize {
        (self.raw.batch.len - self.raw.batch.completed) as usize
    }

    /// Tells whether the config names an encoder.
    pub fn is_encoded(&self) -> bool {
        !self.raw.ends.is_null()
    }

    /// Returns the messages that are left, each with its encoded bytes (empty without an encoder).
    pub fn messages(&self) -> impl ExactSizeIterator<Item = (Message<'a>, &'a [u8])> + use<'a> {
        let (ends, bytes) = (self.raw.ends, self.all_bytes());
        let first = self.raw.batch.completed as usize;
        self.items().iter().enumerate().map(move |(index, item)| {
            // SAFETY: the host keeps records valid for the call, and one end for each message.
            let message = unsafe { Message::from_record(item.record) };
            let (start, end) = (end_before(ends, first + index), end_before(ends, first + index + 1));
            (message, bytes.get(start..end).unwrap_or_default())
        })
    }

    /// Returns the encoded bytes of all messages that are left, one behind the other.
    pub fn bytes(&self) -> &'a [u8] {
        let start = end_before(self.raw.ends, self.raw.batch.completed as usize);
        self.all_bytes().get(start..).unwrap_or_default()
    }

    /// Returns the encoded bytes of the next `count` messages.
    pub fn bytes_of(&self, count: usize) -> &'a [u8] {
        let first = self.raw.batch.completed as usize;
        let last = (first + count).min(self.raw.batch.len as usize);
        let range = end_before(self.raw.ends, first)..end_before(self.raw.ends, last);
        self.all_bytes().get(range).unwrap_or_default()
    }

    /// Says that the next `count` messages are out of the way.
    pub fn complete(&mut self, count: usize) {
        let left = self.raw.batch.len - self.raw.batch.completed;
        self.raw.batch.completed += left.min(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Says that the next message is refused for good: it becomes a dead letter with this reason.
    pub fn refuse(&mut self, reason: &str, context: &Context) {
        context.message_failed(self.raw.batch.completed as usize, reason);
        self.complete(1);
    }

    /// Returns the id of the durable queue that the messages waited in.
    pub fn queue(&self) -> Option<[u8; 16]> {
        (!self.raw.sequences.is_null()).then_some(self.raw.queue)
    }

    /// Returns the numbers in that queue of the messages that are left, ascending: a message that is delivered
    /// again, also after a restart, has the same. Empty when there was no such queue.
    pub fn sequences(&self) -> &'a [u64] {
        if self.raw.sequences.is_null() {
            return &[];
        }
        // SAFETY: the host gives one for each message; `completed` never exceeds `len`.
        unsafe {
            let first = self.raw.sequences.add(self.raw.batch.completed as usize);
            std::slice::from_raw_parts(first, self.len())
        }
    }

    /// Returns for each message that is left a number of the chain by which it came, 0 for a dead letter: messages of
    /// one origin may come by several chains, each at its own pace.
    pub fn chains(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        self.items().iter().map(|item| item.marks)
    }

    /// Returns the ticket by which a batch taken for later is acknowledged.
    pub fn ticket(&self) -> u64 {
        self.raw.batch.ticket
    }

    fn items(&self) -> &'a [Item] {
        let batch = &self.raw.batch;
        // SAFETY: `completed` never exceeds `len`; the host keeps items valid for the call.
        unsafe { std::slice::from_raw_parts(batch.items.add(batch.completed as usize), self.len()) }
    }

    fn all_bytes(&self) -> &'a [u8] {
        // SAFETY: the host keeps the bytes valid for the call.
        unsafe { self.raw.bytes.bytes() }
    }
}

/// End of the message before `index`.
#[inline]
fn end_before(ends: *const u32, index: usize) -> usize {
    if ends.is_null() || index == 0 {
        return 0;
    }
    // SAFETY: the host gives an end for each message, and `index` is at most their count.
    unsafe { *ends.add(index - 1) as usize }
}

/// Fits an output into the life that all kinds share.
#[repr(transparent)]
struct Delivering<O>(O);

crate::life::fit!(Output, Delivering);

/// Returns the table of an output, for [`export_plugin!`](crate::export_plugin).
pub const fn output<O: Output>(name: &'static str) -> abi::Plugin {
    abi::Plugin {
        deliver: Some(deliver::<O>),
        sync: Some(sync::<O>),
        reopen: Some(reopen::<O>),
        tick: Some(tick::<O>),
        ..table::<Delivering<O>>(kind::OUTPUT, name)
    }
}

unsafe extern "C" fn deliver<O: Output>(instance: *mut c_void, delivery: *mut abi::Delivery) -> i32 {
    // SAFETY: the host's promise.
    unsafe {
        call::<Delivering<O>>(instance, |output, context| {
            let mut delivery = Delivery { raw: &mut *delivery };
            match output.0.deliver(&mut delivery, context)? {
                Delivered::Now => {
                    delivery.complete(usize::MAX);
                    Ok(status::OK)
                }
                Delivered::Later => Ok(status::DEFERRED),
            }
        })
    }
}

unsafe extern "C" fn sync<O: Output>(instance: *mut c_void) -> i32 {
    // SAFETY: the host's promise.
    unsafe { call::<Delivering<O>>(instance, |output, context| output.0.sync(context).map(|()| status::OK)) }
}

unsafe extern "C" fn reopen<O: Output>(instance: *mut c_void) -> i32 {
    // SAFETY: the host's promise.
    unsafe {
        call::<Delivering<O>>(instance, |output, context| output.0.reopen(context).map(|()| status::OK))
    }
}

unsafe extern "C" fn tick<O: Output>(instance: *mut c_void, _: *mut Writer) -> i32 {
    // SAFETY: the host's promise.
    unsafe { call::<Delivering<O>>(instance, |output, context| output.0.tick(context).map(|()| status::OK)) }
}
