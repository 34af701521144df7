//! A file as it is now, without being kept in memory for it.

use std::sync::Arc;

use crate::content::{Content, INLINE_MAX, Owner};
use crate::core::StoreError;
use crate::ids::Ino;
use crate::tree::TreeError;
use crate::vault::inode::{Inode, State};
use crate::vault::{OpError, Vault};

/// How often a file is looked at anew that a commit has changed between its row and its bytes.
const TRIES: u32 = 4;

impl Vault {
    /// Looks at a file: at what is in memory, else at its row.
    pub(super) fn glance<T>(
        &self,
        ino: Ino,
        mut look: impl FnMut(&Arc<Inode>) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let resident = self.inodes.lock().get(ino);
            if let Some(inode) = resident {
                return look(&inode);
            }
            let inode = Arc::new(self.read_inode(ino)?.ok_or(TreeError::NotFound)?);
            match look(&inode) {
                // Nobody holds what the row named: it may be another by now.
                Err(OpError::Store(error)) if error.is_damage() && tries < TRIES => {}
                done => return done,
            }
        }
    }

    /// Calls `read` with a file's content, loaded, under its lock. What had to be read for that goes again.
    pub(super) fn with_content<T>(
        &self,
        inode: &Arc<Inode>,
        read: impl FnOnce(&State, &Content, Owner<'_>) -> Result<T, StoreError>,
    ) -> Result<T, OpError> {
        let state = inode.state.read();
        let Some(content) = state.content.as_deref() else {
            return Err(OpError::Errno(libc::EINVAL));
        };
        if !content.is_unloaded() {
            let owner = inode.owner(&self.core, &state.binding);
            return Ok(read(&state, content, owner)?);
        }
        let durable = content.durable();
        let is_small = durable.size <= INLINE_MAX && durable.base_len <= INLINE_MAX;
        if is_small || durable.log_first == durable.log_next {
            // While it is locked, what its row names stays.
            let owner = inode.owner(&self.core, &state.binding);
            let mut loaded = Content::stored(durable);
            loaded.load(owner)?;
            return Ok(read(&state, &loaded, owner)?);
        }
        drop(state);
        // What was written and is not chunked yet becomes chunks on the way: that must not be done twice.
        let inode = self.get(inode.ino)?;
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let Some(content) = state.content.as_mut() else {
            return Err(OpError::Errno(libc::EINVAL));
        };
        content.load(inode.owner(&self.core, &state.binding))?;
        let owner = inode.owner(&self.core, &state.binding);
        let result = match state.content.as_deref() {
            Some(content) => read(state, content, owner),
            None => return Err(OpError::Errno(libc::EINVAL)),
        };
        if state.opens == 0
            && let Some(content) = state.content.as_mut()
        {
            content.unload(&self.core);
        }
        Ok(result?)
    }
}
