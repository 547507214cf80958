use super::*;
use heka_plugin_api::testing::{InputTest, TestStream};
use heka_socket::ADDRESS_FILE;
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

/// Starts an input; returns the address that it wrote to its state directory.
fn started(toml: &str) -> (InputTest<UdpInput>, String) {
    let mut input = InputTest::open(toml).unwrap();
    input.start().unwrap();
    let address = std::fs::read_to_string(input.host().state_dir().join(ADDRESS_FILE)).unwrap();
    (input, address.trim_end().to_owned())
}

fn on_port_zero(options: &str) -> (InputTest<UdpInput>, UdpSocket) {
    let (input, address) = started(&format!("address = \"127.0.0.1:0\"\n{options}"));
    (input, connected(&address))
}

fn connected(address: &str) -> UdpSocket {
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(address).unwrap();
    sender
}

fn count(streams: &[TestStream]) -> usize {
    streams.iter().map(|stream| stream.datagrams.len()).sum()
}

/// Reads until there are `count` datagrams; returns all of them.
fn read_datagrams(input: &mut InputTest<UdpInput>, wanted: usize) -> Vec<Vec<u8>> {
    let streams = input.read_until(|streams, _, _| count(streams) >= wanted).unwrap().0;
    assert_eq!((streams.len(), &*streams[0].name), (1, "test"));
    streams.into_iter().next().unwrap().datagrams
}

#[test]
fn datagrams_of_any_length_arrive_whole() {
    let (mut input, sender) = on_port_zero("");
    let lengths = [0, 1, 200, 1_472, 9_000, 65_507, 0, 3];
    for length in lengths {
        assert_eq!(sender.send(&vec![b'x'; length]).unwrap(), length);
    }
    let datagrams = read_datagrams(&mut input, lengths.len());
    assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
    assert!(datagrams.iter().flatten().all(|&byte| byte == b'x'));
    let host = input.host();
    assert_eq!((host.counter("datagrams"), host.counter("truncated")), (8, 0));
    assert_eq!(host.counter("bytes"), lengths.iter().sum::<usize>() as u64);
}

#[test]
fn a_burst_waits_in_the_buffer() {
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    let given = rustix::net::sockopt::set_socket_recv_buffer_size_force(&probe, 8 << 20)
        .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&probe, 8 << 20))
        .and_then(|()| rustix::net::sockopt::socket_recv_buffer_size(&probe));
    if given.unwrap() < 16 << 20 {
        eprintln!("SKIPPED: this process may not have a receive buffer of 8 MiB (net.core.rmem_max)");
        return;
    }
    let (mut input, sender) = on_port_zero("");
    for number in 0..10_000_u32 {
        sender.send(&[&number.to_le_bytes()[..], &[b'x'; 196]].concat()).unwrap();
    }
    let datagrams = read_datagrams(&mut input, 10_000);
    let numbers = datagrams.iter().map(|datagram| u32::from_le_bytes(datagram[..4].try_into().unwrap()));
    assert!(numbers.eq(0..10_000));
    assert_eq!(input.host().counter("kernel_drops"), 0);
}

#[test]
fn what_the_buffer_had_no_room_for_is_counted() {
    let (mut input, sender) = on_port_zero("receive_buffer = \"4 KiB\"");
    for _ in 0..1_000 {
        sender.send(&[b'x'; 1_000]).unwrap();
    }
    let streams = input.read_until(|_, _, read| read == Read::Idle).unwrap().0;
    let dropped = input.host().counter("kernel_drops");
    assert!(dropped > 0);
    assert_eq!(count(&streams) as u64 + dropped, 1_000);
}

#[test]
fn several_sockets_share_a_port() {
    let (mut input, sender) = on_port_zero("sockets = 4");
    let peer = sender.peer_addr().unwrap().to_string();
    let senders: Vec<UdpSocket> = (0..40).map(|_| connected(&peer)).collect();
    for round in 0..10 {
        senders.iter().for_each(|sender| _ = sender.send(&[round]).unwrap());
    }
    assert_eq!(read_datagrams(&mut input, 400).len(), 400);
}

#[test]
fn one_datagram_a_call_is_enough() {
    let (mut input, sender) = on_port_zero("datagrams_per_read = 1");
    for number in 0..100 {
        sender.send(&[number]).unwrap();
    }
    assert_eq!(read_datagrams(&mut input, 100), (0..100).map(|number| vec![number]).collect::<Vec<_>>());
}

#[test]
fn a_stopped_input_still_reads_what_is_there() {
    let (mut input, sender) = on_port_zero("");
    sender.send(b"last").unwrap();
    input.host().stop();
    assert_eq!(read_datagrams(&mut input, 1), [b"last"]);
}

#[test]
fn unix_sockets_have_a_mode_and_leave_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heka.sock");
    let (mut input, address) = started(&format!("address = \"unix:{}\"\nmode = \"0622\"", path.display()));
    assert_eq!(address, format!("unix:{}", path.display()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o622);
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"hello", &path).unwrap();
    sender.send_to(&[b'x'; 70_000], &path).unwrap();
    let datagrams = read_datagrams(&mut input, 2);
    assert_eq!((&datagrams[0][..], datagrams[1].len()), (&b"hello"[..], 65_536));
    assert_eq!(input.host().counter("truncated"), 1);
    drop(input);
    assert!(!path.exists());
}

#[test]
fn abstract_names_need_no_file() {
    let name = format!("heka-udp-test-{}", std::process::id());
    let (mut input, _) = started(&format!("address = \"unix:@{name}\""));
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    UnixDatagram::unbound().unwrap().send_to_addr(b"hello", &address).unwrap();
    assert_eq!(read_datagrams(&mut input, 1), [b"hello"]);
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heka.sock");
    let shown = path.display();
    let live = UnixDatagram::bind(&path).unwrap();
    let toml = format!("address = \"unix:{shown}\"");
    let refused = || InputTest::<UdpInput>::open(&toml).unwrap().start().unwrap_err();
    assert_eq!(refused(), format!("failed to receive on `unix:{shown}`: another process does"));
    drop(live);
    assert!(path.exists());
    drop(started(&toml));
    std::fs::write(&path, "text").unwrap();
    let text = format!("failed to receive on `unix:{shown}`: the file exists and is not a socket; remove it");
    assert_eq!(refused(), text);
}

#[test]
fn an_address_in_use_says_so() {
    let (_input, address) = started("address = \"127.0.0.1:0\"");
    let refused = InputTest::<UdpInput>::open(&format!("address = \"{address}\"")).unwrap().start();
    assert_eq!(refused, Err(format!("failed to receive on `{address}`: address already in use")));
}

#[test]
fn options_are_checked() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(InputTest::<UdpInput>::faults(toml), faults, "{toml}");
    check("", &[]);
    check(
        "receive_buffer = 0\nsockets = 17\ndatagrams_per_read = 257\nmode = \"rw\"",
        &[
            "receive_buffer: from 1 B to 1 GiB",
            "sockets: from 1 to 16",
            "datagrams_per_read: from 1 to 256",
            "mode: `rw` is not a mode; write it in octal, such as `0660`",
        ],
    );
    check("address = \"unix:/x\"\nsockets = 2", &["sockets: a unix socket can't be shared; 1"]);
}
