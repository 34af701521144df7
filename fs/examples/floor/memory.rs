//! A file system in memory: what the adapter can do at best, without a vault under it, and
//! the adapter's own test bed.
//!
//! Guarantees: what everyday programs need (tar, cp, git, sqlite, rm) behaves as on any
//! file system. Never durable: it is gone when it is unmounted. Holes cost memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use coffer_fs::types::*;
use parking_lot::{Mutex, RwLock};

/// Gives out the numbers of handles, which are unique among all files.
static HANDLES: AtomicU64 = AtomicU64::new(1);

/// An inode.
struct Node {
    attr: Attr,
    body: Body,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the kernel counts.
    lookups: u64,
    /// Open handles.
    opens: u64,
}

/// What is in it.
enum Body {
    File(Arc<RwLock<Vec<u8>>>),
    Folder(Folder),
    Symlink(Vec<u8>),
    Special,
}

/// A folder's names, in the order in which they came: the cookie of a name never changes.
#[derive(Default)]
struct Folder {
    parent: Ino,
    cookies: HashMap<Vec<u8>, u64>,
    entries: BTreeMap<u64, (Vec<u8>, Ino, Kind)>,
    next: u64,
}

impl Folder {
    fn get(&self, name: &[u8]) -> Result<Ino> {
        let cookie = self.cookies.get(name).ok_or(Errno(libc::ENOENT))?;
        Ok(self.entries[cookie].1)
    }

    fn put(&mut self, name: &[u8], ino: Ino, kind: Kind) {
        self.next = self.next.max(2) + 1;
        self.cookies.insert(name.to_vec(), self.next);
        self.entries.insert(self.next, (name.to_vec(), ino, kind));
    }

    fn take(&mut self, name: &[u8]) {
        if let Some(cookie) = self.cookies.remove(name) {
            self.entries.remove(&cookie);
        }
    }
}

/// The file system.
pub(crate) struct Memory {
    nodes: Mutex<Nodes>,
}

struct Nodes {
    table: HashMap<Ino, Node>,
    last: Ino,
}

fn now() -> Time {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time {
        sec: now.as_secs() as i64,
        nsec: now.subsec_nanos(),
    }
}

fn fail<T>(errno: i32) -> Result<T> {
    Err(Errno(errno))
}

impl Default for Memory {
    fn default() -> Memory {
        let mut nodes = Nodes {
            table: HashMap::new(),
            last: 0,
        };
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let who = Caller { uid, gid, pid: 0 };
        let root = nodes.add(
            who,
            Body::Folder(Folder {
                parent: ROOT,
                ..Folder::default()
            }),
            0,
            0o755,
            0,
        );
        assert_eq!(root, ROOT);
        Memory {
            nodes: Mutex::new(nodes),
        }
    }
}

impl Nodes {
    fn add(&mut self, who: Caller, body: Body, parent: Ino, perm: u32, rdev: u32) -> Ino {
        self.last += 1;
        let (kind, nlink, size) = match &body {
            Body::File(_) => (Kind::File, 1, 0),
            Body::Folder(_) => (Kind::Folder, 2, 4096),
            Body::Symlink(target) => (Kind::Symlink, 1, target.len() as u64),
            Body::Special => (Kind::Fifo, 1, 0),
        };
        let mut perm = (perm & 0o7777) as u16;
        let mut gid = who.gid;
        if let Some(parent) = self.table.get(&parent)
            && parent.attr.perm & 0o2000 != 0
        {
            gid = parent.attr.gid;
            perm |= if kind == Kind::Folder { 0o2000 } else { 0 };
        }
        let now = now();
        let attr = Attr {
            ino: self.last,
            size,
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            kind,
            perm,
            nlink,
            uid: who.uid,
            gid,
            rdev,
        };
        self.table.insert(
            self.last,
            Node {
                attr,
                body,
                xattrs: BTreeMap::new(),
                lookups: 0,
                opens: 0,
            },
        );
        self.last
    }

    fn get(&mut self, ino: Ino) -> Result<&mut Node> {
        self.table.get_mut(&ino).ok_or(Errno(libc::ESTALE))
    }

    fn folder(&mut self, ino: Ino) -> Result<&mut Folder> {
        match &mut self.get(ino)?.body {
            Body::Folder(folder) => Ok(folder),
            _ => fail(libc::ENOTDIR),
        }
    }

    fn touch(&mut self, folder: Ino) {
        if let Ok(node) = self.get(folder) {
            node.attr.mtime = now();
            node.attr.ctime = node.attr.mtime;
        }
    }

    fn looked_up(&mut self, ino: Ino) -> Result<Attr> {
        let node = self.get(ino)?;
        node.lookups += 1;
        Ok(node.attr)
    }

    /// Puts a node into a folder under a name that is free.
    fn enter(&mut self, parent: Ino, name: &[u8], ino: Ino) -> Result<()> {
        let kind = self.get(ino)?.attr.kind;
        self.folder(parent)?.put(name, ino, kind);
        if let Body::Folder(folder) = &mut self.get(ino)?.body {
            folder.parent = parent;
            self.get(parent)?.attr.nlink += 1;
        }
        self.touch(parent);
        Ok(())
    }

    /// Takes a name out of a folder; the node stays.
    fn leave(&mut self, parent: Ino, name: &[u8], ino: Ino) -> Result<()> {
        self.folder(parent)?.take(name);
        if self.get(ino)?.attr.kind == Kind::Folder {
            self.get(parent)?.attr.nlink -= 1;
        }
        self.touch(parent);
        Ok(())
    }

    fn unlinked(&mut self, ino: Ino) -> Result<()> {
        let node = self.get(ino)?;
        let names = if node.attr.kind == Kind::Folder {
            node.attr.nlink
        } else {
            1
        };
        node.attr.nlink -= names;
        node.attr.ctime = now();
        self.drop_if_unused(ino);
        Ok(())
    }

    fn drop_if_unused(&mut self, ino: Ino) {
        if let Some(node) = self.table.get(&ino)
            && node.attr.nlink == 0
            && node.lookups == 0
            && node.opens == 0
        {
            self.table.remove(&ino);
        }
    }

    /// Checks that `old` may be replaced by a node of the kind.
    fn replaceable(&mut self, old: Ino, kind: Kind) -> Result<()> {
        match (&self.get(old)?.body, kind) {
            (Body::Folder(folder), Kind::Folder) if folder.cookies.is_empty() => Ok(()),
            (Body::Folder(_), Kind::Folder) => fail(libc::ENOTEMPTY),
            (Body::Folder(_), _) => fail(libc::EISDIR),
            (_, Kind::Folder) => fail(libc::ENOTDIR),
            _ => Ok(()),
        }
    }

    fn file(&mut self, ino: Ino) -> Result<Arc<RwLock<Vec<u8>>>> {
        match &self.get(ino)?.body {
            Body::File(content) => Ok(content.clone()),
            Body::Folder(_) => fail(libc::EISDIR),
            _ => fail(libc::EINVAL),
        }
    }
}

impl Memory {
    fn content(&self, ino: Ino) -> Result<Arc<RwLock<Vec<u8>>>> {
        self.nodes.lock().file(ino)
    }

    /// The file has this size now, and was changed.
    fn changed(&self, ino: Ino, size: usize, kill_suid: bool) -> Result<Attr> {
        let mut nodes = self.nodes.lock();
        let attr = &mut nodes.get(ino)?.attr;
        attr.size = size as u64;
        attr.blocks = attr.size.div_ceil(512);
        attr.mtime = now();
        attr.ctime = attr.mtime;
        if kill_suid {
            clear_set_id(attr);
        }
        Ok(*attr)
    }

    fn resize(&self, ino: Ino, size: u64, kill_suid: bool) -> Result<Attr> {
        let content = self.content(ino)?;
        let mut content = content.write();
        content.resize(usize::try_from(size).map_err(|_| Errno(libc::EFBIG))?, 0);
        self.changed(ino, content.len(), kill_suid)
    }

    fn opened(&self, ino: Ino) -> Result<Handle> {
        self.nodes.lock().get(ino)?.opens += 1;
        Ok(HANDLES.fetch_add(1, Ordering::Relaxed))
    }
}

fn clear_set_id(attr: &mut Attr) {
    // A set-group-id bit without group execution means nothing of the kind (mandatory locks once).
    let sgid = if attr.perm & 0o010 != 0 { 0o2000 } else { 0 };
    attr.perm &= !(0o4000 | sgid);
}

fn at(time: SetTime) -> Time {
    match time {
        SetTime::Now => now(),
        SetTime::At(time) => time,
    }
}

impl FileSystem for Memory {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        let mut nodes = self.nodes.lock();
        let ino = nodes.folder(parent)?.get(name)?;
        nodes.looked_up(ino)
    }

    fn forget(&self, ino: Ino, count: u64) {
        let mut nodes = self.nodes.lock();
        if let Ok(node) = nodes.get(ino) {
            // More forgotten than given: the adapter counts wrongly, and shall not hide it.
            node.lookups = node
                .lookups
                .checked_sub(count)
                .expect("forgets only what was looked up");
            nodes.drop_if_unused(ino);
        }
    }

    fn getattr(&self, ino: Ino) -> Result<Attr> {
        Ok(self.nodes.lock().get(ino)?.attr)
    }

    fn setattr(&self, who: Caller, ino: Ino, _handle: Option<Handle>, set: SetAttr) -> Result<Attr> {
        if let Some(size) = set.size {
            self.resize(ino, size, who.uid != 0)?;
        }
        let mut nodes = self.nodes.lock();
        let attr = &mut nodes.get(ino)?.attr;
        if set.uid.is_some() || set.gid.is_some() {
            attr.uid = set.uid.unwrap_or(attr.uid);
            attr.gid = set.gid.unwrap_or(attr.gid);
            if attr.kind == Kind::File {
                clear_set_id(attr);
            }
        }
        if let Some(mode) = set.mode {
            attr.perm = mode as u16;
        }
        attr.atime = set.atime.map_or(attr.atime, at);
        attr.mtime = set.mtime.map_or(attr.mtime, at);
        attr.ctime = now();
        Ok(*attr)
    }

    fn readlink(&self, ino: Ino) -> Result<Vec<u8>> {
        match &self.nodes.lock().get(ino)?.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => fail(libc::EINVAL),
        }
    }

    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr> {
        let mut nodes = self.nodes.lock();
        if nodes.folder(parent)?.get(name).is_ok() {
            return fail(libc::EEXIST);
        }
        let (body, special) = match node {
            NewNode::File => (Body::File(Arc::default()), None),
            NewNode::Folder => (Body::Folder(Folder::default()), None),
            NewNode::Symlink(target) => (Body::Symlink(target.to_vec()), None),
            NewNode::Special(kind, rdev) => (Body::Special, Some((kind, rdev))),
        };
        let ino = nodes.add(who, body, parent, mode, 0);
        if let Some((kind, rdev)) = special {
            let attr = &mut nodes.get(ino)?.attr;
            (attr.kind, attr.rdev) = (kind, rdev);
        }
        nodes.enter(parent, name, ino)?;
        nodes.looked_up(ino)
    }

    fn unlink(&self, _who: Caller, parent: Ino, name: &[u8]) -> Result<()> {
        let mut nodes = self.nodes.lock();
        let ino = nodes.folder(parent)?.get(name)?;
        nodes.replaceable(ino, Kind::File)?;
        nodes.leave(parent, name, ino)?;
        nodes.unlinked(ino)
    }

    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()> {
        let mut nodes = self.nodes.lock();
        let ino = nodes.folder(parent)?.get(name)?;
        nodes.replaceable(ino, Kind::Folder)?;
        nodes.leave(parent, name, ino)?;
        nodes.unlinked(ino)
    }

    fn rename(
        &self,
        _who: Caller,
        parent: Ino,
        name: &[u8],
        to_parent: Ino,
        to_name: &[u8],
        mode: RenameMode,
    ) -> Result<()> {
        let mut nodes = self.nodes.lock();
        let ino = nodes.folder(parent)?.get(name)?;
        let old = nodes.folder(to_parent)?.get(to_name).ok();
        match (mode, old) {
            (RenameMode::NoReplace, Some(_)) => return fail(libc::EEXIST),
            (RenameMode::Exchange, None) => return fail(libc::ENOENT),
            (_, Some(old)) if old == ino => return Ok(()),
            (RenameMode::Replace, Some(old)) => {
                let kind = nodes.get(ino)?.attr.kind;
                nodes.replaceable(old, kind)?;
            }
            _ => {}
        }
        nodes.leave(parent, name, ino)?;
        if let Some(old) = old {
            nodes.leave(to_parent, to_name, old)?;
            match mode {
                RenameMode::Exchange => nodes.enter(parent, name, old)?,
                _ => nodes.unlinked(old)?,
            }
        }
        nodes.enter(to_parent, to_name, ino)?;
        nodes.get(ino)?.attr.ctime = now();
        Ok(())
    }

    fn link(&self, _who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr> {
        let mut nodes = self.nodes.lock();
        if nodes.folder(parent)?.get(name).is_ok() {
            return fail(libc::EEXIST);
        }
        nodes.enter(parent, name, ino)?;
        let attr = &mut nodes.get(ino)?.attr;
        attr.nlink += 1;
        attr.ctime = now();
        nodes.looked_up(ino)
    }

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle> {
        if mode.truncate {
            self.resize(ino, 0, who.uid != 0)?;
        }
        self.opened(ino)
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
        let attr = match self.make(who, parent, name, NewNode::File, perm) {
            Err(Errno(libc::EEXIST)) if !exclusive => self.lookup(parent, name)?,
            made => made?,
        };
        let handle = self.open(who, attr.ino, mode)?;
        Ok((self.getattr(attr.ino)?, handle))
    }

    fn read(&self, ino: Ino, _handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()> {
        let content = self.content(ino)?;
        let content = content.read();
        let start = content.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
        let end = content.len().min(start.saturating_add(size as usize));
        out.extend_from_slice(&content[start..end]);
        Ok(())
    }

    fn write(&self, ino: Ino, _handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32> {
        let content = self.content(ino)?;
        let mut content = content.write();
        let start = usize::try_from(offset).map_err(|_| Errno(libc::EFBIG))?;
        let end = start.checked_add(data.len()).ok_or(Errno(libc::EFBIG))?;
        if start == content.len() {
            content.extend_from_slice(data);
        } else {
            if content.len() < end {
                content.resize(end, 0);
            }
            content[start..end].copy_from_slice(data);
        }
        self.changed(ino, content.len(), kill_suid)?;
        Ok(data.len() as u32)
    }

    fn release(&self, ino: Ino, _handle: Handle) {
        let mut nodes = self.nodes.lock();
        if let Ok(node) = nodes.get(ino) {
            node.opens -= 1;
            nodes.drop_if_unused(ino);
        }
    }

    fn fsync(&self, _ino: Ino, done: Done<()>) {
        done(Ok(()));
    }

    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let mut nodes = self.nodes.lock();
        let folder = nodes.folder(ino)?;
        let dots = [(1, ino, &b"."[..]), (2, folder.parent, b"..")];
        let dots = dots.iter().map(|&(cookie, ino, name)| DirEntry {
            cookie,
            ino,
            kind: Kind::Folder,
            name,
        });
        let names = folder
            .entries
            .range(cookie.max(2) + 1..)
            .map(|(&cookie, (name, ino, kind))| DirEntry {
                cookie,
                ino: *ino,
                kind: *kind,
                name,
            });
        for entry in dots.filter(|dot| dot.cookie > cookie).chain(names) {
            if !each(entry) {
                break;
            }
        }
        Ok(())
    }

    fn readdir_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        let mut nodes = self.nodes.lock();
        let parent = nodes.folder(ino)?.parent;
        for (at, dot, name) in [(1, ino, &b"."[..]), (2, parent, b"..")] {
            let attr = nodes.get(dot)?.attr;
            let entry = DirEntry {
                cookie: at,
                ino: dot,
                kind: Kind::Folder,
                name,
            };
            if at > cookie && !each(entry, &attr) {
                return Ok(());
            }
        }
        // The folder is moved out while its files' counts change beside it.
        let folder = std::mem::take(nodes.folder(ino)?);
        for (&at, (name, child, kind)) in folder.entries.range(cookie.max(2) + 1..) {
            let Some(node) = nodes.table.get_mut(child) else {
                continue;
            };
            if !each(
                DirEntry {
                    cookie: at,
                    ino: *child,
                    kind: *kind,
                    name,
                },
                &node.attr,
            ) {
                break;
            }
            node.lookups += 1;
        }
        *nodes.folder(ino)? = folder;
        Ok(())
    }

    fn statfs(&self) -> Result<StatFs> {
        let files = self.nodes.lock().table.len() as u64;
        let blocks = 1 << 24;
        Ok(StatFs {
            bsize: 4096,
            blocks,
            bfree: blocks / 2,
            bavail: blocks / 2,
            files,
            ffree: 1 << 32,
        })
    }

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        let mut nodes = self.nodes.lock();
        let xattrs = &mut nodes.get(ino)?.xattrs;
        match (mode, xattrs.contains_key(name)) {
            (XattrMode::Create, true) => return fail(libc::EEXIST),
            (XattrMode::Replace, false) => return fail(libc::ENODATA),
            _ => xattrs.insert(name.to_vec(), value.to_vec()),
        };
        Ok(())
    }

    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        self.nodes
            .lock()
            .get(ino)?
            .xattrs
            .get(name)
            .cloned()
            .ok_or(Errno(libc::ENODATA))
    }

    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>> {
        let mut nodes = self.nodes.lock();
        Ok(nodes
            .get(ino)?
            .xattrs
            .keys()
            .flat_map(|name| name.iter().copied().chain([0]))
            .collect())
    }

    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()> {
        match self.nodes.lock().get(ino)?.xattrs.remove(name) {
            Some(_) => Ok(()),
            None => fail(libc::ENODATA),
        }
    }

    fn fallocate(&self, ino: Ino, _handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()> {
        let content = self.content(ino)?;
        let mut content = content.write();
        let start = usize::try_from(offset).map_err(|_| Errno(libc::EFBIG))?;
        let end = start.checked_add(len as usize).ok_or(Errno(libc::EFBIG))?;
        let (grows, zeroes) = match mode {
            Allocate::Reserve { keep_size } => (!keep_size, false),
            Allocate::PunchHole => (false, true),
            Allocate::Zero { keep_size } => (!keep_size, true),
        };
        if zeroes {
            let size = content.len();
            content[start.min(size)..end.min(size)].fill(0);
        }
        if grows && content.len() < end {
            content.resize(end, 0);
        }
        self.changed(ino, content.len(), false).map(|_| ())
    }

    fn lseek(&self, ino: Ino, _handle: Handle, offset: u64, seek: Seek) -> Result<u64> {
        let size = self.getattr(ino)?.size;
        match seek {
            _ if offset >= size => fail(libc::ENXIO),
            Seek::Data => Ok(offset),
            Seek::Hole => Ok(size),
        }
    }

    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64> {
        let size = u32::try_from(len.min(1 << 30)).unwrap_or(1 << 30);
        let mut bytes = Vec::new();
        self.read(from.0, from.1, from.2, size, &mut bytes)?;
        Ok(self.write(to.0, to.1, to.2, &bytes, false)?.into())
    }
}
