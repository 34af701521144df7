//! Moving names: renames, over what is there or not, and exchanges.

use super::{Replaced, Tree, TreeError, check};
use crate::ids::{Ino, NodeNo};
use crate::record::{Kind, Told};

impl Tree {
    /// Moves a name, over what may be there.
    ///
    /// # Errors
    /// NotFound, Exists (`no_replace`), IsFolder, NotFolder, NotEmpty, Loop, names.
    pub fn rename(
        &mut self,
        from: (Ino, &[u8]),
        to: (Ino, &[u8]),
        no_replace: bool,
    ) -> Result<(NodeNo, Option<Replaced>), TreeError> {
        check(to.1)?;
        let (no, entry) = self.lookup(from.0, from.1)?;
        let (ino, kind) = (entry.ino, entry.kind);
        self.live(to.0)?;
        if no_replace && self.lookup(to.0, to.1).is_ok() {
            return Err(TreeError::Exists);
        }
        if kind == Kind::Folder && self.lies_in(to.0, ino) {
            return Err(TreeError::Loop);
        }
        let mut replaced = None;
        if let Ok((target_no, target)) = self.lookup(to.0, to.1) {
            if target.ino == ino {
                return Ok((no, None)); // two names of one file: POSIX says to do nothing
            }
            if target.kind == Kind::Folder && self.lies_in(from.0, target.ino) {
                return Err(TreeError::NotEmpty); // whatever moves: as Linux says first
            }
            match (kind == Kind::Folder, target.kind == Kind::Folder) {
                (true, false) => return Err(TreeError::NotFolder),
                (false, true) => return Err(TreeError::IsFolder),
                (true, true) => self.must_be_empty(target.ino)?,
                (false, false) => {}
            }
            replaced = Some(self.drop_node(to.0, target_no));
        }
        self.relocate(no, from.0, to.0, to.1);
        Ok((no, replaced))
    }

    /// Swaps what two names stand for.
    ///
    /// # Errors
    /// NotFound, Loop.
    pub fn exchange(&mut self, a: (Ino, &[u8]), b: (Ino, &[u8])) -> Result<(), TreeError> {
        let (no_a, entry_a) = self.lookup(a.0, a.1)?;
        let (no_b, entry_b) = self.lookup(b.0, b.1)?;
        if no_a == no_b {
            return Ok(());
        }
        if (entry_a.kind == Kind::Folder && self.lies_in(b.0, entry_a.ino))
            || (entry_b.kind == Kind::Folder && self.lies_in(a.0, entry_b.ino))
        {
            return Err(TreeError::Loop);
        }
        let (name_a, name_b) = (entry_a.name.clone(), entry_b.name.clone());
        self.relocate(no_a, a.0, b.0, &name_b);
        self.relocate(no_b, b.0, a.0, &name_a);
        Ok(())
    }

    fn relocate(&mut self, no: NodeNo, from: Ino, to: Ino, name: &[u8]) {
        let mut entry = self
            .folders
            .get_mut(&from)
            .and_then(|f| f.take(&self.hasher, no))
            .expect("the caller has just looked this node up under the same lock");
        entry.name = name.into();
        if entry.told == Told::Now {
            entry.told = Told::Before;
        }
        self.put(to, no, entry);
    }
}
