//! How many rows this thread has read: for tests of what something costs, which no clock could say.

use std::cell::Cell;

thread_local! {
    static ROWS: Cell<u64> = const { Cell::new(0) };
}

/// So many more were.
pub(super) fn add(rows: usize) {
    ROWS.set(ROWS.get() + rows as u64);
}

/// All of them.
pub(crate) fn rows() -> u64 {
    ROWS.get()
}
