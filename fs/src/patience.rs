//! Waiting for bytes that other devices hold, and not for anything else.
//!
//! Guarantees: a thread that serves the kernel never waits for the network. It answers [`LATER`] to the adapter, which has the
//! same request done again by a worker ([`patiently`]), and only that one waits.

use std::cell::Cell;

use crate::types::Errno;

/// No errno of any system: the request is to be done again by somebody who may wait.
pub const LATER: Errno = Errno(i32::MIN);

thread_local! {
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread may wait for the network.
pub fn may_wait() -> bool {
    MAY_WAIT.get()
}

/// Puts it back, also after a panic.
struct Back(bool);

impl Drop for Back {
    fn drop(&mut self) {
        MAY_WAIT.set(self.0);
    }
}

/// Does something on a thread that may wait for the network.
pub fn patiently<T>(work: impl FnOnce() -> T) -> T {
    let _back = Back(MAY_WAIT.replace(true));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that nobody is left patient by a panic.
    #[test]
    fn patience_ends_with_the_work() {
        assert!(!may_wait());
        assert!(patiently(may_wait));
        let _ = std::panic::catch_unwind(|| patiently(|| panic!("on purpose")));
        assert!(!may_wait());
    }
}
