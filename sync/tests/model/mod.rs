//! A model of devices for tests: a store that follows the real one's rules, and a world of connections that
//! break. Each suite uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod liar;
pub mod lies;
pub mod lone;
pub mod one;
pub mod store;
pub mod world;

/// Numbers that a seed decides: splitmix64.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    /// Once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for part in out.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
        out
    }
    pub fn blob(&mut self, len: usize) -> Vec<u8> {
        let seed: [u8; 32] = self.bytes();
        let mut out = vec![0; len];
        blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut out);
        out
    }
}
