//! The functions that an input's plugin calls while it reads.

use super::reading::{Reading, taken_up};
use heka_plugin_api::abi::{self, Frame, Slice, status};
use std::ffi::c_void;

impl Reading {
    /// Returns what the plugin's `read` gets; it is valid as long as nothing else touches the streams.
    pub(super) fn reader(&mut self) -> abi::Reader {
        let writer: *mut abi::Writer = self.intake.writer().raw();
        abi::Reader {
            context: (&raw mut *self).cast(),
            writer,
            open_stream,
            rename_stream,
            stream_buffer,
            stream_filled,
            datagrams,
            stream_position,
            stream_messages,
            close_stream,
        }
    }
}

unsafe fn reading<'a>(context: *mut c_void) -> &'a mut Reading {
    // SAFETY: the context is the `Reading` of the stage that is calling the plugin's `read` on this thread.
    unsafe { &mut *context.cast::<Reading>() }
}

unsafe extern "C" fn open_stream(context: *mut c_void, name: Slice, id: u64, position: u64) -> u64 {
    // SAFETY: as said at `reading`; the plugin's slice is valid during the call.
    unsafe { reading(context).open(name.bytes(), id, position) }
}

unsafe extern "C" fn rename_stream(context: *mut c_void, stream: u64, name: Slice) {
    // SAFETY: as above.
    let (reading, name) = unsafe { (reading(context), name.bytes()) };
    if let Some(stream) = taken_up(&mut reading.streams, stream as usize) {
        stream.name = name.to_vec();
    }
}

unsafe extern "C" fn stream_buffer(
    context: *mut c_void,
    stream: u64,
    min: usize,
    len: *mut usize,
) -> *mut u8 {
    // SAFETY: as above.
    let reading = unsafe { reading(context) };
    let Some(stream) = taken_up(&mut reading.streams, stream as usize) else { return std::ptr::null_mut() };
    let room = stream.room(&mut reading.room, min);
    // SAFETY: the plugin's place for the length.
    unsafe { *len = room.len() };
    room.as_mut_ptr()
}

unsafe extern "C" fn stream_filled(context: *mut c_void, stream: u64, len: usize) -> i32 {
    // SAFETY: as above.
    unsafe { reading(context) }.filled(stream as usize, len);
    status::OK
}

unsafe extern "C" fn datagrams(context: *mut c_void, stream: u64, frames: *const Frame, len: usize) -> i32 {
    // SAFETY: as above; the plugin's frames are valid during the call.
    let (reading, frames) = unsafe { (reading(context), std::slice::from_raw_parts(frames, len)) };
    reading.datagrams(stream as usize, frames);
    status::OK
}

unsafe extern "C" fn stream_position(context: *mut c_void, stream: u64) -> u64 {
    // SAFETY: as above.
    let stream = taken_up(&mut unsafe { reading(context) }.streams, stream as usize);
    stream.map_or(0, |stream| stream.position)
}

unsafe extern "C" fn stream_messages(context: *mut c_void, stream: u64, position: u64) -> i32 {
    // SAFETY: as above.
    unsafe { reading(context) }.messages(stream as usize, position);
    status::OK
}

unsafe extern "C" fn close_stream(context: *mut c_void, stream: u64, flush: u32) -> i32 {
    // SAFETY: as above.
    unsafe { reading(context) }.close(stream as usize, flush != 0);
    status::OK
}
