//! Runs of bytes or characters of one class, such as `\S+` and `.*?`.

use regex_syntax::hir::Class;

/// A class that is repeated.
pub struct ClassRun {
    class: [bool; 256],
    /// The bytes that are not in the class, when they are at most three.
    stops: Vec<u8>,
    beyond_ascii: Beyond,
    min: usize,
    max: Option<usize>,
}

/// What the class has of the characters beyond ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// It is a class of bytes.
    Bytes,
    None,
    Some,
    All,
}

impl ClassRun {
    pub fn new(class: &Class, min: u32, max: Option<u32>) -> Option<ClassRun> {
        let (table, beyond_ascii) = table(class);
        let stops: Vec<u8> = (0..=255).filter(|byte| !table[usize::from(*byte)]).collect();
        Some(ClassRun {
            class: table,
            stops: if stops.len() <= 3 { stops } else { Vec::new() },
            beyond_ascii,
            min: usize::try_from(min).ok()?,
            max: max.map(usize::try_from).transpose().ok()?,
        })
    }

    /// The smallest count of bytes.
    pub fn min(&self) -> usize {
        self.min
    }

    /// Returns the end of the longest run from `at` on that ends at `limit` at most.
    ///
    /// `None` if there is none; what can't be told without decoding is told by `Err`.
    #[inline]
    pub fn longest(&self, line: &[u8], at: usize, limit: usize) -> Result<Option<usize>, ()> {
        let end = match self.max {
            Some(max) => limit.min(at.saturating_add(max)),
            None => limit,
        };
        let run = &line[at..end];
        let len = match self.stops[..] {
            [stop] => memchr::memchr(stop, run),
            [one, two] => memchr::memchr2(one, two, run),
            [one, two, three] => memchr::memchr3(one, two, three, run),
            _ => run.iter().position(|byte| !self.class[usize::from(*byte)]),
        };
        let len = len.unwrap_or(run.len());
        self.is_whole(line, at, at + len)?;
        Ok((len >= self.min).then_some(at + len))
    }

    /// Tells whether counts of bytes are right where characters were meant.
    #[inline]
    fn is_whole(&self, line: &[u8], start: usize, end: usize) -> Result<(), ()> {
        match self.beyond_ascii {
            Beyond::Bytes | Beyond::None => Ok(()),
            Beyond::Some => match line.get(end) {
                Some(byte) if !byte.is_ascii() => Err(()),
                _ => Ok(()),
            },
            Beyond::All if line[start..end].is_ascii() && line.get(end).is_none_or(u8::is_ascii) => Ok(()),
            Beyond::All if self.min > 1 || self.max.is_some() => Err(()),
            Beyond::All => std::str::from_utf8(&line[start..end]).map(drop).map_err(drop),
        }
    }
}

/// Which bytes belong to a class; of a class of characters, those of ASCII, and the others if all do.
fn table(class: &Class) -> ([bool; 256], Beyond) {
    let mut table = [false; 256];
    match class {
        Class::Bytes(class) => {
            class.iter().for_each(|range| table[range.start().into()..=range.end().into()].fill(true));
            (table, Beyond::Bytes)
        }
        Class::Unicode(class) => {
            let mut count = 0;
            for range in class.iter() {
                let (start, end) = (u32::from(range.start()), u32::from(range.end()));
                (start..=end.min(127)).for_each(|letter| table[letter as usize] = true);
                count += (end + 1).saturating_sub(start.max(128));
            }
            let beyond = match count {
                0 => Beyond::None,
                // The class's ranges end before the surrogates and begin behind them, or run over them.
                count if count >= 0x11_0000 - 0x80 - 0x800 => Beyond::All,
                _ => Beyond::Some,
            };
            table[128..].fill(beyond == Beyond::All);
            (table, beyond)
        }
    }
}
