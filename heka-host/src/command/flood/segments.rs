//! Several datagrams in one system call: `UDP_SEGMENT`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Most datagrams that the kernel cuts one send into.
pub(super) const SEGMENTS_MAX: usize = 64;
/// Most bytes of a datagram, and of a send that is cut into several.
pub(super) const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Makes the kernel cut what is sent over a UDP socket into datagrams of `bytes` bytes; 0 turns it off.
///
/// # Errors
/// If this kernel can't.
pub(super) fn cut_sends(socket: impl AsFd, bytes: usize) -> io::Result<()> {
    let size = libc::c_int::try_from(bytes).map_err(io::Error::other)?;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open for as long as it is borrowed; the option's value is an integer of that length.
    let failed = unsafe {
        let (value, len) = ((&raw const size).cast(), size_of_val(&size) as libc::socklen_t);
        libc::setsockopt(descriptor, libc::SOL_UDP, libc::UDP_SEGMENT, value, len)
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn one_send_becomes_several_datagrams() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        cut_sends(&sender, 4).unwrap();
        sender.send(b"abcdefghij").unwrap();
        let mut datagram = [0; 16];
        for expected in [&b"abcd"[..], b"efgh", b"ij"] {
            let len = receiver.recv(&mut datagram).unwrap();
            assert_eq!(&datagram[..len], expected);
        }
    }
}
