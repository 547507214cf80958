//! One request to a host's admin endpoint.

use crate::admin::ShortPath;
use heka_lib::config::{HostConfig, Token};
use heka_plugin_api::cause;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take: a reload waits for what it replaces.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Most header lines.
const HEADERS_MAX: usize = 64;

/// Where a host answers.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::command) enum Target {
    Socket(PathBuf),
    Tcp(SocketAddr, Token),
}

/// What was answered.
#[derive(PartialEq, Debug)]
pub(in crate::command) struct Reply {
    pub(in crate::command) status: u16,
    pub(in crate::command) body: Vec<u8>,
}

impl Target {
    /// Finds where a host with this config answers: its socket, or else its TCP address.
    ///
    /// # Errors
    /// If it answers nowhere, or its token can't be read.
    pub(super) fn of(host: &HostConfig) -> Result<Target, String> {
        if let Some(socket) = host.admin.socket_path(&host.state_dir) {
            return Ok(Target::Socket(socket));
        }
        match &host.admin.listen {
            Some(listen) => Ok(Target::Tcp(listen.address, crate::admin::token(&listen.token)?)),
            None => Err("the config has no admin endpoint: `socket = false` in [heka.admin]".to_owned()),
        }
    }

    /// Sends a request, and waits for the answer.
    ///
    /// # Errors
    /// If no host answers; with what to do.
    pub(in crate::command) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply, String> {
        let name = self.name();
        let fail = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                format!("no host answers at `{name}`; is it running? name its --config or --socket")
            }
            io::ErrorKind::WouldBlock => format!("the host at `{name}` did not answer in time"),
            _ => format!("failed to ask the host at `{name}`: {}", cause(&error)),
        };
        let answer = match self {
            Target::Socket(path_of_socket) => ShortPath::of(path_of_socket)
                .and_then(|short| UnixStream::connect(short.path()))
                .and_then(|stream| {
                    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                    exchange(stream, &request(method, path, None, body))
                }),
            Target::Tcp(address, token) => {
                TcpStream::connect_timeout(address, CONNECT_TIMEOUT).and_then(|stream| {
                    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                    exchange(stream, &request(method, path, Some(token), body))
                })
            }
        };
        parse(&answer.map_err(fail)?).ok_or_else(|| format!("what answers at `{name}` is no host"))
    }

    /// Puts messages, as Heka frames, into the host's router.
    ///
    /// # Errors
    /// If it doesn't take them.
    pub(in crate::command) fn inject(&self, frames: &[u8]) -> Result<(), String> {
        let reply = self.ask("POST", "/inject", frames)?;
        if reply.status == 200 {
            return Ok(());
        }
        let refusal = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
        let why = refusal["error"].as_str().unwrap_or("it gives no reason");
        Err(format!("the host at `{}` refused the message: {why}", self.name()))
    }

    fn name(&self) -> String {
        match self {
            Target::Socket(path) => path.display().to_string(),
            Target::Tcp(address, _) => address.to_string(),
        }
    }
}

fn request(method: &str, path: &str, token: Option<&Token>, body: &[u8]) -> Vec<u8> {
    let token =
        token.map(|token| format!("Authorization: Bearer {}\r\n", token.secret())).unwrap_or_default();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: heka\r\nContent-Length: {}\r\n{token}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(len)) = response.parse(answer) else { return None };
    Some(Reply { status: response.code?, body: answer.get(len..)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let reply = Reply { status: 200, body: b"{}".to_vec() };
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), Some(reply));
        for text in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_host_that_is_not_there_is_said() {
        let refused = Target::Socket("/no/such.sock".into()).ask("GET", "/stats", &[]).unwrap_err();
        let expected = "no host answers at `/no/such.sock`; is it running? name its --config or --socket";
        assert_eq!(refused, expected);
    }
}
