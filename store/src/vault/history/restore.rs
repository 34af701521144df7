//! Bringing a file back to one of its versions.

use super::Subject;
use crate::content::manifest;
use crate::content::pieces::{Data, Piece};
use crate::core::{Absent, StoreError};
use crate::event::{Body, Version};
use crate::ids::{EntityId, Ino};
use crate::keys::Key;
use crate::record::{ChunkRef, Time, VersionRecord};
use crate::text::TEXT_MAX;
use crate::vault::demand::Keeping;
use crate::vault::inode::{Inode, State};
use crate::vault::texts::Stand;
use crate::vault::{OpError, Vault};

/// A version's bytes as a content takes them over: by reference where they lie in chunks.
pub(in crate::vault) struct Bytes {
    pub(in crate::vault) pieces: Vec<(u64, Data)>,
    pub(in crate::vault) inline: Vec<u8>,
}

impl Bytes {
    /// The stored pieces among them.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &ChunkRef> {
        self.pieces.iter().filter_map(|(_, data)| match data {
            Data::Chunk(chunk) => Some(chunk),
            _ => None,
        })
    }
}

impl Vault {
    /// Lets a file have the bytes, permissions and xattrs of one of its versions, in one step, as a
    /// version more. Open handles see it as a write by somebody else. Returns the file: of an entity,
    /// the one that shows it by now.
    ///
    /// # Errors
    /// EHOSTUNREACH if not all of its bytes are here, see [`Vault::gather_version`];
    /// EBUSY if it holds something that is no version yet and would be lost, or lacks what others wrote; as
    /// [`Vault::open_version`], and as [`OpError`] says; then it is as it was.
    pub fn restore_version(&self, of: Subject, number: u64) -> Result<Ino, OpError> {
        self.writable()?;
        self.show_what_came(of)?;
        let whose = self.whose(of)?;
        // Nothing of it is thinned or purged before it is the file's again.
        let _history = self.history.lock();
        // No document is waited for with the committer held.
        let before = self.held_version(&whose.key, &whose.entity, number)?;
        let text = match before.is_change() {
            true => Some(self.text_of_version(&whose.key, whose.entity, &before)?),
            false => None,
        };
        // No commit is under way, which might fail: then what it told is no version after all.
        let _committer = self.committer.lock();
        let record = self.held_version(&whose.key, &whose.entity, number)?;
        if record.at != before.at {
            return Err(OpError::Errno(libc::EBUSY));
        }
        let version = self.version_payload(&whose.key, whose.entity, &record)?;
        let bytes = match text {
            Some(inline) => Bytes {
                pieces: Vec::new(),
                inline,
            },
            None => self.bytes_of((&whose.key, whose.entity), &record, &version)?,
        };
        self.all_here(&bytes)?;
        let inode = self.showing(of)?;
        let now = Time::now();
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let same = state.binding.entity() == whose.entity && state.meta.kind == version.kind;
        // What was saved just now is a version, too. What is not is lost for good: bytes that came
        // since somebody asked whether there are any; those of a file without a name become none.
        self.capture(&inode, state);
        // Nor is it known what restoring means where others wrote what is not shown yet, because somebody
        // writes here: that may be just what is restored.
        let waits = state.behind > 0 && state.writers > 0;
        if same && (state.fresh || state.meta.nlink == 0 || waits) {
            return Err(OpError::Errno(libc::EBUSY));
        }
        if same {
            self.keep_merge(&inode, state);
        }
        let Some(content) = state.content.as_mut().filter(|_| same) else {
            return Err(OpError::Errno(libc::ESTALE));
        };
        let owner = inode.owner(&self.core, &state.binding);
        content.become_whole(owner, &bytes.pieces, &bytes.inline)?;
        let meta = &mut state.meta;
        (meta.perm, meta.xattrs) = (version.perm, version.xattrs);
        (meta.mtime, meta.ctime) = (now, now);
        self.was_put(&inode, state);
        drop(guard);
        self.mark_dirty(inode.ino);
        Ok(inode.ino)
    }

    /// Something was put in the place of what a file was: of a text that is a version at once, made from
    /// what was there, whoever had what. Whoever has it open sees it from now on.
    pub(super) fn was_put(&self, inode: &Inode, state: &mut State) {
        (state.meta_dirty, state.times_only) = (true, false);
        (state.untold, state.fresh) = (true, true);
        (state.on_present, state.program) = (true, None);
        let file = (state.binding.entity(), inode.ino);
        self.texts.shows(file, &Stand::Next(inode.ino));
        self.feed.puts(inode.ino);
        if state.marks.text && (1..=TEXT_MAX as u64).contains(&state.size()) {
            self.capture_now(inode, state);
        }
    }

    /// A merge that is only shown is no version: it is to be one before something takes its place.
    fn keep_merge(&self, inode: &Inode, state: &mut State) {
        let is_told = !state.fresh && state.drafts.is_empty();
        if is_told && !state.beside.is_empty() && state.marks.text {
            (state.fresh, state.on_present) = (true, true);
            self.capture_now(inode, state);
            // Where there is no room for one more, it stays what its versions come to.
            (state.fresh, state.on_present) = (false, false);
            (state.untold, state.meta_dirty) = (true, true);
        }
    }

    /// Whether a file may show this version: its bytes are here, or are fetched when they are read. One that is pinned shows
    /// what it has until all of the new one is here.
    pub(in crate::vault) fn may_show_bytes(
        &self,
        entity: EntityId,
        record: &VersionRecord,
        bytes: &Bytes,
    ) -> Result<bool, StoreError> {
        let on_demand = self.keeping() == Keeping::Texts && record.form != 2 && !self.is_pinned(&entity);
        Ok(on_demand || self.has_all(bytes)?)
    }

    /// Whether all chunks are here.
    pub(in crate::vault) fn has_all(&self, bytes: &Bytes) -> Result<bool, StoreError> {
        for (_, data) in &bytes.pieces {
            if let Data::Chunk(chunk) = data
                && self.core.chunk_row(&chunk.id)?.is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is to be told again must be here: others may have let go of it.
    pub(super) fn all_here(&self, bytes: &Bytes) -> Result<(), StoreError> {
        for chunk in bytes.chunks() {
            if self.core.chunk_row(&chunk.id)?.is_none() {
                return Err(StoreError::Absent(Absent(*chunk)));
            }
        }
        Ok(())
    }

    /// A version's bytes, as a content takes them over.
    pub(in crate::vault) fn bytes_of(
        &self,
        (key, entity): (&Key, EntityId),
        record: &VersionRecord,
        version: &Version,
    ) -> Result<Bytes, StoreError> {
        let mut bytes = Bytes {
            pieces: Vec::new(),
            inline: Vec::new(),
        };
        match &version.body {
            Body::Inline(inline) => bytes.inline.clone_from(inline),
            Body::Manifest(root) => {
                let pieces = manifest::load(&self.core, root)?;
                if pieces.last().map_or(0, Piece::end) != version.size {
                    return Err(StoreError::Tampered {
                        what: "a manifest".into(),
                    });
                }
                bytes.pieces = pieces.into_iter().map(|p| (p.len, p.data)).collect();
            }
            Body::Change { .. } | Body::Same | Body::Carried { .. } => {
                bytes.inline = self.text_of_version(key, entity, record)?
            }
        }
        Ok(bytes)
    }
}
