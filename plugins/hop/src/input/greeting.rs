//! The grater's side of the greeting.

use super::connection::Greeting;
use super::source::Source;
use crate::protocol::{
    AgentHello, Fault, Frame, FrameKind, GraterHello, HEAD_BYTES, LAYOUT, PROTOCOL, PROTOCOL_MIN, Proof,
    Range, Ready, Role, nonce, proof, proves, push_frame,
};
use std::time::Duration;

/// Ranges of a kind that an agent is told; what it isn't told it sends again, which does no harm.
const RANGES_MAX: usize = 1_500;

/// What all connections of a grater greet with.
pub struct Manners {
    /// Name of this machine.
    pub host: String,
    pub secret: Option<Vec<u8>>,
    pub timeout: Duration,
    pub batch_bytes_max: usize,
}

impl Manners {
    /// Judges an agent's hello; returns the answer's frame and what was said so far.
    ///
    /// # Errors
    /// Why the agent is rejected, as its log shall say it too.
    pub fn answer(&self, frame: Frame<'_>) -> Result<(Vec<u8>, Greeting), String> {
        let hello: AgentHello = frame.parse().map_err(|fault: Fault| fault.to_string())?;
        check_versions(&hello)?;
        match (hello.secret, self.secret.is_some()) {
            (true, false) => return Err("the agent has a secret, the grater has none".to_owned()),
            (false, true) => return Err("the grater demands a secret, the agent has none".to_owned()),
            _ => {}
        }
        let answer = GraterHello {
            protocol: PROTOCOL.min(hello.protocol),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            layout: LAYOUT,
            host: self.host.clone(),
            timeout_ms: self.timeout.as_millis() as u64,
            secret: self.secret.is_some(),
            nonce: nonce().ok_or("the grater has no random numbers")?,
        };
        let mut bytes = Vec::new();
        push_frame(&mut bytes, FrameKind::Answer, &answer).map_err(|fault| fault.to_string())?;
        let answer_header = bytes[HEAD_BYTES..].to_vec();
        Ok((bytes, Greeting { hello, hello_header: frame.header.to_vec(), answer_header }))
    }

    /// Judges an agent's proof.
    ///
    /// # Errors
    /// As [`Manners::answer`].
    pub fn check_proof(&self, frame: Frame<'_>, greeting: &Greeting) -> Result<(), String> {
        let given: Proof = frame.parse().map_err(|fault: Fault| fault.to_string())?;
        let (hello, answer) = (&greeting.hello_header, &greeting.answer_header);
        match proves(&given.proof, self.secret.as_deref(), Role::Agent, hello, answer) {
            true => Ok(()),
            false => Err("the secrets of agent and grater differ".to_owned()),
        }
    }

    /// Returns the frame that ends the greeting.
    ///
    /// # Errors
    /// As [`Manners::answer`].
    pub fn ready(&self, greeting: &Greeting, source: &Source) -> Result<Vec<u8>, String> {
        let (hello, answer) = (&greeting.hello_header, &greeting.answer_header);
        let ready = Ready {
            proof: proof(self.secret.as_deref(), Role::Grater, hello, answer),
            batch_bytes_max: self.batch_bytes_max as u64,
            received: highest(source.received.ranges()),
            done: highest(source.acknowledged.ranges()),
        };
        let mut bytes = Vec::new();
        push_frame(&mut bytes, FrameKind::Ready, &ready).map_err(|fault| fault.to_string())?;
        Ok(bytes)
    }

    /// Returns after how long without a frame an agent needs a sign of life.
    pub fn alive_interval(&self, greeting: &Greeting) -> Duration {
        self.timeout.min(Duration::from_millis(greeting.hello.timeout_ms.max(1))) / 3
    }
}

fn check_versions(hello: &AgentHello) -> Result<(), String> {
    let (min, max, software) = (hello.protocol_min, hello.protocol, &hello.software);
    if max < PROTOCOL_MIN || min > PROTOCOL {
        let theirs = if min == max { max.to_string() } else { format!("{min} to {max}") };
        return Err(format!(
            "the agent ({software}) speaks protocol version {theirs}, the grater ({}) {PROTOCOL}: run the same release on both",
            env!("CARGO_PKG_VERSION")
        ));
    }
    if hello.layout != LAYOUT {
        return Err(format!(
            "the agent ({software}) lays out messages differently than the grater ({}): run the same release on both",
            env!("CARGO_PKG_VERSION")
        ));
    }
    Ok(())
}

fn highest(ranges: &[Range]) -> Vec<Range> {
    ranges[ranges.len().saturating_sub(RANGES_MAX)..].to_vec()
}
