//! Connects to a grater, and greets it.

use crate::bell::{Bell, Woken};
use crate::exposure::{EXPOSED, is_loopback};
use crate::protocol::{
    AgentHello, Fault, Frame, FrameKind, GraterHello, HEAD_BYTES, LAYOUT, Limits, PROTOCOL, PROTOCOL_MIN,
    Proof, Ready, Rejected, Role, SourceId, next_frame, nonce, proof, proves, push_frame,
};
use heka_link::{Link, Received};
use heka_socket::{Address, cause, open_socket};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrAny, SocketType, sockopt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use serde::de::DeserializeOwned;
use serde_bytes::ByteArray;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

/// How to connect, to any of the graters.
pub struct DialOptions {
    /// Name of this machine.
    pub host: String,
    pub secret: Option<Vec<u8>>,
    pub tls: Option<Arc<ClientConfig>>,
    /// Name that certificates must be for; the address's host when there is none.
    pub server_name: Option<String>,
    /// Whether the peer has to show who it is; otherwise only this machine is connected to.
    pub is_guarded: bool,
    pub connect_timeout: Duration,
    pub timeout: Duration,
}

/// A connection that was greeted.
pub struct Dialed {
    pub link: Link,
    pub ready: Ready,
    /// What came behind the greeting.
    pub rest: Vec<u8>,
    /// After how long without a frame the grater needs a sign of life.
    pub alive_interval: Duration,
}

/// Connects to a grater and greets it, for messages of one source.
///
/// # Errors
/// Who could not be reached, and why.
pub fn dial(
    options: &DialOptions,
    address: &Address,
    source: SourceId,
    settled: u64,
    bell: &Bell,
) -> Result<Dialed, String> {
    let until = Instant::now() + options.connect_timeout;
    let attempt = || {
        let socket = connect(options, address, bell, until)?;
        let tls = options.tls.clone().map(|config| begin_tls(config, options, address)).transpose()?;
        let link = Link::new(socket, tls.map(rustls::Connection::Client));
        let talk = Talk { link, heard: Vec::new(), bell, until };
        greet(options, talk, source, settled)
    };
    attempt().map_err(|why| format!("failed to connect to `{address}`: {why}"))
}

fn connect(options: &DialOptions, address: &Address, bell: &Bell, until: Instant) -> Result<OwnedFd, String> {
    let mut why = EXPOSED.to_owned();
    for address in address.resolve()? {
        if !options.is_guarded && !is_loopback(&address) {
            continue;
        }
        match connect_to(&address, bell, until) {
            Ok(socket) => return Ok(socket),
            Err(cause) => why = cause,
        }
    }
    Err(why)
}

fn connect_to(address: &SocketAddrAny, bell: &Bell, until: Instant) -> Result<OwnedFd, String> {
    let family = address.address_family();
    let socket = open_socket(family, SocketType::STREAM).map_err(cause)?;
    match net::connect(&socket, address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => match bell.wait(socket.as_fd(), PollFlags::OUT, until).map_err(cause)? {
            Woken::Ready => sockopt::socket_error(&socket).map_err(cause)?.map_err(cause)?,
            Woken::TimedOut => return Err("no answer within `connect_timeout`".to_owned()),
            Woken::Rung => return Err("stopped before the peer answered".to_owned()),
        },
        Err(errno) => return Err(cause(errno)),
    }
    if family != AddressFamily::UNIX {
        sockopt::set_tcp_nodelay(&socket, true).map_err(cause)?;
    }
    Ok(socket)
}

fn begin_tls(
    config: Arc<ClientConfig>,
    options: &DialOptions,
    address: &Address,
) -> Result<ClientConnection, String> {
    let host = match (&options.server_name, address) {
        (Some(name), _) => name.clone(),
        (None, Address::Network(text)) => {
            let host = text.rsplit_once(':').map_or(&**text, |(host, _)| host);
            host.trim_start_matches('[').trim_end_matches(']').to_owned()
        }
        (None, _) => return Err("a unix socket has no host name: set `tls.server_name`".to_owned()),
    };
    let name = ServerName::try_from(host).map_err(|why| format!("its name can't be checked: {why}"))?;
    ClientConnection::new(config, name).map_err(|why| format!("failed to begin TLS: {why}"))
}

/// A connection during the greeting.
struct Talk<'b> {
    link: Link,
    heard: Vec<u8>,
    bell: &'b Bell,
    until: Instant,
}

impl Talk<'_> {
    /// Waits for a frame of this kind; returns its content and its header's bytes.
    fn hear<H: DeserializeOwned>(&mut self, kind: FrameKind) -> Result<(H, Vec<u8>), String> {
        loop {
            let found = next_frame(&self.heard, Limits::GREETING).map_err(|fault| fault.to_string())?;
            if let Some(frame) = found {
                let (content, header, len) = (content(frame, kind)?, frame.header.to_vec(), frame.len());
                self.heard.drain(..len);
                return Ok((content, header));
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let mut room = [0; READ_BYTES];
        loop {
            match self.link.receive(&mut room)? {
                Received::Bytes(len) => {
                    self.heard.extend_from_slice(&room[..len]);
                    return Ok(());
                }
                Received::End => return Err("it closed the connection".to_owned()),
                Received::Nothing => {}
            }
            self.link.flush()?;
            let what = if self.link.has_waiting() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            match self.bell.wait(self.link.as_fd(), what, self.until).map_err(cause)? {
                Woken::Ready => {}
                Woken::TimedOut => return Err("no greeting within `connect_timeout`".to_owned()),
                Woken::Rung => return Err("stopped before the peer answered".to_owned()),
            }
        }
    }
}

fn content<H: DeserializeOwned>(frame: Frame<'_>, kind: FrameKind) -> Result<H, String> {
    match frame.kind {
        found if found == kind => {
            rmp_serde::from_slice(frame.header).map_err(|_| Fault::Header(kind).to_string())
        }
        FrameKind::Rejected => {
            let rejected: Rejected = frame.parse().map_err(|fault: Fault| fault.to_string())?;
            Err(format!("it rejects this host: {}", readable(&rejected.reason)))
        }
        _ => Err("it sent a frame that doesn't belong there".to_owned()),
    }
}

fn greet(
    options: &DialOptions,
    mut talk: Talk<'_>,
    source: SourceId,
    settled: u64,
) -> Result<Dialed, String> {
    let hello = AgentHello {
        protocol: PROTOCOL,
        protocol_min: PROTOCOL_MIN,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        layout: LAYOUT,
        host: options.host.clone(),
        source: ByteArray::new(source),
        settled,
        timeout_ms: options.timeout.as_millis() as u64,
        secret: options.secret.is_some(),
        nonce: nonce().ok_or("this host has no random numbers")?,
    };
    let said = said(FrameKind::Hello, &hello)?;
    talk.link.send(&said)?;
    let hello_header = &said[HEAD_BYTES..];
    let (answer, answer_header) = talk.hear::<GraterHello>(FrameKind::Answer)?;
    check_answer(&answer, options)?;
    let secret = options.secret.as_deref();
    let shown = Proof { proof: proof(secret, Role::Agent, hello_header, &answer_header) };
    talk.link.send(&self::said(FrameKind::Proof, &shown)?)?;
    let (ready, _) = talk.hear::<Ready>(FrameKind::Ready)?;
    if !proves(&ready.proof, secret, Role::Grater, hello_header, &answer_header) {
        return Err("the grater doesn't know the secret".to_owned());
    }
    let alive_interval = options.timeout.min(Duration::from_millis(answer.timeout_ms.max(1))) / 3;
    Ok(Dialed { link: talk.link, ready, rest: talk.heard, alive_interval })
}

fn said(kind: FrameKind, header: &impl serde::Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    push_frame(&mut bytes, kind, header).map_err(|fault| fault.to_string())?;
    Ok(bytes)
}

fn check_answer(answer: &GraterHello, options: &DialOptions) -> Result<(), String> {
    let (version, software) = (answer.protocol, readable(&answer.software));
    if !(PROTOCOL_MIN..=PROTOCOL).contains(&version) {
        return Err(format!(
            "the grater ({software}) speaks protocol version {version}, the agent ({}) {PROTOCOL}: run the same release on both",
            env!("CARGO_PKG_VERSION")
        ));
    }
    if answer.layout != LAYOUT {
        return Err(format!(
            "the grater ({software}) lays out messages differently: run the same release on both"
        ));
    }
    match (options.secret.is_some(), answer.secret) {
        (true, false) => Err("the agent has a secret, the grater has none".to_owned()),
        (false, true) => Err("the grater demands a secret, the agent has none".to_owned()),
        _ => Ok(()),
    }
}

/// What a peer says may be long and is not to break the log's lines.
pub fn readable(text: &str) -> String {
    text.chars().take(300).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
