//! From a password to 256 bits, at a cost: Argon2id, version 0x13 (RFC 9106).
//!
//! Guarantees: parameters outside the floor and the ceiling are refused before any
//! memory is asked for. The working memory is never in a core dump, and is wiped with
//! everything else in between; the threads that filled it have ended on return.
//!
//! Never locks that memory: swap may see it while it works.

use std::ptr::{self, NonNull};
use std::slice;
use std::thread::available_parallelism;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use rayon::ThreadPoolBuilder;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use thiserror::Error;
use zeroize::Zeroize;

use super::{Key, Password};

/// What a guess at a password costs. Higher is slower for everyone; the parameters of a
/// vault are authenticated by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory to fill, in KiB.
    pub memory_kib: u32,
    /// How often it is filled.
    pub passes: u32,
    /// Parts that are filled at the same time.
    pub lanes: u32,
}

impl KdfParams {
    /// What a new vault gets: 256 MiB, 3 passes, 4 lanes.
    pub const DEFAULT: KdfParams = KdfParams {
        memory_kib: 256 * 1024,
        passes: 3,
        lanes: 4,
    };
    /// The least: 19 MiB, 2 passes, 1 lane (OWASP's minimum for Argon2id).
    pub const FLOOR: KdfParams = KdfParams {
        memory_kib: 19 * 1024,
        passes: 2,
        lanes: 1,
    };
    /// The most, so that an altered vault cannot make a machine grind for hours: 4 GiB, 64 passes, 64 lanes.
    pub const CEILING: KdfParams = KdfParams {
        memory_kib: 4 * 1024 * 1024,
        passes: 64,
        lanes: 64,
    };

    /// Whether each parameter lies between floor and ceiling.
    ///
    /// # Errors
    /// [`KdfError::Range`] names the first that does not.
    pub fn check(&self) -> Result<(), KdfError> {
        let (floor, ceiling) = (KdfParams::FLOOR, KdfParams::CEILING);
        let ranges = [
            (
                "memory in KiB",
                self.memory_kib,
                floor.memory_kib,
                ceiling.memory_kib,
            ),
            ("number of passes", self.passes, floor.passes, ceiling.passes),
            ("number of lanes", self.lanes, floor.lanes, ceiling.lanes),
        ];
        match ranges
            .iter()
            .find(|(_, value, min, max)| value < min || value > max)
        {
            Some(&(what, value, min, max)) => Err(KdfError::Range {
                what,
                value,
                min,
                max,
            }),
            None => Ok(()),
        }
    }
}

/// Why a password could not be turned into a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KdfError {
    /// A parameter lies outside what is allowed.
    #[error("the password's {what} must lie between {min} and {max}, and is {value}")]
    Range {
        /// Which parameter.
        what: &'static str,
        /// What it is.
        value: u32,
        /// The least it may be.
        min: u32,
        /// The most it may be.
        max: u32,
    },
    /// The system did not give the memory.
    #[error(
        "unlocking takes {kib} KiB of memory, and the system has not that much to give; close other programs and try again"
    )]
    Memory {
        /// The memory asked for, in KiB.
        kib: u32,
    },
    /// The system did not give a thread.
    #[error("unlocking takes threads that the system refused to start; close other programs and try again")]
    Threads,
    /// Argon2 takes no more than 4 GiB of password.
    #[error("the password is longer than 4 GiB")]
    PasswordTooLong,
    /// A password was to be changed with a key that this header does not know, or a header that was altered.
    #[error("the vault's header does not belong to the key that is to be kept; unlock the vault again")]
    NotThisHeader,
}

/// Argon2id's 256 bits for a password and a salt.
pub(super) fn argon2id(password: &Password, salt: &[u8; 16], params: KdfParams) -> Result<Key, KdfError> {
    params.check()?;
    let argon = Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .expect("the floor and the ceiling lie within Argon2's own bounds");
    let blocks = argon.block_count();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, argon);
    let mut memory = Memory::map(blocks).ok_or(KdfError::Memory {
        kib: params.memory_kib,
    })?;

    // Threads of its own, joined at the end: the global pool's would stay, with what they worked on
    // upon their stacks, and would be missing in a forked child, which then waits for ever.
    let threads = available_parallelism()
        .map_or(1, usize::from)
        .min(params.lanes as usize);
    let blocks = memory.blocks();
    let mut result = Ok(());
    let key = Key::filled(|slot| {
        let fill = || argon.hash_password_into_with_memory(password.expose(), salt, slot, blocks);
        result = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_scoped(|thread| thread.run(), |pool| pool.install(fill))
            .map_err(|_| KdfError::Threads)
            .and_then(|done| done.map_err(|_| KdfError::PasswordTooLong));
    });
    result.map(|()| key)
}

/// Argon2's blocks, on pages of their own.
struct Memory {
    blocks: NonNull<Block>,
    len: usize,
}

impl Memory {
    fn map(len: usize) -> Option<Memory> {
        let bytes = len.checked_mul(Block::SIZE)?;
        // SAFETY: a fresh private mapping that nothing else points to; advice does not change its bytes.
        unsafe {
            let read_write = ProtFlags::READ | ProtFlags::WRITE;
            let start = mmap_anonymous(ptr::null_mut(), bytes, read_write, MapFlags::PRIVATE).ok()?;
            let _ = madvise(start, bytes, Advice::LinuxDontDump);
            let _ = madvise(start, bytes, Advice::LinuxDontFork);
            // Argon2 reads all over the place: with small pages, address translation is what it waits for.
            let _ = madvise(start, bytes, Advice::LinuxHugepage);
            Some(Memory {
                blocks: NonNull::new(start.cast())?,
                len,
            })
        }
    }

    fn blocks(&mut self) -> &mut [Block] {
        // SAFETY: the mapping is ours and of this length; pages are aligned beyond a block's 64 bytes;
        // zeros are valid blocks.
        unsafe { slice::from_raw_parts_mut(self.blocks.as_ptr(), self.len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for block in self.blocks() {
            block.zeroize();
        }
        // SAFETY: the whole of our own mapping, which nothing borrows any more.
        let _ = unsafe { munmap(self.blocks.as_ptr().cast(), self.len * Block::SIZE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the wiring of Argon2id: own memory and threads give what the library alone gives.
    #[test]
    fn it_is_argon2id_whatever_the_lanes() {
        for lanes in [1, 3] {
            let params = KdfParams {
                lanes,
                ..KdfParams::FLOOR
            };
            let ours = argon2id(&Password::new(b"password".to_vec()), &[7; 16], params).unwrap();
            let plain = Params::new(params.memory_kib, params.passes, lanes, Some(32)).unwrap();
            let mut expected = [0; 32];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, plain)
                .hash_password_into(b"password", &[7; 16], &mut expected)
                .unwrap();
            assert_eq!(ours.expose(), &expected);
        }
    }

    /// Guards floor and ceiling, at their edges, for each parameter.
    #[test]
    fn what_lies_outside_is_refused() {
        assert_eq!(KdfParams::DEFAULT.check(), Ok(()));
        assert_eq!(KdfParams::FLOOR.check(), Ok(()));
        assert_eq!(KdfParams::CEILING.check(), Ok(()));
        let (floor, ceiling) = (KdfParams::FLOOR, KdfParams::CEILING);
        for outside in [
            KdfParams {
                memory_kib: floor.memory_kib - 1,
                ..floor
            },
            KdfParams {
                passes: floor.passes - 1,
                ..floor
            },
            KdfParams { lanes: 0, ..floor },
            KdfParams {
                memory_kib: ceiling.memory_kib + 1,
                ..floor
            },
            KdfParams {
                memory_kib: u32::MAX,
                ..floor
            },
            KdfParams {
                passes: ceiling.passes + 1,
                ..floor
            },
            KdfParams {
                lanes: ceiling.lanes + 1,
                ..floor
            },
        ] {
            let password = Password::new(Vec::new());
            assert!(
                matches!(
                    argon2id(&password, &[0; 16], outside),
                    Err(KdfError::Range { .. })
                ),
                "{outside:?}"
            );
        }
    }
}
