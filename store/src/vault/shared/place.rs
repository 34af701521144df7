//! From what is seen of the tree of all devices to this device's.
//!
//! Guarantees: every name is taken out of its place before one is put into another, all under one lock, so
//! that nobody sees a name twice or a place taken by two; and none is dropped: what cannot be where it is to be
//! seen is put where it can, under a name that says so, and is looked at once more.

use std::collections::HashSet;
use std::sync::Arc;

use super::files::{FileFor, Files};
use super::{Shared, Vault};
use crate::binding::Binding;
use crate::ids::{EntityId, Ino, NodeId, ROOT, ROOT_NODE};
use crate::moves::{Changed, Sight, Target, conflict_name};
use crate::record::{Kind, Meta, Time, Told};
use crate::tree::{Detached, Replaced, Tree, TreeError};
use crate::vault::inode::Inode;

/// A folder and a name in it.
type NameAt = (Ino, Box<[u8]>);

/// A name that came, went or is another by what other devices said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// What it names.
    pub ino: Ino,
    /// What that is.
    pub kind: Kind,
    /// Where it was; nowhere: it came.
    pub from: Option<NameAt>,
    /// Where it is; nowhere: it went.
    pub to: Option<NameAt>,
}

/// What is on its way into its place.
struct Coming {
    node: NodeId,
    folder: NodeId,
    name: Box<[u8]>,
    /// The place that it was taken from.
    detached: Option<Detached>,
}

/// One step from what is seen to what is there.
struct Placing<'a> {
    vault: &'a Vault,
    tree: &'a mut Tree,
    shared: &'a mut Shared,
    files: &'a mut Files,
    now: Time,
    /// Folders whose entries changed.
    touched: HashSet<Ino>,
    changes: Vec<Renamed>,
    /// Folders that have other attributes.
    dressed: Vec<Ino>,
}

impl Vault {
    /// Puts every node in its place; of those in `said` also what they name may be another. The tree is
    /// locked.
    pub(super) fn place_all(
        &self,
        tree: &mut Tree,
        shared: &mut Shared,
        (sights, said): (&Changed, &HashSet<NodeId>),
        files: &mut Files,
    ) -> (Vec<Renamed>, Vec<Ino>) {
        let mut placing = Placing {
            vault: self,
            tree,
            shared,
            files,
            now: Time::now(),
            touched: HashSet::new(),
            changes: Vec::new(),
            dressed: Vec::new(),
        };
        placing.swap(sights);
        let (coming, going) = placing.take_out(sights, said);
        placing.put_in(coming);
        placing.let_go(going);
        for folder in std::mem::take(&mut placing.touched) {
            if let Ok(inode) = self.get(folder) {
                self.touch_folder(&inode, placing.now);
            }
        }
        // Who repeats it has a name free before another gets it.
        placing
            .changes
            .sort_by_key(|change| (change.to.is_some(), change.from.is_none()));
        (placing.changes, placing.dressed)
    }
}

impl Placing<'_> {
    /// Where another folder stands for several from now on, it does so by the inode that the former had: whoever
    /// works in there stays where he is.
    fn swap(&mut self, sights: &Changed) {
        for (node, sight) in sights {
            let Some(Sight::As(first)) = sight else { continue };
            if self.tree.at(first).is_some() || !matches!(sights.get(first), Some(Some(Sight::At(..)))) {
                continue;
            }
            let Some((_, _, entry)) = self.tree.at(node) else {
                continue;
            };
            let Ok(inode) = self.vault.get(entry.ino) else {
                continue;
            };
            self.tree.be_known_as(node, *first);
            let own = |state: &mut crate::vault::inode::State| {
                state.binding = Binding::own(EntityId(first.0));
                state.untold = false;
            };
            self.vault.change_meta(&inode, own);
        }
    }

    /// Takes out of its place whatever is to be in another, or in none.
    fn take_out(
        &mut self,
        sights: &Changed,
        said: &HashSet<NodeId>,
    ) -> (Vec<Coming>, Vec<(NodeId, Detached)>) {
        let (mut coming, mut going) = (Vec::new(), Vec::new());
        for (node, sight) in sights {
            let at = match sight {
                Some(Sight::At(folder, name)) => Some((*folder, name.clone())),
                _ => None,
            };
            let is_other = said.contains(node) && self.names_another(node);
            let here = self.tree.at(node).map(|(parent, _, entry)| {
                let folder = self.tree.node_of(parent);
                at.as_ref()
                    .is_some_and(|(to, name)| folder == Some(*to) && *entry.name == **name)
            });
            if !is_other && (here == Some(true) || self.is_beside(node, at.as_ref(), sights)) {
                self.dress(node);
                continue;
            }
            if at.is_none() && !self.may_go(node, sight.as_ref()) {
                self.shared.unsure.insert(*node);
                continue;
            }
            if is_other && self.is_written(node) {
                self.shared.unsure.insert(*node);
                continue;
            }
            let mut detached = self.tree.detach(node);
            if is_other && let Some(other) = detached.take() {
                going.push((*node, other));
            }
            match (at, detached) {
                (Some((folder, name)), detached) => coming.push(Coming {
                    node: *node,
                    folder,
                    name,
                    detached,
                }),
                (None, Some(detached)) => going.push((*node, detached)),
                (None, None) => {}
            }
        }
        (coming, going)
    }

    /// Whether a node lies beside its place, which something has that nobody else knows and that stays there.
    fn is_beside(&self, node: &NodeId, at: Option<&(NodeId, Box<[u8]>)>, sights: &Changed) -> bool {
        let (Some((folder, name)), Some((parent, _, _))) = (at, self.tree.at(node)) else {
            return false;
        };
        let other = self.tree.lookup(parent, name).ok().map(|(_, entry)| entry.id);
        let stays = |other: NodeId| other != *node && !sights.contains_key(&other);
        self.tree.node_of(parent) == Some(*folder) && other.is_some_and(stays)
    }

    /// Whether a name that is not to be seen may go: it was removed, and nobody is writing to what it names, or
    /// it is a folder that another stands for. Of what lies where nobody knows yet nothing is lost.
    fn may_go(&self, node: &NodeId, sight: Option<&Sight>) -> bool {
        if matches!(sight, Some(Sight::As(_))) {
            return true;
        }
        let is_removed = self.shared.shown.moves().removal(node).is_some();
        self.tree.at(node).is_none() || (is_removed && !self.is_written(node))
    }

    /// Whether somebody writes to what a node names, or has, and that is not told.
    fn is_written(&self, node: &NodeId) -> bool {
        let inode = self.tree.at(node).map(|(_, _, entry)| self.vault.get(entry.ino));
        matches!(inode, Some(Ok(inode)) if inode.state.read().is_being_written())
    }

    /// Whether a name that is there stands for another entity than it is to.
    fn names_another(&self, node: &NodeId) -> bool {
        let (Some(entity), Some((_, _, entry))) =
            (self.shared.shown.moves().entity(node), self.tree.at(node))
        else {
            return false;
        };
        let has_file = self.files.contains_key(&entity);
        let stands = |inode: Arc<Inode>| inode.state.read().binding.entity() == entity;
        has_file && entry.told == Told::Now && !self.vault.get(entry.ino).is_ok_and(stands)
    }

    /// Puts names into their places, folders before what is in them.
    fn put_in(&mut self, mut coming: Vec<Coming>) {
        loop {
            let before = coming.len();
            let mut later = Vec::new();
            for one in coming {
                match self.ino_of(&one.folder) {
                    Some(folder) => self.put(one, folder),
                    None => later.push(one),
                }
            }
            coming = later;
            if coming.is_empty() {
                return;
            }
            if coming.len() == before {
                break;
            }
        }
        // Their folders are nowhere, which cannot be: what was somewhere is in the root until it is.
        for one in coming {
            self.shared.unsure.insert(one.node);
            if one.detached.is_some() {
                self.put(one, ROOT);
            }
        }
    }

    /// A folder that is in its place, and all above it.
    fn ino_of(&self, folder: &NodeId) -> Option<Ino> {
        if *folder == ROOT_NODE {
            return Some(ROOT);
        }
        let (_, _, entry) = self.tree.at(folder)?;
        self.tree.is_rooted(entry.ino).then_some(entry.ino)
    }

    /// Puts one name into its place.
    fn put(&mut self, coming: Coming, folder: Ino) {
        let Coming {
            node, name, detached, ..
        } = coming;
        let from = detached.as_ref().map(|was| (was.parent, was.entry.name.clone()));
        let new = match detached {
            Some(mut detached) => {
                detached.entry.name = name.clone();
                detached
            }
            None => match self.draw(node, folder, &name) {
                Some(new) => new,
                None => return,
            },
        };
        let (ino, kind) = (new.entry.ino, new.entry.kind);
        let name = self.attach(folder, new, name);
        let vault = self.vault;
        vault.left.lock().take(folder, &name);
        if let Ok(inode) = vault.get(ino) {
            if kind != Kind::Folder {
                vault.mark_text(self.tree, &inode, folder, &name);
            }
            if from.is_some() {
                vault.change_meta(&inode, |state| state.renamed(self.now));
            }
        }
        self.dress(&node);
        self.touched.insert(folder);
        self.touched.extend(from.as_ref().map(|(parent, _)| *parent));
        self.changes.push(Renamed {
            ino,
            kind,
            from,
            to: Some((folder, name)),
        });
    }

    /// Attaches a name; if another has it by now, under one that nobody has. Returns which.
    fn attach(&mut self, mut folder: Ino, mut new: Detached, wanted: Box<[u8]>) -> Box<[u8]> {
        let node = new.entry.id;
        let mut name = wanted.clone();
        for attempt in 0.. {
            match self.tree.attach(folder, new) {
                Ok(()) => break,
                Err((why, back)) => {
                    new = *back;
                    self.shared.unsure.insert(node);
                    if why != TreeError::Exists {
                        folder = ROOT; // that one is there
                    }
                    name = conflict_name(&wanted, "here", attempt);
                    new.entry.name = name.clone();
                }
            }
        }
        name
    }

    /// A name that is new here, and what it names, if that can be had.
    fn draw(&mut self, node: NodeId, folder: Ino, name: &[u8]) -> Option<Detached> {
        let vault = self.vault;
        let above = vault.get(folder).ok()?.state.read().meta.clone();
        let place = self.shared.shown.moves().place(&node)?;
        let entity = match place.target {
            Target::Folder => {
                let meta = Meta {
                    kind: Kind::Folder,
                    perm: place.perm,
                    rdev: 0,
                    nlink: 1,
                    atime: self.now,
                    mtime: self.now,
                    ctime: self.now,
                    btime: self.now,
                    xattrs: place.xattrs.clone(),
                    ..above
                };
                let inode = Arc::new(Inode::new(vault.next_ino(), EntityId(node.0), meta, false));
                inode.state.write().untold = false;
                let ino = inode.ino;
                vault.inodes.lock().put(inode, EntityId(node.0));
                vault.mark_dirty(ino);
                vault.untold.lock().revived.insert(node);
                return Some(self.tree.draw(node, ino, Kind::Folder, name));
            }
            Target::Entity(entity) => entity,
        };
        let Some(file) = self.files.remove(&entity) else {
            self.shared.absent.insert(node);
            return None;
        };
        // Since it was looked for, it may have lost its last name, or another may have come to stand for it.
        let living = vault.living_resident(self.tree, entity);
        let inode = match (living, file) {
            (Some(ino), _) => vault.get(ino).ok()?,
            (None, FileFor::Is(ino)) => {
                let inode = vault.get(ino).ok()?;
                if inode.state.read().meta.nlink == 0 {
                    self.shared.unsure.insert(node);
                    return None;
                }
                inode
            }
            (None, FileFor::New(inode)) => {
                {
                    let mut state = inode.state.write();
                    (state.meta.uid, state.meta.gid) = (above.uid, above.gid);
                }
                vault.inodes.lock().put(inode.clone(), entity);
                // Whoever makes a file under a name that this had makes another one: it is here again.
                vault.left.lock().forget(&[], &[entity]);
                inode
            }
        };
        self.files.insert(entity, FileFor::Is(inode.ino));
        let kind = {
            let mut state = inode.state.write();
            if state.meta.nlink == 0 && state.behind > 0 {
                vault.be_behind(inode.ino, &mut state);
            }
            state.meta.nlink += 1;
            state.meta.ctime = self.now;
            (state.meta_dirty, state.times_only) = (true, false);
            state.meta.kind
        };
        vault.mark_dirty(inode.ino);
        vault.untold.lock().revived.insert(node);
        Some(self.tree.draw(node, inode.ino, kind, name))
    }

    /// A folder has the attributes that were said of it last.
    fn dress(&mut self, node: &NodeId) {
        let Some(place) = self.shared.shown.moves().place(node) else {
            return;
        };
        if place.target != Target::Folder {
            return;
        }
        let (perm, xattrs) = (place.perm, place.xattrs.clone());
        let inode = self.tree.at(node).map(|(_, _, entry)| self.vault.get(entry.ino));
        let Some(Ok(inode)) = inode else { return };
        let is_so = {
            let state = inode.state.read();
            state.meta.perm == perm && state.meta.xattrs == xattrs
        };
        if !is_so {
            let now = self.now;
            self.dressed.push(inode.ino);
            self.vault.change_meta(&inode, |state| {
                (state.meta.perm, state.meta.xattrs, state.meta.ctime) = (perm, xattrs, now);
            });
        }
    }

    /// What has no place any more goes; a folder after what was in it.
    fn let_go(&mut self, mut going: Vec<(NodeId, Detached)>) {
        loop {
            let before = going.len();
            let mut later = Vec::new();
            for (node, detached) in going {
                match self.tree.forget(detached) {
                    Ok(gone) => self.went(node, gone),
                    Err(back) => later.push((node, back)),
                }
            }
            going = later;
            if going.is_empty() {
                return;
            }
            if going.len() == before {
                break;
            }
        }
        // There is something in them that is only here: they stay where they were.
        for (node, detached) in going {
            self.shared.unsure.insert(node);
            let (parent, name) = (detached.parent, detached.entry.name.clone());
            self.attach(parent, detached, name);
        }
    }

    /// A name is gone: what it named can be brought back.
    fn went(&mut self, node: NodeId, gone: Detached) {
        let vault = self.vault;
        let Detached { parent, no, entry } = gone;
        let gone = Replaced {
            node: no,
            ino: entry.ino,
            kind: entry.kind,
            id: entry.id,
            told: entry.told,
            name: entry.name.clone(),
        };
        self.touched.insert(parent);
        self.changes.push(Renamed {
            ino: entry.ino,
            kind: entry.kind,
            from: Some((parent, entry.name)),
            to: None,
        });
        vault.left.lock().forget(&[node], &[]);
        let Ok(inode) = vault.get(gone.ino) else { return };
        let moves = self.shared.shown.moves();
        let above = moves.place(&node).map_or(ROOT_NODE, |place| place.parent);
        let is_gone = moves.removal(&node).is_some();
        let when = moves.removed_when(&node).map_or(self.now, Time::of);
        let dead = {
            let mut state = inode.state.write();
            state.meta.nlink = state.meta.nlink.saturating_sub(1);
            state.meta.ctime = self.now;
            state.meta_dirty = true;
            let is_last = state.meta.nlink == 0;
            if is_last && !is_gone && gone.kind != Kind::Folder {
                // Its name stands for another file by now; it may come by one of its own.
                let key = state.binding.key(inode.key()).duplicate();
                vault.untold.lock().awaited.push((state.binding.entity(), key));
            }
            if is_gone {
                let key = state.binding.key(inode.key());
                let times = (when, self.now);
                let record = vault.gone_record(&state, key, &gone, (above, is_last), times);
                if let Some(record) = record {
                    let mut untold = vault.untold.lock();
                    untold.revived.remove(&node);
                    untold.removed.insert(node, record);
                }
            }
            is_last
        };
        if !dead {
            vault.unmark(self.tree, gone.ino, (parent, &gone.name));
        }
        vault.mark_dirty(gone.ino);
        if dead {
            vault.reap(&inode);
        }
    }
}
