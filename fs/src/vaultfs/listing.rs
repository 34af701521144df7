//! Listing folders, and the way back from a folder to its path.
//!
//! Guarantees that cookies stay good however a folder changes, since they are the vault's; and that no attribute
//! is looked for while the tree is locked. Never lists what is gone or damaged.

use super::{CofferFs, errno};
use crate::types::{Attr, DirEntry, Ino, Kind, ROOT, Result};

/// Entries that are listed while the tree is locked, when attributes are wanted too.
const LIST_STEP: usize = 256;
/// Folders in folders that a path is looked for in.
const DEEPEST: usize = 10_000;

impl CofferFs {
    /// Lists a folder from after a cookie on, until `each` has enough.
    pub(super) fn list(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<()> {
        self.touch();
        if !self.dots(ino, cookie, &mut |e| each(e))? {
            return Ok(());
        }
        self.vault
            .list(ino, cookie.max(2), &mut |cookie, ino, kind, name| {
                each(DirEntry {
                    cookie,
                    ino,
                    kind,
                    name,
                })
            })
            .map_err(errno)
    }

    /// The same with attributes; what `each` takes counts as looked up.
    pub(super) fn list_with_attributes(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        self.touch();
        let mut failed = None;
        let go_on = self.dots(ino, cookie, &mut |e| match self.attr(e.ino) {
            Ok(attr) => each(e, &attr),
            Err(e) => {
                failed = Some(e);
                false
            }
        })?;
        if let Some(e) = failed {
            return Err(e);
        }
        if !go_on {
            return Ok(());
        }
        let mut cookie = cookie.max(2);
        let mut step: Vec<(u64, Ino, Kind, Vec<u8>)> = Vec::new();
        loop {
            step.clear();
            self.vault
                .list(ino, cookie, &mut |cookie, ino, kind, name| {
                    step.push((cookie, ino, kind, name.to_vec()));
                    step.len() < LIST_STEP
                })
                .map_err(errno)?;
            for (at, ino, kind, name) in &step {
                cookie = *at;
                // It may be gone meanwhile, or damaged: then it is not listed here.
                let Ok(attr) = self.named(*ino) else { continue };
                let entry = DirEntry {
                    cookie: *at,
                    ino: *ino,
                    kind: *kind,
                    name,
                };
                if !each(entry, &attr) {
                    self.vault.let_go(*ino, 1);
                    return Ok(());
                }
            }
            if step.len() < LIST_STEP {
                return Ok(());
            }
        }
    }

    /// Where a folder lies now.
    pub(super) fn path_of_folder(&self, folder: Ino) -> Option<Vec<u8>> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut at = folder;
        while at != ROOT {
            let above = self.vault.parent(at)?;
            let mut found = None;
            let listed = self.vault.list(above, 0, &mut |_, ino, _, name| {
                if ino == at {
                    found = Some(name.to_vec());
                }
                found.is_none()
            });
            listed.ok()?;
            // It moves meanwhile, or was removed; a path that goes on for ever is none.
            parts.push(found.filter(|_| parts.len() < DEEPEST)?);
            at = above;
        }
        parts.reverse();
        Some(parts.join(&b'/'))
    }

    /// Lists `.` and `..`; false if `each` had enough.
    fn dots(&self, ino: Ino, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<bool> {
        if cookie < 1
            && !each(DirEntry {
                cookie: 1,
                ino,
                kind: Kind::Folder,
                name: b".",
            })
        {
            return Ok(false);
        }
        if cookie < 2 {
            // A folder that was removed while it is open is empty.
            let Some(above) = self.vault.parent(ino) else {
                return Ok(false);
            };
            if !each(DirEntry {
                cookie: 2,
                ino: above,
                kind: Kind::Folder,
                name: b"..",
            }) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
