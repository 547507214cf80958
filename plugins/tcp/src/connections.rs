//! The connections of an input.

use heka_plugin_api::{Reader, Stream};
use rustix::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// Room that a connection's first read asks for, in bytes; those that fill it get more.
const FIRST_ROOM_BYTES: usize = 16 << 10;

/// One connection.
pub struct Connection {
    /// The socket.
    pub socket: OwnedFd,
    /// Who is at the other end: the stream's name.
    pub name: Arc<str>,
    /// Its stream, once something came.
    pub stream: Option<Stream>,
    /// When something came last; kept only where connections may be idle too long.
    pub last: Instant,
    room: usize,
}

impl Connection {
    pub fn new(socket: OwnedFd, name: Arc<str>, now: Instant) -> Connection {
        Connection { socket, name, stream: None, last: now, room: FIRST_ROOM_BYTES }
    }

    /// Returns the stream, opened at the first call.
    pub fn stream(&mut self, reader: &mut Reader<'_>) -> Stream {
        *self.stream.get_or_insert_with(|| reader.open_stream(&*self.name, 0, 0))
    }

    /// Returns how much room to ask for, in bytes, at most `max`.
    pub fn room(&self, max: usize) -> usize {
        self.room.min(max)
    }

    /// Learns from a read of `len` bytes: a busy connection reads much at once, a quiet one keeps no big room.
    pub fn learn(&mut self, len: usize, max: usize) {
        if len >= self.room {
            self.room = (self.room * 4).min(max.max(FIRST_ROOM_BYTES));
        } else if len < self.room / 8 {
            self.room = (self.room / 4).max(FIRST_ROOM_BYTES);
        }
    }
}

/// Connections by number; numbers of closed ones are given again.
#[derive(Default)]
pub struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
}

impl Connections {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a connection; returns its number.
    pub fn add(&mut self, connection: Connection) -> usize {
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[number] = Some(connection);
        number
    }

    /// Returns the connection with this number.
    pub fn at(&mut self, number: usize) -> Option<&mut Connection> {
        self.slots.get_mut(number)?.as_mut()
    }

    /// Takes a connection out.
    pub fn remove(&mut self, number: usize) -> Option<Connection> {
        let connection = self.slots.get_mut(number)?.take()?;
        self.free.push(number);
        Some(connection)
    }

    /// Returns the first connection from number `from` on to which nothing came since `since`.
    pub fn idle_since(&self, since: Instant, from: usize) -> Option<usize> {
        let idle =
            |slot: &Option<Connection>| slot.as_ref().is_some_and(|connection| connection.last <= since);
        self.slots.iter().skip(from).position(idle).map(|found| from + found)
    }

    /// Goes on with all of them, and their streams, for the instance that takes them over.
    pub fn keep(&mut self, reader: &Reader<'_>, now: Instant) {
        for connection in self.slots.iter_mut().flatten() {
            connection.last = now;
            connection.stream.into_iter().for_each(|stream| reader.keep_stream(stream));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn connection() -> Connection {
        Connection::new(UnixStream::pair().unwrap().0.into(), "peer".into(), Instant::now())
    }

    #[test]
    fn numbers_are_given_again() {
        let mut connections = Connections::default();
        assert_eq!([connection(), connection(), connection()].map(|one| connections.add(one)), [0, 1, 2]);
        assert!(connections.remove(1).is_some() && connections.remove(1).is_none());
        assert!(connections.at(1).is_none() && connections.at(7).is_none());
        assert_eq!((connections.len(), connections.add(connection()), connections.len()), (2, 1, 3));
    }

    #[test]
    fn room_follows_what_comes() {
        let (mut connection, max) = (connection(), 256 << 10);
        let mut rooms = Vec::new();
        for len in [100, 16 << 10, 64 << 10, 256 << 10, 200 << 10, 1_000, 1_000, 1_000] {
            connection.learn(len, max);
            rooms.push(connection.room(max) >> 10);
        }
        assert_eq!(rooms, [16, 64, 256, 256, 256, 64, 16, 16]);
        assert_eq!(connection.room(1_000), 1_000);
    }
}
