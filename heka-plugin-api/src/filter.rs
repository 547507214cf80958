//! The trait of filters.

use crate::abi::{self, Writer, kind, status};
use crate::config::Faults;
use crate::context::Context;
use crate::edit::MessageMut;
use crate::error::PluginError;
use crate::prefetch;
use crate::schema::Schema;
use crate::shell::{Life, call, table};
use serde::de::DeserializeOwned;
use std::ffi::c_void;

/// What a filter decides about one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The message goes on, with the changes and marks made.
    Pass,
    /// The message's way ends here: it is not wanted.
    Drop,
    /// The message's way ends here: it lives on in something that the filter emits later, such as a roll-up.
    Absorb,
}

/// Passes, changes, marks, drops or absorbs messages, and emits new ones.
///
/// All calls come on the chain's thread, one at a time; `check` on any.
pub trait Filter: Sized + Send + 'static {
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

    /// Acquires what lies outside memory, or takes it over from the instance that this one replaces at a reload.
    ///
    /// # Errors
    /// [`PluginError::Retry`] is tried again with back-off, anything else refuses to start.
    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let _ = (predecessor, context);
        Ok(())
    }

    /// Decides about one message.
    ///
    /// # Errors
    /// [`PluginError::Message`] dead-letters this message and goes on; [`PluginError::Retry`] calls again later,
    /// from this message on; [`PluginError::Fatal`] stops the instance.
    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        context: &mut Context,
    ) -> Result<Verdict, PluginError>;

    /// Decides about all messages of a batch, for filters that gain by it.
    ///
    /// # Errors
    /// As [`Filter::process_message`], from the first message that was not completed on.
    fn process_batch(
        &mut self,
        batch: &mut FilterBatch<'_>,
        context: &mut Context,
    ) -> Result<(), PluginError> {
        while let Some(mut message) = batch.next_message() {
            match self.process_message(&mut message, context) {
                Ok(verdict) => batch.complete(message, verdict, context),
                Err(PluginError::Message(reason)) => batch.fail(&reason, context),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The ticker is due; messages may be emitted. Comes once more when the pipeline stops, or when a reload takes the
    /// filter away: then the stop signal of the context is raised, and what is held back must leave.
    ///
    /// # Errors
    /// [`PluginError::Fatal`] stops the instance, others are logged.
    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let _ = context;
        Ok(())
    }
}

/// The messages of one call to a filter.
pub struct FilterBatch<'a> {
    batch: &'a mut abi::Batch,
    out: *mut Writer,
    absorbed: u32,
}

impl FilterBatch<'_> {
    /// Returns the next message, to be given back with [`complete`](FilterBatch::complete) or
    /// [`fail`](FilterBatch::fail).
    #[inline]
    pub fn next_message<'m>(&mut self) -> Option<MessageMut<'m>> {
        if self.batch.completed >= self.batch.len {
            return None;
        }
        // SAFETY: the host's batch is valid.
        unsafe { prefetch::ahead(self.batch) };
        // SAFETY: below `len`; the host keeps records valid for the call, which outlives the message.
        Some(unsafe { MessageMut::new(*self.batch.items.add(self.batch.completed as usize), self.out) })
    }

    /// Ends the message at hand as the verdict says.
    #[inline]
    pub fn complete(&mut self, message: MessageMut<'_>, verdict: Verdict, context: &Context) {
        match verdict {
            Verdict::Pass => match message.pass() {
                // SAFETY: the writer is valid during the call.
                Ok(item) => unsafe { push(self.out, item) },
                Err(error) => return self.fail(error.reason(), context),
            },
            Verdict::Drop => {}
            Verdict::Absorb => self.absorbed += 1,
        }
        self.batch.completed += 1;
    }

    /// Says that the message at hand failed: it becomes a dead letter.
    #[cold]
    pub fn fail(&mut self, reason: &str, context: &Context) {
        context.message_failed(self.batch.completed as usize, reason);
        self.batch.completed += 1;
    }
}

#[inline]
unsafe fn push(writer: *mut Writer, item: abi::Item) {
    // SAFETY: the host's writer; after `grow_items` there is room for one more.
    unsafe {
        if (*writer).len == (*writer).capacity {
            ((*writer).grow_items)(writer);
        }
        (*writer).items.add((*writer).len as usize).write(item);
        (*writer).len += 1;
    }
}

/// Fits a filter into the life that all kinds share.
#[repr(transparent)]
struct Filtering<F>(F);

crate::life::fit!(Filter, Filtering);

/// Returns the table of a filter, for [`export_plugin!`](crate::export_plugin).
pub const fn filter<F: Filter>(name: &'static str) -> abi::Plugin {
    abi::Plugin {
        process: Some(process::<F>),
        tick: Some(tick::<F>),
        ..table::<Filtering<F>>(kind::FILTER, name)
    }
}

unsafe extern "C" fn process<F: Filter>(
    instance: *mut c_void,
    batch: *mut abi::Batch,
    out: *mut Writer,
    emitted: *mut Writer,
    absorbed: *mut u32,
) -> i32 {
    // SAFETY: the host's promise.
    unsafe {
        call::<Filtering<F>>(instance, |filter, context| {
            context.set_emitted(emitted);
            let mut batch = FilterBatch { batch: &mut *batch, out, absorbed: 0 };
            let result = filter.0.process_batch(&mut batch, context);
            *absorbed += batch.absorbed;
            context.set_emitted(std::ptr::null_mut());
            result.map(|()| status::OK)
        })
    }
}

unsafe extern "C" fn tick<F: Filter>(instance: *mut c_void, emitted: *mut Writer) -> i32 {
    // SAFETY: the host's promise.
    unsafe {
        call::<Filtering<F>>(instance, |filter, context| {
            context.set_emitted(emitted);
            let result = filter.0.tick(context);
            context.set_emitted(std::ptr::null_mut());
            result.map(|()| status::OK)
        })
    }
}
