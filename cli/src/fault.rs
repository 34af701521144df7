//! Faults of our own, and alarms of libraries that are caught and told as damage: a panic is
//! written to the log, by its place only, and never to the person's terminal.
//!
//! Guarantees that no panic's message is written anywhere: it may quote what was being worked
//! on, and that may be a name or a text of the vault.

use crate::failure::Failure;
use crate::{paths, units};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

/// From now on panics go to the log. Where there is none they are silent.
pub(crate) fn to_log() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = format!(
            "{} coffer: a fault at {place}, process {}\n{}\n",
            units::utc(SystemTime::now()),
            std::process::id(),
            std::backtrace::Backtrace::force_capture()
        );
        let Ok(dir) = paths::state_dir() else { return };
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(dir.join(paths::LOG));
        // One write: what several processes log is not mixed.
        let _ = log.and_then(|mut log| log.write_all(text.as_bytes()));
    }));
}

/// Does `work`; a fault in it becomes a failure.
///
/// # Errors
/// The work's, or the fault.
pub(crate) fn told<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Failure::failed(format!(
            "Coffer met a fault of its own and stopped; {} in the state folder says where. What was saved before is safe.",
            paths::LOG
        )))
    })
}
