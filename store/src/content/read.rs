//! Reading: extents first, then the base, then the tail, else zeros.

use std::ops::Range;

use super::over::{Bytes, Extent};
use super::pieces::{Data, Piece, find};
use super::{Content, Owner};
use crate::core::pool::Progress;
use crate::core::{Core, StoreError};
use crate::record::{ChunkRef, kind};

impl Content {
    /// Appends up to `len` bytes from `offset` to `out`; fewer only at the end. The
    /// content must be loaded, or [`Content::load`] called before.
    pub(crate) fn read(
        &self,
        owner: Owner<'_>,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let end = self.size.min(offset.saturating_add(len as u64));
        if offset >= end {
            return Ok(());
        }
        let begin = out.len();
        out.resize(begin + (end - offset) as usize, 0);
        let result = self.fill(owner, offset, &mut out[begin..]);
        if result.is_err() {
            out.truncate(begin);
        }
        result
    }

    /// Fills `out` from `offset`: all of it below the size. It holds zeros already.
    fn fill(&self, owner: Owner<'_>, offset: u64, out: &mut [u8]) -> Result<(), StoreError> {
        let end = offset + out.len() as u64;
        let mut at = offset;
        for (start, extent) in self.over.touching(offset..end) {
            if start > at {
                self.fill_below(
                    owner,
                    at,
                    &mut out[(at - offset) as usize..(start - offset) as usize],
                )?;
                at = start;
            }
            let stop = (start + extent.len).min(end);
            let part = &mut out[(at - offset) as usize..(stop - offset) as usize];
            fill_extent(owner, extent, (at - start) as usize, part)?;
            at = stop;
        }
        if at < end {
            self.fill_below(owner, at, &mut out[(at - offset) as usize..])?;
        }
        Ok(())
    }

    fn fill_below(&self, owner: Owner<'_>, offset: u64, out: &mut [u8]) -> Result<(), StoreError> {
        let end = offset + out.len() as u64;
        let mut at = offset;
        for piece in &self.pieces[find(&self.pieces, offset)..] {
            if piece.start >= end {
                break;
            }
            let stop = piece.end().min(end);
            let part = &mut out[(at - offset) as usize..(stop - offset) as usize];
            fill_piece(owner.core, piece, (at - piece.start) as usize, part)?;
            at = stop;
        }
        let tail_end = self.base_len + self.tail.len() as u64;
        if at < end && at >= self.base_len && at < tail_end {
            let stop = tail_end.min(end);
            let from = (at - self.base_len) as usize;
            out[(at - offset) as usize..(stop - offset) as usize]
                .copy_from_slice(&self.tail[from..from + (stop - at) as usize]);
        }
        Ok(())
    }

    /// Calls `each` with the stored chunks under a range, as far as nothing is written over all of it.
    pub(crate) fn chunks_in(&self, range: Range<u64>, each: &mut dyn FnMut(&ChunkRef)) {
        for piece in &self.pieces[find(&self.pieces, range.start)..] {
            if piece.start >= range.end {
                break;
            }
            let (from, to) = (piece.start.max(range.start), piece.end().min(range.end));
            let is_covered = self
                .over
                .touching(from..to)
                .next()
                .is_some_and(|(start, extent)| start <= from && start + extent.len >= to);
            if let Some(chunk) = piece.data.stored().filter(|_| !is_covered) {
                each(&chunk);
            }
        }
    }

    /// The next data (or hole) at or after `offset`; the end of the file is a hole.
    /// `None` if there is none.
    pub(crate) fn seek(&self, offset: u64, data: bool) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let mut at = offset;
        while at < self.size {
            let (stretch, is_data) = self.stretch(at);
            if is_data == data {
                return Some(at);
            }
            at = stretch.end;
        }
        if data { None } else { Some(self.size) }
    }

    /// The stretch that begins at `at` and is all data or all hole.
    fn stretch(&self, at: u64) -> (Range<u64>, bool) {
        let mut limit = self.size;
        if let Some((start, extent)) = self.over.touching(at..self.size).next() {
            if start <= at {
                let end = (start + extent.len).min(self.size);
                return (at..end, !matches!(extent.bytes, Bytes::Zero));
            }
            limit = start.min(limit);
        }
        if let Some(piece) = self.pieces.get(find(&self.pieces, at)) {
            return (at..piece.end().min(limit), !matches!(piece.data, Data::Hole));
        }
        let tail_end = self.base_len + self.tail.len() as u64;
        if at < tail_end {
            return (at..tail_end.min(limit), true);
        }
        (at..limit, false)
    }
}

fn fill_extent(owner: Owner<'_>, extent: &Extent, from: usize, out: &mut [u8]) -> Result<(), StoreError> {
    match &extent.bytes {
        Bytes::Zero => {}
        Bytes::Mem { buf, skip } => {
            let from = skip + from;
            out.copy_from_slice(&buf[from..from + out.len()]);
        }
        Bytes::Stored { place, serial, skip } => {
            let plain = owner.core.read_extent(owner.key, owner.ino, *serial, *place)?;
            let from = *skip as usize + from;
            let part = plain
                .get(from..from + out.len())
                .ok_or_else(|| StoreError::Tampered {
                    what: "a part of a file that is not yet a version".into(),
                })?;
            out.copy_from_slice(part);
        }
    }
    Ok(())
}

pub(super) fn fill_piece(core: &Core, piece: &Piece, from: usize, out: &mut [u8]) -> Result<(), StoreError> {
    match &piece.data {
        Data::Hole => Ok(()),
        Data::Chunk(chunk) => core.read_chunk(kind::CHUNK, chunk, from, out),
        Data::Sealing(job) => match job.progress() {
            Progress::Plain(plain) => {
                out.copy_from_slice(&plain[from..from + out.len()]);
                Ok(())
            }
            Progress::Stored(chunk) => core.read_chunk(kind::CHUNK, &chunk, from, out),
        },
    }
}
