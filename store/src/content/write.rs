//! Writing, cutting, making holes.

use std::sync::Arc;

use super::over::{Bytes, Extent};
use super::pieces::{Data, Piece, find};
use super::{Content, Owner};
use crate::chunk::{MIN, Scan};
use crate::core::{Core, StoreError};
use crate::record::kind;

/// Bytes fed to the cutter at a time, so that what it leaves over is small.
const FEED: usize = 128 << 10;
/// A gap of at least this before new bytes becomes a hole of the base.
const HOLE_MIN: u64 = 64 << 10;

/// Where the chunk that begins with `buf` ends, if that is decided. `scan` stands where the
/// last call left it: what it has seen is not looked at again.
pub(super) fn next_cut(core: &Core, scan: &mut Scan, buf: &[u8]) -> Option<usize> {
    let seen = scan.pos();
    core.cutter.scan(scan, &buf[seen..]).map(|more| seen + more)
}

impl Content {
    /// Writes all of `data`. The content must be loaded.
    pub(crate) fn write(&mut self, owner: Owner<'_>, offset: u64, data: &[u8]) -> Result<(), StoreError> {
        let end = offset.checked_add(data.len() as u64);
        if end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(StoreError::TooBig);
        }
        if data.is_empty() {
            return Ok(());
        }
        owner.core.room_for(data.len() as u64)?;
        if offset == self.size {
            self.reopen_end(owner)?;
        }
        self.put(owner, offset, data);
        Ok(())
    }

    /// The same, for what was accepted before: from the log.
    pub(super) fn put(&mut self, owner: Owner<'_>, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        self.changes += 1;
        let mut at = offset;
        let mut rest = data;
        if at < self.base_len {
            let take = rest.len().min((self.base_len - at) as usize);
            self.over.write(at, &rest[..take]);
            at += take as u64;
            rest = &rest[take..];
        }
        let tail_end = self.base_len + self.tail.len() as u64;
        if !rest.is_empty() && at < tail_end {
            let from = (at - self.base_len) as usize;
            let take = rest.len().min(self.tail.len() - from);
            self.tail[from..from + take].copy_from_slice(&rest[..take]);
            self.tail_logged = self.tail_logged.min(from);
            if from < self.scan.pos() {
                self.scan = Scan::default();
            }
            at += take as u64;
            rest = &rest[take..];
        }
        if !rest.is_empty() {
            self.write_beyond(owner, at, rest);
        }
        self.size = self.size.max(end);
        self.count(owner.core);
    }

    /// Before appending: the last chunk may have ended with the file and not at a
    /// boundary of the content; it becomes the tail again, else a file that grows by
    /// lines would be a heap of small chunks.
    fn reopen_end(&mut self, owner: Owner<'_>) -> Result<(), StoreError> {
        let Some(last) = self
            .pieces
            .last()
            .filter(|_| self.open_end && self.tail.is_empty())
        else {
            return Ok(());
        };
        let (start, len) = (last.start, last.len);
        if matches!(last.data, Data::Hole) || start + len != self.size {
            return Ok(());
        }
        let mut plain = Vec::with_capacity(len as usize);
        match self.read(owner, start, len as usize, &mut plain) {
            // It stays as it is: one small piece is not worth asking other devices for.
            Err(StoreError::Absent(_)) => return Ok(()),
            read => read?,
        }
        self.over.cut(start..start + len);
        Arc::make_mut(&mut self.pieces).pop();
        self.base_data -= len;
        self.base_len = start;
        self.tail = plain;
        self.tail_logged = 0;
        self.scan = Scan::default();
        self.open_end = false;
        self.relog = true;
        Ok(())
    }

    /// Writes at or after the end of the tail.
    fn write_beyond(&mut self, owner: Owner<'_>, at: u64, data: &[u8]) {
        let tail_end = self.base_len + self.tail.len() as u64;
        let clear = self.over.end() <= tail_end;
        if at > tail_end {
            let whole = self.tail.is_empty() || self.tail.len() >= MIN;
            if !(clear && whole && at - tail_end >= HOLE_MIN) {
                self.over.write(at, data);
                return;
            }
            self.finish_tail(owner);
            self.push_hole(at - self.base_len);
        }
        if !clear {
            self.over.cut(at..at + data.len() as u64);
        }
        self.append(owner, data);
    }

    /// Appends to the tail, and hands chunks off its front to the sealing threads.
    fn append(&mut self, owner: Owner<'_>, data: &[u8]) {
        for part in data.chunks(FEED) {
            self.tail.extend_from_slice(part);
            while let Some(cut) = next_cut(owner.core, &mut self.scan, &self.tail) {
                let rest = self.tail.split_off(cut);
                let chunk = std::mem::replace(&mut self.tail, rest);
                self.scan = Scan::default();
                self.push_chunk(owner, chunk);
                self.open_end = false;
            }
        }
    }

    /// What is in the tail becomes the base's last chunk.
    pub(super) fn finish_tail(&mut self, owner: Owner<'_>) {
        if !self.tail.is_empty() {
            let chunk = std::mem::take(&mut self.tail);
            self.push_chunk(owner, chunk);
        }
        self.scan = Scan::default();
        self.open_end = true;
    }

    fn push_chunk(&mut self, owner: Owner<'_>, plain: Vec<u8>) {
        let len = plain.len() as u64;
        let job = owner.core.pool.submit(owner.core, plain);
        self.push_piece(len, Data::Sealing(job));
    }

    fn push_hole(&mut self, len: u64) {
        self.push_piece(len, Data::Hole);
    }

    /// Appends a piece to the base. The tail must be empty or about to be.
    pub(super) fn push_piece(&mut self, len: u64, data: Data) {
        if !matches!(data, Data::Hole) {
            self.base_data += len;
        }
        let piece = Piece {
            start: self.base_len,
            len,
            data,
        };
        Arc::make_mut(&mut self.pieces).push(piece);
        self.base_len += len;
        self.tail_logged = 0;
        self.relog = true;
    }

    /// Takes over whole pieces of another file, or of this one, at the end of this one:
    /// a clone. Returns how many bytes; 0 if none fits there.
    pub(crate) fn clone_pieces(
        &mut self,
        owner: Owner<'_>,
        at: u64,
        from: &[(u64, Data)],
    ) -> Result<u64, StoreError> {
        let tail_end = self.base_len + self.tail.len() as u64;
        if at != tail_end || at != self.size || self.over.end() > tail_end {
            return Ok(0);
        }
        // Looked at before it asks: a job that finishes asks while it is locked.
        for chunk in from.iter().filter_map(|(_, data)| data.stored()) {
            // Asked for, then looked for: it stays from here on, or it was given back since the
            // source was looked into.
            owner.core.ask_again(chunk.id);
            if owner.core.chunk_row(&chunk.id)?.is_none() && !owner.core.may_be_absent(kind::CHUNK) {
                return Ok(0);
            }
        }
        self.finish_tail(owner);
        let mut total = 0;
        for (len, data) in from {
            self.push_piece(*len, data.clone());
            total += len;
        }
        self.changes += 1;
        self.size += total;
        self.count(owner.core);
        Ok(total)
    }

    /// The whole pieces that lie in a range from `offset` on, with nothing over them,
    /// for [`Content::clone_pieces`]. None if no piece begins there.
    pub(crate) fn whole_pieces(&self, offset: u64, len: u64) -> Vec<(u64, Data)> {
        let end = offset.saturating_add(len);
        let mut at = offset;
        let mut out = Vec::new();
        for piece in &self.pieces[find(&self.pieces, offset)..] {
            if piece.start != at || piece.end() > end || !piece.is_whole() {
                break;
            }
            if self.over.touching(piece.start..piece.end()).next().is_some() {
                break;
            }
            out.push((piece.len, piece.data.clone()));
            at = piece.end();
        }
        out
    }

    /// Bytes from `offset` to the end of the piece that holds it; all there are after the base.
    pub(crate) fn to_piece_end(&self, offset: u64) -> u64 {
        match self.pieces.get(find(&self.pieces, offset)) {
            Some(p) => p.end() - offset,
            None => u64::MAX,
        }
    }

    /// Cuts the file or extends it by a hole. The content must be loaded.
    pub(crate) fn truncate(&mut self, owner: Owner<'_>, size: u64) -> Result<(), StoreError> {
        if size > i64::MAX as u64 {
            return Err(StoreError::TooBig);
        }
        if size == self.size {
            return Ok(());
        }
        if size < self.size {
            let dropped = self.size - size;
            owner
                .core
                .dropped
                .fetch_add(dropped, std::sync::atomic::Ordering::Relaxed);
            if size < self.base_len {
                self.cut_base(owner, size)?;
            } else {
                self.over.cut(size..u64::MAX);
                self.tail.truncate((size - self.base_len) as usize);
                self.tail_logged = self.tail_logged.min(self.tail.len());
                if self.scan.pos() > self.tail.len() {
                    self.scan = Scan::default();
                }
            }
            self.truncated = Some(self.truncated.map_or(size, |t| t.min(size)));
        }
        self.changes += 1;
        self.size = size;
        self.count(owner.core);
        Ok(())
    }

    /// Cuts the file to nothing, whatever it held; nothing of it is read.
    pub(crate) fn clear(&mut self, owner: Owner<'_>) {
        if self.size == 0 && !self.unloaded {
            return;
        }
        let fresh = Content::stored(self.durable);
        let old = std::mem::replace(self, fresh);
        owner
            .core
            .dropped
            .fetch_add(old.size, std::sync::atomic::Ordering::Relaxed);
        self.size = 0;
        self.unloaded = false;
        self.relog = true;
        self.changes = old.changes + 1;
        self.persisted = old.persisted;
        self.counted = old.counted;
        self.count(owner.core);
    }

    /// Lets it be these pieces, or these bytes, in place of whatever it held; nothing of that is
    /// read. If it cannot be, it is as it was.
    pub(crate) fn become_whole(
        &mut self,
        owner: Owner<'_>,
        pieces: &[(u64, Data)],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let mut fresh = Content::stored(self.durable);
        (fresh.size, fresh.unloaded, fresh.relog) = (0, false, true);
        let filled = match pieces {
            [] => fresh.write(owner, 0, bytes),
            pieces => fresh
                .clone_pieces(owner, 0, pieces)
                .and_then(|cloned| match cloned {
                    0 => Err(StoreError::Missing {
                        what: "a part of that version".into(),
                    }),
                    _ => Ok(()),
                }),
        };
        if let Err(e) = filled {
            fresh.forget(owner.core);
            return Err(e);
        }
        fresh.changes = self.changes + 1;
        fresh.persisted = self.persisted;
        let mut old = std::mem::replace(self, fresh);
        old.forget(owner.core);
        owner
            .core
            .dropped
            .fetch_add(old.size, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Cuts within the base. What is left of the chunk that the cut goes through becomes
    /// the tail.
    fn cut_base(&mut self, owner: Owner<'_>, size: u64) -> Result<(), StoreError> {
        let at = find(&self.pieces, size);
        let (start, hole) = match self.pieces.get(at) {
            Some(p) => (p.start, matches!(p.data, Data::Hole)),
            None => (size, true),
        };
        let mut tail = Vec::new();
        if !hole {
            self.read(owner, start, (size - start) as usize, &mut tail)?;
        }
        let pieces = Arc::make_mut(&mut self.pieces);
        pieces.truncate(at + usize::from(hole && size > start));
        if hole
            && size > start
            && let Some(last) = pieces.last_mut()
        {
            last.len = size - start;
        }
        self.base_len = pieces.last().map_or(0, Piece::end);
        self.recount();
        self.over.cut(self.base_len.min(size)..u64::MAX);
        self.tail = tail;
        self.tail_logged = 0;
        self.scan = Scan::default();
        self.open_end = true;
        self.relog = true;
        Ok(())
    }

    /// Makes a range zeros, a hole where that is cheap. The size stays.
    pub(crate) fn punch(&mut self, owner: Owner<'_>, offset: u64, len: u64) {
        let end = self.size.min(offset.saturating_add(len));
        if offset >= end {
            return;
        }
        self.changes += 1;
        let tail_end = self.base_len + self.tail.len() as u64;
        if offset < self.base_len {
            let stop = end.min(self.base_len);
            self.over.insert(
                offset,
                Extent {
                    len: stop - offset,
                    bytes: Bytes::Zero,
                    logged: false,
                },
            );
        }
        let (from, to) = (offset.max(self.base_len), end.min(tail_end));
        if from < to {
            let from = (from - self.base_len) as usize;
            self.tail[from..(to - self.base_len) as usize].fill(0);
            self.tail_logged = self.tail_logged.min(from);
            if from < self.scan.pos() {
                self.scan = Scan::default();
            }
        }
        let from = offset.max(tail_end);
        if from < end {
            // Logged writes may lie below: a hole must be written over them.
            self.over.insert(
                from,
                Extent {
                    len: end - from,
                    bytes: Bytes::Zero,
                    logged: false,
                },
            );
        }
        self.count(owner.core);
    }
}
