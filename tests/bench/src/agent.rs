//! An agent that speaks the hop's protocol and nothing more, to load a grater with.

use heka_hop::protocol::{
    Acknowledged, AgentHello, BATCH_PREFIX_BYTES, BatchHeader, FrameKind, HEADER_BYTES_MAX, LAYOUT, Limits,
    PROTOCOL, PROTOCOL_MIN, Proof, next_frame, nonce, push_frame, push_frame_parts,
};
use heka_plugin_api::OwnedMessage;
use serde_bytes::{ByteArray, ByteBuf};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const LIMITS: Limits = Limits { header_bytes_max: HEADER_BYTES_MAX, body_bytes_max: 1 << 20 };
/// How long a grater may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection to a grater.
pub(crate) struct Agent {
    stream: TcpStream,
    source: [u8; 16],
    /// Number of the next message.
    next: u64,
    /// Everything below is acknowledged.
    settled: u64,
    heard: Vec<u8>,
    frame: Vec<u8>,
    body: Vec<u8>,
}

impl Agent {
    /// Connects and greets; `number` tells agents apart.
    pub(crate) fn connect(address: &str, number: u64) -> Result<Agent, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("failed to connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        let mut source = [7; 16];
        source[..8].copy_from_slice(&number.to_le_bytes());
        let mut agent = Agent {
            stream,
            source,
            next: 1,
            settled: 1,
            heard: Vec::new(),
            frame: Vec::new(),
            body: Vec::new(),
        };
        agent.greet()?;
        agent.stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(agent)
    }

    fn greet(&mut self) -> Result<(), String> {
        let hello = AgentHello {
            protocol: PROTOCOL,
            protocol_min: PROTOCOL_MIN,
            software: "bench".to_owned(),
            layout: LAYOUT,
            host: "bench".to_owned(),
            source: ByteArray::new(self.source),
            settled: 1,
            timeout_ms: 60_000,
            secret: false,
            nonce: nonce().ok_or("no random numbers")?,
        };
        let mut said = Vec::new();
        push_frame(&mut said, FrameKind::Hello, &hello).map_err(|fault| fault.to_string())?;
        push_frame(&mut said, FrameKind::Proof, &Proof { proof: ByteBuf::new() })
            .map_err(|fault| fault.to_string())?;
        self.stream.write_all(&said).map_err(|error| error.to_string())?;
        while self.hear()? != Some(FrameKind::Ready) {}
        Ok(())
    }

    /// Waits, on a socket that blocks, for the next frame, or finds with `None` that none is there.
    fn hear(&mut self) -> Result<Option<FrameKind>, String> {
        loop {
            if let Some(frame) = (!self.heard.is_empty())
                .then(|| next_frame(&self.heard, LIMITS))
                .transpose()
                .map_err(|fault| fault.to_string())?
                .flatten()
            {
                let (kind, len) = (frame.kind, frame.len());
                if kind == FrameKind::Acknowledged {
                    let acknowledged: Acknowledged = frame.parse().map_err(|fault| fault.to_string())?;
                    let last = acknowledged.ranges.iter().map(|range| range.1).max().unwrap_or_default();
                    self.settled = self.settled.max(last + 1);
                }
                self.heard.drain(..len);
                return Ok(Some(kind));
            }
            let mut room = [0; 4096];
            match self.stream.read(&mut room) {
                Ok(0) => return Err("the grater closed the connection".to_owned()),
                Ok(len) => self.heard.extend_from_slice(&room[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Sends a message `count` times in one frame; does nothing if the grater doesn't take it now.
    pub(crate) fn send(&mut self, message: &OwnedMessage, count: u64) -> Result<(), String> {
        let record = message.view();
        self.body.clear();
        for sequence in self.next..self.next + count {
            let start = self.body.len();
            self.body.extend_from_slice(&sequence.to_le_bytes());
            self.body.extend_from_slice(&[0; 8]);
            self.body.extend_from_slice(record.record_bytes());
            self.body.resize(start + BATCH_PREFIX_BYTES + record.record_room(), 0);
        }
        let header = BatchHeader {
            source: ByteArray::new(self.source),
            first: self.next,
            last: self.next + count - 1,
            count: count as u32,
            codec: 0,
            uncompressed: self.body.len() as u32,
            crc: crc32c::crc32c(&self.body),
            settled: self.settled,
            ordered: true,
        };
        self.frame.clear();
        push_frame_parts(&mut self.frame, FrameKind::Batch, &header, &self.body)
            .map_err(|fault| fault.to_string())?;
        match self.stream.write(&self.frame) {
            Ok(len) if len == self.frame.len() => self.next += count,
            Ok(len) => return Err(format!("the grater took {len} of {} bytes", self.frame.len())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    /// Takes the answers that have come; returns the count of messages that were acknowledged so far.
    pub(crate) fn listen(&mut self) -> Result<u64, String> {
        while self.hear()?.is_some() {}
        Ok(self.settled - 1)
    }

    /// Sends one message and waits until it is acknowledged.
    pub(crate) fn send_and_wait(&mut self, message: &OwnedMessage) -> Result<Duration, String> {
        let (started, wanted) = (Instant::now(), self.next);
        self.send(message, 1)?;
        while self.listen()? < wanted {
            if started.elapsed() > PATIENCE {
                return Err("no acknowledgement came".to_owned());
            }
            std::hint::spin_loop();
        }
        Ok(started.elapsed())
    }
}
