//! Changes over a file's base that are not chunks yet: a map of extents that do not
//! overlap. Where there is none, the base shows.
//!
//! It knows offsets and bytes only; nothing here reads a disk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::chunk::Place;

/// Extents in memory grow by appending up to this many bytes.
pub(crate) const EXTENT_MAX: usize = 128 << 10;

/// Where an extent's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    /// In memory, from `skip` on.
    Mem { buf: Arc<Vec<u8>>, skip: usize },
    /// Sealed in a pack; of the opened record, from `skip` on. `serial` is the number
    /// that its associated data names.
    Stored { place: Place, serial: u64, skip: u32 },
    /// A hole.
    Zero,
}

/// One extent.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub(crate) len: u64,
    pub(crate) bytes: Bytes,
    /// Whether a row of the log holds it.
    pub(crate) logged: bool,
}

impl Extent {
    /// The bytes from `from` to `to` of it.
    pub(crate) fn part(&self, from: u64, to: u64) -> Extent {
        let bytes = match &self.bytes {
            Bytes::Mem { buf, skip } => Bytes::Mem {
                buf: buf.clone(),
                skip: skip + from as usize,
            },
            Bytes::Stored { place, serial, skip } => Bytes::Stored {
                place: *place,
                serial: *serial,
                skip: skip + from as u32,
            },
            Bytes::Zero => Bytes::Zero,
        };
        Extent {
            len: to - from,
            bytes,
            logged: self.logged,
        }
    }
}

/// The extents by offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Over {
    map: BTreeMap<u64, Extent>,
    /// Bytes held in memory (shared buffers counted by what is visible of them).
    held: usize,
    /// Of those, bytes that no row of the log holds.
    mem: usize,
}

impl Over {
    /// Bytes in memory.
    pub(crate) fn held(&self) -> usize {
        self.held
    }
    /// Bytes in memory and nowhere else.
    pub(crate) fn mem(&self) -> usize {
        self.mem
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Extent)> {
        self.map.iter().map(|(offset, e)| (*offset, e))
    }
    /// Where the first extent begins.
    pub(crate) fn first(&self) -> Option<u64> {
        self.map.first_key_value().map(|(o, _)| *o)
    }
    /// The end of the last extent.
    pub(crate) fn end(&self) -> u64 {
        self.map.last_key_value().map_or(0, |(o, e)| o + e.len)
    }

    /// Takes away whatever lies in the range.
    pub(crate) fn cut(&mut self, range: Range<u64>) {
        if range.is_empty() || self.map.is_empty() {
            return;
        }
        // The extent that begins before the range may reach into it, even beyond it.
        if let Some((&offset, extent)) = self.map.range(..range.start).next_back() {
            let end = offset + extent.len;
            if end > range.start {
                let head = extent.part(0, range.start - offset);
                let rest = (end > range.end).then(|| extent.part(range.end - offset, extent.len));
                self.put(offset, head);
                if let Some(rest) = rest {
                    self.put(range.end, rest);
                }
            }
        }
        while let Some((&offset, extent)) = self.map.range(range.clone()).next() {
            let end = offset + extent.len;
            let rest = (end > range.end).then(|| extent.part(range.end - offset, extent.len));
            self.drop_at(offset);
            if let Some(rest) = rest {
                self.put(range.end, rest);
            }
        }
    }

    /// Puts an extent over what is there.
    pub(crate) fn insert(&mut self, offset: u64, extent: Extent) {
        if extent.len == 0 {
            return;
        }
        self.cut(offset..offset + extent.len);
        self.put(offset, extent);
    }

    /// Puts bytes over what is there, growing the extent before them if they follow it.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        self.cut(offset..offset + data.len() as u64);
        if let Some((&at, extent)) = self.map.range_mut(..offset).next_back()
            && at + extent.len == offset
            && !extent.logged
            && extent.len as usize + data.len() <= EXTENT_MAX
            && let Bytes::Mem { buf, skip } = &mut extent.bytes
            && buf.len() == *skip + extent.len as usize
            && let Some(buf) = Arc::get_mut(buf)
        {
            buf.extend_from_slice(data);
            extent.len += data.len() as u64;
            self.mem += data.len();
            self.held += data.len();
            return;
        }
        let mut at = offset;
        for part in data.chunks(EXTENT_MAX) {
            let bytes = Bytes::Mem {
                buf: Arc::new(part.to_vec()),
                skip: 0,
            };
            self.put(
                at,
                Extent {
                    len: part.len() as u64,
                    bytes,
                    logged: false,
                },
            );
            at += part.len() as u64;
        }
    }

    /// The extents that touch the range, whole.
    pub(crate) fn touching(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Extent)> {
        let first = self
            .map
            .range(..range.start)
            .next_back()
            .filter(|(o, e)| *o + e.len > range.start)
            .map_or(range.start, |(o, _)| *o);
        self.map.range(first..range.end.max(first)).map(|(o, e)| (*o, e))
    }

    /// Marks every extent as held, or not held, by the log.
    pub(crate) fn set_logged(&mut self, logged: bool) {
        for extent in self.map.values_mut() {
            extent.logged = logged;
        }
        self.mem = if logged { 0 } else { self.held };
    }

    /// Replaces an extent's bytes by the place where they now lie too.
    pub(crate) fn replace(&mut self, offset: u64, bytes: Bytes) {
        if let Some(mut extent) = self.map.remove(&offset) {
            self.count(&extent, false);
            extent.bytes = bytes;
            self.put(offset, extent);
        }
    }

    fn put(&mut self, offset: u64, extent: Extent) {
        self.count(&extent, true);
        if let Some(old) = self.map.insert(offset, extent) {
            self.count(&old, false);
        }
    }

    fn drop_at(&mut self, offset: u64) {
        if let Some(old) = self.map.remove(&offset) {
            self.count(&old, false);
        }
    }

    fn count(&mut self, extent: &Extent, more: bool) {
        if let Bytes::Mem { .. } = extent.bytes {
            let len = extent.len as usize;
            self.held = if more { self.held + len } else { self.held - len };
            if !extent.logged {
                self.mem = if more { self.mem + len } else { self.mem - len };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guards the arithmetic of overlapping extents, against a plain byte array.
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn any_sequence_shows_what_a_byte_array_shows() {
        for seed in 0..300 {
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            let mut over = Over::default();
            let mut plain: Vec<Option<u8>> = vec![None; 4096];
            for step in 0..60u32 {
                let a = rng.random_range(0..4000usize);
                let n = rng.random_range(1..96usize);
                match rng.random_range(0..4) {
                    0 => {
                        over.cut(a as u64..(a + n) as u64);
                        plain[a..a + n].fill(None);
                    }
                    1 => {
                        over.insert(
                            a as u64,
                            Extent {
                                len: n as u64,
                                bytes: Bytes::Zero,
                                logged: true,
                            },
                        );
                        plain[a..a + n].fill(Some(0));
                    }
                    _ => {
                        over.write(a as u64, &vec![step as u8 + 1; n]);
                        plain[a..a + n].fill(Some(step as u8 + 1));
                    }
                }
            }
            let mut shown: Vec<Option<u8>> = vec![None; 4096];
            let mut mem = 0;
            let mut last = 0;
            for (offset, e) in over.iter() {
                assert!(offset >= last, "extents overlap");
                last = offset + e.len;
                for i in 0..e.len {
                    shown[(offset + i) as usize] = Some(match &e.bytes {
                        Bytes::Mem { buf, skip } => buf[skip + i as usize],
                        _ => 0,
                    });
                }
                if let Bytes::Mem { .. } = e.bytes {
                    mem += e.len as usize;
                }
            }
            assert_eq!(shown, plain, "seed {seed}");
            assert_eq!(mem, over.held(), "seed {seed}");
            assert_eq!(mem, over.mem(), "seed {seed}: none of them is logged");
        }
    }
}
