//! A file's bytes: the last whole state (chunks, or a small body in a batch of events),
//! and over it what was written since.
//!
//! ```text
//!   over     extents anywhere in the base, in memory or sealed in packs
//!   base     pieces: chunks and holes          | tail: bytes after the base, growing
//!   0 ────────────────────────────── base_len ─┴────────────────► (then a hole) size
//! ```
//!
//! What is appended goes to the tail; the content-defined cutter takes chunks off its
//! front, and they are sealed while the writer goes on. What is written inside the base
//! becomes an extent over it. [`Content::persist`] makes the present state durable
//! without chunking anew; [`Content::settle`] makes it whole again.
//!
//! Guarantees: reads show every write that returned; memory is bounded by what callers
//! allow through [`Content::memory`] and [`Content::spill`]; a failed call loses no byte
//! that was accepted before. It does not know of names, times, handles or transactions.

mod load;
pub(crate) mod manifest;
mod over;
mod persist;
pub(crate) mod pieces;
mod read;
mod settle;
mod write;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) use load::{read_body, read_version};
pub(crate) use persist::{Plan, delete_log, log_aad, log_key};
pub(crate) use settle::Settled;

use crate::binding::Binding;
use crate::chunk::{Place, Scan};
use crate::core::Core;
use crate::ids::Ino;
use crate::keys::{ChunkId, Key};
use crate::record::BaseRef;
use over::Over;
use pieces::Piece;

/// Files up to this size are stored whole, with the event that publishes them.
pub(crate) const INLINE_MAX: u64 = 32 << 10;

/// What the content's bytes are sealed with, and for.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) core: &'a Arc<Core>,
    pub(crate) key: &'a Key,
    pub(crate) ino: Ino,
    /// Where the key of a body is found.
    pub(crate) binding: &'a Binding,
}

/// What the database says of the content, or will once the next transaction is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) size: u64,
    pub(crate) allocated: u64,
    pub(crate) base: BaseRef,
    pub(crate) base_len: u64,
    pub(crate) log_first: u64,
    pub(crate) log_next: u64,
}

impl Default for Durable {
    fn default() -> Durable {
        Durable {
            size: 0,
            allocated: 0,
            base: BaseRef::Empty,
            base_len: 0,
            log_first: 1,
            log_next: 1,
        }
    }
}

/// See the module.
pub(crate) struct Content {
    size: u64,
    /// The base as pieces; empty while it is a body that nobody has changed.
    pieces: Arc<Vec<Piece>>,
    base_len: u64,
    /// Bytes of the pieces that are not holes.
    base_data: u64,
    tail: Vec<u8>,
    scan: Scan,
    /// How much of the tail's front the log holds.
    tail_logged: usize,
    over: Over,
    /// The smallest size since the log was last written.
    truncated: Option<u64>,
    /// The base is not the durable one, or the log must be written anew.
    relog: bool,
    /// Pieces were not read from the manifest yet.
    unloaded: bool,
    durable: Durable,
    /// What the transaction that is being made will leave; continued if it takes more.
    planned: Option<Plan>,
    /// A transaction under way takes its body from memory and removes the log.
    going: bool,
    /// The base's last chunk may end where the file ends, not at a boundary of the content.
    open_end: bool,
    /// Counts changes, so that a caller sees whether there were any.
    changes: u64,
    /// At how many rows the log is written anew.
    relog_at: u64,
    /// What `changes` was when the durable state was taken.
    persisted: u64,
    /// What of `Core::dirty` is ours.
    counted: u64,
}

impl Content {
    /// An empty file's.
    pub(crate) fn new() -> Content {
        Content::stored(Durable::default())
    }

    /// A stored file's. Its pieces and log are read when they are needed.
    pub(crate) fn stored(durable: Durable) -> Content {
        Content {
            size: durable.size,
            pieces: Arc::default(),
            base_len: 0,
            base_data: 0,
            tail: Vec::new(),
            scan: Scan::default(),
            tail_logged: 0,
            over: Over::default(),
            truncated: None,
            relog: false,
            unloaded: durable.base != BaseRef::Empty || durable.log_first != durable.log_next,
            durable,
            planned: None,
            going: false,
            open_end: true,
            relog_at: 0,
            changes: 0,
            persisted: 0,
            counted: 0,
        }
    }

    /// Bytes that are in memory alone, and are not to be stored.
    pub(crate) fn fixed(bytes: Vec<u8>) -> Content {
        let mut content = Content::new();
        content.size = bytes.len() as u64;
        content.tail_logged = bytes.len();
        content.tail = bytes;
        content
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What the database holds.
    pub(crate) fn durable(&self) -> Durable {
        self.durable
    }

    /// Whether some bytes of it are on disk, or are about to be.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.going || self.durable.size > 0 || self.planned.is_some_and(|plan| plan.durable.size > 0)
    }

    /// Counts changes.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Bytes that are not holes.
    pub(crate) fn allocated(&self) -> u64 {
        if self.unloaded {
            return self.durable.allocated;
        }
        let mut total = self.base_data + self.tail.len() as u64;
        for (offset, extent) in self.over.iter() {
            let hidden = self.data_below(offset, offset + extent.len);
            let shown = if matches!(extent.bytes, over::Bytes::Zero) {
                0
            } else {
                extent.len
            };
            total = (total + shown).saturating_sub(hidden);
        }
        total
    }

    /// Bytes of the base that are data in a range.
    fn data_below(&self, from: u64, to: u64) -> u64 {
        let mut sum = 0;
        for piece in &self.pieces[pieces::find(&self.pieces, from)..] {
            if piece.start >= to {
                break;
            }
            if !matches!(piece.data, pieces::Data::Hole) {
                sum += piece.end().min(to) - piece.start.max(from);
            }
        }
        sum
    }

    /// Calls `chunk` with each stored chunk that the content in memory names, and `place`
    /// with each sealed extent.
    pub(crate) fn names(&self, chunk: &mut dyn FnMut(ChunkId), place: &mut dyn FnMut(Place)) {
        for piece in self.pieces.iter() {
            match &piece.data {
                pieces::Data::Chunk(c) => chunk(c.id),
                pieces::Data::Sealing(job) => {
                    if let Some(c) = job.stored() {
                        chunk(c.id);
                    }
                }
                pieces::Data::Hole => {}
            }
        }
        for (_, extent) in self.over.iter() {
            if let over::Bytes::Stored { place: at, .. } = extent.bytes {
                place(at);
            }
        }
    }

    /// The pieces are others now.
    fn recount(&mut self) {
        let data = self
            .pieces
            .iter()
            .filter(|p| !matches!(p.data, pieces::Data::Hole));
        self.base_data = data.map(|p| p.len).sum();
    }

    /// Whether pieces and log are still to be read.
    pub(crate) fn is_unloaded(&self) -> bool {
        self.unloaded
    }

    /// Forgets what can be read again, if nothing would be lost by it.
    pub(crate) fn unload(&mut self, core: &Core) {
        if self.unloaded || self.is_dirty() || self.going {
            return;
        }
        let fresh = Content::stored(self.durable);
        let old = std::mem::replace(self, fresh);
        (self.changes, self.persisted, self.counted) = (old.changes, old.persisted, old.counted);
        self.count(core);
    }

    /// Bytes in memory that are not stored and not with the sealing threads.
    pub(crate) fn memory(&self) -> usize {
        self.tail.len() - self.tail_logged + self.over.mem()
    }

    /// Keeps the store's count of accepted bytes true.
    fn count(&mut self, core: &Core) {
        let now = self.memory() as u64;
        if now >= self.counted {
            core.dirty.fetch_add(now - self.counted, Ordering::Relaxed);
        } else {
            core.dirty.fetch_sub(self.counted - now, Ordering::Relaxed);
        }
        self.counted = now;
    }

    /// Takes what this content holds off the store's count: it is about to be dropped.
    fn forget(&mut self, core: &Core) {
        core.dirty.fetch_sub(self.counted, Ordering::Relaxed);
        self.counted = 0;
    }

    /// Bytes of extents in memory, logged ones too.
    pub(crate) fn held(&self) -> usize {
        self.over.held()
    }

    /// Nothing of this content will be stored any more.
    pub(crate) fn discard(&mut self, core: &Core) {
        core.dropped.fetch_add(self.size, Ordering::Relaxed);
        self.tail = Vec::new();
        self.tail_logged = 0;
        self.over = Over::default();
        self.count(core);
    }
}
