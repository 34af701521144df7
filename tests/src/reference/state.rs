//! What the model holds: inodes by number, and the rules that every operation shares
//! (names, folders, times, when an inode goes).
//!
//! Guarantees that an inode lives exactly as long as it has a name, a lookup or an open
//! handle.

use super::bytes::Bytes;
use coffer_fs::types::*;
use std::collections::BTreeMap;

/// The longest name, in bytes.
pub(super) const NAME_MAX: usize = 255;
/// The largest offset that a file may reach, in bytes.
pub(super) const SIZE_MAX: u64 = i64::MAX as u64;

/// An error, to be returned with `?` or as it is.
pub(super) fn fail<T>(errno: i32) -> Result<T> {
    Err(Errno(errno))
}

/// One name in a folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) cookie: u64,
    pub(super) ino: Ino,
}

/// A folder's names.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) parent: Ino,
    pub(super) entries: BTreeMap<Vec<u8>, Entry>,
    next_cookie: u64,
}

impl Folder {
    fn new(parent: Ino) -> Folder {
        Folder {
            parent,
            entries: BTreeMap::new(),
            next_cookie: 3,
        }
    }
}

/// What an inode is made of.
#[derive(Debug)]
pub(super) enum Body {
    File(Bytes),
    Folder(Folder),
    Symlink(Vec<u8>),
    Special,
}

/// One inode.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) perm: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) rdev: u32,
    pub(super) atime: Time,
    pub(super) mtime: Time,
    pub(super) ctime: Time,
    pub(super) btime: Time,
    /// Names of it (folders: 1 while in the tree).
    pub(super) names: u32,
    pub(super) lookups: u64,
    pub(super) handles: u64,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) body: Body,
}

impl Inode {
    /// Its names, if it is a folder.
    pub(super) fn folder(&self) -> Result<&Folder> {
        match &self.body {
            Body::Folder(folder) => Ok(folder),
            _ => fail(libc::ENOTDIR),
        }
    }

    /// Its bytes, if it is a regular file.
    pub(super) fn bytes(&mut self) -> Result<&mut Bytes> {
        match &mut self.body {
            Body::File(bytes) => Ok(bytes),
            Body::Folder(_) => fail(libc::EISDIR),
            _ => fail(libc::EINVAL),
        }
    }

    /// Content changed.
    pub(super) fn modified(&mut self, now: Time) {
        self.mtime = now;
        self.ctime = now;
    }

    /// Clears the set-id bits, as chown(2) and a write by another do: set-group-id only
    /// where it means a group, not mandatory locking.
    pub(super) fn kill_suid(&mut self) {
        self.perm &= !0o4000;
        if self.perm & 0o010 != 0 {
            self.perm &= !0o2000;
        }
    }
}

/// All inodes, and the clock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) inodes: BTreeMap<Ino, Inode>,
    next_ino: Ino,
    clock: u64,
    pub(super) handles: BTreeMap<Handle, (Ino, OpenMode)>,
    pub(super) next_handle: Handle,
}

impl State {
    /// An empty root, owned by `who`.
    pub(super) fn new(who: Caller) -> State {
        let mut state = State {
            inodes: BTreeMap::new(),
            next_ino: ROOT,
            clock: 0,
            handles: BTreeMap::new(),
            next_handle: 1,
        };
        let root = state.add(
            Kind::Folder,
            Body::Folder(Folder::new(ROOT)),
            0o755,
            who.uid,
            who.gid,
            0,
        );
        state.inodes.get_mut(&root).expect("just added").names = 1;
        state
    }

    /// A moment later than every one before.
    pub(super) fn now(&mut self) -> Time {
        self.clock += 1;
        Time {
            sec: 1_700_000_000 + (self.clock / 1000) as i64,
            nsec: (self.clock % 1000) as u32,
        }
    }

    /// The inode of that number.
    pub(super) fn inode(&self, ino: Ino) -> Result<&Inode> {
        self.inodes.get(&ino).ok_or(Errno(libc::ESTALE))
    }

    /// The inode of that number, to be changed.
    pub(super) fn inode_mut(&mut self, ino: Ino) -> Result<&mut Inode> {
        self.inodes.get_mut(&ino).ok_or(Errno(libc::ESTALE))
    }

    /// The folder of that number, to be changed.
    fn folder_mut(&mut self, ino: Ino) -> &mut Folder {
        match self.inodes.get_mut(&ino).map(|inode| &mut inode.body) {
            Some(Body::Folder(folder)) => folder,
            _ => unreachable!("the caller has looked at this folder"),
        }
    }

    /// What stands under a name, after all checks of folder and name.
    pub(super) fn find(&self, parent: Ino, name: &[u8]) -> Result<Option<Ino>> {
        let folder = self.inode(parent)?.folder()?;
        if name.len() > NAME_MAX {
            return fail(libc::ENAMETOOLONG);
        }
        if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
            return fail(libc::EINVAL);
        }
        Ok(folder.entries.get(name).map(|entry| entry.ino))
    }

    /// The same for a name that is to be made: nothing can be made in a removed folder.
    pub(super) fn find_to_make(&self, parent: Ino, name: &[u8]) -> Result<Option<Ino>> {
        let found = self.find(parent, name)?;
        match self.inode(parent)?.names {
            0 => fail(libc::ENOENT),
            _ => Ok(found),
        }
    }

    /// The inode behind a name that must be there.
    pub(super) fn get(&self, parent: Ino, name: &[u8]) -> Result<Ino> {
        self.find(parent, name)?.ok_or(Errno(libc::ENOENT))
    }

    /// Whether it is a folder.
    pub(super) fn is_folder(&self, ino: Ino) -> bool {
        self.inodes
            .get(&ino)
            .is_some_and(|inode| inode.kind == Kind::Folder)
    }

    /// Whether `ino` is `folder` or lies anywhere below it.
    pub(super) fn is_within(&self, ino: Ino, folder: Ino) -> bool {
        let mut at = ino;
        loop {
            if at == folder {
                return true;
            }
            match self.inode(at).and_then(|inode| inode.folder()) {
                Ok(above) if at != ROOT => at = above.parent,
                _ => return false,
            }
        }
    }

    /// A new inode without a name, owned as its creator says.
    pub(super) fn add(&mut self, kind: Kind, body: Body, perm: u16, uid: u32, gid: u32, rdev: u32) -> Ino {
        let (ino, now) = (self.next_ino, self.now());
        self.next_ino += 1;
        let inode = Inode {
            kind,
            perm,
            uid,
            gid,
            rdev,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            names: 0,
            lookups: 0,
            handles: 0,
            xattrs: BTreeMap::new(),
            body,
        };
        self.inodes.insert(ino, inode);
        ino
    }

    /// A new folder's body.
    pub(super) fn empty_folder(parent: Ino) -> Body {
        Body::Folder(Folder::new(parent))
    }

    /// Puts a name into a folder, which touches the folder but not the inode.
    pub(super) fn attach(&mut self, parent: Ino, name: &[u8], ino: Ino) {
        let now = self.now();
        let folder = self.folder_mut(parent);
        let cookie = folder.next_cookie;
        folder.next_cookie += 1;
        folder.entries.insert(name.to_vec(), Entry { cookie, ino });
        self.inodes.get_mut(&parent).expect("checked").modified(now);
        let inode = self.inodes.get_mut(&ino).expect("the caller has it");
        inode.names += 1;
        if let Body::Folder(folder) = &mut inode.body {
            folder.parent = parent;
        }
    }

    /// Takes a name out of a folder, which touches the folder but not the inode.
    pub(super) fn detach(&mut self, parent: Ino, name: &[u8]) {
        let now = self.now();
        if let Some(entry) = self.folder_mut(parent).entries.remove(name) {
            self.inodes.get_mut(&parent).expect("checked").modified(now);
            self.inodes.get_mut(&entry.ino).expect("named").names -= 1;
        }
    }

    /// Marks a change of attributes.
    pub(super) fn touch(&mut self, ino: Ino) {
        let now = self.now();
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.ctime = now;
        }
    }

    /// Lets an inode go if nothing holds it.
    pub(super) fn drop_if_free(&mut self, ino: Ino) {
        let free = self
            .inodes
            .get(&ino)
            .is_some_and(|inode| inode.names == 0 && inode.lookups == 0 && inode.handles == 0);
        if free {
            self.inodes.remove(&ino);
        }
    }

    /// What stat(2) shows, counted as one lookup.
    pub(super) fn looked_up(&mut self, ino: Ino) -> Result<Attr> {
        self.inode_mut(ino)?.lookups += 1;
        self.attr(ino)
    }

    /// What stat(2) shows.
    pub(super) fn attr(&self, ino: Ino) -> Result<Attr> {
        let inode = self.inode(ino)?;
        let (size, blocks, nlink) = match &inode.body {
            Body::File(bytes) => (bytes.size(), bytes.blocks(), inode.names),
            Body::Symlink(target) => (target.len() as u64, 0, inode.names),
            Body::Special => (0, 0, inode.names),
            Body::Folder(folder) => {
                let below = folder
                    .entries
                    .values()
                    .filter(|entry| self.is_folder(entry.ino))
                    .count() as u32;
                (4096, 8, if inode.names == 0 { 0 } else { 2 + below })
            }
        };
        Ok(Attr {
            ino,
            size,
            blocks,
            atime: inode.atime,
            mtime: inode.mtime,
            ctime: inode.ctime,
            btime: inode.btime,
            kind: inode.kind,
            perm: inode.perm,
            nlink,
            uid: inode.uid,
            gid: inode.gid,
            rdev: inode.rdev,
        })
    }
}
