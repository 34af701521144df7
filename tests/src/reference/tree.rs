//! The model's names: make, link, unlink, rename, and reading folders.

use super::bytes::Bytes;
use super::state::{Body, State, fail};
use coffer_fs::types::*;

/// An entry as readdir gives it: cookie, inode, kind and name.
type Listed = (u64, Ino, Kind, Vec<u8>);

impl State {
    pub(super) fn make(
        &mut self,
        who: Caller,
        parent: Ino,
        name: &[u8],
        node: &NewNode<'_>,
        mode: u32,
    ) -> Result<Ino> {
        if self.find_to_make(parent, name)?.is_some() {
            return fail(libc::EEXIST);
        }
        let above = self.inode(parent)?;
        let set_group = above.perm & 0o2000 != 0;
        let gid = if set_group { above.gid } else { who.gid };
        let perm = (mode & 0o7777) as u16;
        let (kind, body, perm, rdev) = match node {
            NewNode::File => (Kind::File, Body::File(Bytes::default()), perm, 0),
            // A set-group-id folder hands the bit on to the folders in it.
            NewNode::Folder => {
                let perm = if set_group { perm | 0o2000 } else { perm };
                (Kind::Folder, State::empty_folder(parent), perm, 0)
            }
            NewNode::Symlink(target) => (Kind::Symlink, Body::Symlink(target.to_vec()), 0o777, 0),
            NewNode::Special(kind, rdev) => (*kind, Body::Special, perm, *rdev),
        };
        let ino = self.add(kind, body, perm, who.uid, gid, rdev);
        self.attach(parent, name, ino);
        Ok(ino)
    }

    pub(super) fn link(&mut self, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        if self.find_to_make(parent, name)?.is_some() {
            return fail(libc::EEXIST);
        }
        if self.is_folder(ino) {
            return fail(libc::EPERM);
        }
        if self.inode(ino)?.names == 0 {
            return fail(libc::ENOENT);
        }
        self.attach(parent, name, ino);
        self.touch(ino);
        self.looked_up(ino)
    }

    pub(super) fn unlink(&mut self, parent: Ino, name: &[u8]) -> Result<()> {
        let ino = self.get(parent, name)?;
        if self.is_folder(ino) {
            return fail(libc::EISDIR);
        }
        self.detach(parent, name);
        self.touch(ino);
        self.drop_if_free(ino);
        Ok(())
    }

    pub(super) fn rmdir(&mut self, parent: Ino, name: &[u8]) -> Result<()> {
        let ino = self.get(parent, name)?;
        self.check_empty(ino)?;
        self.detach(parent, name);
        self.touch(ino);
        self.drop_if_free(ino);
        Ok(())
    }

    fn check_empty(&self, ino: Ino) -> Result<()> {
        match self.inode(ino)?.folder()?.entries.is_empty() {
            true => Ok(()),
            false => fail(libc::ENOTEMPTY),
        }
    }

    /// renameat2(2), its checks in the kernel's order.
    pub(super) fn rename(&mut self, from: (Ino, &[u8]), to: (Ino, &[u8]), mode: RenameMode) -> Result<()> {
        let ino = self.get(from.0, from.1)?;
        let there = self.find_to_make(to.0, to.1)?;
        match (mode, there) {
            (RenameMode::NoReplace, Some(_)) => return fail(libc::EEXIST),
            (RenameMode::Exchange, None) => return fail(libc::ENOENT),
            _ => {}
        }
        if self.is_within(to.0, ino) {
            return fail(libc::EINVAL);
        }
        if let Some(there) = there {
            if self.is_within(from.0, there) {
                return fail(if mode == RenameMode::Exchange {
                    libc::EINVAL
                } else {
                    libc::ENOTEMPTY
                });
            }
            // Two names of one file: POSIX says to do nothing at all.
            if there == ino {
                return Ok(());
            }
            if mode == RenameMode::Replace {
                match (self.is_folder(ino), self.is_folder(there)) {
                    (true, false) => return fail(libc::ENOTDIR),
                    (false, true) => return fail(libc::EISDIR),
                    (true, true) => self.check_empty(there)?,
                    (false, false) => {}
                }
            }
        }
        self.detach(from.0, from.1);
        if let Some(there) = there {
            self.detach(to.0, to.1);
            self.touch(there);
            match mode {
                RenameMode::Exchange => self.attach(from.0, from.1, there),
                _ => self.drop_if_free(there),
            }
        }
        self.attach(to.0, to.1, ino);
        self.touch(ino);
        Ok(())
    }

    /// A folder's entries after `cookie`, in the order of their cookies.
    pub(super) fn entries(&self, ino: Ino, cookie: u64) -> Result<Vec<Listed>> {
        let folder = self.inode(ino)?.folder()?;
        let mut all = vec![
            (1, ino, Kind::Folder, b".".to_vec()),
            (2, folder.parent, Kind::Folder, b"..".to_vec()),
        ];
        for (name, entry) in &folder.entries {
            all.push((entry.cookie, entry.ino, self.inode(entry.ino)?.kind, name.clone()));
        }
        all.retain(|entry| entry.0 > cookie);
        all.sort_by_key(|entry| entry.0);
        Ok(all)
    }
}
