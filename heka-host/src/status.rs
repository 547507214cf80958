//! Exit statuses.

use std::process::ExitCode;

/// Everything was done.
pub(crate) const DONE: ExitCode = ExitCode::SUCCESS;
/// Something failed at run time.
pub(crate) const FAILED: ExitCode = ExitCode::FAILURE;

/// Another process uses what this one needs for itself; the same may work later: `EX_TEMPFAIL` of sysexits.h.
pub(crate) fn in_use() -> ExitCode {
    ExitCode::from(75)
}

/// Everything that was read is delivered, or waits on the disk for the next run.
pub(crate) fn kept() -> ExitCode {
    ExitCode::from(3)
}

/// The configuration is wrong: `EX_CONFIG` of sysexits.h.
pub(crate) fn bad_config() -> ExitCode {
    ExitCode::from(78)
}
