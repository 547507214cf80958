//! Exit statuses.

use std::process::ExitCode;

/// Everything was done.
pub(crate) const DONE: ExitCode = ExitCode::SUCCESS;
/// Something failed at run time.
pub(crate) const FAILED: ExitCode = ExitCode::FAILURE;

/// The configuration is wrong: `EX_CONFIG` of sysexits.h.
pub(crate) fn bad_config() -> ExitCode {
    ExitCode::from(78)
}
