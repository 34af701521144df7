//! Content-defined chunking: where a chunk ends is decided by the 64 bytes before that
//! place, so an insertion moves the cuts near it and no others.
//!
//! FastCDC with normalised chunking: Xia et al., "FastCDC: a Fast and Efficient
//! Content-Defined Chunking Approach for Data Deduplication" (USENIX ATC 2016), and two
//! bytes a step as in "The Design of Fast Content-Defined Chunking for Data Deduplication
//! Based Storage Systems" (IEEE TPDS 2020). Two things differ. The gear table is made from
//! a key, so that chunk lengths tell whoever lacks it nothing about known files. And the
//! hash is warmed up before the first place where a cut is allowed, so that a cut never
//! depends on where its chunk began, except through the three lengths below.
//!
//! Guarantees: the same key and bytes give the same cuts, however the bytes are fed; every
//! chunk but a file's last is between [`MIN`] and [`MAX`] bytes. Never copies the data.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The shortest chunk, in bytes; only a file's last may be shorter.
pub const MIN: usize = 128 << 10;
/// What a chunk of random bytes has on top of [`MIN`] on average, roughly, in bytes.
pub const AVG: usize = 256 << 10;
/// The longest chunk, in bytes.
pub const MAX: usize = 1 << 20;

/// Up to this length a cut is made less likely, from here on more likely.
const NORMAL: usize = MIN + AVG;
/// Bytes that the hash remembers.
pub const WINDOW: usize = 64;
/// A cut every 2^20 places before `NORMAL`, every 2^16 after it: 2^18 = `AVG`, four times
/// harder and easier, the paper's normalisation level 2. The top bits of the hash see the
/// most bytes; the topmost is left out, because a step of two bytes shifts it away.
const MASK_HARD: u64 = ((1 << 20) - 1) << 43;
const MASK_EASY: u64 = ((1 << 16) - 1) << 47;

/// Finds cuts, under one key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Cutter {
    gear: Box<[u64; 256]>,
    /// The same, doubled: what the first byte of a step adds.
    gear_doubled: Box<[u64; 256]>,
}

/// How far the search in one chunk has come. A new one stands at a chunk's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    pos: usize,
    hash: u64,
}

impl Scan {
    /// How many bytes of the chunk have been seen.
    pub fn pos(&self) -> usize {
        self.pos
    }
}

impl Cutter {
    /// Makes the gear table: 256 numbers, little-endian, from BLAKE3 keyed with `key`, of
    /// the empty input, extended to 2048 bytes. The key must serve nothing else.
    pub fn new(key: &[u8; 32]) -> Cutter {
        let mut bytes = [0; 8 * 256];
        blake3::Hasher::new_keyed(key).finalize_xof().fill(&mut bytes);
        let mut gear = Box::new([0; 256]);
        for (number, bytes) in gear.iter_mut().zip(bytes.as_chunks().0) {
            *number = u64::from_le_bytes(*bytes);
        }
        bytes.zeroize();
        let gear_doubled = Box::new(gear.map(|number| number << 1));
        Cutter { gear, gear_doubled }
    }

    /// The length of the first chunk of `data`; `None` if `data` ends before that is
    /// decided. [`MAX`] bytes always decide.
    pub fn cut(&self, data: &[u8]) -> Option<usize> {
        self.scan(&mut Scan::default(), data)
    }

    /// Goes on with a chunk whose earlier bytes were seen. `Some(n)`: it ends after `n`
    /// bytes of `data` (1 or more), and `state` stands at the start of the next. `None`:
    /// all of `data` belongs to it.
    pub fn scan(&self, state: &mut Scan, data: &[u8]) -> Option<usize> {
        let start = state.pos;
        // Positions in the chunk, as far as this data goes.
        let upto = |limit: usize| limit.min(start + data.len());
        let zones = [
            (MIN - WINDOW, MIN, 0),
            (MIN, NORMAL, MASK_HARD),
            (NORMAL, MAX, MASK_EASY),
        ];
        let mut found = None;
        for (from, to, mask) in zones {
            let (from, to) = (from.max(start), upto(to));
            if from >= to {
                continue;
            }
            let span = &data[from - start..to - start];
            if mask == 0 {
                state.hash = self.warm(state.hash, span);
            } else if let Some(n) = self.search(&mut state.hash, span, mask) {
                found = Some(from - start + n);
                break;
            }
        }
        let found = found.or_else(|| (start + data.len() >= MAX).then(|| MAX - start));
        match found {
            Some(_) => *state = Scan::default(),
            None => state.pos += data.len(),
        }
        found
    }

    /// Whether a chunk of `len` bytes that ends with these [`WINDOW`] ones ends where the search would end it, if it found no
    /// end before: what a chunk's last bytes alone can say.
    pub fn ends(&self, last: &[u8; WINDOW], len: usize) -> bool {
        let mask = match len {
            MAX => return true,
            _ if len <= MIN || len > MAX => return false,
            _ if len <= NORMAL => MASK_HARD,
            _ => MASK_EASY,
        };
        self.warm(0, last) & mask == 0
    }

    fn warm(&self, hash: u64, data: &[u8]) -> u64 {
        data.iter().fold(hash, |hash, &byte| {
            (hash << 1).wrapping_add(self.gear[usize::from(byte)])
        })
    }

    /// The first place in `data` where the hash has no bit of `mask`: the number of bytes
    /// up to it.
    #[inline]
    fn search(&self, state: &mut u64, data: &[u8], mask: u64) -> Option<usize> {
        let (gear, doubled) = (&*self.gear, &*self.gear_doubled);
        let mut hash = *state;
        let (blocks, rest) = data.as_chunks::<8>();
        for (i, block) in blocks.iter().enumerate() {
            for step in 0..4 {
                hash = (hash << 2).wrapping_add(doubled[usize::from(block[2 * step])]);
                if hash & (mask << 1) == 0 {
                    return Some(8 * i + 2 * step + 1);
                }
                hash = hash.wrapping_add(gear[usize::from(block[2 * step + 1])]);
                if hash & mask == 0 {
                    return Some(8 * i + 2 * step + 2);
                }
            }
        }
        for (i, &byte) in rest.iter().enumerate() {
            hash = (hash << 1).wrapping_add(gear[usize::from(byte)]);
            if hash & mask == 0 {
                return Some(8 * blocks.len() + i + 1);
            }
        }
        *state = hash;
        None
    }
}
