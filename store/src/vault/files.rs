//! Handles, and reading and writing the bytes of files.

use std::time::Instant;

use super::attributes::kill_suid;
use super::saves::Process;
use super::{OpError, Vault};
use crate::content::{self, INLINE_MAX};
use crate::core::StoreError;
use crate::ids::Ino;
use crate::record::{BaseRef, Time};
use crate::tree::Kind;

/// Bytes of memory for extents of one file, above which they go into packs.
const SPILL: usize = 8 << 20;

impl Vault {
    /// A handle was opened. `truncate` cuts the file to nothing, with `suid` its set-id bits go.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn open(&self, ino: Ino, write: bool, truncate: bool, suid: bool) -> Result<(), OpError> {
        self.open_by(0, ino, write, truncate, suid)
    }

    /// As [`Vault::open`], on behalf of a process.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_by(
        &self,
        who: Process,
        ino: Ino,
        write: bool,
        truncate: bool,
        suid: bool,
    ) -> Result<(), OpError> {
        self.open_handle(who, ino, (write, truncate, suid), 0)
    }

    /// As [`Vault::open_by`] (write, truncate, suid), by a handle whose end
    /// [`Vault::release_handle`] will say.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_handle(
        &self,
        who: Process,
        ino: Ino,
        (write, truncate, suid): (bool, bool, bool),
        handle: u64,
    ) -> Result<(), OpError> {
        if write || truncate {
            self.writable()?;
        }
        let inode = self.get(ino)?;
        let mut guard = inode.state.write();
        let state = &mut *guard;
        if write {
            self.capture(&inode, state);
            state.writers += 1;
            state.program = self.drafts.program(who);
            state.writer = self.drafts.process(who);
        }
        state.opens += 1;
        if self.is_partial() && state.size() > INLINE_MAX {
            self.was_used(ino);
        }
        let is_first = state.made.is_some() && !std::mem::replace(&mut state.opened, true);
        if !is_first && state.meta.kind == Kind::File {
            state.found = Some(Instant::now());
            if state.published.is_some() {
                self.editors.lock().note(who);
                if who != 0 && state.marks.text && !truncate {
                    // What was closed is a version, and has a name from now on.
                    self.capture(&inode, state);
                    let stand = self.stand_of(ino, state);
                    let file = (state.binding.entity(), ino);
                    self.texts.show(file, self.drafts.process(who), stand, handle);
                }
            }
        }
        if truncate && let Some(content) = state.content.as_mut() {
            let had = content.size() > 0 && content.is_on_disk();
            content.clear(inode.owner(&self.core, &state.binding));
            let now = Time::now();
            (state.meta.mtime, state.meta.ctime) = (now, now);
            state.meta_dirty = true;
            (state.untold, state.fresh, state.on_present) = (true, true, false);
            state.emptied = Some((Instant::now(), who));
            if suid {
                kill_suid(&mut state.meta);
            }
            if had {
                state.saving_since.get_or_insert_with(Instant::now);
            }
            drop(guard);
            self.mark_dirty(ino);
        }
        Ok(())
    }

    /// Whether each time that a file is closed it is a version, or may become one: it has a text's
    /// name and was there before it was opened, or has the name of what an editor puts beside one.
    pub fn is_saved_by_closing(&self, ino: Ino) -> bool {
        let Ok(inode) = self.get(ino) else { return false };
        let state = inode.state.read();
        // Of a new file the first version comes in time all the same: where many are made, as on
        // unpacking, each request counts.
        let is_new = state.published.is_none() && state.found.is_none();
        state.marks.scratch || (state.marks.text && !is_new)
    }

    /// A descriptor of this handle, which may write, is being closed. Its release comes when the
    /// kernel gets to it, perhaps after the next open: what was written is a version from now on.
    pub fn close_handle(&self, ino: Ino, handle: u64) {
        let Ok(inode) = self.get(ino) else { return };
        let mut state = inode.state.write();
        if !state.closing.contains(&handle) && state.closing.len() < state.writers as usize {
            state.closing.push(handle);
        }
        // It may be shared, by a child that closes what it has inherited: it shows what comes until it
        // is released.
    }

    /// A handle was closed for the last time.
    pub fn release(&self, ino: Ino, write: bool) {
        self.release_handle(ino, write, 0);
    }

    /// As [`Vault::release`], of a handle that [`Vault::close_handle`] may have been told of.
    pub fn release_handle(&self, ino: Ino, write: bool, handle: u64) {
        let Ok(inode) = self.get(ino) else { return };
        let mut state = inode.state.write();
        state.closing.retain(|closing| *closing != handle);
        state.opens = state.opens.saturating_sub(1);
        if write {
            state.writers = state.writers.saturating_sub(1);
        }
        if state.writers == 0 {
            state.saving_since = None;
        }
        self.texts.closed(handle);
        let waits = state.fresh || !state.drafts.is_empty();
        let may_show = state.behind > 0 && state.is_at_rest();
        if may_show {
            self.texts.may_show(ino);
        }
        let saved = write && state.writers == 0 && waits && state.published.is_some() && state.marks.text;
        let idle = state.opens == 0;
        if idle && let Some(content) = state.content.as_mut() {
            content.unload(&self.core);
        }
        let (dead, dirty) = (state.meta.nlink == 0 && idle, !state.is_clean());
        drop(state);
        if dead {
            self.reap(&inode);
        } else if dirty {
            self.mark_dirty(ino);
        }
        if saved || may_show {
            self.signals.tell();
        } else if write && dirty {
            self.signals.tell_if_live();
        }
    }

    /// Appends up to `len` bytes from `offset` to `out`.
    ///
    /// # Errors
    /// As [`OpError`] says; `out` is as before then.
    pub fn read(&self, ino: Ino, offset: u64, len: usize, out: &mut Vec<u8>) -> Result<(), OpError> {
        let inode = self.get(ino)?;
        let state = inode.state.read();
        let Some(content) = state.content.as_ref() else {
            return Err(OpError::Errno(libc::EINVAL));
        };
        let owner = inode.owner(&self.core, &state.binding);
        if !content.is_unloaded() {
            content.read(owner, offset, len, out)?;
            return Ok(());
        }
        let durable = content.durable();
        if matches!(durable.base, BaseRef::Body { .. }) && durable.log_first == durable.log_next {
            // A small file is read as it lies: its bytes need not stay in memory. After its
            // body there may be a hole.
            let body = content::read_body(owner, durable.base)?;
            let end = durable.size.min(offset.saturating_add(len as u64));
            if offset < end {
                let begin = out.len();
                let shown = body.len().min(end as usize);
                out.extend_from_slice(body.get(offset as usize..shown).unwrap_or_default());
                out.resize(begin + (end - offset) as usize, 0);
            }
            return Ok(());
        }
        drop(state);
        let mut guard = inode.state.write();
        let state = &mut *guard;
        if let Some(content) = state.content.as_mut() {
            let owner = inode.owner(&self.core, &state.binding);
            content.load(owner)?;
            content.read(owner, offset, len, out)?;
        }
        Ok(())
    }

    /// Writes all of `data` at an offset, or at the end that the file has by then; returns where that was.
    ///
    /// # Errors
    /// As [`OpError`] says; nothing is written then.
    pub fn write(&self, ino: Ino, offset: Option<u64>, data: &[u8], suid: bool) -> Result<u64, OpError> {
        self.writable()?;
        self.wait_for_room()?;
        self.edit_with(ino, suid, |content, owner| {
            let offset = offset.unwrap_or(content.size());
            content.write(owner, offset, data)?;
            if content.memory().max(content.held()) > SPILL {
                content.spill_over(owner)?;
            }
            Ok(offset)
        })
    }

    /// Makes a range zeros. Unless `keep_size`, the file grows to the range's end.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn zero(&self, ino: Ino, offset: u64, len: u64, keep_size: bool) -> Result<(), OpError> {
        self.writable()?;
        self.edit(ino, false, |content, owner| {
            content.punch(owner, offset, len);
            if !keep_size && offset + len > content.size() {
                content.truncate(owner, offset + len)?;
            }
            Ok(())
        })
    }

    /// Lets the file grow to a size, if it is smaller.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn grow(&self, ino: Ino, size: u64, room: u64) -> Result<(), OpError> {
        self.writable()?;
        self.core.room_for(room)?;
        self.edit(ino, false, |content, owner| {
            if size > content.size() {
                content.truncate(owner, size)?;
            }
            Ok(())
        })
    }

    /// The next data or hole.
    ///
    /// # Errors
    /// ENXIO if there is none, and as [`OpError`] says.
    pub fn seek(&self, ino: Ino, offset: u64, data: bool) -> Result<u64, OpError> {
        let inode = self.get(ino)?;
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let Some(content) = state.content.as_mut() else {
            return Err(OpError::Errno(libc::EINVAL));
        };
        content.load(inode.owner(&self.core, &state.binding))?;
        content.seek(offset, data).ok_or(OpError::Errno(libc::ENXIO))
    }

    /// Copies a range between two files, by reference where whole chunks lie in it.
    /// Returns how many bytes: fewer only at the end of the source.
    ///
    /// # Errors
    /// As [`OpError`] says; what was copied before stays.
    pub fn copy(&self, from: (Ino, u64), to: (Ino, u64), len: u64) -> Result<u64, OpError> {
        self.writable()?;
        let mut done = 0;
        let mut buf = Vec::new();
        while done < len {
            let (source, target) = (from.1 + done, to.1 + done);
            let pieces = self.pieces_of(from.0, source, len - done)?;
            if !pieces.is_empty() {
                let cloned = self.edit_with(to.0, false, |content, owner| {
                    Ok(content.clone_pieces(owner, target, &pieces)?)
                })?;
                if cloned > 0 {
                    self.check_clone((from.0, source), (to.0, target), &pieces)?;
                    done += cloned;
                    continue;
                }
            }
            buf.clear();
            // Up to a piece's end, so that the next round begins with a whole one.
            let step = (len - done).min(self.piece_end(from.0, source)?).min(1 << 20);
            match self.read(from.0, source, step as usize, &mut buf) {
                // What was copied is copied; who asks for the rest is told.
                Err(OpError::Store(StoreError::Absent(_))) if done > 0 => break,
                read => read?,
            }
            if buf.is_empty() {
                break;
            }
            self.write(to.0, Some(target), &buf, false)?;
            done += buf.len() as u64;
        }
        Ok(done)
    }

    fn pieces_of(
        &self,
        ino: Ino,
        offset: u64,
        len: u64,
    ) -> Result<Vec<(u64, content::pieces::Data)>, OpError> {
        self.peek(ino, |content| content.whole_pieces(offset, len))
    }

    /// Bytes from `offset` to the end of the piece that holds it.
    fn piece_end(&self, ino: Ino, offset: u64) -> Result<u64, OpError> {
        self.peek(ino, |content| content.to_piece_end(offset))
    }

    /// What was taken over by name and is not here must still be what the source shows: then nothing was collected in between
    /// that the copy names. Else the copy ends where it began.
    fn check_clone(
        &self,
        from: (Ino, u64),
        to: (Ino, u64),
        pieces: &[(u64, content::pieces::Data)],
    ) -> Result<(), OpError> {
        if !self.is_partial() {
            return Ok(());
        }
        let ids = |pieces: &[(u64, content::pieces::Data)]| -> Vec<_> {
            pieces
                .iter()
                .map(|(_, data)| data.stored().map(|chunk| chunk.id))
                .collect()
        };
        let len = pieces.iter().map(|(len, _)| len).sum();
        let now = self.pieces_of(from.0, from.1, len);
        if now.is_ok_and(|now| ids(&now) == ids(pieces)) {
            return Ok(());
        }
        for (_, data) in pieces {
            if let Some(chunk) = data.stored()
                && self.core.chunk_row(&chunk.id)?.is_none()
            {
                self.edit(to.0, false, |content, owner| Ok(content.truncate(owner, to.1)?))?;
                return Err(OpError::Errno(libc::ESTALE));
            }
        }
        Ok(())
    }

    pub(super) fn peek<T>(&self, ino: Ino, look: impl FnOnce(&content::Content) -> T) -> Result<T, OpError> {
        let inode = self.get(ino)?;
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let Some(content) = state.content.as_mut() else {
            return Err(OpError::Errno(libc::EINVAL));
        };
        content.load(inode.owner(&self.core, &state.binding))?;
        Ok(look(content))
    }

    fn edit(
        &self,
        ino: Ino,
        suid: bool,
        change: impl FnOnce(&mut content::Content, content::Owner<'_>) -> Result<(), OpError>,
    ) -> Result<(), OpError> {
        self.edit_with(ino, suid, change)
    }

    fn edit_with<T>(
        &self,
        ino: Ino,
        suid: bool,
        change: impl FnOnce(&mut content::Content, content::Owner<'_>) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        let inode = self.get(ino)?;
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let Some(content) = state.content.as_mut().filter(|_| state.meta.kind == Kind::File) else {
            return Err(OpError::Errno(libc::EINVAL));
        };
        let owner = inode.owner(&self.core, &state.binding);
        content.load(owner)?;
        let before = content.changes();
        let result = change(content, owner);
        if result.is_err() && content.changes() == before {
            return result;
        }
        let now = Time::now();
        (state.meta.mtime, state.meta.ctime) = (now, now);
        if suid {
            kill_suid(&mut state.meta);
        }
        let first = !state.meta_dirty;
        state.meta_dirty = true;
        // Whatever was put there before, this is somebody's own.
        (state.untold, state.fresh, state.on_present) = (true, true, false);
        drop(guard);
        if first {
            self.mark_dirty(ino);
        }
        result
    }
}

const _: () = assert!(INLINE_MAX < crate::chunk::MIN as u64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::{SimDisk, SplitMix64};
    use crate::vault::tests::{file_meta, forget_removed, vault};

    fn make(vault: &Vault, name: &str, bytes: &[u8]) -> Ino {
        let ino = vault.make(ROOT, name.as_bytes(), file_meta(), b"").unwrap();
        vault.open(ino, true, false, false).unwrap();
        vault.write(ino, Some(0), bytes, false).unwrap();
        vault.release(ino, true);
        ino
    }

    /// Between looking into the source and cloning, the source was removed, and the room of its
    /// chunks given back: the copy named what was not there any more.
    #[test]
    fn what_is_collected_while_it_is_copied_is_not_cloned() {
        let vault = vault(&SimDisk::new());
        let bytes = SplitMix64(1).bytes(2 << 20);
        let from = make(&vault, "from", &bytes);
        let to = make(&vault, "to", b"");
        vault.commit().unwrap();
        let pieces = vault.pieces_of(from, 0, u64::MAX).unwrap();
        assert!(!pieces.is_empty());
        vault.remove(ROOT, b"from", false).unwrap();
        forget_removed(&vault);
        assert!(vault.collect().unwrap().chunks > 0);
        let cloned = vault
            .edit_with(to, false, |content, owner| {
                Ok(content.clone_pieces(owner, 0, &pieces)?)
            })
            .unwrap();
        let mut read = Vec::new();
        vault.read(to, 0, 4 << 20, &mut read).unwrap();
        assert_eq!(read.len() as u64, cloned);
        assert!(bytes.starts_with(&read));
    }
}
