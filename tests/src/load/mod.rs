//! Writers whose files say of themselves whether they are whole, and what may be found of
//! them after a crash.
//!
//! Each writer owns one folder and does one kind of thing for ever, in numbered steps. What
//! fsync has acknowledged it writes to a log outside the vault afterwards, so the log never
//! says more than what must be there. [`verify`] reads what a crash left.

mod verify;
mod write;

pub use verify::verify;
pub use write::write;

use std::fmt;
use std::str::FromStr;

/// The ways in which programs write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A temporary file, fsync, rename over the old one, fsync of the folder.
    Replace,
    /// Truncate, write, close: no fsync, but every seventh time one before the close.
    Truncate,
    /// Records appended to one file, fsync now and then.
    Append,
    /// Fixed slots of one file overwritten in place, fsync now and then.
    Slots,
    /// Files made and removed, with fsync of the folder.
    Names,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [
        Kind::Replace,
        Kind::Truncate,
        Kind::Append,
        Kind::Slots,
        Kind::Names,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Kind::Replace => "replace",
            Kind::Truncate => "truncate",
            Kind::Append => "append",
            Kind::Slots => "slots",
            Kind::Names => "names",
        };
        out.write_str(name)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let found = Kind::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| format!("no kind of writer is called {text}"))
    }
}

/// Files that a writer of whole files turns to one after the other.
pub const FILES: u64 = 4;
/// Slots in a slot file, and the bytes of each.
const SLOTS: u64 = 64;
const SLOT: usize = 4096;

/// A body that says which step wrote it and whether it is whole: length, step, a checksum
/// over both and the rest, then bytes that follow from the step.
fn body(step: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len.max(HEAD));
    out.extend_from_slice(&(len.max(HEAD) as u64).to_le_bytes());
    out.extend_from_slice(&step.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend(crate::op::Fill(step as u32 | 1).bytes(len.saturating_sub(HEAD) as u64));
    let sum = checksum(&out);
    out[16..HEAD].copy_from_slice(&sum.to_le_bytes());
    out
}

const HEAD: usize = 24;

/// The step that wrote the body at the start of `bytes`, and its length; `None` if it is not whole.
fn parse(bytes: &[u8]) -> Option<(u64, usize)> {
    let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (len, step, sum) = (word(0)?, word(8)?, word(16)?);
    let whole = bytes.get(..usize::try_from(len).ok()?)?;
    if whole.len() < HEAD {
        return None;
    }
    let mut zeroed = whole.to_vec();
    zeroed[16..HEAD].fill(0);
    (checksum(&zeroed) == sum).then_some((step, whole.len()))
}

/// FNV-1a over words, enough against what a crash does: nobody forges these.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum: u64, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum ^ u64::from_le_bytes(word))
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23)
    })
}

/// How long the body of a step is: small mostly, past chunk boundaries now and then.
fn length(step: u64) -> usize {
    let spread = mix(step);
    match spread % 16 {
        0 => 300_000 + (spread >> 8) as usize % 1_500_000,
        1..4 => 20_000 + (spread >> 8) as usize % 200_000,
        _ => HEAD + (spread >> 8) as usize % 12_000,
    }
}

/// Which slot a step writes.
fn slot(step: u64) -> u64 {
    mix(step ^ 0x5107) % SLOTS
}

/// splitmix64's finisher (Steele, Lea, Flood 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the checks themselves: any byte changed or cut makes a body not whole.
    #[test]
    fn a_torn_body_is_seen() {
        let whole = body(7, 5000);
        assert_eq!(parse(&whole), Some((7, 5000)));
        for at in [0, 8, 16, 23, 24, 4095, 4096, 4999] {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            assert_eq!(parse(&torn), None, "byte {at}");
            assert_eq!(parse(&whole[..at]), None, "cut at {at}");
        }
        let mut zeroed = whole.clone();
        zeroed[4096..].fill(0);
        assert_eq!(parse(&zeroed), None);
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0; 5000]), None);
    }
}
