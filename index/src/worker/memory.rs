//! What the C library's allocator holds back.

/// Arenas, at most: one for each thread would hold back what that thread once needed.
const ARENAS: i32 = 4;

/// Lets it keep a few arenas, however many threads there are.
pub(super) fn few_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two numbers, and sets one under the allocator's lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Gives memory that is free back to the system: much of what filling takes is needed no more.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes a number, and works under the allocator's locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
