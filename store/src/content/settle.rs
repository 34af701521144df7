//! Making a file whole: its tail becomes chunks, and what was written over the base is
//! chunked together with the base around it, up to the next clean boundary.
//!
//! Works in steps of a bounded number of bytes, so that a reader never waits long. After
//! each step the content shows the same bytes as before it.

use std::sync::Arc;

use super::pieces::{Data, Piece, find};
use super::write::next_cut;
use super::{Content, INLINE_MAX, Owner};
use crate::chunk::{MAX, Scan};
use crate::core::StoreError;

/// What a step has come to.
pub(crate) enum Settled {
    /// The whole of a small file.
    Body(Vec<u8>),
    /// The base is everything.
    Pieces,
    /// There is more to do.
    More,
}

/// A hole of at least this is kept as one.
const HOLE_MIN: u64 = 64 << 10;

impl Content {
    /// One step, of about `budget` bytes to be read and sealed. The content is loaded.
    /// First the base is made to reach to the end of the file, so that all changes lie in it.
    pub(crate) fn settle(&mut self, owner: Owner<'_>, budget: u64) -> Result<Settled, StoreError> {
        if self.size <= INLINE_MAX {
            let mut body = Vec::with_capacity(self.size as usize);
            self.read(owner, 0, self.size as usize, &mut body)?;
            return Ok(Settled::Body(body));
        }
        self.finish_tail(owner);
        if self.base_len < self.size {
            let gap = self.size - self.base_len;
            self.push_piece(gap, Data::Hole);
        }
        // The bytes are the same, but the durable form of them is to be another.
        self.changes += 1;
        let mut left = budget;
        while let Some(first) = self.over.first() {
            if left == 0 {
                return Ok(Settled::More);
            }
            let done = self.rechunk(owner, first, left)?;
            left = left.saturating_sub(done.max(1));
        }
        self.count(owner.core);
        Ok(Settled::Pieces)
    }

    /// Chunks anew from the piece that holds `first` up to a boundary behind which
    /// nothing is written over the base, or past the budget. Returns how many bytes.
    fn rechunk(&mut self, owner: Owner<'_>, first: u64, budget: u64) -> Result<u64, StoreError> {
        let from = find(&self.pieces, first);
        let start = match self.pieces.get(from) {
            // A hole need not be read again from its start.
            Some(p) if matches!(p.data, Data::Hole) => first,
            Some(p) => p.start,
            None => self.base_len,
        };
        let mut out: Vec<(u64, Data)> = Vec::new();
        let mut buf: Vec<u8> = Vec::new();
        let mut scan = Scan::default();
        let mut emitted = start; // where `buf` begins
        let limit = self.base_len;
        let end = loop {
            let read_to = emitted + buf.len() as u64;
            let over_budget = emitted - start >= budget;
            if buf.is_empty() && emitted > start && self.may_stop(emitted, over_budget) {
                break emitted;
            }
            if read_to >= limit {
                self.emit(owner, &mut out, &mut emitted, &mut buf, None);
                break emitted;
            }
            if let Some(len) = self.hole_at(read_to, limit) {
                self.emit(owner, &mut out, &mut emitted, &mut buf, None);
                out.push((len, Data::Hole));
                emitted += len;
                scan = Scan::default();
                continue;
            }
            // Up to the next piece's start at most, so that a boundary there is seen.
            let next = self
                .pieces
                .get(find(&self.pieces, read_to))
                .map_or(limit, |p| p.end())
                .min(limit)
                .min(read_to + (MAX as u64) / 4);
            self.read(owner, read_to, (next - read_to) as usize, &mut buf)?;
            if buf.len() as u64 != next - emitted {
                return Err(StoreError::Tampered {
                    what: "a file's content".into(),
                });
            }
            while let Some(cut) = next_cut(owner.core, &mut scan, &buf) {
                self.emit(owner, &mut out, &mut emitted, &mut buf, Some(cut));
                scan = Scan::default();
                if self.is_clean(emitted) {
                    buf.clear();
                    break;
                }
            }
            if over_budget && !buf.is_empty() && self.is_start(next) {
                self.emit(owner, &mut out, &mut emitted, &mut buf, None);
                scan = Scan::default();
            }
        };
        self.splice(owner, start, end, out);
        owner
            .core
            .dropped
            .fetch_add(end - start, std::sync::atomic::Ordering::Relaxed);
        Ok(end - start)
    }

    fn emit(
        &self,
        owner: Owner<'_>,
        out: &mut Vec<(u64, Data)>,
        emitted: &mut u64,
        buf: &mut Vec<u8>,
        cut: Option<usize>,
    ) {
        let rest = cut.map_or_else(Vec::new, |cut| buf.split_off(cut));
        let plain = std::mem::replace(buf, rest);
        if plain.is_empty() {
            return;
        }
        let len = plain.len() as u64;
        out.push((len, Data::Sealing(owner.core.pool.submit(owner.core, plain))));
        *emitted += len;
    }

    /// Whether a piece begins here, or the base ends.
    fn is_start(&self, at: u64) -> bool {
        at >= self.base_len
            || self
                .pieces
                .get(find(&self.pieces, at))
                .is_some_and(|p| p.start == at)
    }

    /// Whether the pieces from here on can stay: one begins, and nothing is over it.
    fn is_clean(&self, at: u64) -> bool {
        if !self.is_start(at) {
            return false;
        }
        match self.pieces.get(find(&self.pieces, at)) {
            Some(p) => self.over.touching(p.start..p.end()).next().is_none(),
            None => self.over.touching(at..u64::MAX).next().is_none(),
        }
    }

    fn may_stop(&self, at: u64, over_budget: bool) -> bool {
        self.is_clean(at) || (over_budget && self.is_start(at))
    }

    /// The length of the hole at `at`, if it is a large one.
    fn hole_at(&self, at: u64, limit: u64) -> Option<u64> {
        let end = self.seek(at, true).unwrap_or(limit).min(limit);
        (end > at && (end - at >= HOLE_MIN || end == limit)).then(|| end - at)
    }

    /// Puts new pieces in place of those between `start` and `end`; both are boundaries,
    /// or lie in holes, or at the end of the base.
    fn splice(&mut self, owner: Owner<'_>, start: u64, end: u64, new: Vec<(u64, Data)>) {
        let mut pieces: Vec<Piece> = Vec::with_capacity(self.pieces.len() + new.len());
        let mut push = |len: u64, data: Data| {
            if len > 0 {
                let at = pieces.last().map_or(0, Piece::end);
                pieces.push(Piece { start: at, len, data });
            }
        };
        for p in self.pieces.iter().filter(|p| p.start < start) {
            push(p.len.min(start - p.start), p.data.clone());
        }
        for (len, data) in new {
            push(len, data);
        }
        for p in self.pieces.iter().filter(|p| p.end() > end) {
            push(p.end() - p.start.max(end), p.data.clone());
        }
        self.pieces = Arc::new(pieces);
        self.recount();
        self.over.cut(start..end);
        self.open_end = true;
        self.changes += 1;
        self.relog = true;
        self.tail_logged = 0;
        self.count(owner.core);
    }
}
