//! A file's bytes, for an index.

use crate::ids::Ino;
use crate::tree::Kind;
use crate::vault::{OpError, Vault};

impl Vault {
    /// A file's bytes, `max` at most, from its beginning: all of one moment. It is no use of the file: nothing stays in memory
    /// for it, and what is kept here for lack of room is not kept longer by it.
    ///
    /// # Errors
    /// ENOENT if the file is gone, EISDIR of a folder, EINVAL of what has no bytes; [`StoreError::Absent`](crate::StoreError::Absent) if
    /// other devices hold them and this one does not: nobody is asked for them; else as [`OpError`] says.
    pub fn text(&self, ino: Ino, max: usize) -> Result<Vec<u8>, OpError> {
        self.glance(ino, |inode| {
            if inode.state.read().meta.kind == Kind::Folder {
                return Err(OpError::Errno(libc::EISDIR));
            }
            self.with_content(inode, |_, content, owner| {
                let len = content.size().min(max as u64) as usize;
                let mut bytes = Vec::with_capacity(len);
                content.read(owner, 0, len, &mut bytes)?;
                Ok(bytes)
            })
        })
    }
}
