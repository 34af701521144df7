//! The file system as a trait, in our own types: what the FUSE adapter calls, what the
//! vault's file system implements, and what the reference model in the tests implements
//! too, so that one stream of operations can be played to both.
//!
//! Permissions are checked above it: by the kernel, or by [`Permit`](crate::permit::Permit)
//! on a mount that only one user can enter. The file system trusts its caller's `Caller`
//! for ownership of what is created and for clearing set-id bits.

/// An inode number. The root is 1.
pub type Ino = u64;
/// An open file's handle, chosen by the file system.
pub type Handle = u64;

/// The root folder's inode.
pub const ROOT: Ino = 1;

pub use coffer_store::record::Time;
pub use coffer_store::tree::Kind;

/// A file's attributes, as stat(2) shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Inode number.
    pub ino: Ino,
    /// Size in bytes; for a symlink its target's length, for a folder any.
    pub size: u64,
    /// 512-byte blocks that hold data (holes left out).
    pub blocks: u64,
    /// When the file was made, or what was set: reading does not change it. Local.
    pub atime: Time,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of attributes.
    pub ctime: Time,
    /// Creation.
    pub btime: Time,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits (`0o7777`).
    pub perm: u16,
    /// Names of the file; for a folder 2 + its subfolders.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node.
    pub rdev: u32,
}

/// Who asks: effective ids of the calling thread, and its thread id (0 if unknown).
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Thread id as the kernel gives it.
    pub pid: u32,
}

/// An errno, as the kernel wants it (positive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// What an operation answers.
pub type Result<T> = std::result::Result<T, Errno>;

/// What access(2) asks for: a sum of the bits below, which are those of a mode's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(pub u8);

impl Access {
    /// To read.
    pub const READ: u8 = 4;
    /// To write.
    pub const WRITE: u8 = 2;
    /// To run a file, or to go through a folder.
    pub const EXECUTE: u8 = 1;
}

/// What setattr(…) is to change; `None` leaves a field alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttr {
    /// Permission bits (`0o7777`).
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// New size.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<SetTime>,
    /// New modification time.
    pub mtime: Option<SetTime>,
}

/// A time to set.
#[derive(Clone, Copy, Debug)]
pub enum SetTime {
    /// The clock's.
    Now,
    /// This one.
    At(Time),
}

/// How a file is opened, from open(2)'s flags.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenMode {
    /// May read.
    pub read: bool,
    /// May write.
    pub write: bool,
    /// To run it, which may be permitted though reading is not.
    pub execute: bool,
    /// Every write goes to the end, by [`FileSystem::append`]: where the kernel sees the end may be over.
    pub append: bool,
    /// Cut to nothing at open.
    pub truncate: bool,
}

/// What a new node is to be.
#[derive(Clone, Debug)]
pub enum NewNode<'a> {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symlink to these bytes.
    Symlink(&'a [u8]),
    /// A FIFO, a socket or a device node (`kind` says which).
    Special(Kind, u32),
}

/// One entry of a folder. `.` and `..` are listed too, first, with cookies 1 and 2.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    /// Where to go on after this entry: stable while names come and go.
    pub cookie: u64,
    /// Inode.
    pub ino: Ino,
    /// What it is.
    pub kind: Kind,
    /// Name.
    pub name: &'a [u8],
}

/// renameat2's flags that change the meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// Replace what is there.
    Replace,
    /// EEXIST if something is there.
    NoReplace,
    /// Swap the two.
    Exchange,
}

/// For lseek(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The next data at or after the offset.
    Data,
    /// The next hole at or after the offset (the end counts as one).
    Hole,
}

/// fallocate(2)'s modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocate {
    /// Reserve; the size grows to the end of the range unless `keep_size`.
    Reserve {
        /// FALLOC_FL_KEEP_SIZE
        keep_size: bool,
    },
    /// Make a hole; the size stays.
    PunchHole,
    /// Make zeros.
    Zero {
        /// FALLOC_FL_KEEP_SIZE
        keep_size: bool,
    },
}

/// setxattr(2)'s flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrMode {
    /// Create or replace.
    Set,
    /// EEXIST if there.
    Create,
    /// ENODATA if not there.
    Replace,
}

/// statfs(2).
#[derive(Clone, Copy, Debug)]
pub struct StatFs {
    /// Block size in bytes for the counts below.
    pub bsize: u32,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free for ordinary users.
    pub bavail: u64,
    /// Inodes in use.
    pub files: u64,
    /// Inodes that can still be made.
    pub ffree: u64,
}

/// An answer that may be given later, from another thread: called exactly once.
pub type Done<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// The file system. Every method may be called from several threads at once, and none
/// waits for the network, for an answer that is worked out, or for another request: what would have to
/// answers [`crate::patience::LATER`], and does it when it is called where it may. Names are raw bytes, 1..=255 of them,
/// without `/` and NUL; longer ones answer ENAMETOOLONG. Where two inodes are named, both exist in the kernel's view.
///
/// The kernel counts lookups: `lookup`, `make`, `create`, `link`, and each entry of
/// `readdir_plus` but `.` and `..`, add one to an inode's count; `forget` takes away. An
/// inode without names lives until its count and its open handles are gone.
#[allow(missing_docs)]
pub trait FileSystem: Send + Sync + 'static {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr>;
    fn forget(&self, ino: Ino, count: u64);
    fn getattr(&self, ino: Ino) -> Result<Attr>;
    /// The same for whoever only asks what it is, and who may do what with it: size and times may be
    /// anything, so that nobody waits for them.
    fn rights(&self, ino: Ino) -> Result<Attr> {
        self.getattr(ino)
    }
    /// Whether the kernel may remember what it is told of this inode, and of names in it: false
    /// where that changes without anybody saying so.
    fn lasts(&self, ino: Ino) -> bool {
        let _ = ino;
        true
    }
    /// Whether the mounter may; asked only where the kernel does not check.
    fn access(&self, ino: Ino, want: Access) -> Result<()> {
        let _ = (ino, want);
        Ok(())
    }
    fn setattr(&self, who: Caller, ino: Ino, handle: Option<Handle>, set: SetAttr) -> Result<Attr>;
    fn readlink(&self, ino: Ino) -> Result<Vec<u8>>;
    /// `mode` has the umask already taken off.
    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr>;
    fn unlink(&self, who: Caller, parent: Ino, name: &[u8]) -> Result<()>;
    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()>;
    fn rename(
        &self,
        who: Caller,
        parent: Ino,
        name: &[u8],
        to_parent: Ino,
        to_name: &[u8],
        mode: RenameMode,
    ) -> Result<()>;
    fn link(&self, who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr>;

    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle>;
    /// O_CREAT of a name that the kernel did not find; EEXIST if it is there after all and `exclusive`, else opens it.
    fn create(
        &self,
        who: Caller,
        parent: Ino,
        name: &[u8],
        perm: u32,
        mode: OpenMode,
        exclusive: bool,
    ) -> Result<(Attr, Handle)>;
    /// Appends up to `size` bytes from `offset` to `out`; fewer only at the end of the file.
    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()>;
    /// Writes all of `data`; `kill_suid` says to clear set-id bits. What is refused is refused
    /// now: close(2) is not told of, and reports nothing.
    fn write(&self, ino: Ino, handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32>;
    /// Writes all of `data` at the end of the file, wherever that is by now: the kernel may not know yet
    /// that the file was changed past it. Returns where that was.
    fn append(&self, ino: Ino, handle: Handle, data: &[u8], kill_suid: bool) -> Result<u64> {
        let end = self.getattr(ino)?.size;
        self.write(ino, handle, end, data, kill_suid)?;
        Ok(end)
    }
    /// Whether [`FileSystem::flush`] is to be called when a descriptor of this handle is closed.
    fn wants_flush(&self, _ino: Ino, _handle: Handle) -> bool {
        false
    }
    /// A descriptor of this handle is being closed: close(2) waits for it. There may be others.
    fn flush(&self, _ino: Ino, _handle: Handle) {}
    /// The handle's last descriptor is gone.
    fn release(&self, ino: Ino, handle: Handle);
    /// Makes the file (or folder) durable, then answers: at once or from another thread.
    fn fsync(&self, ino: Ino, done: Done<()>);

    /// Calls `each` for entries after `cookie` (0: from the start) until it returns false.
    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()>;
    /// The same with attributes. An entry counts as looked up only if `each` returned true for it.
    fn readdir_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()>;
    /// The names in a folder but `.` and `..`, whoever may list it: for the kernel, which is to
    /// forget them.
    fn names(&self, folder: Ino, each: &mut dyn FnMut(&[u8])) {
        // A folder that cannot be read has nothing in the kernel's cache that it was told of.
        let _ = self.readdir(folder, 0, &mut |entry| {
            if !matches!(entry.name, b"." | b"..") {
                each(entry.name);
            }
            true
        });
    }
    /// Names an inode to the kernel though no name of it was looked up: counts as a lookup. For one
    /// without names, too, as long as it lives. Without it, changes that do not come through the
    /// kernel reach its caches, but not those who watch (see [`crate::adapter::Announcer`]); so with
    /// the next two.
    fn hold(&self, ino: Ino) -> Result<Attr> {
        let _ = ino;
        Err(Errno(libc::ENOSYS))
    }
    /// Whether the kernel may know the inode: it was looked up, and not yet forgotten.
    fn is_held(&self, ino: Ino) -> bool {
        let _ = ino;
        true
    }
    /// Where a folder lies now: names from the root, with `/` between them; the root's is empty.
    fn folder_path(&self, folder: Ino) -> Option<Vec<u8>> {
        let _ = folder;
        None
    }
    fn statfs(&self) -> Result<StatFs>;

    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()>;
    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>>;
    /// Names, each ended by NUL.
    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>>;
    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()>;

    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()>;
    fn lseek(&self, ino: Ino, handle: Handle, offset: u64, seek: Seek) -> Result<u64>;
    /// Copies a range by reference where it can; returns how many bytes.
    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64>;
}
