//! Pins: files, and folders with what is and will be in them, that are always to be here.
//!
//! Guarantees: a pin stands for a file or folder and not for its name, so it survives renames, moves and saves; it is
//! durable, sealed and this device's alone.

use std::collections::HashSet;
use std::sync::Arc;

use crate::core::StoreError;
use crate::ids::{EntityId, Ino, ROOT};
use crate::tree::{Kind, TreeError};
use crate::vault::{OpError, Vault};

/// The note in which they lie: 16 bytes each.
const NOTE: &str = "pins";
/// So many can be pinned: a folder counts as one.
pub const PINS_MAX: usize = 16_384;

/// Something that is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// What it is.
    pub ino: Ino,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Where it lies, from the root, without a leading slash.
    pub path: Vec<u8>,
}

impl Vault {
    pub(super) fn load_pins(&self) {
        // One that cannot be read pins nothing; `check` names the row.
        let note = self.note(NOTE).ok().flatten().unwrap_or_default();
        let pins = note.strip_prefix(&[0]).unwrap_or_default();
        let pins = pins.as_chunks::<16>().0.iter().map(|id| EntityId(*id)).collect();
        *self.demand.pins.lock() = pins;
    }

    /// What a pin of this file or folder stands for.
    fn to_pin(&self, ino: Ino) -> Result<EntityId, OpError> {
        let node = match self.tree.read() {
            tree if ino != ROOT && tree.folder(ino).is_some() => tree.node_of(ino),
            _ => None,
        };
        match node {
            Some(node) => Ok(EntityId(node.0)),
            None => self.entity(ino),
        }
    }

    /// Pins these, or takes their pins away, durably; how many there are that were not so before.
    ///
    /// # Errors
    /// ENOENT if one is gone, EINVAL if it is neither file nor folder, E2BIG beyond [`PINS_MAX`]; as [`OpError`] says. Nothing is
    /// changed then.
    pub fn pin(&self, inos: &[Ino], pin: bool) -> Result<usize, OpError> {
        let mut changed = 0;
        let mut ids = Vec::with_capacity(inos.len());
        for ino in inos {
            let kind = self.stat(*ino)?.meta.kind;
            if !matches!(kind, Kind::File | Kind::Folder) {
                return Err(OpError::Errno(libc::EINVAL));
            }
            ids.push(self.to_pin(*ino)?);
        }
        {
            let mut pins = self.demand.pins.lock();
            let mut new = pins.clone();
            for id in ids {
                let before = new.len();
                match (pin, new.contains(&id)) {
                    (true, false) => new.push(id),
                    (false, true) => new.retain(|pinned| *pinned != id),
                    _ => {}
                }
                changed += usize::from(new.len() != before);
            }
            if new.len() > PINS_MAX {
                return Err(OpError::Errno(libc::E2BIG));
            }
            let mut note = vec![0];
            note.extend(new.iter().flat_map(|id| id.0));
            self.set_note(NOTE, &note)?;
            *pins = new;
        }
        self.refresh_pins()?;
        Ok(changed)
    }

    /// What is pinned and has a name, by path.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn pins(&self) -> Result<Vec<Pinned>, StoreError> {
        let pins: HashSet<EntityId> = self.demand.pins.lock().iter().copied().collect();
        let mut found = Vec::new();
        let mut folders: HashSet<Ino> = HashSet::new();
        if self.entity(ROOT).is_ok_and(|root| pins.contains(&root)) {
            folders.insert(ROOT);
        }
        {
            let tree = self.tree.read();
            for (ino, _) in tree.iter().filter(|(ino, _)| *ino != ROOT) {
                if tree
                    .node_of(ino)
                    .is_some_and(|node| pins.contains(&EntityId(node.0)))
                {
                    folders.insert(ino);
                }
            }
            for ino in &folders {
                found.extend(tree.folder_path(*ino).map(|path| Pinned {
                    ino: *ino,
                    is_folder: true,
                    path,
                }));
            }
        }
        let files: HashSet<Ino> = self.living_of(&pins)?.into_values().collect();
        found.extend(self.paths_of(&files).into_iter().map(|(ino, path)| Pinned {
            ino,
            is_folder: false,
            path,
        }));
        found.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(found)
    }

    /// Finds which files are pinned by now, and what they lack: after pins or names have changed. Whether it is other files
    /// than before.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn refresh_pins(&self) -> Result<bool, StoreError> {
        let pins: HashSet<EntityId> = self.demand.pins.lock().iter().copied().collect();
        if pins.is_empty() && self.demand.pinned.read().is_empty() {
            return Ok(false);
        }
        let mut pinned = pins.clone();
        for ino in self.files_under(&pins) {
            match self.entity(ino) {
                Ok(entity) => drop(pinned.insert(entity)),
                Err(OpError::Tree(TreeError::NotFound)) => {}
                Err(OpError::Store(error)) if !error.is_damage() => return Err(error),
                // `check` names it.
                Err(_) => {}
            }
        }
        let is_same = **self.demand.pinned.read() == pinned;
        if is_same {
            return Ok(false);
        }
        let before = {
            // Nothing is being given up that nobody needed until now: what went before is lacking.
            let _alone = self.demand.sweeping.lock();
            let before = std::mem::replace(&mut *self.demand.pinned.write(), Arc::new(pinned.clone()));
            let new: Vec<EntityId> = pinned.difference(&before).copied().collect();
            if !new.is_empty() {
                self.may_lack(&new)?;
            }
            before
        };
        let is_other = *before != pinned;
        if is_other {
            if before.iter().any(|entity| !pinned.contains(entity)) {
                self.forget_lacking();
            }
            self.demand.waits.more();
        }
        Ok(is_other)
    }

    /// All files in the folders that are pinned.
    fn files_under(&self, pins: &HashSet<EntityId>) -> HashSet<Ino> {
        let is_root = self.entity(ROOT).is_ok_and(|root| pins.contains(&root));
        let tree = self.tree.read();
        let mut open: Vec<Ino> = match is_root {
            true => vec![ROOT],
            false => {
                let is_pinned = |ino: &Ino| {
                    tree.node_of(*ino)
                        .is_some_and(|node| pins.contains(&EntityId(node.0)))
                };
                tree.iter().map(|(ino, _)| ino).filter(is_pinned).collect()
            }
        };
        let (mut seen, mut files): (HashSet<Ino>, HashSet<Ino>) = Default::default();
        while let Some(folder) = open.pop() {
            let Some(folder) = tree.folder(folder).filter(|_| seen.insert(folder)) else {
                continue;
            };
            for entry in folder.entries.values() {
                match entry.kind {
                    Kind::Folder => open.push(entry.ino),
                    Kind::File => drop(files.insert(entry.ino)),
                    _ => {}
                }
            }
        }
        files
    }

    /// Whether this file is always to be here.
    pub(in crate::vault) fn is_pinned(&self, entity: &EntityId) -> bool {
        self.demand.pinned.read().contains(entity)
    }
}
