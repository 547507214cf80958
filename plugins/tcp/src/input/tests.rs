use super::*;
use heka_plugin_api::testing::{InputTest, TestStream};
use heka_socket::ADDRESS_FILE;
use rustix::net::sockopt;
use std::io::{Read as _, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Starts an input; returns the address that it wrote to its state directory.
fn started(toml: &str) -> (InputTest<TcpInput>, String) {
    let mut input = InputTest::open(toml).unwrap();
    input.start().unwrap();
    let address = std::fs::read_to_string(input.host().state_dir().join(ADDRESS_FILE)).unwrap();
    (input, address.trim_end().to_owned())
}

fn on_port_zero(options: &str) -> (InputTest<TcpInput>, String) {
    started(&format!("address = \"127.0.0.1:0\"\n{options}"))
}

fn closed(streams: &[TestStream], count: usize) -> bool {
    streams.iter().filter(|stream| stream.closed.is_some()).count() >= count
}

/// Reads until `count` streams are closed; returns them.
fn read_closed(input: &mut InputTest<TcpInput>, count: usize) -> Vec<TestStream> {
    input.read_until(|streams, _, _| closed(streams, count)).unwrap().0
}

#[test]
fn five_hundred_connections_are_streams_of_their_own() {
    let (mut input, address) = on_port_zero("");
    let sender = std::thread::spawn(move || {
        let mut peers: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(&address).unwrap()).collect();
        for piece in ["fir", "st ", "\nsecond"] {
            for (number, peer) in peers.iter_mut().enumerate() {
                write!(peer, "{piece}{number}").unwrap();
            }
        }
    });
    let streams = read_closed(&mut input, 500);
    sender.join().unwrap();
    assert_eq!(streams.len(), 500);
    let mut texts: Vec<_> = streams.iter().map(|stream| String::from_utf8_lossy(&stream.bytes)).collect();
    let mut expected: Vec<_> =
        (0..500).map(|number| format!("fir{number}st {number}\nsecond{number}")).collect();
    texts.sort_unstable();
    expected.sort_unstable();
    assert_eq!(texts, expected);
    assert!(streams.iter().all(|stream| stream.name == "127.0.0.1" && stream.closed == Some(true)));
    let host = input.host();
    assert_eq!((host.counter("accepted"), host.counter("connections")), (500, 0));
    assert_eq!(host.counter("bytes"), streams.iter().map(|stream| stream.bytes.len() as u64).sum::<u64>());
}

#[test]
fn an_end_within_a_line_flushes() {
    let (mut input, address) = on_port_zero("");
    TcpStream::connect(address).unwrap().write_all(b"whole\nhalf").unwrap();
    let streams = read_closed(&mut input, 1);
    assert_eq!((&streams[0].bytes[..], streams[0].closed), (&b"whole\nhalf"[..], Some(true)));
}

#[test]
fn a_reset_does_not_flush() {
    let (mut input, address) = on_port_zero("");
    let mut peer = Some(TcpStream::connect(address).unwrap());
    peer.as_mut().unwrap().write_all(b"whole\nhalf").unwrap();
    let ended = input.read_until(|streams, _, _| {
        if streams.iter().any(|stream| !stream.bytes.is_empty())
            && let Some(peer) = peer.take()
        {
            sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
        }
        closed(streams, 1)
    });
    assert_eq!(ended.unwrap().0[0].closed, Some(false));
    assert_eq!((input.host().counter("resets"), input.host().counter("connections")), (1, 0));
}

#[test]
fn a_busy_connection_leaves_turns_to_others() {
    let (mut input, address) = on_port_zero("read_bytes = \"4 KiB\"");
    let over = Arc::new(AtomicBool::new(false));
    let (told, busy_address) = (Arc::clone(&over), address.clone());
    let busy = std::thread::spawn(move || {
        let mut peer = TcpStream::connect(busy_address).unwrap();
        while !told.load(Ordering::Relaxed) && peer.write_all(&[b'x'; 100_000]).is_ok() {}
    });
    let mut quiet = None;
    let found = input.read_until(|streams, _, _| {
        if quiet.is_none() && streams.iter().any(|stream| stream.bytes.len() > 1_000_000) {
            let mut peer = TcpStream::connect(&address).unwrap();
            peer.write_all(b"quiet\n").unwrap();
            quiet = Some(peer);
        }
        streams.iter().any(|stream| stream.bytes == b"quiet\n")
    });
    over.store(true, Ordering::Relaxed);
    drop(input);
    busy.join().unwrap();
    found.unwrap();
}

#[test]
fn much_from_one_connection_arrives_in_order() {
    let (mut input, address) = on_port_zero("receive_buffer = \"64 KiB\"");
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let sent = bytes.clone();
    let sender = std::thread::spawn(move || TcpStream::connect(address).unwrap().write_all(&sent).unwrap());
    let streams = read_closed(&mut input, 1);
    sender.join().unwrap();
    assert!(streams[0].bytes == bytes);
}

#[test]
fn connections_over_the_limit_are_refused() {
    let (mut input, address) = on_port_zero("connections_max = 2");
    let mut peers: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
    input.read_until(|_, _, read| read == Read::Idle).unwrap();
    assert_eq!(peers[2].read(&mut [0]).unwrap(), 0);
    assert_eq!((input.host().counter("connections"), input.host().counter("refused")), (2, 1));
    drop(peers.remove(0));
    input.read_until(|_, _, read| read == Read::Idle).unwrap();
    let late = TcpStream::connect(&address).unwrap();
    input.read_until(|_, _, read| read == Read::Idle).unwrap();
    assert_eq!((input.host().counter("connections"), input.host().counter("accepted")), (2, 3));
    drop(late);
}

#[test]
fn idle_connections_are_closed() {
    let (mut input, address) = on_port_zero("idle_timeout = \"40 ms\"");
    let mut peer = TcpStream::connect(address).unwrap();
    peer.write_all(b"said").unwrap();
    let streams = read_closed(&mut input, 1);
    assert_eq!((&streams[0].bytes[..], streams[0].closed), (&b"said"[..], Some(true)));
    assert_eq!((peer.read(&mut [0]).unwrap(), input.host().counter("idle_closed")), (0, 1));
}

#[test]
fn a_stopped_input_still_reads_what_is_there() {
    let (mut input, address) = on_port_zero("");
    TcpStream::connect(address).unwrap().write_all(b"last").unwrap();
    input.host().stop();
    assert_eq!(read_closed(&mut input, 1)[0].bytes, b"last");
}

#[test]
fn unix_sockets_have_a_mode_and_leave_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heka.sock");
    let (mut input, address) = started(&format!("address = \"unix:{}\"\nmode = \"0600\"", path.display()));
    assert_eq!(address, format!("unix:{}", path.display()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    UnixStream::connect(&path).unwrap().write_all(b"hello\n").unwrap();
    let streams = read_closed(&mut input, 1);
    assert_eq!((&*streams[0].name, &streams[0].bytes[..]), (&*path.to_string_lossy(), &b"hello\n"[..]));
    drop(input);
    assert!(!path.exists());
}

#[test]
fn abstract_names_need_no_file() {
    let name = format!("heka-tcp-test-{}", std::process::id());
    let (mut input, _) = started(&format!("address = \"unix:@{name}\""));
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    UnixStream::connect_addr(&address).unwrap().write_all(b"hello\n").unwrap();
    let streams = read_closed(&mut input, 1);
    assert_eq!((&*streams[0].name, &streams[0].bytes[..]), (&*format!("@{name}"), &b"hello\n"[..]));
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heka.sock");
    let shown = path.display();
    let live = UnixListener::bind(&path).unwrap();
    let toml = format!("address = \"unix:{shown}\"");
    let refused = || InputTest::<TcpInput>::open(&toml).unwrap().start().unwrap_err();
    assert_eq!(refused(), format!("failed to listen on `unix:{shown}`: another process does"));
    drop(live);
    assert!(path.exists());
    drop(started(&toml));
    std::fs::write(&path, "text").unwrap();
    let text = format!("failed to listen on `unix:{shown}`: the file exists and is not a socket; remove it");
    assert_eq!(refused(), text);
    std::fs::remove_file(&path).unwrap();
    let _datagrams = UnixDatagram::bind(&path).unwrap();
    assert_eq!(refused(), format!("failed to listen on `unix:{shown}`: another process does"));
}

#[test]
fn an_address_in_use_says_so() {
    let (_input, address) = on_port_zero("");
    let refused = InputTest::<TcpInput>::open(&format!("address = \"{address}\"")).unwrap().start();
    assert_eq!(refused, Err(format!("failed to listen on `{address}`: address already in use")));
}

#[test]
fn a_process_without_descriptors_goes_on_listening() {
    let name = "input::tests::out_of_descriptors";
    let test = std::env::current_exe().unwrap();
    let done = std::process::Command::new(test)
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env("HEKA_TCP_CHILD", "1")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The body of the test above, in a process of its own whose limit it lowers.
#[test]
fn out_of_descriptors() {
    if std::env::var_os("HEKA_TCP_CHILD").is_none() {
        return;
    }
    let (mut input, address) = on_port_zero("");
    let address: std::net::SocketAddr = address.parse().unwrap();
    let stream =
        || rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
    let mut peers: Vec<_> = (0..10).map(|_| stream().unwrap()).collect();
    let last = std::os::fd::AsRawFd::as_raw_fd(&peers[9]) as u64;
    let files = rustix::process::Resource::Nofile;
    let limit = rustix::process::Rlimit { current: Some(last + 4), ..rustix::process::getrlimit(files) };
    rustix::process::setrlimit(files, limit).unwrap();
    peers.iter().for_each(|peer| rustix::net::connect(peer, &address).unwrap());
    input.read_until(|_, _, read| read == Read::Idle).unwrap();
    let taken = input.host().counter("accepted");
    assert!((1..10).contains(&taken), "{taken} accepted");
    let end = |peer: &std::os::fd::OwnedFd| rustix::io::write(peer, b"bye").unwrap();
    peers.drain(..).for_each(|peer| assert_eq!(end(&peer), 3));
    assert!(read_closed(&mut input, 10).iter().all(|stream| stream.bytes == b"bye"));
}

#[test]
fn options_are_checked() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(InputTest::<TcpInput>::faults(toml), faults, "{toml}");
    check("", &[]);
    check("address = \"[::1]:0\"\nidle_timeout = \"5 m\"\nmode = \"600\"", &[]);
    check(
        "connections_max = 0\nreceive_buffer = 0\nbacklog = 0\nread_bytes = 100\nmode = \"0999\"",
        &[
            "connections_max: at least 1",
            "receive_buffer: from 1 B to 1 GiB",
            "backlog: at least 1",
            "read_bytes: from 4 KiB to 16 MiB",
            "mode: `0999` is not a mode; write it in octal, such as `0660`",
        ],
    );
    check("address = \"5565\"", &["address: `5565` is not an address: write `host:port` or `unix:/path`"]);
}
