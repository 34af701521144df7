//! Operations as the kernel passes them on to a file system.

use super::{Bench, Direct, MAX_WRITE, Open, Played};
use crate::op::{Flags, Op, Path, Slot};
use crate::play::Outcome;
use coffer_fs::types::*;

impl<B: Bench> Direct<B> {
    fn make(&mut self, path: &Path, node: NewNode<'_>, perm: u16) -> Played {
        let Some((parent, name)) = self.parent(path)? else {
            return Ok(Outcome::Skipped);
        };
        self.peek(parent, name)?;
        let made = self.fs().make(self.who, parent, name, node, perm.into())?;
        self.counted(made);
        Ok(Outcome::Done)
    }

    fn open(&mut self, slot: Slot, path: &Path, flags: Flags, perm: u16, blind: bool) -> Played {
        self.close(slot);
        let Some((parent, name)) = self.parent(path)? else {
            return Ok(Outcome::Skipped);
        };
        let mode = OpenMode {
            read: flags.read,
            write: flags.write,
            append: flags.append,
            truncate: flags.truncate,
            execute: false,
        };
        let create = |player: &mut Self| {
            let fs = player.fs();
            let (attr, handle) = fs.create(player.who, parent, name, perm.into(), mode, flags.exclusive)?;
            Ok((player.counted(attr).ino, handle))
        };
        let (ino, handle) = match self.peek(parent, name)? {
            Some(_) if flags.create && flags.exclusive && blind => create(self)?,
            Some(_) if flags.create && flags.exclusive => return Err(Errno(libc::EEXIST)),
            Some(attr) => match attr.kind {
                Kind::Folder if flags.write || flags.create => return Err(Errno(libc::EISDIR)),
                Kind::Symlink => return Err(Errno(libc::ELOOP)),
                Kind::File if flags.create && blind => create(self)?,
                Kind::File => (attr.ino, self.fs().open(self.who, attr.ino, mode)?),
                _ => return Ok(Outcome::Skipped),
            },
            None if flags.create => create(self)?,
            None => return Err(Errno(libc::ENOENT)),
        };
        self.slots[usize::from(slot)] = Some(Open { ino, handle, mode });
        Ok(Outcome::Done)
    }

    fn write(&mut self, slot: Slot, offset: u64, data: &[u8], kill_suid: bool) -> Played {
        let Some((ino, handle, mode)) = self.slot(slot) else {
            return Ok(Outcome::Skipped);
        };
        if !mode.write {
            return Err(Errno(libc::EBADF));
        }
        let fs = self.fs();
        let mut at = if mode.append {
            fs.getattr(ino)?.size
        } else {
            offset
        };
        let mut count = 0;
        for piece in data.chunks(MAX_WRITE) {
            let done = fs.write(ino, handle, at, piece, kill_suid)?;
            if done as usize != piece.len() {
                return Ok(Outcome::Broken(format!(
                    "{done} of {} bytes written",
                    piece.len()
                )));
            }
            at += u64::from(done);
            count += u64::from(done);
        }
        Ok(Outcome::Count(count))
    }

    fn map_write(&mut self, slot: Slot, offset: u64, data: &[u8]) -> Played {
        let Some((ino, handle, mode)) = self.slot(slot) else {
            return Ok(Outcome::Skipped);
        };
        let size = self.fs().getattr(ino)?.size;
        if !mode.read || !mode.write || offset >= size || data.is_empty() {
            return Ok(Outcome::Skipped);
        }
        let data = &data[..data.len().min((size - offset) as usize)];
        for (index, piece) in data.chunks(MAX_WRITE).enumerate() {
            self.fs()
                .write(ino, handle, offset + (index * MAX_WRITE) as u64, piece, false)?;
        }
        Ok(Outcome::Done)
    }

    fn setattr(&mut self, ino: Ino, handle: Option<Handle>, set: SetAttr) -> Played {
        let fs = self.fs();
        let said = fs.setattr(self.who, ino, handle, set)?;
        match fs.getattr(ino)? == said {
            true => Ok(Outcome::Done),
            false => Ok(Outcome::Broken(
                "setattr answers other attributes than getattr".into(),
            )),
        }
    }

    fn fsync(&mut self, ino: Ino) -> Played {
        let (answer, answered) = std::sync::mpsc::channel();
        self.fs().fsync(
            ino,
            Box::new(move |result| answer.send(result).unwrap_or_default()),
        );
        answered.recv().unwrap_or(Err(Errno(libc::EIO)))?;
        Ok(Outcome::Done)
    }

    pub(super) fn try_play(&mut self, op: &Op) -> Played {
        let fs = self.fs();
        match op {
            Op::Mkdir { path, perm } => self.make(path, NewNode::Folder, *perm),
            Op::Mknod {
                path,
                kind: Kind::File,
                perm,
            } => self.make(path, NewNode::File, *perm),
            Op::Mknod { path, kind, perm } => self.make(path, NewNode::Special(*kind, 0), *perm),
            Op::Symlink { path, target } => self.make(path, NewNode::Symlink(target), 0o777),
            Op::Link { from, to } => self.link(from, to),
            Op::Unlink { path } | Op::Rmdir { path } => {
                let Some((parent, name)) = self.parent(path)? else {
                    return Ok(Outcome::Skipped);
                };
                self.lookup(parent, name)?;
                match op {
                    Op::Unlink { .. } => fs.unlink(self.who, parent, name)?,
                    _ => fs.rmdir(parent, name)?,
                }
                Ok(Outcome::Done)
            }
            Op::Rename { from, to, mode } => self.rename(from, to, *mode),
            Op::Readlink { path } => {
                let ino = self.find(path)?.ino;
                Ok(Outcome::Bytes(fs.readlink(ino)?))
            }
            Op::ReadDir { path, batch } => self.read_folder(path, *batch),
            Op::Open {
                slot,
                path,
                flags,
                perm,
                blind,
            } => self.open(*slot, path, *flags, *perm, *blind),
            Op::Close { slot } => Ok(self.close(*slot)),
            Op::Read { slot, offset, len } => match self.slot(*slot) {
                Some((ino, handle, mode)) if mode.read => {
                    Ok(Outcome::Bytes(self.read_through(ino, handle, *offset, *len)?))
                }
                Some(_) => Err(Errno(libc::EBADF)),
                None => Ok(Outcome::Skipped),
            },
            Op::Write {
                slot,
                offset,
                len,
                fill,
                kill_suid,
            } => self.write(*slot, *offset, &fill.bytes(*len), *kill_suid),
            Op::MapWrite {
                slot,
                offset,
                len,
                fill,
            } => self.map_write(*slot, *offset, &fill.bytes(*len)),
            Op::Truncate { path, size } => {
                let attr = self.find(path)?;
                match attr.kind {
                    Kind::File => self.setattr(
                        attr.ino,
                        None,
                        SetAttr {
                            size: Some(*size),
                            ..SetAttr::default()
                        },
                    ),
                    Kind::Folder => Err(Errno(libc::EISDIR)),
                    _ => Ok(Outcome::Skipped),
                }
            }
            Op::FTruncate { slot, size } => match self.slot(*slot) {
                Some((ino, handle, mode)) if mode.write => self.setattr(
                    ino,
                    Some(handle),
                    SetAttr {
                        size: Some(*size),
                        ..SetAttr::default()
                    },
                ),
                Some(_) => Err(Errno(libc::EINVAL)),
                None => Ok(Outcome::Skipped),
            },
            Op::Allocate {
                slot,
                offset,
                len,
                mode,
            } => match self.slot(*slot) {
                Some(_) if *len == 0 => Err(Errno(libc::EINVAL)),
                Some((ino, handle, opened)) if opened.write => {
                    fs.fallocate(ino, handle, *offset, *len, *mode)?;
                    Ok(Outcome::Done)
                }
                Some(_) => Err(Errno(libc::EBADF)),
                None => Ok(Outcome::Skipped),
            },
            Op::Copy {
                from,
                from_offset,
                to,
                to_offset,
                len,
            } => match (self.slot(*from), self.slot(*to)) {
                (Some(from), Some(to)) if from.2.read && to.2.write && !to.2.append => {
                    let (from, to) = ((from.0, from.1, *from_offset), (to.0, to.1, *to_offset));
                    Ok(Outcome::Count(fs.copy_range(from, to, *len)?))
                }
                (Some(_), Some(_)) => Err(Errno(libc::EBADF)),
                _ => Ok(Outcome::Skipped),
            },
            Op::Seek { slot, offset, seek } => match self.slot(*slot) {
                Some((ino, handle, _)) => Ok(Outcome::Found(fs.lseek(ino, handle, *offset, *seek)?)),
                None => Ok(Outcome::Skipped),
            },
            Op::Fsync { slot } => match self.slot(*slot) {
                Some((ino, ..)) => self.fsync(ino),
                None => Ok(Outcome::Skipped),
            },
            Op::Chmod { path, perm } => {
                let attr = self.find(path)?;
                match attr.kind {
                    Kind::Symlink => Ok(Outcome::Skipped),
                    _ => self.setattr(
                        attr.ino,
                        None,
                        SetAttr {
                            mode: Some((*perm).into()),
                            ..SetAttr::default()
                        },
                    ),
                }
            }
            Op::FChmod { slot, perm } => match self.slot(*slot) {
                Some((ino, handle, _)) => {
                    let set = SetAttr {
                        mode: Some((*perm).into()),
                        ..SetAttr::default()
                    };
                    self.setattr(ino, Some(handle), set)
                }
                None => Ok(Outcome::Skipped),
            },
            Op::Chown { path, uid, gid } => {
                let ino = self.find(path)?.ino;
                self.setattr(
                    ino,
                    None,
                    SetAttr {
                        uid: *uid,
                        gid: *gid,
                        ..SetAttr::default()
                    },
                )
            }
            Op::SetTimes { path, atime, mtime } => {
                let ino = self.find(path)?.ino;
                let time = |time: &Option<Time>| Some(time.map_or(SetTime::Now, SetTime::At));
                let set = SetAttr {
                    atime: time(atime),
                    mtime: time(mtime),
                    ..SetAttr::default()
                };
                self.setattr(ino, None, set)
            }
            Op::SetXattr {
                path,
                name,
                value,
                mode,
            } => {
                let attr = self.find(path)?;
                if !bears_xattrs(attr.kind) {
                    return Err(Errno(libc::EPERM));
                }
                fs.setxattr(attr.ino, name, value, *mode)?;
                Ok(Outcome::Done)
            }
            Op::GetXattr { path, name } => {
                let attr = self.find(path)?;
                if !bears_xattrs(attr.kind) {
                    return Err(Errno(libc::ENODATA));
                }
                Ok(Outcome::Bytes(fs.getxattr(attr.ino, name)?))
            }
            Op::RemoveXattr { path, name } => {
                let attr = self.find(path)?;
                if !bears_xattrs(attr.kind) {
                    return Err(Errno(libc::EPERM));
                }
                fs.removexattr(attr.ino, name)?;
                Ok(Outcome::Done)
            }
            Op::Become { uid, gid } => {
                self.who = Caller {
                    uid: *uid,
                    gid: *gid,
                    pid: 0,
                };
                Ok(Outcome::Done)
            }
            Op::Forget => {
                self.forget();
                Ok(Outcome::Done)
            }
            Op::Sync => {
                self.bench.sync();
                Ok(Outcome::Done)
            }
            Op::Remount => {
                self.let_go();
                self.bench.remount();
                Ok(Outcome::Done)
            }
        }
    }
}

/// The kernel lets only files and folders have `user.` attributes.
fn bears_xattrs(kind: Kind) -> bool {
    matches!(kind, Kind::File | Kind::Folder)
}
