//! A file system that tells a hook of every call, before it and after it: to make one
//! panic, or wait.

use coffer_fs::types::*;

/// Calls the hook with an operation's name: `false` before it, `true` after it.
pub struct Hooked<F, H> {
    pub fs: F,
    pub hook: H,
}

macro_rules! told {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) $(-> $answer:ty)?;)*) => {
        impl<F: FileSystem, H: Fn(&str, bool) + Send + Sync + 'static> FileSystem for Hooked<F, H> {
            $(fn $name(&self $(, $arg: $type)*) $(-> $answer)? {
                (self.hook)(stringify!($name), false);
                let answer = self.fs.$name($($arg),*);
                (self.hook)(stringify!($name), true);
                answer
            })*
        }
    };
}

told! {
    fn lookup(&self, parent: Ino, name: &[u8]) -> Result<Attr>;
    fn forget(&self, ino: Ino, count: u64);
    fn getattr(&self, ino: Ino) -> Result<Attr>;
    fn setattr(&self, who: Caller, ino: Ino, handle: Option<Handle>, set: SetAttr) -> Result<Attr>;
    fn readlink(&self, ino: Ino) -> Result<Vec<u8>>;
    fn make(&self, who: Caller, parent: Ino, name: &[u8], node: NewNode<'_>, mode: u32) -> Result<Attr>;
    fn unlink(&self, who: Caller, parent: Ino, name: &[u8]) -> Result<()>;
    fn rmdir(&self, parent: Ino, name: &[u8]) -> Result<()>;
    fn rename(&self, who: Caller, parent: Ino, name: &[u8], to_parent: Ino, to_name: &[u8], mode: RenameMode) -> Result<()>;
    fn link(&self, who: Caller, ino: Ino, parent: Ino, name: &[u8]) -> Result<Attr>;
    fn open(&self, who: Caller, ino: Ino, mode: OpenMode) -> Result<Handle>;
    fn create(&self, who: Caller, parent: Ino, name: &[u8], perm: u32, mode: OpenMode, exclusive: bool) -> Result<(Attr, Handle)>;
    fn read(&self, ino: Ino, handle: Handle, offset: u64, size: u32, out: &mut Vec<u8>) -> Result<()>;
    fn write(&self, ino: Ino, handle: Handle, offset: u64, data: &[u8], kill_suid: bool) -> Result<u32>;
    fn release(&self, ino: Ino, handle: Handle);
    fn fsync(&self, ino: Ino, done: Done<()>);
    fn readdir(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()>;
    fn readdir_plus(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool) -> Result<()>;
    fn hold(&self, ino: Ino) -> Result<Attr>;
    fn is_held(&self, ino: Ino) -> bool;
    fn folder_path(&self, folder: Ino) -> Option<Vec<u8>>;
    fn statfs(&self) -> Result<StatFs>;
    fn setxattr(&self, ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()>;
    fn getxattr(&self, ino: Ino, name: &[u8]) -> Result<Vec<u8>>;
    fn listxattr(&self, ino: Ino) -> Result<Vec<u8>>;
    fn removexattr(&self, ino: Ino, name: &[u8]) -> Result<()>;
    fn fallocate(&self, ino: Ino, handle: Handle, offset: u64, len: u64, mode: Allocate) -> Result<()>;
    fn lseek(&self, ino: Ino, handle: Handle, offset: u64, seek: Seek) -> Result<u64>;
    fn copy_range(&self, from: (Ino, Handle, u64), to: (Ino, Handle, u64), len: u64) -> Result<u64>;
}
