//! 192-bit nonces at a fraction of a system call's cost: each thread expands a seed
//! from the system by BLAKE3's extendable output.
//!
//! Guarantees: seeds are 256 random bits, drawn anew after every MiB of output and in
//! every forked child, so no two threads or processes share a sequence. For nonces
//! only, never for keys: what it gave can be computed from its state.
//!
//! Never protects a machine whose memory is copied while running: two clones of one
//! snapshot go on with one sequence, for a MiB at most.

use std::cell::RefCell;

use blake3::OutputReader;

use super::fork;
use super::secret::random_bytes;

/// Bytes of a nonce.
pub(super) const NONCE: usize = 24;
/// Nonces made at a time: a whole number of BLAKE3's 64-byte blocks, enough for its widest SIMD.
const BATCH: usize = 128;
/// Bytes from one seed.
const RESEED: u64 = 1 << 20;

struct Generator {
    epoch: u64,
    output: OutputReader,
    batch: [[u8; NONCE]; BATCH],
    used: usize,
}

thread_local! {
    static GENERATOR: RefCell<Option<Generator>> = const { RefCell::new(None) };
}

/// A nonce never given before.
///
/// # Panics
/// Only if the system has no randomness to give.
pub(super) fn fresh() -> [u8; NONCE] {
    GENERATOR.with_borrow_mut(|slot| {
        let epoch = fork::epoch();
        let generator = match slot {
            Some(generator) if generator.epoch == epoch => generator,
            _ => slot.insert(Generator::seeded(epoch)),
        };
        generator.next()
    })
}

impl Generator {
    fn seeded(epoch: u64) -> Generator {
        let output = blake3::Hasher::new_keyed(&random_bytes::<32>()).finalize_xof();
        Generator {
            epoch,
            output,
            batch: [[0; NONCE]; BATCH],
            used: BATCH,
        }
    }

    fn next(&mut self) -> [u8; NONCE] {
        if self.used == BATCH {
            if self.output.position() >= RESEED {
                self.output = blake3::Hasher::new_keyed(&random_bytes::<32>()).finalize_xof();
            }
            self.output.fill(self.batch.as_flattened_mut());
            self.used = 0;
        }
        self.used += 1;
        self.batch[self.used - 1]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Guards the one thing a nonce must be: never the same, over reseeding and threads.
    #[test]
    fn nonces_never_repeat() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..100_000).map(|_| fresh()).collect::<Vec<_>>()))
            .collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for nonce in thread.join().unwrap() {
                assert!(seen.insert(nonce));
            }
        }
        assert_eq!(seen.len(), 400_000);
    }

    /// Guards the reseeding: a generator does not run past its MiB on one seed.
    #[test]
    fn a_seed_is_given_up_after_a_mebibyte() {
        let mut generator = Generator::seeded(0);
        let mut positions = Vec::new();
        for _ in 0..(RESEED as usize / NONCE + 2 * BATCH) {
            generator.next();
            positions.push(generator.output.position());
        }
        let highest = *positions.iter().max().unwrap();
        assert!(highest <= RESEED + (BATCH * NONCE) as u64);
        assert!(*positions.last().unwrap() < highest);
    }
}
