//! Cuts what a connection brings into frames.

use crate::protocol::{Frame, Limits, next_frame};

/// Memory of an empty buffer that is kept.
const KEPT_BYTES: usize = 64 << 10;

/// Holds the beginning of a frame until the rest is there.
#[derive(Default)]
pub struct Incoming {
    held: Vec<u8>,
}

impl Incoming {
    /// Calls `take` with each frame that is whole now; it returns the limits of the next.
    ///
    /// # Errors
    /// What is wrong with the bytes, or what `take` says; nothing more of the connection may be used then.
    pub fn feed(
        &mut self,
        fresh: &[u8],
        mut limits: Limits,
        mut take: impl FnMut(Frame<'_>) -> Result<Limits, String>,
    ) -> Result<(), String> {
        let is_joined = !self.held.is_empty();
        if is_joined {
            self.held.extend_from_slice(fresh);
        }
        let bytes = if is_joined { &self.held[..] } else { fresh };
        let mut used = 0;
        while used < bytes.len() {
            let found = next_frame(&bytes[used..], limits).map_err(|fault| fault.to_string())?;
            let Some(frame) = found else { break };
            limits = take(frame)?;
            used += frame.len();
        }
        if is_joined {
            self.held.drain(..used);
        } else {
            self.held.extend_from_slice(&fresh[used..]);
        }
        if self.held.is_empty() && self.held.capacity() > KEPT_BYTES {
            self.held = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FrameKind, Rejected, push_frame};

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let mut bytes = Vec::new();
        let reasons: Vec<String> = (0..20).map(|number| "x".repeat(number * 7)).collect();
        for reason in &reasons {
            push_frame(&mut bytes, FrameKind::Rejected, &Rejected { reason: reason.clone() }).unwrap();
        }
        for piece in 1..80 {
            let (mut incoming, mut seen) = (Incoming::default(), Vec::new());
            for fresh in bytes.chunks(piece) {
                let fed = incoming.feed(fresh, Limits::GREETING, |frame| {
                    seen.push(frame.parse::<Rejected>().unwrap().reason);
                    Ok(Limits::GREETING)
                });
                fed.unwrap();
            }
            assert_eq!(seen, reasons, "in pieces of {piece}");
        }
    }
}
