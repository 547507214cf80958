//! Sends datagrams at a given rate, many in one system call.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Most datagrams that the kernel cuts one send into.
const SEGMENTS_MAX: usize = 64;
/// Most bytes of one send.
const SEND_BYTES_MAX: usize = 65_000;

/// Packets of one length, as they are sent again and again.
pub(crate) struct Packets {
    sends: Vec<Vec<u8>>,
    packet_bytes: usize,
    metrics_per_packet: u64,
}

impl Packets {
    /// Makes packets of so many lines each, of all `lines` in turn, which have one length.
    pub(crate) fn new(lines: &[String], lines_per_packet: usize) -> Packets {
        let packets: Vec<String> = lines.chunks_exact(lines_per_packet).map(<[String]>::concat).collect();
        let packet_bytes = packets.first().map_or(1, String::len);
        let per_send = SEGMENTS_MAX.min(SEND_BYTES_MAX / packet_bytes);
        let sends = packets.chunks_exact(per_send).map(|packets| packets.concat().into_bytes()).collect();
        Packets { sends, packet_bytes, metrics_per_packet: lines_per_packet as u64 }
    }

    /// Sends for a time at `rate` metrics a second, without waiting for anybody; returns how many metrics were sent, and
    /// the seconds.
    pub(crate) fn send(&self, address: &str, rate: f64, time: Duration) -> Result<(u64, f64), String> {
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        socket.connect(address).map_err(|error| error.to_string())?;
        cut_sends(&socket, self.packet_bytes)?;
        let (started, mut sent) = (Instant::now(), 0);
        for bytes in self.sends.iter().cycle() {
            let elapsed = started.elapsed();
            if elapsed >= time {
                break;
            }
            while (sent as f64) > rate * started.elapsed().as_secs_f64() {
                std::hint::spin_loop();
            }
            socket.send(bytes).map_err(|error| error.to_string())?;
            sent += (bytes.len() / self.packet_bytes) as u64 * self.metrics_per_packet;
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
