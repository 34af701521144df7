//! Identity follows the name while an editor saves.
//!
//! Editors save by writing over the file, by putting a new file in its place, or by moving it to a
//! backup name (or removing it) and making it anew. In all of these the name keeps the entity that
//! it stood for, and with it its node, its history and what other devices write in it meanwhile.
//! POSIX files do what POSIX says at once: only which entity a file stands for is bound anew, and
//! no process can see that.
//!
//! Each time that a text is closed it is a version, however soon the next one comes ([`draft`]).
//!
//! Guarantees: a file that the others know is never given the history of another ([`takeover`]
//! says which files take one over); what a save leaves in between is told to nobody ([`left`]);
//! what an editor puts beside a file for a while stays here as long as that lasts ([`scratch`]); of
//! several names none says more than the others ([`marks`]).

mod draft;
pub(super) mod left;
mod local;
mod marks;
mod scratch;
mod takeover;

pub(super) use draft::{Draft, Drafts};
pub(super) use left::LeftNames;
pub use local::Local;
pub(super) use scratch::{Editors, original};
pub(super) use takeover::Rebound;

/// On whose behalf something is done: a thread's id, as the kernel gives it; 0 where it is not known.
pub type Process = u32;

/// Whether two threads are of one process.
pub(super) fn same_process(a: Process, b: Process) -> bool {
    a != 0 && b != 0 && (a == b || std::path::Path::new(&format!("/proc/{a}/task/{b}")).exists())
}
