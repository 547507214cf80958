//! One connection: what of its requests has arrived, and what is answered.

use super::answer::Answer;
use super::body::Body;
use super::coding::BodyLimits;
use super::desk::Request;
use super::head::{Head, parse};
use super::memory::Memory;
use heka_link::{Broken, Link, Received};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What may wait behind a request that is being served, in bytes; a client that sends more waits.
const AHEAD_BYTES_MAX: usize = 64 << 10;
/// Who sends much more nevertheless is cut off.
const AHEAD_BYTES_LIMIT: usize = 4 * AHEAD_BYTES_MAX;
/// How long a peer may take to read a last answer.
const LINGER: Duration = Duration::from_secs(2);

/// How requests are to be.
#[derive(Clone, Copy)]
pub struct Manners {
    pub head_bytes_max: usize,
    pub body: BodyLimits,
    pub request_timeout: Duration,
    pub idle_timeout: Duration,
    pub answer_timeout: Duration,
}

/// Where a connection is.
enum Phase {
    /// Between two requests, or in a head.
    Head,
    /// In a body.
    Body(Box<(Head, Body)>),
    /// A request is being served.
    Serving { keeps_alive: bool, is_head: bool },
    /// The last answer is sent; what still comes is thrown away.
    Closing,
}

/// What a step came to.
pub enum Step {
    /// More must come.
    Nothing,
    /// A request is whole.
    Request(Box<Request>),
    /// A request was refused.
    Refused(u16),
}

/// One connection.
pub struct Connection {
    pub link: Link,
    pub peer: Arc<str>,
    number: u64,
    phase: Phase,
    incoming: Vec<u8>,
    /// How many of its bytes were looked at for a head.
    looked_at: usize,
    deadline: Instant,
    /// Whether the peer sends no more.
    peer_is_done: bool,
    /// Whether it was asked for room to write …
    pub asked_to_write: bool,
    /// … and for what there is to read.
    pub asked_to_read: bool,
}

impl Connection {
    /// Begins with a connected socket.
    pub fn new(link: Link, peer: Arc<str>, number: u64, manners: &Manners, now: Instant) -> Connection {
        Connection {
            link,
            peer,
            number,
            phase: Phase::Head,
            incoming: Vec::new(),
            looked_at: 0,
            deadline: now + manners.request_timeout,
            peer_is_done: false,
            asked_to_write: false,
            asked_to_read: true,
        }
    }

    /// Tells whether there is something to read that it wants.
    pub fn wants_read(&self) -> bool {
        !self.peer_is_done && (!self.is_serving() || self.incoming.len() < AHEAD_BYTES_MAX)
    }

    /// Tells whether a request is being served.
    pub fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving { .. })
    }

    /// Tells whether nothing can come of it any more: the peer sends no more, and all it sent is answered.
    pub fn is_over(&self) -> bool {
        self.peer_is_done && !self.is_serving()
    }

    /// Tells whether a request has begun to arrive and is not whole.
    pub fn is_amid_request(&self) -> bool {
        match self.phase {
            Phase::Head => !self.incoming.is_empty(),
            Phase::Body(_) => true,
            Phase::Serving { .. } | Phase::Closing => false,
        }
    }

    /// Tells whether its time is up.
    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// Reads what is there; tells whether the connection goes on.
    ///
    /// # Errors
    /// Says why it can't.
    pub fn receive(&mut self, room: &mut [u8], manners: &Manners, now: Instant) -> Result<bool, Broken> {
        if self.peer_is_done {
            // Nothing is waited for any more but the end of both directions.
            return Ok(false);
        }
        Ok(match self.link.receive(room)? {
            Received::Bytes(len) => {
                if self.incoming.is_empty() && matches!(self.phase, Phase::Head) {
                    self.deadline = now + manners.request_timeout;
                }
                if !matches!(self.phase, Phase::Closing) {
                    self.incoming.extend_from_slice(&room[..len]);
                }
                self.incoming.len() <= AHEAD_BYTES_LIMIT || !self.is_serving()
            }
            Received::Nothing => true,
            Received::End => {
                self.peer_is_done = true;
                // Who closes its own direction only may still read an answer.
                self.is_serving()
            }
        })
    }

    /// Goes on with what has arrived; `admit` refuses requests that are not allowed.
    pub fn step(
        &mut self,
        manners: &Manners,
        memory: &Memory,
        wanted: &[String],
        admit: impl Fn(&Head) -> Result<(), Answer>,
        now: Instant,
    ) -> Step {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Head) {
                Phase::Head => match self.head(manners, memory, wanted, &admit) {
                    Ok(Some(begun)) => self.phase = Phase::Body(Box::new(begun)),
                    Ok(None) => return Step::Nothing,
                    Err(answer) => return self.refuse(&answer, now),
                },
                Phase::Body(mut begun) => {
                    let (head, body) = &mut *begun;
                    match body.feed(&self.incoming) {
                        Ok(taken) => _ = self.incoming.drain(..taken),
                        Err(answer) => return self.refuse(&answer, now),
                    }
                    if !body.is_whole() {
                        self.phase = Phase::Body(begun);
                        return Step::Nothing;
                    }
                    let is_head = head.method == "HEAD";
                    self.phase = Phase::Serving { keeps_alive: head.keeps_alive, is_head };
                    self.deadline = now + manners.answer_timeout;
                    return Step::Request(self.request(*begun));
                }
                phase => {
                    self.phase = phase;
                    return Step::Nothing;
                }
            }
        }
    }

    fn head(
        &mut self,
        manners: &Manners,
        memory: &Memory,
        wanted: &[String],
        admit: impl Fn(&Head) -> Result<(), Answer>,
    ) -> Result<Option<(Head, Body)>, Answer> {
        // A head's end is a line's: what comes bit by bit is not read again and again. Only what can't be a head at all
        // is told at once.
        let empty_lines = self.incoming.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.incoming.drain(..empty_lines);
        let begins = self.looked_at == 0;
        let fresh = &self.incoming[self.looked_at.min(self.incoming.len())..];
        let may_be_whole = begins || fresh.contains(&b'\n');
        self.looked_at = self.incoming.len();
        if !may_be_whole && self.incoming.len() <= manners.head_bytes_max {
            return Ok(None);
        }
        let Some((head, len)) =
            parse(&self.incoming, wanted)?.filter(|(_, len)| *len <= manners.head_bytes_max)
        else {
            return match self.incoming.len() > manners.head_bytes_max {
                true => Err(Answer::refusal(
                    431,
                    format!("the head is longer than {} bytes", manners.head_bytes_max),
                )),
                false => Ok(None),
            };
        };
        self.incoming.drain(..len);
        self.looked_at = 0;
        admit(&head)?;
        let body = Body::begin(head.length, manners.body, memory.hold())?;
        if head.awaits_continue && !body.is_whole() && self.incoming.is_empty() {
            // That it failed shows at the next read.
            let _ = self.link.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Ok(Some((head, body)))
    }

    fn request(&self, (head, body): (Head, Body)) -> Box<Request> {
        Box::new(Request {
            connection: self.number,
            peer: self.peer.clone(),
            method: head.method,
            path: head.path,
            query: head.query,
            headers: head.kept,
            codings: head.codings,
            body: body.bytes,
            hold: body.hold,
        })
    }

    /// Answers the request that is being served; tells whether the connection goes on with another.
    pub fn answer(&mut self, answer: &Answer, manners: &Manners, goes_on: bool, now: Instant) -> bool {
        let Phase::Serving { keeps_alive, is_head } = self.phase else { return false };
        let keeps_alive = keeps_alive && goes_on && (!self.peer_is_done || !self.incoming.is_empty());
        self.send(answer, keeps_alive, is_head, now);
        if keeps_alive {
            self.phase = Phase::Head;
            let wait = if self.incoming.is_empty() { manners.idle_timeout } else { manners.request_timeout };
            self.deadline = now + wait;
        }
        keeps_alive
    }

    /// Refuses what has arrived, as the last answer.
    pub fn refuse(&mut self, answer: &Answer, now: Instant) -> Step {
        self.send(answer, false, false, now);
        Step::Refused(answer.status)
    }

    fn send(&mut self, answer: &Answer, keeps_alive: bool, is_head: bool, now: Instant) {
        let mut bytes = Vec::with_capacity(256);
        answer.write(keeps_alive, is_head, &mut bytes);
        // That it failed shows at the next read.
        let _ = self.link.send(&bytes);
        if !keeps_alive {
            self.link.finish();
            self.phase = Phase::Closing;
            self.incoming = Vec::new();
            self.deadline = now + LINGER;
        }
    }
}
