//! The same bytes: a name for what a file holds.
//!
//! ```text
//! small  = alike("small" ‖ bytes)                            up to 32 KiB
//! large  = alike("large" ‖ size (8 LE) ‖ BLAKE3(ids))        ids: of the chunks that the bytes are cut into from their first one on,
//!                                                            each by the first epoch's key
//! ```
//!
//! Stored chunks are not always those: a file that was written over in parts, has holes, was put together of others' pieces or
//! was a text before is cut at other places, and after the keys changed the same bytes have other ids. Where that can be, the bytes
//! are read and cut as they would be. Else the manifest says it all: that a chunk ends where the search ends is seen by its last 64 bytes,
//! and that no end lies within it is so by how chunks are made.
//!
//! Guarantees: equal for equal bytes, and different else, for as long as the vault has its first epoch's keys; nothing is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::chunk::{MAX, MIN, Scan, WINDOW};
use crate::content::pieces::{Data, Piece};
use crate::content::{INLINE_MAX, manifest};
use crate::core::{Core, Keyring, StoreError};
use crate::ids::{EntityId, Ino};
use crate::keys::ChunkId;
use crate::record::{BaseRef, ManifestRef, kind};
use crate::tree::Kind;
use crate::vault::inode::Inode;
use crate::vault::{OpError, Vault};

/// Bytes that are read at a time.
const STEP: usize = 1 << 20;
/// How often a file is begun anew that changes while it is read.
const TRIES: u32 = 3;

/// A name for a file's bytes: see the module. It tells nothing to whoever lacks the vault's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

/// What a look at a file came to.
enum Found {
    Hash(ContentHash),
    /// It changed meanwhile.
    Changed,
}

/// How a file's bytes can be had.
enum Bytes {
    /// They are these.
    Small(Vec<u8>),
    /// This manifest is all of them.
    Whole(ManifestRef, u64),
    /// By reading, as long as it stays this.
    Moving(Stand),
    /// Folders and devices have none.
    None,
}

/// By which it is seen that a file is another.
#[derive(PartialEq, Eq)]
struct Stand {
    entity: EntityId,
    changes: u64,
    size: u64,
}

/// Bytes, being cut from the first one on.
struct Cutting<'a> {
    core: &'a Core,
    keyring: Arc<Keyring>,
    scan: Scan,
    /// The chunk that has no end yet.
    open: Vec<u8>,
    ids: blake3::Hasher,
    size: u64,
}

impl<'a> Cutting<'a> {
    fn new(core: &'a Core) -> Cutting<'a> {
        Cutting {
            core,
            keyring: core.keyring(),
            scan: Scan::default(),
            open: Vec::new(),
            ids: blake3::Hasher::new(),
            size: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.open.extend_from_slice(bytes);
        loop {
            let seen = self.scan.pos();
            let Some(more) = self.core.cutter.scan(&mut self.scan, &self.open[seen..]) else {
                return;
            };
            self.scan = Scan::default();
            let rest = self.open.split_off(seen + more);
            self.chunk();
            self.open = rest;
        }
    }

    /// A hole. Of a large one each chunk is the same.
    fn take_zeros(&mut self, mut len: u64) {
        let zeros = vec![0; MAX];
        while len > 0 {
            if self.open.is_empty() && len >= MAX as u64 {
                let cut = self.core.cutter.cut(&zeros).unwrap_or(MAX);
                let id = self.keyring.chunks.first_id(kind::CHUNK, &zeros[..cut]);
                while len >= MAX as u64 {
                    self.ids.update(&id.0);
                    len -= cut as u64;
                    self.size += cut as u64;
                }
                continue;
            }
            let some = len.min(MIN as u64);
            self.take(&zeros[..some as usize]);
            len -= some;
        }
    }

    /// What is open is a chunk.
    fn chunk(&mut self) {
        let id = self.keyring.chunks.first_id(kind::CHUNK, &self.open);
        self.ids.update(&id.0);
        self.open.clear();
    }

    fn end(mut self) -> ContentHash {
        if !self.open.is_empty() {
            self.chunk();
        }
        large(&self.keyring, self.size, &self.ids)
    }
}

fn large(keyring: &Keyring, size: u64, ids: &blake3::Hasher) -> ContentHash {
    let ids = ids.finalize();
    ContentHash(
        keyring
            .chunks
            .alike(&[b"large", &size.to_le_bytes(), ids.as_bytes()]),
    )
}

fn small(keyring: &Keyring, bytes: &[u8]) -> ContentHash {
    ContentHash(keyring.chunks.alike(&[b"small", bytes]))
}

impl Vault {
    /// A name for a file's bytes: equal for files with equal bytes, whatever they are called and however they came here, different
    /// else. None if it cannot be known now: a part of them is not on this device, or the file goes on changing; and of what is no
    /// file. Of a large one that is at rest hardly more than its manifest is read, mostly.
    ///
    /// # Errors
    /// ENOENT if the file is gone; as [`OpError`] says.
    pub fn content(&self, ino: Ino) -> Result<Option<ContentHash>, OpError> {
        self.content_until(ino, &AtomicBool::new(false))
    }

    /// The same, given up soon after somebody has set `stop`: a large file takes long.
    ///
    /// # Errors
    /// As [`Vault::content`].
    pub fn content_until(&self, ino: Ino, stop: &AtomicBool) -> Result<Option<ContentHash>, OpError> {
        for _ in 0..TRIES {
            let found = self.glance(ino, |inode| match self.bytes_now(inode)? {
                Bytes::None => Ok(None),
                Bytes::Small(bytes) => Ok(Some(Found::Hash(small(&self.core.keyring(), &bytes)))),
                Bytes::Whole(root, size) => Ok(self.of_manifest(inode, &root, size, stop)?),
                Bytes::Moving(stand) => self.of_moving(inode, &stand, stop),
            });
            match found {
                Ok(None) => return Ok(None),
                Ok(Some(Found::Hash(hash))) => return Ok(Some(hash)),
                Ok(Some(Found::Changed)) => {}
                Err(OpError::Store(StoreError::Absent(_))) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What [`Vault::content`] says of a file that holds these bytes. None if that takes more than to look at them: above 32 KiB.
    pub fn content_of(&self, bytes: &[u8]) -> Option<ContentHash> {
        (bytes.len() as u64 <= INLINE_MAX).then(|| small(&self.core.keyring(), bytes))
    }

    fn bytes_now(&self, inode: &Arc<Inode>) -> Result<Bytes, OpError> {
        {
            let state = inode.state.read();
            let Some(content) = state.content.as_deref().filter(|_| state.meta.kind == Kind::File) else {
                return Ok(Bytes::None);
            };
            let size = content.size();
            if size > INLINE_MAX {
                return Ok(match content.durable().base {
                    BaseRef::Manifest(root) if content.is_settled() => Bytes::Whole(root, size),
                    _ => Bytes::Moving(Stand {
                        entity: state.binding.entity(),
                        changes: content.changes(),
                        size,
                    }),
                });
            }
        }
        self.with_content(inode, |_, content, owner| {
            let mut bytes = Vec::new();
            // It may have grown in between.
            let len = content.size().min(INLINE_MAX + 1) as usize;
            content.read(owner, 0, len, &mut bytes)?;
            Ok(bytes)
        })
        .map(|bytes| match bytes.len() as u64 > INLINE_MAX {
            // Asked for once more, by whoever is told of that.
            true => Bytes::None,
            false => Bytes::Small(bytes),
        })
    }

    /// Of a file that is what its manifest says; none if it was stopped.
    fn of_manifest(
        &self,
        inode: &Inode,
        root: &ManifestRef,
        size: u64,
        stop: &AtomicBool,
    ) -> Result<Option<Found>, StoreError> {
        let hash = manifest::load(&self.core, root).and_then(|pieces| {
            if pieces.last().map_or(0, Piece::end) != size {
                let what = "a manifest".into();
                return Err(StoreError::Tampered { what });
            }
            match self.by_ids(&pieces, size)? {
                Some(hash) => Ok(Some(hash)),
                None => self.by_bytes(&pieces, stop),
            }
        });
        match hash {
            Ok(hash) => Ok(hash.map(Found::Hash)),
            Err(error) if error.is_damage() => {
                // Nothing was locked: what the file was may be gone by now.
                let state = inode.state.read();
                let content = state.content.as_deref();
                let is_it = content.is_some_and(|content| {
                    content.is_settled() && content.durable().base == BaseRef::Manifest(*root)
                });
                match is_it {
                    true => Err(error),
                    false => Ok(Some(Found::Changed)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// By the chunks' names, if these are the chunks that the bytes would be cut into.
    fn by_ids(&self, pieces: &[Piece], size: u64) -> Result<Option<ContentHash>, StoreError> {
        let keyring = self.core.keyring();
        // One piece alone may be a text's, which is not cut as long as it is small.
        if pieces.len() < 2 || !keyring.chunks.is_one_epoch() {
            return Ok(None);
        }
        let mut ids = blake3::Hasher::new();
        for (n, piece) in pieces.iter().enumerate() {
            let Some(chunk) = piece.data.stored().filter(|_| piece.is_whole()) else {
                return Ok(None);
            };
            if n + 1 < pieces.len() {
                let len = chunk.len as usize;
                let Some(from) = len.checked_sub(WINDOW) else {
                    return Ok(None);
                };
                let mut last = [0; WINDOW];
                self.core.read_chunk(kind::CHUNK, &chunk, from, &mut last)?;
                if !self.core.cutter.ends(&last, len) {
                    return Ok(None);
                }
            }
            ids.update(&chunk.id.0);
        }
        Ok(Some(large(&keyring, size, &ids)))
    }

    /// By reading these pieces; none if it was stopped.
    fn by_bytes(&self, pieces: &[Piece], stop: &AtomicBool) -> Result<Option<ContentHash>, StoreError> {
        let mut cutting = Cutting::new(&self.core);
        for piece in pieces {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match &piece.data {
                Data::Hole => cutting.take_zeros(piece.len),
                data => {
                    let chunk = data.stored().ok_or_else(|| StoreError::Missing {
                        what: "a part of a file".into(),
                    })?;
                    let bytes = self.core.whole_chunk(kind::CHUNK, &chunk)?;
                    let shown = bytes.get(..piece.len as usize);
                    cutting.take(shown.ok_or_else(|| StoreError::Tampered {
                        what: "a manifest".into(),
                    })?);
                }
            }
        }
        Ok(Some(cutting.end()))
    }

    /// Of a file that is not whole on the disk, by reading it in steps; it is locked for one at a time. None if it was stopped.
    fn of_moving(
        &self,
        inode: &Arc<Inode>,
        stand: &Stand,
        stop: &AtomicBool,
    ) -> Result<Option<Found>, OpError> {
        let mut cutting = Cutting::new(&self.core);
        while cutting.size < stand.size {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let from = cutting.size;
            let step = self.with_content(inode, |state, content, owner| {
                let now = Stand {
                    entity: state.binding.entity(),
                    changes: content.changes(),
                    size: content.size(),
                };
                if now != *stand {
                    return Ok(None);
                }
                // A large hole is not read.
                let data = content.seek(from, true).unwrap_or(stand.size);
                if data - from >= STEP as u64 {
                    return Ok(Some((data - from, Vec::new())));
                }
                let mut bytes = Vec::new();
                content.read(owner, from, STEP, &mut bytes)?;
                Ok(Some((0, bytes)))
            })?;
            match step {
                None => return Ok(Some(Found::Changed)),
                Some((0, bytes)) if bytes.is_empty() => return Ok(Some(Found::Changed)),
                Some((zeros, bytes)) => {
                    cutting.take_zeros(zeros);
                    cutting.take(&bytes);
                }
            }
        }
        Ok(Some(Found::Hash(cutting.end())))
    }

    /// A chunk's name, for an index.
    pub(super) fn blob_name(&self, id: &ChunkId) -> [u8; 32] {
        self.core.keyring().chunks.alike(&[b"chunk", &id.0])
    }
}
