//! A request's line and headers.

use super::answer::Answer;
use super::coding::Coding;

/// Most header lines.
const HEADERS_MAX: usize = 100;

/// How a body's end is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyLength {
    /// It has so many bytes.
    Exact(u64),
    /// It says so itself.
    Chunked,
    /// There is none.
    #[default]
    Absent,
}

/// What a request begins with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    pub method: String,
    /// Without what follows a `?` …
    pub path: String,
    /// … and that.
    pub query: String,
    /// The value of `Authorization`.
    pub authorization: Option<Vec<u8>>,
    pub length: BodyLength,
    /// How the body was compressed, the first one first.
    pub codings: Vec<Coding>,
    pub awaits_continue: bool,
    pub keeps_alive: bool,
    /// Headers that were asked for: lowercase name, value.
    pub kept: Vec<(String, Vec<u8>)>,
}

/// Parses a head; returns it with its length in bytes, or `None` when more must come. `wanted` are lowercase names of
/// headers to keep.
///
/// # Errors
/// What is answered when it is none, or one that can't be served.
pub fn parse(bytes: &[u8], wanted: &[String]) -> Result<Option<(Head, usize)>, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Answer::refusal(431, "too many headers")),
        Err(httparse::Error::Version) => {
            return Err(Answer::refusal(505, "HTTP/1.1 and 1.0 are spoken here"));
        }
        Err(why) => return Err(Answer::refusal(400, format!("not an HTTP request: {why}"))),
    };
    let target = request.path.unwrap_or_default();
    // A proxy's form of a target names the host too.
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        keeps_alive: request.version == Some(1),
        ..Head::default()
    };
    for header in request.headers.iter() {
        take_header(&mut head, header.name, header.value.trim_ascii(), wanted)?;
    }
    Ok(Some((head, len)))
}

fn take_header(head: &mut Head, name: &str, value: &[u8], wanted: &[String]) -> Result<(), Answer> {
    let name = name.to_ascii_lowercase();
    let words = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|word| !word.is_empty());
    match name.as_str() {
        "authorization" => head.authorization = Some(value.to_vec()),
        "content-length" => take_length(head, value)?,
        "transfer-encoding" => {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Answer::refusal(501, "the only Transfer-Encoding known here is chunked"));
            }
            // Both together are how requests are smuggled.
            if head.length != BodyLength::Absent {
                return Err(Answer::refusal(
                    400,
                    "Content-Length and Transfer-Encoding, or one of them twice",
                ));
            }
            head.length = BodyLength::Chunked;
        }
        "content-encoding" => {
            for word in words().filter(|word| !word.eq_ignore_ascii_case(b"identity")) {
                let coding = Coding::named(word).ok_or_else(|| {
                    Answer::refusal(415, "Content-Encoding: known are gzip, deflate, zstd")
                        .with_header("Accept-Encoding: gzip, deflate, zstd".to_owned())
                })?;
                head.codings.push(coding);
            }
        }
        "expect" if value.eq_ignore_ascii_case(b"100-continue") => head.awaits_continue = true,
        "expect" => return Err(Answer::refusal(417, "only 100-continue can be expected here")),
        "connection" => {
            head.keeps_alive &= !words().any(|word| word.eq_ignore_ascii_case(b"close"));
            head.keeps_alive |= words().any(|word| word.eq_ignore_ascii_case(b"keep-alive"));
        }
        _ => {}
    }
    if wanted.contains(&name) {
        head.kept.push((name, value.to_vec()));
    }
    Ok(())
}

fn take_length(head: &mut Head, value: &[u8]) -> Result<(), Answer> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse::<u64>().ok()).map(BodyLength::Exact);
    match (length, head.length) {
        (None, _) => Err(Answer::refusal(400, "the Content-Length is not a number")),
        (Some(length), BodyLength::Absent) => {
            head.length = length;
            Ok(())
        }
        (Some(length), other) if length == other => Ok(()),
        _ => Err(Answer::refusal(400, "Content-Length and Transfer-Encoding, or two different lengths")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_are_read() {
        let text = "POST /logs?x=1 HTTP/1.1\r\nHost: h\r\ncontent-length: 12\r\nAuthorization: Bearer t \r\n\
                    Expect: 100-Continue\r\nContent-Encoding: gzip, identity, zstd\r\nX-Id: 7\r\n\r\nbody";
        let wanted = ["x-id".to_owned()];
        let (head, len) = parse(text.as_bytes(), &wanted).unwrap().unwrap();
        let expected = Head {
            method: "POST".to_owned(),
            path: "/logs".to_owned(),
            query: "x=1".to_owned(),
            authorization: Some(b"Bearer t".to_vec()),
            length: BodyLength::Exact(12),
            codings: vec![Coding::Gzip, Coding::Zstd],
            awaits_continue: true,
            keeps_alive: true,
            kept: vec![("x-id".to_owned(), b"7".to_vec())],
        };
        assert_eq!((head, &text[len..]), (expected, "body"));
        for end in 0..len {
            assert_eq!(parse(&text.as_bytes()[..end], &wanted), Ok(None));
        }
    }

    #[test]
    fn connections_are_kept_as_the_version_and_the_header_say() {
        let check = |version: &str, header: &str, expected| {
            let text = format!("GET / HTTP/{version}\r\n{header}\r\n");
            assert_eq!(parse(text.as_bytes(), &[]).unwrap().unwrap().0.keeps_alive, expected, "{text}");
        };
        check("1.1", "", true);
        check("1.1", "Connection: TE, Close\r\n", false);
        check("1.0", "", false);
        check("1.0", "Connection: Keep-Alive\r\n", true);
    }

    #[test]
    fn targets_of_proxies_are_understood() {
        let (head, _) = parse(b"POST http://host:1/a?b HTTP/1.1\r\n\r\n", &[]).unwrap().unwrap();
        assert_eq!((head.path.as_str(), head.query.as_str()), ("/a", "b"));
    }

    #[test]
    fn what_can_not_be_served_is_refused() {
        let check = |headers: &str, status: u16| {
            let text = format!("POST / HTTP/1.1\r\n{headers}\r\n");
            assert_eq!(parse(text.as_bytes(), &[]).unwrap_err().status, status, "{headers}");
        };
        check("Content-Length: x\r\n", 400);
        check("Content-Length: -1\r\n", 400);
        check("Content-Length: 99999999999999999999\r\n", 400);
        check("Content-Length: 1\r\nContent-Length: 2\r\n", 400);
        check("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400);
        check("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400);
        check("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400);
        check("Transfer-Encoding: gzip, chunked\r\n", 501);
        check("Content-Encoding: br\r\n", 415);
        check("Expect: miracles\r\n", 417);
        check("No colon\r\n", 400);
        check(&"A: b\r\n".repeat(101), 431);
        assert_eq!(parse(b"\x16\x03\x01\x02\x00", &[]).unwrap_err().status, 400);
        assert_eq!(parse(b"GET / HTTP/2.0\r\n\r\n", &[]).unwrap_err().status, 505);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, &["a".to_owned()]);
            let mut request = b"POST / HTTP/1.1\r\n".to_vec();
            request.extend_from_slice(&bytes);
            let _ = parse(&request, &[]);
        }
    }
}
