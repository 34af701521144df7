//! The arena in which all 32-byte secrets live: slabs of slots on pages that are
//! locked into memory (no swap), left out of core dumps, and cleared in forked
//! children, each where the system allows it.
//!
//! Guarantees: a slot is zero when handed out and wiped when given back; slabs are
//! never unmapped, so a slot's address stays good for the life of the process. A child
//! made by fork never uses a secret that the kernel cleared: its use panics instead,
//! because sealing under an all-zero key would be worse than anything. Where mlock is
//! refused (the limit is often 8 MiB, about 250,000 keys), slots come from unlocked
//! pages, and [`arena_locked`] says so.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

/// Bytes of a slab, and its alignment: from a slot's address follows its slab's.
const SLAB: usize = 64 * 1024;
/// Bytes of a slot. The first of each slab holds the mark.
const SLOT: usize = 32;
/// Stands at the head of every slab; zero once the kernel cleared it in a child.
const MARK: u64 = 0x636f_6666_6572_2130;

static ARENA: Mutex<Arena> = Mutex::new(Arena {
    free: Vec::new(),
    slabs: Vec::new(),
    slots: 0,
});
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Whether every page that holds secrets could be locked into memory so far.
pub fn arena_locked() -> bool {
    !REFUSED.load(Ordering::Relaxed)
}

/// Wipes every key that is left, for a process that is about to end: a thread that still
/// holds one panics at its next use of it rather than seal under zeros.
pub fn wipe_arena() {
    let arena = ARENA.lock();
    for Free(slab) in &arena.slabs {
        // SAFETY: the slab is ours and never unmapped. The mark goes first, so that no key that is
        // being wiped is taken for one that is whole.
        unsafe {
            slab.cast::<AtomicU64>().as_ref().store(0, Ordering::SeqCst);
            let rest = slab.cast::<u8>().add(SLOT).as_ptr();
            std::slice::from_raw_parts_mut(rest, SLAB - SLOT).zeroize();
        }
    }
}

/// One 32-byte place in the arena, wiped and given back when dropped.
pub(super) struct Slot(NonNull<[u8; SLOT]>);

// SAFETY: a slot is owned by one `Slot` alone, and its bytes are reached only through borrows of it.
unsafe impl Send for Slot {}
// SAFETY: as above; a shared borrow gives only shared bytes.
unsafe impl Sync for Slot {}

impl Slot {
    /// A slot of zeros.
    pub(super) fn new() -> Slot {
        ARENA.lock().take()
    }

    /// The bytes.
    ///
    /// # Panics
    /// In a child forked after the slot was filled: its secret is gone.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8; SLOT] {
        self.assert_alive();
        // SAFETY: the pointer is to an owned, initialised slot of a slab that is never unmapped.
        unsafe { self.0.as_ref() }
    }

    /// The bytes, to fill.
    ///
    /// # Panics
    /// As [`Slot::bytes`].
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8; SLOT] {
        self.assert_alive();
        // SAFETY: as in `bytes`, and borrowed mutably.
        unsafe { self.0.as_mut() }
    }

    #[inline]
    fn alive(&self) -> bool {
        // SAFETY: slabs are aligned to their size, so clearing the low bits gives the head of this
        // slot's slab, which holds a mark for as long as the process lives.
        let mark = unsafe { &*self.0.as_ptr().map_addr(|a| a & !(SLAB - 1)).cast::<AtomicU64>() };
        mark.load(Ordering::Relaxed) == MARK
    }

    #[inline]
    fn assert_alive(&self) {
        assert!(
            self.alive(),
            "a key was used in a forked child process, where the system had cleared it"
        );
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: as in `bytes_mut`. No mark is needed to wipe.
        unsafe { self.0.as_mut() }.zeroize();
        // The list has room for every slot there is, so giving one back never allocates.
        ARENA.lock().free.push(self.0.into());
    }
}

/// A slot that nobody holds.
struct Free(NonNull<[u8; SLOT]>);

// SAFETY: the address of a slot that nobody holds can be handed to any thread.
unsafe impl Send for Free {}

impl From<NonNull<[u8; SLOT]>> for Free {
    fn from(slot: NonNull<[u8; SLOT]>) -> Free {
        Free(slot)
    }
}

struct Arena {
    free: Vec<Free>,
    /// The heads of all slabs.
    slabs: Vec<Free>,
    slots: usize,
}

impl Arena {
    fn take(&mut self) -> Slot {
        loop {
            while let Some(Free(place)) = self.free.pop() {
                let slot = Slot(place);
                if slot.alive() {
                    return slot;
                }
                // A slab of our parent's: left alone, for its mark is gone.
                std::mem::forget(slot);
            }
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let slots = SLAB / SLOT - 1;
        self.slots += slots;
        self.free.reserve(self.slots);
        let head = map_slab();
        self.slabs.push(head.cast().into());
        // SAFETY: the slab is ours, SLAB bytes long and aligned; the mark takes its first slot, the
        // others follow at multiples of SLOT, the lowest given out first.
        unsafe {
            head.cast::<AtomicU64>().as_ref().store(MARK, Ordering::Relaxed);
            for i in (1..=slots).rev() {
                self.free.push(head.add(i * SLOT).cast().into());
            }
        }
    }
}

/// Maps one slab of zeros, aligned to its size, and asks the system to keep it to itself.
fn map_slab() -> NonNull<u8> {
    let read_write = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: twice the size is mapped afresh, and what lies outside the aligned half is given back;
    // nothing else points there. The advice concerns the kept half alone.
    unsafe {
        let Ok(wide) = mmap_anonymous(ptr::null_mut(), 2 * SLAB, read_write, MapFlags::PRIVATE) else {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u8; SLAB]>());
        };
        let before = wide.addr().next_multiple_of(SLAB) - wide.addr();
        let slab = wide.byte_add(before);
        if before > 0 {
            let _ = munmap(wide, before);
        }
        if before < SLAB {
            let _ = munmap(slab.byte_add(SLAB), SLAB - before);
        }
        if mlock(slab, SLAB).is_err() {
            REFUSED.store(true, Ordering::Relaxed);
        }
        let _ = madvise(slab, SLAB, Advice::LinuxDontDump);
        let _ = madvise(slab, SLAB, Advice::LinuxWipeOnFork);
        NonNull::new(slab.cast()).expect("mmap never maps the null page")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a secret left behind in a slot: what was given back is zero.
    #[test]
    fn a_slot_given_back_is_wiped() {
        let mut slot = Slot::new();
        slot.bytes_mut().fill(0xa5);
        let place = slot.0;
        drop(slot);
        // Others may have taken it since, but nobody else writes 0xa5 everywhere.
        // SAFETY: slabs are never unmapped.
        let bytes = unsafe { ptr::read_volatile(place.as_ptr()) };
        assert_ne!(bytes, [0xa5; SLOT]);
    }

    /// Guards the address arithmetic: many live slots, none shared, all kept.
    #[test]
    fn a_hundred_thousand_slots_keep_what_they_hold() {
        let mut slots: Vec<Slot> = (0..100_000).map(|_| Slot::new()).collect();
        for (i, slot) in slots.iter_mut().enumerate() {
            assert_eq!(slot.bytes(), &[0; SLOT]);
            slot.bytes_mut()[..8].copy_from_slice(&i.to_le_bytes());
        }
        for (i, slot) in slots.iter().enumerate() {
            assert_eq!(slot.bytes()[..8], i.to_le_bytes());
        }
    }
}
