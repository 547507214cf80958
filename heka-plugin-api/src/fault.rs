//! Fault points: named places at which a test lets the process die, to prove that nothing is lost there.

/// Ends the process, as `kill -9` would, if the environment's `HEKA_FAULT_POINT` is `NAME` or `NAME:N` and this is the
/// Nth time (from 1) that the point is reached. Does nothing in release builds.
#[inline]
pub fn fault_point(name: &str) {
    #[cfg(debug_assertions)]
    armed::reach(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Armed {
        name: String,
        left: AtomicU32,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    pub(super) fn reach(name: &str) {
        let Some(armed) = ARMED.get_or_init(read) else { return };
        if armed.name == name && armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }

    fn read() -> Option<Armed> {
        let text = std::env::var("HEKA_FAULT_POINT").ok()?;
        let (name, count) = text.rsplit_once(':').unwrap_or((&text, "1"));
        Some(Armed { name: name.to_owned(), left: AtomicU32::new(count.parse().unwrap_or(1)) })
    }
}
