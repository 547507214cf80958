//! Accepts connections, on one thread for all listeners, and serves each on a short-lived thread of its own.

use super::answer::Answer;
use super::endpoint::{Endpoint, Reload};
use super::listener::{SocketFile, bind_tcp};
use super::socket::Socket;
use super::token::token;
use heka_lib::Router;
use heka_lib::config::{AdminSocket, HostConfig, Token};
use heka_plugin_api::cause;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Requests of one listener that are served at the same time.
const REQUESTS_MAX: usize = 8;
/// How long to wait when no connection can be accepted, for lack of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the endpoint is to listen.
#[derive(Debug)]
pub(crate) struct Options {
    socket: Option<PathBuf>,
    /// Whether the config names the socket: then it is needed.
    is_named: bool,
    listen: Option<(SocketAddr, Token)>,
}

impl Options {
    /// Takes what the config says, and reads the token.
    ///
    /// # Errors
    /// If the token can't be read.
    pub(crate) fn read(host: &HostConfig) -> Result<Options, String> {
        let listen = host.admin.listen.as_ref().map(|listen| Ok((listen.address, token(&listen.token)?)));
        Ok(Options {
            socket: host.admin.socket_path(&host.state_dir),
            is_named: matches!(host.admin.socket, AdminSocket::Path(_)),
            listen: listen.transpose().map_err(|why: String| why)?,
        })
    }
}

/// A running endpoint; it ends, and its socket is removed, when it is dropped.
#[derive(Debug)]
pub(crate) struct Admin {
    wake: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Listens and answers.
    ///
    /// # Errors
    /// If it can't listen where the config says. That the default socket can't be made is only logged.
    pub(crate) fn start(options: Options, router: Arc<Router>, reload: Reload) -> Result<Admin, String> {
        let socket = match options.socket.as_deref().map(SocketFile::bind).transpose() {
            Err(why) if !options.is_named => {
                log::warn!("admin endpoint: {why}; going on without it");
                None
            }
            bound => bound.map_err(|why| format!("admin endpoint: {why}"))?,
        };
        let tcp = options.listen.map(|(address, token)| Ok((bind_tcp(address)?, token))).transpose();
        let tcp = tcp.map_err(|why: String| format!("admin endpoint: {why}"))?;
        let (wake, woken) = UnixStream::pair().map_err(|error| failed_to_start(&error))?;
        report(
            options.socket.as_ref().filter(|_| socket.is_some()),
            tcp.as_ref().map(|(listener, _)| listener),
        );
        let endpoint = Endpoint { router, reload, started: Instant::now() };
        let acceptor =
            Acceptor { socket, tcp, woken, endpoint: Arc::new(endpoint), busy: Default::default() };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || acceptor.run());
        Ok(Admin { wake: Some(wake), thread: Some(thread.map_err(|error| failed_to_start(&error))?) })
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn failed_to_start(error: &io::Error) -> String {
    format!("admin endpoint: failed to start: {}", cause(error))
}

fn report(socket: Option<&PathBuf>, tcp: Option<&TcpListener>) {
    if let Some(path) = socket {
        log::info!("admin endpoint: `{}`", path.display());
    }
    if let Some(Ok(address)) = tcp.map(TcpListener::local_addr) {
        log::info!("admin endpoint: http://{address}");
    }
}

struct Acceptor {
    socket: Option<SocketFile>,
    tcp: Option<(TcpListener, Token)>,
    /// Has an end when the endpoint is to stop.
    woken: UnixStream,
    endpoint: Arc<Endpoint>,
    /// Requests that are being served: of the socket, over TCP.
    busy: [Arc<AtomicUsize>; 2],
}

impl Acceptor {
    fn run(self) {
        while self.wait() {
            if let Some(socket) = &self.socket {
                let accepted = socket.listener.accept().map(|(stream, _)| stream);
                self.take(accepted, None, &self.busy[0]);
            }
            if let Some((listener, token)) = &self.tcp {
                let accepted = listener.accept().map(|(stream, _)| stream);
                self.take(accepted, Some(token), &self.busy[1]);
            }
        }
    }

    /// Waits for a connection; tells whether to go on.
    fn wait(&self) -> bool {
        let mut files = vec![PollFd::new(&self.woken, PollFlags::IN)];
        files.extend(self.socket.iter().map(|socket| PollFd::new(&socket.listener, PollFlags::IN)));
        files.extend(self.tcp.iter().map(|(listener, _)| PollFd::new(listener, PollFlags::IN)));
        match poll(&mut files, None) {
            Ok(_) => files[0].revents().is_empty(),
            Err(rustix::io::Errno::INTR) => true,
            Err(error) => {
                log::error!("admin endpoint: failed to wait: {}; stopped", cause(&error.into()));
                false
            }
        }
    }

    fn take<S: Socket + 'static>(
        &self,
        accepted: io::Result<S>,
        token: Option<&Token>,
        busy: &Arc<AtomicUsize>,
    ) {
        let mut socket = match accepted {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                log::warn!("admin endpoint: failed to accept a connection: {}", cause(&error));
                return thread::sleep(ACCEPT_PAUSE);
            }
        };
        let Some(place) = Place::take(busy) else {
            let refusal = Answer::refusal(503, "too many requests at a time; come later").bytes();
            // A new connection has room for it, so this does not wait.
            let _ = socket.write_all(&refusal).and_then(|()| socket.shutdown_write());
            return;
        };
        let (endpoint, token) = (self.endpoint.clone(), token.cloned());
        let spawned = thread::Builder::new().name("admin request".to_owned()).spawn(move || {
            let _place = place;
            endpoint.serve(&mut socket, token.as_ref());
        });
        if let Err(error) = spawned {
            log::warn!("admin endpoint: failed to serve a request: {}", cause(&error));
        }
    }
}

/// One of the requests that are served at the same time.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(busy: &Arc<AtomicUsize>) -> Option<Place> {
        let place = Place(busy.clone());
        (busy.fetch_add(1, Ordering::AcqRel) < REQUESTS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
