//! Bringing back: a file to one of its versions, and what was removed to a place in the tree.

use super::Subject;
use super::removed::GoneRow;
use crate::content::manifest;
use crate::content::pieces::{Data, Piece};
use crate::core::StoreError;
use crate::event::{Body, Version};
use crate::ids::{EntityId, Ino, NodeId};
use crate::keys::Key;
use crate::record::{Kept, Meta, Time, VersionRecord};
use crate::text::TEXT_MAX;
use crate::tree::{Kind, TreeError};
use crate::vault::inode::{Inode, State};
use crate::vault::texts::Stand;
use crate::vault::{At, OpError, Vault};

/// A version's bytes as a content takes them over: by reference where they lie in chunks.
pub(in crate::vault) struct Bytes {
    pub(in crate::vault) pieces: Vec<(u64, Data)>,
    pub(in crate::vault) inline: Vec<u8>,
}

impl Vault {
    /// Lets a file have the bytes, permissions and xattrs of one of its versions, in one step, as a
    /// version more. Open handles see it as a write by somebody else. Returns the file: of an entity,
    /// the one that shows it by now.
    ///
    /// # Errors
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

    /// Brings one removed file or empty folder back, at a place that is free, with its history, at
    /// one of its versions or the last. A file of which another name is still there gets its name
    /// back; an old version of such a one comes as a file of its own.
    ///
    /// # Errors
    /// As [`OpError`] says: EEXIST if the name is taken, ENOENT and ESTALE as
    /// [`Vault::open_version`].
    pub fn bring_back(&self, node: NodeId, number: Option<u64>, at: At<'_>) -> Result<Ino, OpError> {
        self.writable()?;
        // Its removal is told before it comes back; and it comes back once, not by a save as well.
        self.end_grace(&[node]);
        self.tell_saved()?;
        let _history = self.history.lock();
        let gone = self.gone_row(node)?.ok_or(TreeError::NotFound)?;
        let Some(entity) = gone.record.entity else {
            return match number {
                None => self.folder_back(&gone, at),
                Some(_) => Err(OpError::Errno(libc::EISDIR)),
            };
        };
        let living = self.living(entity)?;
        if let (Some(ino), None) = (living, number) {
            self.place_link(ino, at)?;
            self.untold.lock().revived.insert(node);
            return Ok(ino);
        }
        let key = match &gone.record.key {
            Some(key) => Key::take(&mut key.clone()),
            None => self.key_of(entity)?.ok_or(TreeError::NotFound)?,
        };
        let (mut last, mut last_held) = (None, None);
        self.each_version(&key, &entity, &mut |_, record| {
            if let Ok(record) = record {
                last_held = (record.kept == Kept::All).then_some(record.number).or(last_held);
                last = Some(record.at);
            }
        })?;
        // What it showed when it went, and of a text all that has come since: so that whatever comes
        // back is made from that.
        let mut named_by = gone.record.saw.clone();
        if named_by.is_empty() {
            named_by.extend(last);
        }
        if let Some(newest) = self.newest_versions(&key, entity, &named_by)? {
            named_by = newest;
        }
        let merge = match number {
            None => self.text_of(&key, entity, &named_by)?,
            Some(_) => None,
        };
        let shown = match named_by.first() {
            Some(at) => self.row_of(&key, &entity, *at)?,
            None => None,
        };
        let shown = shown.filter(|row| row.kept == Kept::All).map(|row| row.number);
        let number = number.or(shown).or(last_held).ok_or(TreeError::NotFound)?;
        let record = self.held_version(&key, &entity, number)?;
        let version = self.version_payload(&key, entity, &record)?;
        let mut bytes = self.bytes_of((&key, entity), &record, &version)?;
        if let Some(inline) = merge {
            (bytes.pieces, bytes.inline) = (Vec::new(), inline);
        }
        let meta = self.meta_back(&version, at.folder)?;
        let inode = match living {
            None => Inode::again(self.next_ino(), entity, key, meta, &named_by),
            Some(_) => Inode::new(self.next_ino(), EntityId::random(), meta, true),
        };
        let revives = living.is_none().then_some(node);
        let file = self.nameless(inode, NodeId::random(), revives);
        {
            let inode = file.inode();
            let mut guard = inode.state.write();
            let state = &mut *guard;
            let owner = inode.owner(&self.core, &state.binding);
            let content = state.content.as_mut().ok_or(OpError::Errno(libc::EINVAL))?;
            content.become_whole(owner, &bytes.pieces, &bytes.inline)?;
            (state.fresh, state.on_present) = (true, true);
        }
        Ok(file.place(at)?.0)
    }

    /// A folder comes back by its own node: so what lay in it still knows where that was.
    fn folder_back(&self, gone: &GoneRow, at: At<'_>) -> Result<Ino, OpError> {
        let now = Time::now();
        let above = self.get(at.folder)?.state.read().meta.clone();
        let meta = Meta {
            kind: Kind::Folder,
            perm: gone.record.perm,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
            ..above
        };
        let inode = Inode::new(self.next_ino(), EntityId(gone.node.0), meta, false);
        Ok(self.nameless(inode, gone.node, Some(gone.node)).place(at)?.0)
    }

    /// Attributes of a file that comes back: its version's, and the folder's owner.
    fn meta_back(&self, version: &Version, folder: Ino) -> Result<Meta, OpError> {
        let now = Time::now();
        let above = self.get(folder)?;
        let above = above.state.read();
        Ok(Meta {
            kind: version.kind,
            perm: version.perm,
            uid: above.meta.uid,
            gid: above.meta.gid,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: version.mtime,
            ctime: now,
            btime: version.btime,
            xattrs: version.xattrs.clone(),
        })
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
