//! The model's contents and attributes: open, read, write, truncate, allocate, copy,
//! extended attributes.

use super::state::{Body, SIZE_MAX, State, fail};
use coffer_fs::types::*;

/// The longest extended attribute's name and value, in bytes.
const XATTR_NAME_MAX: usize = 255;
const XATTR_SIZE_MAX: usize = 65536;

impl State {
    pub(super) fn open(&mut self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        let now = self.now();
        let inode = self.inode_mut(ino)?;
        let bytes = inode.bytes()?;
        if mode.truncate {
            bytes.set_size(0);
            inode.modified(now);
            if who.uid != 0 {
                inode.kill_suid();
            }
        }
        inode.handles += 1;
        let handle = self.next_handle;
        self.next_handle += 1;
        self.handles.insert(handle, (ino, mode));
        Ok(handle)
    }

    pub(super) fn release(&mut self, handle: Handle) {
        if let Some((ino, _)) = self.handles.remove(&handle) {
            if let Ok(inode) = self.inode_mut(ino) {
                inode.handles -= 1;
            }
            self.drop_if_free(ino);
        }
    }

    fn mode(&self, ino: Ino, handle: Handle) -> Result<OpenMode> {
        match self.handles.get(&handle) {
            Some((of, mode)) if *of == ino => Ok(*mode),
            _ => fail(libc::EBADF),
        }
    }

    fn check_writable(&self, ino: Ino, handle: Handle) -> Result<OpenMode> {
        let mode = self.mode(ino, handle)?;
        if mode.write { Ok(mode) } else { fail(libc::EBADF) }
    }

    fn check_readable(&self, ino: Ino, handle: Handle) -> Result<()> {
        if self.mode(ino, handle)?.read {
            Ok(())
        } else {
            fail(libc::EBADF)
        }
    }

    pub(super) fn read(&mut self, ino: Ino, handle: Handle, offset: u64, size: u64) -> Result<Vec<u8>> {
        self.check_readable(ino, handle)?;
        Ok(self.inode_mut(ino)?.bytes()?.read(offset, size))
    }

    pub(super) fn write(
        &mut self,
        ino: Ino,
        handle: Handle,
        offset: u64,
        data: &[u8],
        kill_suid: bool,
    ) -> Result<u32> {
        // Also through a handle that appends: the kernel has put the end into `offset`, and
        // may write a mapped page back through any handle, to where the page belongs.
        self.check_writable(ino, handle)?;
        let now = self.now();
        let inode = self.inode_mut(ino)?;
        let bytes = inode.bytes()?;
        check_range(offset, data.len() as u64)?;
        if !data.is_empty() {
            bytes.write(offset, data);
            inode.modified(now);
            if kill_suid {
                inode.kill_suid();
            }
        }
        Ok(data.len() as u32)
    }

    pub(super) fn setattr(&mut self, who: Caller, ino: Ino, set: SetAttr) -> Result<()> {
        let now = self.now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::At(time) => time,
        };
        let inode = self.inode_mut(ino)?;
        if let Some(size) = set.size {
            if size > SIZE_MAX {
                return fail(libc::EFBIG);
            }
            // Also when the size stays the same, as ext4 does.
            inode.bytes()?.set_size(size);
            inode.mtime = now;
            if who.uid != 0 && set.mode.is_none() {
                inode.kill_suid();
            }
        }
        if set.uid.is_some() || set.gid.is_some() {
            inode.uid = set.uid.unwrap_or(inode.uid);
            inode.gid = set.gid.unwrap_or(inode.gid);
            if inode.kind != Kind::Folder {
                inode.kill_suid();
            }
        }
        if let Some(mode) = set.mode {
            inode.perm = (mode & 0o7777) as u16;
        }
        if let Some(atime) = set.atime {
            inode.atime = time(atime);
        }
        if let Some(mtime) = set.mtime {
            inode.mtime = time(mtime);
        }
        inode.ctime = now;
        Ok(())
    }

    pub(super) fn fallocate(
        &mut self,
        ino: Ino,
        handle: Handle,
        offset: u64,
        len: u64,
        mode: Allocate,
    ) -> Result<()> {
        self.check_writable(ino, handle)?;
        if len == 0 {
            return fail(libc::EINVAL);
        }
        check_range(offset, len)?;
        let now = self.now();
        let inode = self.inode_mut(ino)?;
        let bytes = inode.bytes()?;
        if mode != (Allocate::Reserve { keep_size: true }) && mode != (Allocate::Reserve { keep_size: false })
        {
            bytes.zero(offset, len);
        }
        let keep_size = match mode {
            Allocate::Reserve { keep_size } | Allocate::Zero { keep_size } => keep_size,
            Allocate::PunchHole => true,
        };
        if !keep_size && offset + len > bytes.size() {
            bytes.set_size(offset + len);
        }
        inode.modified(now);
        Ok(())
    }

    pub(super) fn lseek(&mut self, ino: Ino, offset: u64, seek: Seek) -> Result<u64> {
        let bytes = self.inode_mut(ino)?.bytes()?;
        let found = match seek {
            Seek::Data => bytes.next_data(offset),
            Seek::Hole => bytes.next_hole(offset),
        };
        found.ok_or(Errno(libc::ENXIO))
    }

    /// copy_file_range(2): cut at the source's end first, and only then looked at for overlap.
    pub(super) fn copy(&mut self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64> {
        self.check_readable(from.0, from.1)?;
        if self.check_writable(to.0, to.1)?.append {
            return fail(libc::EBADF);
        }
        check_range(from.2, 0)?;
        let len = len.min(self.inode_mut(from.0)?.bytes()?.size().saturating_sub(from.2));
        check_range(to.2, len)?;
        if from.0 == to.0 && to.2 + len > from.2 && to.2 < from.2 + len {
            return fail(libc::EINVAL);
        }
        if len == 0 {
            return Ok(0);
        }
        let data = self.inode_mut(from.0)?.bytes()?.read(from.2, len);
        let now = self.now();
        let inode = self.inode_mut(to.0)?;
        inode.bytes()?.write(to.2, &data);
        inode.modified(now);
        Ok(len)
    }

    pub(super) fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        match &self.inode(ino)?.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => fail(libc::EINVAL),
        }
    }

    pub(super) fn setxattr(&mut self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        check_xattr_name(name)?;
        if value.len() > XATTR_SIZE_MAX {
            return fail(libc::E2BIG);
        }
        let now = self.now();
        let inode = self.inode_mut(ino)?;
        match (mode, inode.xattrs.contains_key(name)) {
            (XattrMode::Create, true) => fail(libc::EEXIST),
            (XattrMode::Replace, false) => fail(libc::ENODATA),
            _ => {
                inode.xattrs.insert(name.to_vec(), value.to_vec());
                inode.ctime = now;
                Ok(())
            }
        }
    }

    pub(super) fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        check_xattr_name(name)?;
        self.inode(ino)?
            .xattrs
            .get(name)
            .cloned()
            .ok_or(Errno(libc::ENODATA))
    }

    pub(super) fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for name in self.inode(ino)?.xattrs.keys() {
            all.extend_from_slice(name);
            all.push(0);
        }
        Ok(all)
    }

    pub(super) fn removexattr(&mut self, ino: Ino, name: &[u8]) -> Result<()> {
        check_xattr_name(name)?;
        let now = self.now();
        let inode = self.inode_mut(ino)?;
        inode.xattrs.remove(name).ok_or(Errno(libc::ENODATA))?;
        inode.ctime = now;
        Ok(())
    }
}

fn check_range(offset: u64, len: u64) -> Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= SIZE_MAX => Ok(()),
        _ => fail(libc::EFBIG),
    }
}

fn check_xattr_name(name: &[u8]) -> Result<()> {
    match name.len() {
        1..=XATTR_NAME_MAX => Ok(()),
        _ => fail(libc::ERANGE),
    }
}
