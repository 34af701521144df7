//! What a process that holds keys asks of the system, first thing: no core dumps, no
//! tracing by other processes of the same user, as much locked memory as it may have.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use thiserror::Error;

/// A protection that the system would not give. The program can go on; a person should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Exposed {
    /// The process stays dumpable, and can be traced by the same user's processes.
    #[error(
        "the system refused to make this process undumpable ({0}): other programs of yours could read its keys"
    )]
    Dumpable(Errno),
    /// A core dump could be written.
    #[error("the system refused to forbid core dumps ({0}): a crash could write keys to disk")]
    CoreDump(Errno),
}

/// Forbids core dumps and tracing (PR_SET_DUMPABLE 0, RLIMIT_CORE 0), and raises the
/// limit of locked memory as far as it goes. Returns what could not be had.
///
/// Both limits pass to child processes; being undumpable ends at `exec`.
pub fn harden_process() -> Vec<Exposed> {
    let mut exposed = Vec::new();
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        exposed.push(Exposed::Dumpable(error));
    }
    if let Err(error) = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    ) {
        exposed.push(Exposed::CoreDump(error));
    }
    let locked = getrlimit(Resource::Memlock);
    // May fail; `arena_locked` tells in the end.
    let _ = setrlimit(
        Resource::Memlock,
        Rlimit {
            current: locked.maximum,
            ..locked
        },
    );
    exposed
}
