//! Bytes sealed in segments of one length, so that neither what is in a file nor where it ends can be seen, and a part can be
//! read without the rest.
//!
//! ```text
//! file = segments of 16,384 bytes: XChaCha20-Poly1305 (format.md) over 16,344, under the file's own random key
//! associated data: kind, version: the segment's number
//! ```
//!
//! What is behind the end of what was written is zeros. How many segments there are is rounded up ([`padded`]).
//!
//! Guarantees: a segment that was altered, or put in another's place or file, does not open. Memory is one segment.

use std::io;

use coffer_store::keys::{Aad, Key, SEAL_OVERHEAD, open_into, seal_into};
use zeroize::Zeroizing;

use super::folder::{Sink, Source};

/// Bytes of a segment.
pub(super) const SEGMENT: u64 = 16 << 10;
/// Bytes of it that are not the seal's.
pub(super) const PLAIN: u64 = SEGMENT - SEAL_OVERHEAD as u64;

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Index = 0x61,
    Bundle = 0x62,
}

fn aad(kind: Kind, segment: u64) -> Aad {
    Aad {
        kind: kind as u8,
        id: [0; 16],
        chain: [0; 16],
        version: segment,
        generation: 0,
    }
}

/// How many segments a file has that needs so many: up to sixteen as many, beyond that a multiple of an eighth of the power of
/// two below, so an eighth more at most.
pub(super) fn padded(segments: u64) -> u64 {
    let segments = segments.max(1);
    let step = 1 << segments.ilog2().saturating_sub(3);
    segments.next_multiple_of(step)
}

/// How many segments so many bytes take.
pub(super) fn segments(bytes: u64) -> u64 {
    padded(bytes.div_ceil(PLAIN))
}

/// How many bytes so many segments hold.
pub(super) fn room(segments: u64) -> u64 {
    segments.saturating_mul(PLAIN)
}

/// How far a file is written: its next segment, and what is to be in it.
#[derive(Default)]
pub(super) struct Pending {
    segment: u64,
    plain: Zeroizing<Vec<u8>>,
}

/// Writes a file.
pub(super) struct Writer<'a> {
    sink: &'a mut dyn Sink,
    key: &'a Key,
    kind: Kind,
    pending: &'a mut Pending,
}

impl<'a> Writer<'a> {
    /// From where it was left; from its beginning, if it never was.
    pub(super) fn resume(
        sink: &'a mut dyn Sink,
        key: &'a Key,
        kind: Kind,
        pending: &'a mut Pending,
    ) -> Writer<'a> {
        if pending.plain.capacity() == 0 {
            // All at once: a vector that moved later would leave plaintext behind in freed memory.
            pending.plain.reserve_exact(PLAIN as usize);
        }
        Writer {
            sink,
            key,
            kind,
            pending,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pending.plain.resize(PLAIN as usize, 0);
        let mut sealed = Vec::new();
        seal_into(
            self.key,
            &aad(self.kind, self.pending.segment),
            &self.pending.plain,
            &mut sealed,
        );
        self.sink.write(&sealed)?;
        self.pending.segment += 1;
        self.pending.plain.clear();
        Ok(())
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = (PLAIN as usize - self.pending.plain.len()).min(bytes.len());
            self.pending.plain.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            if self.pending.plain.len() == PLAIN as usize {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Pads, and says how many segments there are.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        if !self.pending.plain.is_empty() {
            self.flush()?;
        }
        let end = padded(self.pending.segment);
        while self.pending.segment < end {
            self.flush()?;
        }
        Ok(self.pending.segment)
    }
}

/// Reads so many bytes from here on, of a file whose segments begin at `base`. The caller has bounded how many.
///
/// # Errors
/// `InvalidData` if they do not open; else the file's.
pub(super) fn read(
    source: &dyn Source,
    (key, kind): (&Key, Kind),
    base: u64,
    (offset, len): (u64, usize),
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    let mut sealed = vec![0; SEGMENT as usize];
    let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN as usize));
    let mut at = offset;
    while out.len() < len {
        let segment = at / PLAIN;
        source.read(base + segment * SEGMENT, &mut sealed)?;
        plain.clear();
        open_into(key, &aad(kind, segment), &sealed, &mut plain).map_err(|_| io::ErrorKind::InvalidData)?;
        let from = (at % PLAIN) as usize;
        let take = (plain.len() - from).min(len - out.len());
        out.extend_from_slice(&plain[from..from + take]);
        at += take as u64;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Vec<u8>);

    impl Sink for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
        fn finish(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }
    }

    impl Source for Memory {
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let from = offset as usize;
            let part = self.0.get(from..from + out.len());
            out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    /// Guards lengths: they say little, and cost an eighth at most.
    #[test]
    fn lengths_are_coarse() {
        let all: std::collections::BTreeSet<u64> = (0..=4_200).map(padded).collect();
        assert!(all.len() < 90, "{}", all.len());
        for n in 1..=100_000 {
            assert!((n..=n + n / 8 + 1).contains(&padded(n)), "{n}");
            assert!(n > 16 || padded(n) == n);
        }
    }

    /// Guards every border: whatever part is read is what was written; and no segment passes for another.
    #[test]
    fn parts_are_what_was_written() {
        let key = Key::take(&mut [3; 32]);
        let bytes: Vec<u8> = (0..3 * PLAIN as usize + 5).map(|n| (n % 251) as u8).collect();
        let mut file = Memory(b"before".to_vec());
        let mut pending = Pending::default();
        let mut writer = Writer::resume(&mut file, &key, Kind::Bundle, &mut pending);
        for part in bytes.chunks(1_000) {
            writer.write(part).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), 4);
        assert_eq!(file.0.len() as u64, 6 + 4 * SEGMENT);
        let plain = PLAIN as usize;
        for (from, len) in [
            (0, 1),
            (0, plain),
            (plain - 1, 2),
            (plain, plain + 1),
            (5, bytes.len() - 5),
        ] {
            let part = read(&file, (&key, Kind::Bundle), 6, (from as u64, len)).unwrap();
            assert!(part[..] == bytes[from..from + len]);
        }
        assert!(read(&file, (&key, Kind::Index), 6, (0, 1)).is_err());
        let (a, b) = (6..6 + SEGMENT as usize, 6 + SEGMENT as usize);
        file.0.copy_within(a, b);
        assert!(read(&file, (&key, Kind::Bundle), 6, (0, plain)).is_ok());
        assert!(read(&file, (&key, Kind::Bundle), 6, (PLAIN, 1)).is_err());
        let past = read(&file, (&key, Kind::Bundle), 6, (4 * PLAIN, 1));
        assert_eq!(past.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
