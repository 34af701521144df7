//! Requests that may need bytes which other devices hold.
//!
//! Guarantees: on a thread that serves the kernel nobody waits; elsewhere each wait is bounded, and so is how often more is
//! found to be lacking. It changes nothing by itself.

use coffer_store::vault::OpError;
use coffer_store::{Absent, StoreError};

use super::{CofferFs, errno};
use crate::patience::{LATER, may_wait};
use crate::types::{Errno, Result};

/// How often a request finds that more is not here: with a limit that is too small, what came last may go first.
const AGAIN: usize = 64;

impl CofferFs {
    /// Does what may need bytes that are not here, each of which `bring` waits for: on a thread that serves the kernel, nobody
    /// waits.
    pub(super) fn patient<T>(
        &self,
        mut work: impl FnMut() -> std::result::Result<T, OpError>,
        bring: impl Fn(Absent) -> std::result::Result<(), OpError>,
    ) -> Result<T> {
        for _ in 0..AGAIN {
            match work() {
                Err(OpError::Store(StoreError::Absent(absent))) if may_wait() => {
                    bring(absent).map_err(errno)?
                }
                Err(OpError::Store(StoreError::Absent(_))) => return Err(LATER),
                done => return done.map_err(errno),
            }
        }
        Err(Errno(libc::EHOSTUNREACH))
    }
}
