//! Many datagrams in one system call; what the kernel knows about a socket. All `unsafe` code of this crate.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use std::mem::zeroed;

/// Room for one datagram, or for several that the kernel has joined: more than UDP can carry, in bytes.
const ROOM_BYTES: usize = 65_536;
/// Rooms don't begin at the same place of the processor's caches, in bytes.
const STAGGER_BYTES: usize = 5 * 64;
const STRIDE_BYTES: usize = ROOM_BYTES + STAGGER_BYTES;
/// Datagrams of one call to send.
pub const SEND_MAX: usize = 64;

/// Room for one control message with an integer, aligned as the kernel wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 32]);

/// Takes many datagrams at once.
///
/// The memory of a room is only taken as far as datagrams have ever filled it.
pub struct Inbox {
    rooms: Vec<u8>,
    controls: Vec<Control>,
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

// SAFETY: the pointers in `parts` and `headers` lead into the inbox's own heap memory and are set before each use.
unsafe impl Send for Inbox {}

impl Inbox {
    /// Makes one for `count` reads at once.
    pub fn new(count: usize) -> Inbox {
        Inbox {
            rooms: vec![0; count * STRIDE_BYTES],
            controls: vec![Control([0; 32]); count],
            // SAFETY: zeros are valid in plain C structs of integers and pointers.
            parts: vec![unsafe { zeroed() }; count],
            // SAFETY: as above.
            headers: vec![unsafe { zeroed() }; count],
            received: 0,
        }
    }

    /// Receives what waits, without waiting itself, at most `count` reads; returns how many there were.
    ///
    /// # Errors
    /// The system's, unless it only says that nothing waits.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, count: usize) -> Result<usize, Errno> {
        let count = count.min(self.headers.len());
        self.received = 0;
        let rooms = self.rooms.chunks_exact_mut(STRIDE_BYTES).zip(&mut self.controls);
        let headers = self.headers.iter_mut().zip(&mut self.parts);
        for ((room, control), (header, part)) in rooms.zip(headers).take(count) {
            part.iov_base = room.as_mut_ptr().cast();
            part.iov_len = ROOM_BYTES;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = control.0.len();
        }
        // SAFETY: the first `count` headers point to rooms that live and are not touched during the call.
        let received = unsafe {
            let headers = self.headers.as_mut_ptr();
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers,
                count as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        match usize::try_from(received) {
            Ok(received) => {
                self.received = received;
                Ok(received)
            }
            Err(_) => match last_failure() {
                Errno::AGAIN | Errno::INTR => Ok(0),
                errno => Err(errno),
            },
        }
    }

    /// Returns the datagrams of the last call in order.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let rooms = self.rooms.chunks_exact(STRIDE_BYTES).zip(&self.headers).take(self.received);
        rooms.flat_map(|(room, header)| {
            let bytes = &room[..(header.msg_len as usize).min(ROOM_BYTES)];
            Segments { rest: Some(bytes), segment_bytes: segment_bytes(header).unwrap_or(ROOM_BYTES) }
        })
    }

    /// Returns how many bytes the last call received.
    pub fn bytes(&self) -> usize {
        self.headers[..self.received].iter().map(|header| header.msg_len as usize).sum()
    }

    /// Returns how many of the last call's reads were longer than their room.
    pub fn truncated(&self) -> usize {
        let cut = |header: &&libc::mmsghdr| header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        self.headers[..self.received].iter().filter(cut).count()
    }
}

/// Length of the datagrams that the kernel has joined in one read; `None` when it is one datagram.
fn segment_bytes(header: &libc::mmsghdr) -> Option<usize> {
    // SAFETY: the kernel has filled the control room of this header and said its length.
    let size = unsafe {
        let control = libc::CMSG_FIRSTHDR(&header.msg_hdr);
        if control.is_null()
            || (*control).cmsg_level != libc::SOL_UDP
            || (*control).cmsg_type != libc::UDP_GRO
        {
            return None;
        }
        libc::CMSG_DATA(control).cast::<libc::c_int>().read_unaligned()
    };
    usize::try_from(size).ok().filter(|size| *size > 0)
}

/// Cuts joined datagrams apart; an empty datagram is one too.
struct Segments<'a> {
    rest: Option<&'a [u8]>,
    segment_bytes: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let (segment, rest) = rest.split_at(rest.len().min(self.segment_bytes));
        self.rest = (!rest.is_empty()).then_some(rest);
        Some(segment)
    }
}

/// Sends datagrams, at most [`SEND_MAX`], over a connected socket without waiting; returns how many were sent, at least
/// one.
///
/// # Errors
/// The system's, if none was sent.
pub fn send(socket: BorrowedFd<'_>, datagrams: &[&[u8]]) -> Result<usize, Errno> {
    // SAFETY: zeros are valid in plain C structs of integers and pointers.
    let (mut parts, mut headers): ([libc::iovec; SEND_MAX], [libc::mmsghdr; SEND_MAX]) = unsafe { zeroed() };
    let mut count = 0;
    for ((datagram, header), part) in datagrams.iter().zip(&mut headers).zip(&mut parts) {
        part.iov_base = datagram.as_ptr().cast_mut().cast();
        part.iov_len = datagram.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers point to parts and bytes that live during the call, which only reads them.
    let sent = unsafe {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags)
    };
    usize::try_from(sent).map_err(|_| last_failure())
}

/// Asks the kernel to join datagrams of one sender and length into one read; old kernels don't.
pub fn join_datagrams(socket: BorrowedFd<'_>) {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an integer of that length.
    unsafe {
        let len = size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, (&raw const on).cast(), len);
    }
}

/// Returns how many datagrams the kernel has dropped at this socket, modulo 2³².
pub fn kernel_drops(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut numbers = [0_u32; 16];
    let mut len = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes of integers.
    let failed = unsafe {
        let place = numbers.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, place, &mut len)
    };
    let drops_at = libc::SK_MEMINFO_DROPS as usize;
    (failed == 0 && len as usize > drops_at * size_of::<u32>()).then(|| numbers[drops_at])
}

fn last_failure() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn joined_datagrams_are_cut_apart() {
        let check = |bytes: &[u8], segment_bytes: usize, expected: &[&[u8]]| {
            assert_eq!(Segments { rest: Some(bytes), segment_bytes }.collect::<Vec<_>>(), expected);
        };
        check(b"", 10, &[b""]);
        check(b"abc", 10, &[b"abc"]);
        check(b"abcdef", 3, &[b"abc", b"def"]);
        check(b"abcdefg", 3, &[b"abc", b"def", b"g"]);
    }

    #[test]
    fn a_call_takes_what_waits_and_no_more_than_asked() {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        let mut inbox = Inbox::new(4);
        assert_eq!(inbox.receive(receiver.as_fd(), 4), Ok(0));
        assert_eq!(send(sender.as_fd(), &[b"one", b"", b"three"]), Ok(3));
        assert_eq!(inbox.receive(receiver.as_fd(), 2), Ok(2));
        assert_eq!(inbox.datagrams().collect::<Vec<_>>(), [&b"one"[..], b""]);
        assert_eq!(inbox.receive(receiver.as_fd(), 100), Ok(1));
        assert_eq!(inbox.datagrams().collect::<Vec<_>>(), [b"three"]);
        assert_eq!((inbox.bytes(), inbox.truncated()), (5, 0));
    }

    #[test]
    fn longer_ones_are_cut_and_counted() {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        let mut inbox = Inbox::new(4);
        sender.send(&[b'x'; ROOM_BYTES + 1]).unwrap();
        sender.send(&[b'y'; ROOM_BYTES]).unwrap();
        inbox.receive(receiver.as_fd(), 4).unwrap();
        assert_eq!(inbox.datagrams().map(<[u8]>::len).collect::<Vec<_>>(), [ROOM_BYTES, ROOM_BYTES]);
        assert_eq!(inbox.truncated(), 1);
    }

    #[test]
    fn what_the_kernel_joined_is_cut_apart_again() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        join_datagrams(receiver.as_fd());
        let size: libc::c_int = 1_000;
        // SAFETY: the option's value is an integer of that length.
        let failed = unsafe {
            let (value, len) = ((&raw const size).cast(), size_of_val(&size) as libc::socklen_t);
            libc::setsockopt(sender.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, len)
        };
        assert_eq!(failed, 0);
        let bytes: Vec<u8> = (0..9_500).map(|number| (number % 251) as u8).collect();
        assert_eq!(sender.send(&bytes).unwrap(), 9_500);
        let mut inbox = Inbox::new(16);
        assert_eq!(inbox.receive(receiver.as_fd(), 16), Ok(1));
        assert_eq!(inbox.datagrams().collect::<Vec<_>>(), bytes.chunks(1_000).collect::<Vec<_>>());
    }

    #[test]
    fn drops_are_what_had_no_room() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&receiver, 4_096).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        assert_eq!(kernel_drops(receiver.as_fd()), Some(0));
        for _ in 0..100 {
            sender.send(&[b'x'; 1_000]).unwrap();
        }
        let mut inbox = Inbox::new(200);
        let received = inbox.receive(receiver.as_fd(), 200).unwrap();
        assert_eq!(kernel_drops(receiver.as_fd()), Some(100 - received as u32));
        assert!(received < 100);
    }
}
