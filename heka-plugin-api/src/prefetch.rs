//! Asks for a record before it is needed: the stage before wrote it on another core, and each of its cache lines has
//! a long way to go.

use crate::abi::{Batch, Item, Record};

/// Records that are asked for ahead.
const AHEAD: usize = 4;
/// Bytes of a record that are asked for; longer ones are fetched by the processor as it reads on.
const BYTES: usize = 1024;
const LINE_BYTES: usize = 64;

/// Asks for a record of the batch that comes soon.
///
/// # Safety
/// The batch's first `len` items must be valid.
#[inline]
pub(crate) unsafe fn ahead(batch: &Batch) {
    let index = batch.completed as usize + AHEAD;
    if index < batch.len as usize {
        // SAFETY: below `len`.
        fetch(unsafe { &*batch.items.add(index) });
    }
}

#[inline]
fn fetch(item: &Item) {
    let record: *const Record = item.record;
    for line in 0..BYTES / LINE_BYTES {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint; it may point anywhere.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch(record.cast::<i8>().wrapping_add(line * LINE_BYTES), _MM_HINT_T0);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (record, line);
    }
}
