//! All sources that are known, and what of them is kept on disk.

use super::acknowledged_file::{AcknowledgedFile, Place, SOURCES_MAX};
use super::source::{Source, Taken, mix, origin_stream};
use crate::intervals::IntervalSet;
use crate::protocol::{BatchBody, BatchHeader, Range, SourceId};
use heka_plugin_api::{Reader, now};
use heka_socket::Complaints;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The sources by number.
pub struct Sources {
    file: AcknowledgedFile,
    sources: Vec<Source>,
    by_id: HashMap<SourceId, usize>,
    /// Numbers by the ids of the host's streams; older ids stay until everything of them is acknowledged.
    by_stream: HashMap<u64, usize>,
    /// How often the sources were taken over by another instance.
    takeovers: u64,
    /// Ranges that were handed on and are not acknowledged.
    waiting: usize,
    complaints: Complaints,
}

impl Sources {
    /// Reads what is kept in the directory; returns also what the operator should know.
    pub fn open(directory: &Path) -> std::io::Result<(Sources, Option<String>)> {
        let opened = AcknowledgedFile::open(directory)?;
        let mut places = opened.places;
        places.sort_by_key(|place| place.index);
        let mut sources = Sources {
            file: opened.file,
            sources: Vec::new(),
            by_id: HashMap::new(),
            by_stream: HashMap::new(),
            takeovers: 0,
            waiting: 0,
            complaints: Complaints::default(),
        };
        places.into_iter().for_each(|place| sources.restore(place));
        Ok((sources, opened.complaint))
    }

    fn restore(&mut self, place: Place) {
        let number = self.add(place.source, place.index);
        let source = &mut self.sources[number];
        (source.generation, source.settled) = (place.generation, place.settled);
        source.received = IntervalSet::of(place.ranges.iter().copied());
        source.acknowledged = source.received.clone();
    }

    fn add(&mut self, id: SourceId, place: usize) -> usize {
        let number = self.sources.len();
        let mut source = Source::new(id, place, Instant::now());
        source.stream_id = stream_id(&id, self.takeovers);
        self.by_stream.insert(source.stream_id, number);
        self.by_id.insert(id, number);
        self.sources.push(source);
        number
    }

    /// Returns the source with this number.
    pub fn at(&mut self, number: usize) -> Option<&mut Source> {
        self.sources.get_mut(number)
    }

    /// Returns the number of a source, which is made if it is new; `None` if there are too many.
    pub fn number(&mut self, id: SourceId, host: &str) -> Option<usize> {
        let number = match self.by_id.get(&id) {
            Some(&number) => number,
            None if self.sources.len() < SOURCES_MAX => {
                let place = self.sources.iter().map(|source| source.place + 1).max().unwrap_or(0);
                let place = if place < SOURCES_MAX { place } else { self.free_place()? };
                self.add(id, place)
            }
            None => self.replace_oldest(id)?,
        };
        let source = &mut self.sources[number];
        source.last = Instant::now();
        if &*source.host != host {
            source.host = Arc::from(host);
        }
        Some(number)
    }

    fn free_place(&self) -> Option<usize> {
        let mut used = vec![false; SOURCES_MAX];
        self.sources.iter().for_each(|source| used[source.place] = true);
        used.iter().position(|used| !used)
    }

    /// Gives the number and place of the source that is away for longest to another one.
    fn replace_oldest(&mut self, id: SourceId) -> Option<usize> {
        let away = self.sources.iter().enumerate();
        let away = away.filter(|(_, source)| source.connection.is_none() && source.waiting() == 0);
        let (number, _) = away.min_by_key(|(_, source)| source.last)?;
        let old = &self.sources[number];
        let (place, generation) = (old.place, old.generation);
        self.by_id.remove(&old.id);
        self.by_stream.retain(|_, of| *of != number);
        let mut source = Source::new(id, place, Instant::now());
        (source.generation, source.stream_id) = (generation, stream_id(&id, self.takeovers));
        self.by_stream.insert(source.stream_id, number);
        self.by_id.insert(id, number);
        self.sources[number] = source;
        Some(number)
    }

    /// Hands on what is new in a batch of a source. Blocks while the outputs behind are full.
    pub fn take(
        &mut self,
        number: usize,
        header: &BatchHeader,
        body: BatchBody<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<Taken, String> {
        let source = self.sources.get_mut(number).ok_or("it has no source")?;
        let before = source.waiting();
        let taken = source.take(header, body, reader);
        self.waiting += source.waiting() - before;
        taken
    }

    /// Everything up to a position of a host's stream has happened: returns the source's number and the sequences, which
    /// are on disk then.
    pub fn acknowledge(
        &mut self,
        stream_id: u64,
        position: u64,
        instance: &str,
    ) -> Option<(usize, Vec<Range>)> {
        let number = *self.by_stream.get(&stream_id)?;
        let source = &mut self.sources[number];
        let before = source.waiting();
        let ranges = source.acknowledge(stream_id, position);
        self.waiting -= before - source.waiting();
        if ranges.is_empty() {
            return None;
        }
        self.store(number, instance);
        Some((number, ranges))
    }

    fn store(&mut self, number: usize, instance: &str) {
        let source = &mut self.sources[number];
        source.generation += 1;
        let place = Place {
            source: source.id,
            index: source.place,
            generation: source.generation,
            settled: source.settled,
            written: (now() / 1_000_000_000) as u64,
            ranges: source.acknowledged.ranges().to_vec(),
        };
        if let Err(why) = self.file.write(&place) {
            let (path, why) = (self.file.path().display(), heka_plugin_api::cause(&why));
            self.complaints.warn(|| {
                format!(
                    "input `{instance}`: failed to write `{path}`: {why}; after a crash agents may send again what was acknowledged"
                )
            });
        }
    }

    /// Tells whether something that was handed on is not acknowledged.
    pub fn are_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Closes the streams of sources that are away.
    pub fn close_streams(&mut self, reader: &mut Reader<'_>, all: bool) {
        for source in &mut self.sources {
            if all || source.connection.is_none() && source.waiting() == 0 {
                source.close_stream(reader);
            }
        }
    }

    #[cfg(test)]
    pub fn handed_on(&self) -> Vec<(u64, u64)> {
        let position = |(stream, number): (&u64, &usize)| (*stream, self.sources[*number].position);
        self.by_stream.iter().map(position).collect()
    }

    /// Goes on for another instance.
    pub fn take_over(&mut self) {
        self.takeovers += 1;
        self.by_stream.retain(|_, number| self.sources[*number].waiting() > 0);
        for (number, source) in self.sources.iter_mut().enumerate() {
            source.forget_stream();
            source.stream_id = stream_id(&source.id, self.takeovers);
            self.by_stream.insert(source.stream_id, number);
        }
    }
}

fn stream_id(id: &SourceId, takeovers: u64) -> u64 {
    match takeovers {
        0 => origin_stream(id),
        _ => mix(origin_stream(id) ^ mix(takeovers)).max(1),
    }
}
