//! Reading a pack without the database: every record whose header is whole, and what
//! lies between.
//!
//! Guarantees: each byte is in exactly one item; items come in order; nothing in the
//! bytes makes it stop or panic. What the disk cannot read counts as damaged. Never says
//! whether a payload is whole: that is for whoever can open its seal.

use crate::io::DiskFile;

use super::Place;
use super::record::{HEADER, Header, MAGIC};

/// How much is read at once, in bytes.
const WINDOW: u64 = 1 << 20;
/// What is given up when it cannot be read, in bytes.
const BLOCK: u64 = 4096;

/// What a scan finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanItem {
    /// A record with a whole header, and room for its payload.
    Record {
        /// What the payload is.
        kind: u8,
        /// The payload's name.
        id: [u8; 32],
        /// Where the payload is.
        place: Place,
    },
    /// Bytes that belong to no record: damage, or what a failed write left.
    Gap {
        /// Where they begin, in bytes from the pack's start.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
}

/// Walks `len` bytes of a pack.
pub(super) fn scan(pack: u32, file: &dyn DiskFile, len: u64, each: &mut dyn FnMut(ScanItem)) {
    let mut window = Window {
        file,
        len,
        start: 0,
        bytes: Vec::new(),
    };
    let mut pos = 0;
    let mut gap = None;
    while pos < len {
        let fits = |header: &Header| u64::from(header.len) <= len - pos - HEADER as u64;
        if let Some(header) = Header::decode(window.at(pos, HEADER)).filter(fits) {
            if let Some(offset) = gap.take() {
                each(ScanItem::Gap {
                    offset,
                    len: pos - offset,
                });
            }
            let place = Place {
                pack,
                offset: pos + HEADER as u64,
                len: header.len,
            };
            each(ScanItem::Record {
                kind: header.kind,
                id: header.id,
                place,
            });
            pos = place.offset + u64::from(header.len);
        } else {
            gap.get_or_insert(pos);
            let rest = window.at(pos + 1, MAGIC.len());
            let found = rest.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
            // The last three may begin a magic that goes on behind the window.
            let skip = found.unwrap_or(rest.len().saturating_sub(MAGIC.len() - 1));
            pos += 1 + skip as u64;
        }
    }
    if let Some(offset) = gap {
        each(ScanItem::Gap {
            offset,
            len: len - offset,
        });
    }
}

/// A part of the file in memory.
struct Window<'a> {
    file: &'a dyn DiskFile,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The bytes from `pos` on: at least `need`, unless the file ends before.
    fn at(&mut self, pos: u64, need: usize) -> &[u8] {
        let end = self.start + self.bytes.len() as u64;
        let need_end = (pos + need as u64).min(self.len);
        if pos < self.start || need_end > end {
            self.start = pos;
            self.bytes.clear();
            while self.start + (self.bytes.len() as u64) < need_end {
                self.more();
            }
        }
        let skip = (pos - self.start).min(self.bytes.len() as u64) as usize;
        &self.bytes[skip..]
    }

    /// Adds what comes next; zeros, which begin no record, where it cannot be read.
    fn more(&mut self) {
        let from = self.start + self.bytes.len() as u64;
        let old = self.bytes.len();
        for until in [from + WINDOW, (from / BLOCK + 1) * BLOCK] {
            let n = until.min(self.len) - from;
            self.bytes.resize(old + n as usize, 0);
            if self.file.read_at(from, &mut self.bytes[old..]).is_ok() {
                return;
            }
            self.bytes.truncate(old);
            self.bytes.resize(old + n as usize, 0);
        }
    }
}
