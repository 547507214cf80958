//! The stages: threads with a loop each. Their channels end them: a stage is over when all who could send to it are.

pub(crate) mod chain;
mod cuts;
pub(crate) mod decode;
pub(crate) mod decode_group;
pub(crate) mod decode_stage;
pub(crate) mod decoder;
mod deferred;
mod encoded;
mod followed;
pub(crate) mod injection;
pub(crate) mod input;
pub(crate) mod intake;
pub(crate) mod output;
mod reader_table;
mod reading;
pub(crate) mod replacement;
mod retry;
pub(crate) mod running_filter;
mod silence;
mod stream;
pub(crate) mod takeover;
