//! What a request is answered.

use std::io::Write;

/// An answer: a status, and for people why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    /// A further header line, without its line break.
    pub header: Option<String>,
}

impl Answer {
    /// Says that a request was taken.
    pub fn taken(status: u16) -> Answer {
        Answer { status, text: String::new(), header: None }
    }

    /// Refuses a request.
    pub fn refusal(status: u16, text: impl Into<String>) -> Answer {
        let header = (status == 503).then(|| "Retry-After: 1".to_owned());
        Answer { status, text: text.into(), header }
    }

    /// Adds a header line.
    pub fn with_header(self, header: String) -> Answer {
        Answer { header: Some(header), ..self }
    }

    /// Tells whether the request was taken.
    pub fn is_success(&self) -> bool {
        self.status < 300
    }

    /// Writes it as it is sent; to a `HEAD` without the text.
    pub fn write(&self, keeps_alive: bool, is_head: bool, bytes: &mut Vec<u8>) {
        let line_break = if self.text.is_empty() { "" } else { "\n" };
        // Writing into memory succeeds.
        let _ = write!(bytes, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if self.status != 204 {
            let len = self.text.len() + line_break.len();
            let _ = write!(bytes, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len}\r\n");
        }
        if let Some(header) = &self.header {
            let _ = write!(bytes, "{header}\r\n");
        }
        let _ = write!(bytes, "Connection: {}\r\n\r\n", if keeps_alive { "keep-alive" } else { "close" });
        if !is_head {
            let _ = write!(bytes, "{}{line_break}", self.text);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_written_whole() {
        let check = |answer: &Answer, keeps_alive, is_head, expected: &str| {
            let mut bytes = Vec::new();
            answer.write(keeps_alive, is_head, &mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        };
        check(&Answer::taken(204), true, false, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
        let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Content-Length: 5\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
        check(&Answer::refusal(503, "full"), false, false, &format!("{head}full\n"));
        check(&Answer::refusal(503, "full"), false, true, head);
    }
}
