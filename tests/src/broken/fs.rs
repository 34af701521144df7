//! The operations of a broken file system: those of the model, but for its bug.

use super::{Broken, Bug};
use coffer_fs::types::*;

impl FileSystem for Broken {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        let found = match self.inner.lookup(parent, name) {
            Err(Errno(libc::ENOENT)) if self.is(Bug::LookupIgnoresCase) => {
                self.inner.lookup(parent, &name.to_ascii_lowercase())
            }
            found => found,
        };
        found.map(|attr| self.shown(attr))
    }

    fn forget(&self, ino: Ino, count: u64) {
        self.inner.forget(ino, count);
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        self.inner.getattr(ino).map(|attr| self.shown(attr))
    }

    fn setattr(&self, who: Caller, ino: Ino, handle: Option<Handle>, mut set: SetAttr) -> Result<Attr> {
        let before = self.inner.getattr(ino)?;
        if self.is(Bug::TruncateKeepsOldBytes)
            && let Some(size) = set.size
        {
            if size < before.size {
                let old = self.whole(ino);
                let cut = old.get(size as usize..).unwrap_or_default().to_vec();
                self.notes().cut.insert(ino, (size, cut));
            } else if let Some((at, cut)) = self.notes().cut.remove(&ino) {
                let end = (size - at).min(cut.len() as u64) as usize;
                self.put(ino, at, &cut[..end]);
            }
        }
        if self.is(Bug::TruncateToSameSizeKeepsTimes) {
            match set.size == Some(before.size) {
                true => self.keep_shown(ino),
                false => drop(self.notes().attrs.remove(&ino)),
            }
        }
        if self.is(Bug::SetAtimeSetsMtime) && set.mtime.is_some() {
            set.mtime = set.atime;
        }
        let after = self.inner.setattr(who, ino, handle, set)?;
        if self.is(Bug::ChownKeepsSetUid) && set.uid.or(set.gid).is_some() && after.perm != before.perm {
            let set = SetAttr {
                mode: Some(before.perm.into()),
                ..SetAttr::default()
            };
            return self.inner.setattr(who, ino, None, set);
        }
        Ok(self.shown(after))
    }

    fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        self.inner.readlink(ino)
    }

    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr> {
        let folder = matches!(node, NewNode::Folder);
        let made = self.inner.make(who, parent, name, node, mode)?;
        if folder && self.is(Bug::FolderDropsSetGroupId) && made.perm & 0o2000 != 0 {
            let set = SetAttr {
                mode: Some(mode & 0o777),
                ..SetAttr::default()
            };
            return self.inner.setattr(who, made.ino, None, set);
        }
        Ok(made)
    }

    fn unlink(&self, who: Caller, parent: Ino, name: &[u8]) -> Result<()> {
        let found = self.inner.lookup(parent, name)?;
        let unlinked = self.inner.unlink(who, parent, name);
        if self.is(Bug::UnlinkedFileReadsEmpty) && found.kind == Kind::File && found.nlink == 1 {
            let set = SetAttr {
                size: Some(0),
                ..SetAttr::default()
            };
            self.inner.setattr(Caller::default(), found.ino, None, set)?;
        }
        self.inner.forget(found.ino, 1);
        unlinked
    }

    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()> {
        if self.is(Bug::RmdirKeepsParentTimes) {
            self.keep_shown(parent);
        }
        self.inner.rmdir(parent, name)
    }

    fn rename(
        &self,
        who: Caller,
        parent: Ino,
        name: &[u8],
        to_parent: Ino,
        to_name: &[u8],
        mode: RenameMode,
    ) -> Result<()> {
        let found = self.inner.lookup(parent, name)?;
        let there = self.inner.lookup(to_parent, to_name).map(|attr| attr.ino).ok();
        if self.is(Bug::RenameKeepsCtime) {
            self.keep_shown(found.ino);
        }
        let mode = match (self.bug, mode) {
            (Bug::NoReplaceReplaces, RenameMode::NoReplace) => RenameMode::Replace,
            (Bug::ExchangeReplaces, RenameMode::Exchange) if there.is_some() => RenameMode::Replace,
            _ => mode,
        };
        let renamed = self.inner.rename(who, parent, name, to_parent, to_name, mode);
        let same_name = (parent, name) == (to_parent, to_name);
        if self.is(Bug::RenameOntoOwnLinkUnlinks)
            && there == Some(found.ino)
            && !same_name
            && mode == RenameMode::Replace
        {
            self.inner.unlink(who, parent, name)?;
        }
        for ino in there.into_iter().chain([found.ino]) {
            self.inner.forget(ino, 1);
        }
        renamed
    }

    fn link(&self, who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        let attr = self.inner.getattr(ino)?;
        if self.is(Bug::LinkCopies) && attr.kind == Kind::File {
            let made = self.inner.make(
                Caller::default(),
                parent,
                name,
                NewNode::File,
                u32::from(attr.perm),
            )?;
            self.put(made.ino, 0, &self.whole(ino));
            return Ok(Attr { ino, ..made });
        }
        self.inner
            .link(who, ino, parent, name)
            .map(|attr| self.shown(attr))
    }

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        let handle = self.inner.open(who, ino, mode)?;
        if mode.append {
            self.notes().appending.insert(handle);
        }
        Ok(handle)
    }

    fn create(
        &self,
        who: Caller,
        parent: Ino,
        name: &[u8],
        perm: u32,
        mode: OpenMode,
        exclusive: bool,
    ) -> Result<(Attr, Handle)> {
        let exclusive = exclusive && !self.is(Bug::CreateIsNeverExclusive);
        let (attr, handle) = self.inner.create(who, parent, name, perm, mode, exclusive)?;
        if mode.append {
            self.notes().appending.insert(handle);
        }
        Ok((self.shown(attr), handle))
    }

    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        self.inner.read(ino, handle, offset, size, out)?;
        if self.is(Bug::ReadStopsAtPage) && offset % 4096 == 4095 && out.len() > before + 1 {
            out.truncate(before + 1);
        }
        Ok(())
    }

    fn write(&self, ino: Ino, handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32> {
        let end = offset + data.len() as u64;
        let offset = match self.bug {
            Bug::AppendIgnoresOffset if self.notes().appending.contains(&handle) => {
                self.inner.getattr(ino)?.size
            }
            _ => offset,
        };
        if self.is(Bug::WriteLosesLastByteAtChunkEnd) && data.len() > 1 && end.is_multiple_of(65536) {
            self.inner
                .write(ino, handle, offset, &data[..data.len() - 1], kill_suid)?;
            return Ok(data.len() as u32);
        }
        if self.is(Bug::RemountLosesTail) && !data.is_empty() && data[data.len() - 1] != b'?' {
            self.notes().written = Some((ino, end));
        }
        self.inner.write(ino, handle, offset, data, kill_suid)
    }

    fn release(&self, ino: Ino, handle: Handle) {
        self.inner.release(ino, handle);
    }

    fn fsync(&self, ino: Ino, done: Done<()>) {
        self.inner.fsync(ino, done);
    }

    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        // Going on one entry too far, as one does who hands out the cookie of the next.
        let skip = self.is(Bug::ReaddirForgetsOneAtBatchEnd) && cookie > 2;
        self.inner
            .readdir(ino, if skip { cookie + 1 } else { cookie }, each)
    }

    fn readdir_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        self.inner.readdir_plus(ino, cookie, &mut |entry, attr| {
            let mut attr = self.shown(*attr);
            if self.is(Bug::ReaddirPlusIsStale) && attr.nlink == 2 && attr.kind == Kind::File {
                attr.nlink = 1;
            }
            each(entry, &attr)
        })
    }

    fn statfs(&self) -> Result<StatFs> {
        self.inner.statfs()
    }

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        let mode = match mode {
            XattrMode::Replace if self.is(Bug::XattrReplaceCreates) => XattrMode::Set,
            mode => mode,
        };
        self.inner.setxattr(ino, name, value, mode)
    }

    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        self.inner.getxattr(ino, name)
    }

    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        self.inner.listxattr(ino)
    }

    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()> {
        self.inner.removexattr(ino, name)
    }

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()> {
        match (self.bug, mode) {
            (Bug::ZeroDoesNotExtend, Allocate::Zero { .. }) => {
                self.inner
                    .fallocate(ino, handle, offset, len, Allocate::PunchHole)
            }
            (Bug::PunchHoleRoundsToPages, Allocate::PunchHole) if len > 4096 => {
                self.inner.fallocate(ino, handle, offset & !4095, len, mode)
            }
            _ => self.inner.fallocate(ino, handle, offset, len, mode),
        }
    }

    fn lseek(&self, ino: Ino, handle: Handle, offset: u64, seek: Seek) -> Result<u64> {
        let found = self.inner.lseek(ino, handle, offset, seek)?;
        let skip = self.is(Bug::SeekSkipsData) && seek == Seek::Data;
        if skip && found + 4096 < self.inner.getattr(ino)?.size {
            Ok(found + 4096)
        } else {
            Ok(found)
        }
    }

    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64> {
        match self.inner.copy_range(from, to, len) {
            Ok(count) if self.is(Bug::CopyLosesLastByte) && count > 4096 => {
                self.put(to.0, to.2 + count - 1, b"\0");
                Ok(count)
            }
            Err(Errno(libc::EINVAL)) if self.is(Bug::CopyOverlaps) => Ok(len),
            answer => answer,
        }
    }
}
