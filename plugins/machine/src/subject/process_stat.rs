//! One process, from `/proc/PID/stat`.

/// What is of interest of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessStat {
    /// The first 15 bytes of its program's name, or what it calls itself.
    pub name: String,
    pub state: u8,
    /// Processor time so far, in ticks.
    pub ticks: u64,
    pub threads: u64,
    /// When it began, in ticks since the machine did: with the id it names the process for good.
    pub started: u64,
    /// Resident memory, in pages.
    pub pages: u64,
}

/// Reads `12 (name) S 1 …`; the name may hold anything, also brackets.
pub fn parse(text: &str) -> Option<ProcessStat> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(open + 1..close)?;
    let rest: Vec<&str> = text[close + 1..].split_ascii_whitespace().collect();
    // The list in proc(5) counts from 1, and the state is its third.
    let number = |place: usize| rest.get(place - 3)?.parse::<u64>().ok();
    Some(ProcessStat {
        name: name.to_owned(),
        state: *rest.first()?.as_bytes().first()?,
        ticks: number(14)?.saturating_add(number(15)?),
        threads: number(20)?,
        started: number(22)?,
        pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let rest = "S 1 2 3 0 -1 4 5 6 7 8 100 50 0 0 20 0 4 0 9999 1000 77 1";
        for name in ["cat", "a b", "(sd-pam)", ") R 1 (", ""] {
            let stat = parse(&format!("12 ({name}) {rest}")).unwrap();
            assert_eq!((stat.name.as_str(), stat.state, stat.ticks), (name, b'S', 150));
            assert_eq!((stat.threads, stat.started, stat.pages), (4, 9999, 77));
        }
        for odd in ["", "12 (cat", "12 cat) S", ")(", "12 (cat)", "12 (cat) S 1 2 3"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
