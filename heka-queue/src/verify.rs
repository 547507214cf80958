//! Reads a whole segment, puts what is damaged aside, and counts what is left.

use crate::header::BlockKind;
use crate::quarantine::{Damages, set_aside};
use crate::scan::{Damage, Found, Scan, Summary};
use crate::storage::{Storage, StorageFile};
use heka_plugin_api::fault_point;
use std::io;

/// What a segment turned out to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verified {
    /// What is sound of it.
    pub(crate) summary: Summary,
    /// Whether its first block is a head.
    pub(crate) has_head: bool,
    /// The first place in it, other than its torn end, that is or was damaged.
    pub(crate) damaged_at: Option<u64>,
    pub(crate) damages: Damages,
    /// Where they are, first and last byte + 1.
    pub(crate) places: Vec<(u64, u64)>,
}

/// Most places that are kept.
const PLACES_MAX: usize = 1000;

/// Which segment is read.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) first: u64,
    /// Name of the next segment; `None` for the last.
    pub(crate) next: Option<u64>,
    pub(crate) salt: u64,
}

/// Reads a segment; with `repairs`, what is damaged is set aside, and what was never finished is cut off.
pub(crate) fn verify<S: Storage>(
    storage: &S,
    file: &S::File,
    place: Place,
    repairs: bool,
) -> io::Result<Verified> {
    let len = file.len()?;
    let mut found = Verification {
        verified: Verified {
            summary: Summary { first: place.first, len, ..Summary::default() },
            ..Verified::default()
        },
        lost_from: None,
    };
    let mut scan = Scan::new(file, 0, len, Some(place.salt), true);
    loop {
        let mut step = scan.next();
        if let Found::Block(header) = step
            && header.kind == BlockKind::Messages
        {
            if place.next.is_some_and(|next| header.first >= next) {
                // Written again in the next segment.
                found.cut_off(file, header.offset, repairs)?;
                break;
            }
            if header.first > found.verified.summary.last && header.first <= header.last {
                found.messages(header.first, header.last, header.count.into());
                continue;
            }
            step = Found::Damage(Damage { from: header.offset, to: header.end(), header: None });
        }
        match step {
            Found::Block(header) if header.kind == BlockKind::Head => {
                found.verified.has_head |= header.offset == 0
            }
            Found::Block(header) => _ = found.verified.damaged_at.get_or_insert(header.offset),
            Found::Damage(damage) => {
                found.damage(&damage);
                if repairs && set_aside(storage, file, place.first, &damage, len, place.salt) {
                    found.verified.summary.len = damage.from;
                }
            }
            Found::Torn(from) if place.next.is_none() => {
                found.verified.damages.bytes_torn += len - from;
                found.cut_off(file, from, repairs)?;
                break;
            }
            Found::Torn(from) => {
                let damage = Damage { from, to: len, header: None };
                found.damage(&damage);
                if repairs && set_aside(storage, file, place.first, &damage, len, place.salt) {
                    found.verified.summary.len = from;
                }
                break;
            }
            Found::End => break,
        }
    }
    if let (Some(from), Some(next)) = (found.lost_from, place.next) {
        found.verified.damages.lose(from, next.saturating_sub(1));
    }
    Ok(found.verified)
}

struct Verification {
    verified: Verified,
    /// The first number that was not seen, where something is damaged since.
    lost_from: Option<u64>,
}

impl Verification {
    fn messages(&mut self, first: u64, last: u64, count: u64) {
        if let Some(from) = self.lost_from.take() {
            self.verified.damages.lose(from, first - 1);
        }
        self.verified.summary.messages += count;
        self.verified.summary.last = last;
    }

    fn damage(&mut self, damage: &Damage) {
        self.verified.damaged_at.get_or_insert(damage.from);
        self.verified.damages.blocks += 1;
        self.verified.damages.bytes += damage.to - damage.from;
        if self.verified.places.len() < PLACES_MAX {
            self.verified.places.push((damage.from, damage.to));
        }
        match damage.header {
            Some(header) if header.kind == BlockKind::Messages => {
                self.verified.damages.lose(header.first, header.last);
            }
            Some(_) => {}
            None => {
                let from = self.verified.summary.last.max(self.verified.summary.first.saturating_sub(1)) + 1;
                self.lost_from.get_or_insert(from);
            }
        }
    }

    fn cut_off(&mut self, file: &impl StorageFile, from: u64, repairs: bool) -> io::Result<()> {
        self.verified.summary.len = from;
        if repairs {
            file.truncate(from)?;
            fault_point("queue.recovery.truncated");
        }
        Ok(())
    }
}
