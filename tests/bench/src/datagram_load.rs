//! Sends datagrams of one length at a given rate; the kernel cuts many of them out of one send (`UDP_SEGMENT`).

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Most datagrams that the kernel cuts one send into.
const SEGMENTS_MAX: usize = 64;
/// Most bytes of one send.
const SEND_BYTES_MAX: usize = 65_000;

/// Datagrams of one length, as they are sent again and again.
pub(crate) struct DatagramLoad {
    sends: Vec<Vec<u8>>,
    datagram_bytes: usize,
}

impl DatagramLoad {
    /// Takes datagrams, at least as many as one send holds; their last ones that don't fill a send are left out.
    ///
    /// # Errors
    /// If they have different lengths.
    pub(crate) fn new(datagrams: &[Vec<u8>]) -> Result<DatagramLoad, String> {
        let datagram_bytes = datagrams.first().map_or(0, Vec::len);
        if datagram_bytes == 0 || datagrams.iter().any(|datagram| datagram.len() != datagram_bytes) {
            return Err("the datagrams have different lengths".to_owned());
        }
        let per_send = SEGMENTS_MAX.min(SEND_BYTES_MAX / datagram_bytes).max(1);
        let sends: Vec<Vec<u8>> = datagrams.chunks_exact(per_send).map(<[Vec<u8>]>::concat).collect();
        Ok(DatagramLoad { sends, datagram_bytes })
    }

    /// Sends `count` datagrams or a few more at `rate` datagrams a second, as far as the machine can, without waiting
    /// for anybody; returns how many were sent, and the seconds.
    pub(crate) fn send(&self, address: &str, rate: f64, count: u64) -> Result<(u64, f64), String> {
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        socket.connect(address).map_err(|error| error.to_string())?;
        cut_sends(&socket, self.datagram_bytes)?;
        let (started, mut sent) = (Instant::now(), 0);
        for bytes in self.sends.iter().cycle() {
            if sent >= count {
                break;
            }
            let due = Duration::from_secs_f64(sent as f64 / rate);
            // Longer waits give the processor to others, such as the receiver.
            if let Some(wait) = due.checked_sub(started.elapsed()) {
                std::thread::sleep(wait);
            }
            socket.send(bytes).map_err(|error| error.to_string())?;
            sent += (bytes.len() / self.datagram_bytes) as u64;
        }
        Ok((sent, started.elapsed().as_secs_f64()))
    }
}

/// Lets the kernel cut what is sent into datagrams of this length.
fn cut_sends(socket: &UdpSocket, bytes: usize) -> Result<(), String> {
    let bytes = bytes as libc::c_int;
    // SAFETY: the option's value is an integer of that length.
    let failed = unsafe {
        let (value, len) = ((&raw const bytes).cast(), size_of_val(&bytes) as libc::socklen_t);
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, len)
    };
    if failed == 0 { Ok(()) } else { Err(format!("UDP_SEGMENT: {}", std::io::Error::last_os_error())) }
}
