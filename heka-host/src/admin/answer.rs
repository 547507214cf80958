//! What a request is answered.

use serde::Serialize;
use std::io::Write;

/// A status and a JSON body.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// A further header line, without its line break.
    header: Option<&'static str>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

impl Answer {
    /// Answers with a value.
    pub(super) fn json(status: u16, value: &impl Serialize) -> Answer {
        match serde_json::to_vec(value) {
            Ok(mut body) => {
                body.push(b'\n');
                Answer { status, body, header: None }
            }
            Err(error) => Answer::refusal(500, &format!("failed to write the answer: {error}")),
        }
    }

    /// Refuses.
    pub(super) fn refusal(status: u16, error: &str) -> Answer {
        let mut body = serde_json::to_vec(&Refusal { error }).unwrap_or_default();
        body.push(b'\n');
        Answer { status, body, header: None }
    }

    /// Adds a header line.
    pub(super) fn with_header(self, header: &'static str) -> Answer {
        Answer { header: Some(header), ..self }
    }

    /// Returns the bytes to send.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + 256);
        let header = self.header.map(|header| format!("{header}\r\n")).unwrap_or_default();
        // Writing into memory succeeds.
        let _ = write!(
            bytes,
            "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\n",
            self.status,
            reason(self.status),
            self.body.len()
        );
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_json_with_its_status_and_length() {
        let bytes = Answer::refusal(405, "no \"such\" thing").with_header("Allow: GET").bytes();
        let expected = "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\
                        Connection: close\r\nAllow: GET\r\n\r\n{\"error\":\"no \\\"such\\\" thing\"}\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
