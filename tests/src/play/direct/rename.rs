//! Renames and links as the kernel passes them on.
//!
//! The kernel refuses most senseless renames itself. They are passed on all the same: a file
//! system must refuse them too, but with what errno is the kernel's to say.

use super::{Bench, Direct, Played};
use crate::op::Path;
use crate::play::Outcome;
use coffer_fs::types::*;

impl<B: Bench> Direct<B> {
    pub(super) fn rename(&mut self, from: &Path, to: &Path, mode: RenameMode) -> Played {
        let from_parent = self.parent(from)?;
        let to_parent = self.parent(to)?;
        let (Some((from_parent, from_name)), Some((to_parent, to_name))) = (from_parent, to_parent) else {
            return Ok(Outcome::Skipped);
        };
        let moved = self.lookup(from_parent, from_name)?;
        let there = self.peek(to_parent, to_name)?;
        let refused = self.refusal(&moved, there.as_ref(), from, to, mode)?;
        let answer = self
            .fs()
            .rename(self.who, from_parent, from_name, to_parent, to_name, mode);
        match (refused, answer) {
            (Some(errno), Err(_)) => Err(Errno(errno)),
            (Some(_), Ok(())) => Ok(Outcome::Broken("a rename that must be refused is done".into())),
            (None, answer) => answer.map(|()| Outcome::Done),
        }
    }

    /// What the kernel refuses, in its order (Linux, fs/namei.c: do_renameat2, vfs_rename).
    fn refusal(
        &mut self,
        moved: &Attr,
        there: Option<&Attr>,
        from: &Path,
        to: &Path,
        mode: RenameMode,
    ) -> Result<Option<i32>> {
        let exchange = mode == RenameMode::Exchange;
        let Some(there) = there else {
            let into_itself = self.above(to)?.contains(&moved.ino);
            return Ok(match (exchange, into_itself) {
                (true, _) => Some(libc::ENOENT),
                (_, true) => Some(libc::EINVAL),
                _ => None,
            });
        };
        let folders = (moved.kind == Kind::Folder, there.kind == Kind::Folder);
        Ok(if mode == RenameMode::NoReplace {
            Some(libc::EEXIST)
        } else if self.above(to)?.contains(&moved.ino) {
            Some(libc::EINVAL)
        } else if self.above(from)?.contains(&there.ino) {
            Some(if exchange { libc::EINVAL } else { libc::ENOTEMPTY })
        } else if exchange || moved.ino == there.ino {
            None
        } else {
            match folders {
                (true, false) => Some(libc::ENOTDIR),
                (false, true) => Some(libc::EISDIR),
                _ => None,
            }
        })
    }

    /// The folders on the way to the path's last name.
    fn above(&mut self, path: &Path) -> Result<Vec<Ino>> {
        let mut way = vec![ROOT];
        let names: Vec<&[u8]> = path.names().collect();
        for name in &names[..names.len() - 1] {
            way.push(self.lookup(way[way.len() - 1], name)?.ino);
        }
        Ok(way)
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> Played {
        let ino = self.find(from)?.ino;
        let Some((parent, name)) = self.parent(to)? else {
            return Ok(Outcome::Skipped);
        };
        self.peek(parent, name)?;
        let attr = self.fs().link(self.who, ino, parent, name)?;
        if attr.ino != ino {
            return Ok(Outcome::Broken("a hard link answers another inode".into()));
        }
        self.counted(attr);
        Ok(Outcome::Done)
    }
}
