//! Input `http_listen`: what the host calls.

use super::access::Access;
use super::answer::Answer;
use super::coding::{BodyLimits, plain};
use super::config::{Config, Messages};
use super::connection::Manners;
use super::desk::{Arrival, Desk, Order, Request, Tally};
use super::server::{Server, Setup, SharedSetup};
use heka_link::TlsOptions;
use heka_plugin_api::{
    Context, Counter, Faults, Input, PluginError, Read, Reader, StopSignal, Stream, cause, random_uuid,
};
use heka_socket::{ListenOptions, Listener, parse_mode, write_address};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The shortest wait while something waits to be acknowledged, which the host can only say between two reads …
const PATIENCE_MIN: Duration = Duration::from_millis(1);
/// … and the longest, once nothing was acknowledged for a while.
const PATIENCE_MAX: Duration = Duration::from_millis(20);
/// What one call hands on, in bytes and in requests.
const CALL_BYTES: usize = 256 << 10;
const CALL_REQUESTS: usize = 256;

/// Listens for HTTP requests and reads their bodies.
pub struct HttpListenInput {
    config: Config,
    listen: ListenOptions,
    running: Option<Running>,
    /// By the numbers of their connections.
    sources: HashMap<u64, Source>,
    /// Numbers of connections by the ids of their streams.
    numbers: HashMap<u64, u64>,
    has_inherited: bool,
    is_refusing: bool,
    /// Connections that wait for an acknowledgement, and how long a read waits meanwhile.
    awaiting: usize,
    patience: Duration,
    stop: StopSignal,
    counters: [(Counter, Cell); 8],
    bytes: Counter,
}

/// Finds one of the server's counts.
type Cell = fn(&Tally) -> &AtomicU64;

/// The server's thread.
struct Running {
    desk: Arc<Desk>,
    setup: SharedSetup,
    bound: String,
    thread: Option<JoinHandle<()>>,
}

/// A connection's stream.
struct Source {
    stream: Stream,
    id: u64,
    /// Behind what was handed on.
    position: u64,
    /// Whether it waits for that to be acknowledged.
    awaits: bool,
}

impl Input for HttpListenInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let listen = ListenOptions {
            address: config.address.clone(),
            keep_alive: true,
            receive_buffer: None,
            backlog: config.backlog,
            mode: parse_mode(&config.mode).unwrap_or(0o660),
        };
        let counters: [(&str, Cell); 8] = [
            ("connections", |tally| &tally.connections),
            ("accepted", |tally| &tally.accepted),
            ("refused_connections", |tally| &tally.refused_connections),
            ("requests", |tally| &tally.requests),
            ("refused", |tally| &tally.refused),
            ("overloads", |tally| &tally.overloads),
            ("timeouts", |tally| &tally.timeouts),
            ("lost", |tally| &tally.lost),
        ];
        Ok(HttpListenInput {
            config,
            listen,
            running: None,
            sources: HashMap::new(),
            numbers: HashMap::new(),
            has_inherited: false,
            is_refusing: false,
            awaiting: 0,
            patience: PATIENCE_MIN,
            stop: context.stop_signal(),
            counters: counters.map(|(name, cell)| (context.counter(name), cell)),
            bytes: context.counter("bytes"),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let setup = Arc::new(self.setup(context)?);
        let running = predecessor.filter(|old| old.running.is_some());
        let same_address = running.as_ref().is_some_and(|old| old.listen.address == self.listen.address);
        // Of the same address only the socket's small print can differ, which holds from the next start on.
        let bound = if same_address { None } else { Some(Listener::bind(&self.listen)?) };
        let running = match (running, bound) {
            (Some(old), bound) => {
                (self.sources, self.numbers) =
                    (std::mem::take(&mut old.sources), std::mem::take(&mut old.numbers));
                self.awaiting = self.sources.values().filter(|source| source.awaits).count();
                self.has_inherited = true;
                old.running.take().map(|running| running.go_on(setup, bound))
            }
            (None, Some(listener)) => Some(Running::start(listener, setup)?),
            (None, None) => None,
        };
        let running = running.ok_or_else(|| PluginError::fatal("there is nothing to take over"))?;
        log::info!("input `{}`: listening on `{}`", context.instance(), running.bound);
        write_address(&running.bound, context);
        let desk = running.desk.clone();
        self.stop.on_stop(move || desk.wake_input());
        self.running = Some(running);
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        _: &mut Context,
    ) -> Result<Read, PluginError> {
        let desk = match &self.running {
            Some(running) => running.desk.clone(),
            None => return Err(PluginError::fatal("was not started")),
        };
        if std::mem::take(&mut self.has_inherited) {
            self.sources.values().for_each(|source| reader.keep_stream(source.stream));
        }
        self.counters
            .iter()
            .for_each(|(counter, cell)| counter.set(cell(&desk.tally).load(Ordering::Relaxed)));
        let is_stopping = self.stop.is_raised();
        if is_stopping && !std::mem::replace(&mut self.is_refusing, true) {
            desk.order(Order::Refuse);
        }
        let timeout = match self.awaiting {
            _ if is_stopping => Duration::ZERO,
            0 => timeout,
            _ => timeout.min(self.patience),
        };
        let (mut left, mut found) = (CALL_BYTES, 0);
        let mut wait = timeout;
        while left > 0
            && found < CALL_REQUESTS
            && let Some(arrival) = desk.next_arrival(wait, || self.stop.is_raised())
        {
            wait = Duration::ZERO;
            found += 1;
            match arrival {
                Arrival::Request(request) => left = left.saturating_sub(self.serve(*request, &desk, reader)?),
                Arrival::Gone(number) => self.close(number, reader),
            }
        }
        self.patience = if found > 0 { PATIENCE_MIN } else { (self.patience * 2).min(PATIENCE_MAX) };
        if found > 0 {
            return Ok(Read::Some);
        }
        if is_stopping {
            return Ok(Read::End);
        }
        match desk.server_has_ended() {
            false if self.awaiting > 0 => Ok(Read::Some),
            true => Err(PluginError::fatal("the server's thread has ended")),
            false => Ok(Read::Idle),
        }
    }

    fn acknowledged(&mut self, stream_id: u64, position: u64, _: &mut Context) {
        let Some(&number) = self.numbers.get(&stream_id) else { return };
        let (Some(source), Some(running)) = (self.sources.get_mut(&number), &self.running) else { return };
        if source.awaits && position >= source.position {
            source.awaits = false;
            (self.awaiting, self.patience) = (self.awaiting.saturating_sub(1), PATIENCE_MIN);
            running.desk.order(Order::Answer(number, Answer::taken(self.config.status)));
        }
    }
}

impl HttpListenInput {
    fn setup(&self, context: &Context) -> Result<Setup, PluginError> {
        let config = &self.config;
        Ok(Setup {
            instance: context.instance().to_owned(),
            manners: Manners {
                head_bytes_max: config.head_bytes_max.0 as usize,
                body: self.body_limits(),
                request_timeout: config.request_timeout.0,
                idle_timeout: config.idle_timeout.0,
                answer_timeout: config.answer_timeout.0,
            },
            access: Access::new(config),
            headers: config.headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
            connections_max: config.connections_max,
            tls: config.tls.as_ref().map(TlsOptions::server).transpose()?,
        })
    }

    fn body_limits(&self) -> BodyLimits {
        BodyLimits {
            body_bytes_max: self.config.body_bytes_max.0 as usize,
            memory_max: self.config.memory_max.0 as usize,
        }
    }

    /// Hands a request on, and answers it unless it has to wait; returns its length.
    fn serve(
        &mut self,
        mut request: Request,
        desk: &Desk,
        reader: &mut Reader<'_>,
    ) -> Result<usize, PluginError> {
        let number = request.connection;
        let body = std::mem::take(&mut request.body);
        let body = match plain(body, &request.codings, self.body_limits(), &mut request.hold) {
            Ok(body) => body,
            Err(answer) => {
                desk.order(Order::Answer(number, answer));
                return Ok(0);
            }
        };
        self.bytes.add(body.len() as u64);
        let stream = self.stream(&request, reader);
        let handed_on = match self.config.messages {
            Messages::Frames => {
                if !body.is_empty() {
                    reader.datagrams(stream, [&body[..]]);
                }
                Ok(())
            }
            Messages::Requests => write_message(&request, &body, reader),
        };
        if let Err(why) = handed_on {
            desk.order(Order::Answer(number, Answer::refusal(413, why.reason())));
            return Ok(body.len());
        }
        let Some(source) = self.sources.get_mut(&number) else { return Ok(body.len()) };
        // A position behind all frames: it is acknowledged when all of them are, also if there were none.
        source.position += body.len() as u64 + 2;
        source.awaits = self.config.acknowledge;
        self.awaiting += usize::from(source.awaits);
        reader.hand_on(source.stream, source.position);
        if !self.config.acknowledge {
            desk.order(Order::Answer(number, Answer::taken(self.config.status)));
        }
        Ok(body.len())
    }

    /// Returns a connection's stream; it is opened with its first request.
    fn stream(&mut self, request: &Request, reader: &mut Reader<'_>) -> Stream {
        let numbers = &mut self.numbers;
        let source = self.sources.entry(request.connection).or_insert_with(|| {
            let [a, b, c, d, e, f, g, h, ..] = random_uuid();
            let id = u64::from_ne_bytes([a, b, c, d, e, f, g, h]).max(1);
            numbers.insert(id, request.connection);
            let stream = reader.open_stream(&*request.peer, id, 0);
            Source { stream, id, position: 0, awaits: false }
        });
        source.stream
    }

    fn close(&mut self, number: u64, reader: &mut Reader<'_>) {
        if let Some(source) = self.sources.remove(&number) {
            self.numbers.remove(&source.id);
            self.awaiting -= usize::from(source.awaits);
            reader.close_stream(source.stream, true);
        }
    }
}

/// Writes a whole request as one message.
fn write_message(request: &Request, body: &[u8], reader: &mut Reader<'_>) -> Result<(), PluginError> {
    let mut messages = reader.messages();
    let mut message = messages.message();
    message.logger(&*request.peer).payload(body);
    message.field("method", &*request.method).field("path", &*request.path);
    if !request.query.is_empty() {
        message.field("query", &*request.query);
    }
    message.field("peer", &*request.peer);
    for (name, value) in &request.headers {
        message.field(format!("header_{}", name.replace('-', "_")), value_of(value));
    }
    message.finish()
}

/// Headers are text, or bytes where they are not UTF-8.
fn value_of(value: &[u8]) -> heka_plugin_api::Value<'_> {
    match std::str::from_utf8(value) {
        Ok(_) => heka_plugin_api::Value::String(value),
        Err(_) => heka_plugin_api::Value::Bytes(value),
    }
}

impl Running {
    fn start(listener: Listener, setup: Arc<Setup>) -> Result<Running, PluginError> {
        let failed =
            |errno| PluginError::retry(format!("failed to start the server: {}", heka_socket::cause(errno)));
        let desk = Arc::new(Desk::new().map_err(failed)?);
        let (bound, setup) = (listener.bound().to_owned(), Arc::new(Mutex::new(setup)));
        let server = Server::new(listener, desk.clone(), setup.clone()).map_err(failed)?;
        let at_end = EndNote(desk.clone());
        let body = move || {
            let _at_end = at_end;
            server.run();
        };
        let thread = thread::Builder::new().name("http_listen".to_owned()).spawn(body);
        let thread = thread
            .map_err(|why| PluginError::retry(format!("failed to start the server: {}", cause(&why))))?;
        Ok(Running { desk, setup, bound, thread: Some(thread) })
    }

    /// Goes on for another instance, perhaps at another address.
    fn go_on(mut self, setup: Arc<Setup>, listener: Option<Listener>) -> Running {
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner) = setup;
        self.desk.order(Order::LookAgain);
        if let Some(listener) = listener {
            self.bound = listener.bound().to_owned();
            self.desk.order(Order::Listen(Box::new(listener)));
        }
        self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.desk.order(Order::End);
            let _ = thread.join();
        }
    }
}

/// Tells the input's thread when the server's has ended, however that came.
struct EndNote(Arc<Desk>);

impl Drop for EndNote {
    fn drop(&mut self) {
        self.0.note_end();
    }
}
