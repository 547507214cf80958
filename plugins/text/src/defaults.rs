//! What holds when an option that several plugins have is left out.

/// `timestamp_format`.
pub fn timestamp_format() -> String {
    "auto".to_owned()
}

/// `timezone`.
pub fn timezone() -> String {
    "UTC".to_owned()
}

/// The name of the time.
pub fn timestamp() -> String {
    "timestamp".to_owned()
}

/// The name of the severity.
pub fn severity() -> String {
    "severity".to_owned()
}

/// What is on unless it is switched off.
pub fn yes() -> bool {
    true
}
