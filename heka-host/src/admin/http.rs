//! Requests: the head by `httparse`, bounded in bytes and time, and the body by its length.

use super::answer::Answer;
use super::socket::{Socket, read};
use std::io;
use std::time::{Duration, Instant};

/// Longest head, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most header lines.
const HEADERS_MAX: usize = 64;
/// Longest body, in bytes.
const BODY_BYTES_MAX: u64 = 16 << 20;
/// How long a head may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes of a body that are made room for before they come.
const BODY_CHUNK: usize = 64 << 10;

/// What a request begins with.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Head {
    pub(super) method: String,
    /// Without what follows a `?`.
    pub(super) path: String,
    /// The value of `Authorization`.
    pub(super) authorization: Option<Vec<u8>>,
    length: Option<u64>,
    is_chunked: bool,
    awaits_continue: bool,
}

impl Head {
    /// Tells whether the request says that it has a body.
    pub(super) fn has_body(&self) -> bool {
        self.length.is_some() || self.is_chunked
    }
}

/// A request whose body has not been read yet.
pub(super) struct Request<'s> {
    pub(super) head: Head,
    socket: &'s mut dyn Socket,
    /// What of the body came with the head.
    begun: Vec<u8>,
}

/// Why there is no request.
#[derive(PartialEq, Debug)]
pub(super) enum NoRequest {
    /// The peer is to be told.
    Refused(Answer),
    /// The peer is gone.
    Gone,
}

impl<'s> Request<'s> {
    /// Reads a request's head.
    ///
    /// # Errors
    /// If none comes, or it is not one.
    pub(super) fn read(socket: &'s mut dyn Socket) -> Result<Request<'s>, NoRequest> {
        let deadline = Instant::now() + HEAD_TIME;
        let mut bytes = Vec::with_capacity(1024);
        let mut chunk = [0; 4096];
        loop {
            if let Some((head, len)) = parse_head(&bytes).map_err(NoRequest::Refused)? {
                bytes.drain(..len);
                return Ok(Request { head, socket, begun: bytes });
            }
            if bytes.len() >= HEAD_BYTES_MAX {
                let text = format!("the head is longer than {HEAD_BYTES_MAX} bytes");
                return Err(NoRequest::Refused(Answer::refusal(431, &text)));
            }
            let room = chunk.len().min(HEAD_BYTES_MAX - bytes.len());
            let len = read(socket, &mut chunk[..room], deadline)
                .map_err(|error| gone(&error, "head", HEAD_TIME))?;
            bytes.extend_from_slice(&chunk[..len]);
        }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// If it has no length, is too long, or does not come in time.
    pub(super) fn body(self) -> Result<Vec<u8>, NoRequest> {
        let refuse = |status, text: &str| Err(NoRequest::Refused(Answer::refusal(status, text)));
        let length = match self.head.length {
            _ if self.head.is_chunked => {
                return refuse(411, "send the body with a Content-Length, not in chunks");
            }
            None => return refuse(411, "send a body, with its Content-Length"),
            Some(length) if length > BODY_BYTES_MAX => {
                return refuse(
                    413,
                    &format!("the body is longer than {BODY_BYTES_MAX} bytes; send it in parts"),
                );
            }
            // At most 16 MiB.
            Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
        };
        let Request { head, socket, begun: mut body } = self;
        body.truncate(length);
        if head.awaits_continue && body.len() < length {
            socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| NoRequest::Gone)?;
        }
        let deadline = Instant::now() + BODY_TIME;
        while body.len() < length {
            let begin = body.len();
            body.resize(length.min(begin + BODY_CHUNK), 0);
            let len = read(socket, &mut body[begin..], deadline)
                .map_err(|error| gone(&error, "body", BODY_TIME))?;
            body.truncate(begin + len);
        }
        Ok(body)
    }
}

fn gone(error: &io::Error, what: &str, time: Duration) -> NoRequest {
    match error.kind() {
        io::ErrorKind::TimedOut => {
            let text = format!("the {what} did not arrive within {} s", time.as_secs());
            NoRequest::Refused(Answer::refusal(408, &text))
        }
        _ => NoRequest::Gone,
    }
}

/// Parses a request's head; returns it with its length in bytes, or `None` when more must come.
///
/// # Errors
/// A refusal when it is none.
pub(super) fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Answer::refusal(431, "too many headers")),
        Err(httparse::Error::Version) => return Err(Answer::refusal(505, "HTTP/1.1 or 1.0 is spoken here")),
        Err(error) => return Err(Answer::refusal(400, &format!("not an HTTP request: {error}"))),
    };
    let target = request.path.unwrap_or_default();
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        ..Head::default()
    };
    for header in request.headers.iter() {
        take_header(&mut head, header)?;
    }
    Ok(Some((head, len)))
}

fn take_header(head: &mut Head, header: &httparse::Header<'_>) -> Result<(), Answer> {
    let value = header.value.trim_ascii();
    match header.name.to_ascii_lowercase().as_str() {
        "authorization" => head.authorization = Some(value.to_vec()),
        "transfer-encoding" => head.is_chunked = true,
        "expect" => head.awaits_continue = value.eq_ignore_ascii_case(b"100-continue"),
        "content-length" => {
            let digits =
                std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let length = digits.and_then(|text| text.parse::<u64>().ok());
            if length.is_none() || head.length.is_some_and(|other| Some(other) != length) {
                return Err(Answer::refusal(400, "the Content-Length is not one number"));
            }
            head.length = length;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_are_read() {
        let text = "POST /inject?x=1 HTTP/1.1\r\nHost: h\r\ncontent-length: 12\r\nAuthorization: Bearer t \r\n\
                    Expect: 100-Continue\r\n\r\nbody";
        let (head, len) = parse_head(text.as_bytes()).unwrap().unwrap();
        let expected = Head {
            method: "POST".to_owned(),
            path: "/inject".to_owned(),
            authorization: Some(b"Bearer t".to_vec()),
            length: Some(12),
            is_chunked: false,
            awaits_continue: true,
        };
        assert_eq!((head, &text[len..]), (expected, "body"));
        for end in 0..len {
            assert_eq!(parse_head(&text.as_bytes()[..end]), Ok(None));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let check = |text: &str, status: u16| {
            assert_eq!(parse_head(text.as_bytes()).unwrap_err().status, status, "{text}");
        };
        check("\u{1}\u{2}\r\n\r\n", 400);
        check("GET / HTTP/2.0\r\n\r\n", 505);
        check("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400);
        check(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65)), 431);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_head(&bytes);
            let mut request = b"POST /inject HTTP/1.1\r\n".to_vec();
            request.extend_from_slice(&bytes);
            let _ = parse_head(&request);
        }
    }
}
