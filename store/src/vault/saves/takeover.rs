//! Which file takes over which entity.
//!
//! A file may take over the entity of a name if nobody was ever told of it, or if the same process
//! made it a moment ago, or emptied it then where it had a name for that: that is a save. A known file that is moved over another is a move and a
//! removal, and mixes no histories. An entity with other names stays with them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::draft::Draft;
use super::left::{How, Left};
use super::scratch::original;
use super::{Process, same_process};
use crate::event::EventRef;
use crate::ids::{EntityId, Ino, NodeId, NodeNo};
use crate::keys::Key;
use crate::record::Time;
use crate::tree::{Entry, Kind, Known, Replaced, Told, Tree};
use crate::vault::Vault;
use crate::vault::inode::{Inode, State};
use crate::vault::publish::ToldEntity;

/// How long a file that a process made or emptied is that process's new one.
const MOMENTS: Duration = Duration::from_secs(60);

/// What goes with an entity to the file that takes it over.
struct Past {
    published: Option<EventRef>,
    beside: Vec<EventRef>,
    behind: u32,
    drafts: Vec<Draft>,
}

impl Past {
    fn take(state: &mut State, drafts: Vec<Draft>) -> Past {
        Past {
            published: state.published,
            beside: std::mem::take(&mut state.beside),
            behind: std::mem::take(&mut state.behind),
            drafts,
        }
    }
}

/// Files that stand for another entity since the last commit's instant.
#[derive(Default)]
pub(crate) struct Rebound {
    /// For which each stood then, and the event that had told of it.
    was: HashMap<Ino, (EntityId, Option<EventRef>)>,
    /// Which file has taken over an entity since.
    heirs: HashMap<EntityId, Ino>,
}

impl Rebound {
    /// For what a file stood at the last commit's instant, if not for what it does now.
    pub(in crate::vault) fn was(&self, ino: Ino) -> Option<(EntityId, Option<EventRef>)> {
        self.was.get(&ino).copied()
    }

    /// Whether somebody has taken an entity over since.
    pub(in crate::vault) fn has_heir(&self, entity: &EntityId) -> bool {
        self.heirs.contains_key(entity)
    }

    /// A commit's instant: it sees what is so now.
    pub(in crate::vault) fn clear(&mut self) {
        self.was.clear();
        self.heirs.clear();
    }
}

impl State {
    /// Whether nobody was ever told of it, or all that is in it this process has written a moment ago.
    fn is_new(&self, who: Process) -> bool {
        let by_it = |when: Option<(Instant, Process)>| {
            when.is_some_and(|(at, by)| at.elapsed() < MOMENTS && same_process(by, who))
        };
        let emptied = || self.passing && self.meta.nlink == 1 && by_it(self.emptied);
        let written = || by_it(self.made) || emptied();
        self.meta.kind == Kind::File && self.meta.nlink <= 2 && (self.published.is_none() || written())
    }

    /// Whether it may take over the entity of a name that was left: a file that has taken one over
    /// already brings that along.
    fn is_new_and_own(&self, who: Process) -> bool {
        self.is_new(who) && (self.published.is_none() || !self.binding.is_taken_over())
    }

    /// Whether its entity can go elsewhere: no other name stands for it.
    fn may_yield(&self) -> bool {
        self.meta.kind == Kind::File && self.meta.nlink == 1
    }
}

impl Vault {
    /// Whether `new`, put where `old` is by this process, is a save of it. The tree is locked.
    pub(in crate::vault) fn is_save(&self, new: &Inode, old: &Inode, who: Process) -> bool {
        if new.ino == old.ino {
            return false;
        }
        let (old, new) = (old.state.read(), new.state.read());
        // A known file over an unknown one: that is what is left of a backup.
        let loses = new.published.is_some() && old.published.is_none();
        old.may_yield() && new.is_new(who) && !loses
    }

    /// Whether swapping these two, by this process, is a save of one of them. The tree is locked.
    pub(in crate::vault) fn is_save_by_swap(&self, one: &Inode, two: &Inode, who: Process) -> bool {
        let (one, two) = (one.state.read(), two.state.read());
        let known = one.published.is_some() || two.published.is_some();
        known && one.may_yield() && two.may_yield() && (one.is_new(who) || two.is_new(who))
    }

    /// The same for what has this name, of which its editor may just have made a backup by giving
    /// it a second name, that nobody was told of.
    pub(in crate::vault) fn is_save_over(
        &self,
        tree: &Tree,
        new: &Inode,
        old: &Inode,
        (folder, name): (Ino, &[u8]),
        who: Process,
    ) -> bool {
        if self.is_save(new, old, who) {
            return true;
        }
        let may_be = {
            let (old, new) = (old.state.read(), new.state.read());
            let linked = old.meta.kind == Kind::File && old.meta.nlink == 2;
            linked && new.is_new(who) && !(new.published.is_some() && old.published.is_none())
        };
        let is_backup = |entry: &Entry| {
            entry.ino == old.ino && entry.told == Told::Never && original(&entry.name) == Some(name)
        };
        may_be
            && new.ino != old.ino
            && tree
                .folder(folder)
                .is_some_and(|folder| folder.entries.values().any(is_backup))
    }

    /// `new` stands for `old`'s entity from now on; `old` keeps none if it is going, else it gets
    /// one of its own. The tree is locked.
    pub(in crate::vault) fn take_over(&self, new: &Inode, old: &Inode, old_stays: bool) {
        let (entity, key, past) = {
            let mut state = old.state.write();
            let state = &mut *state;
            self.capture(old, state);
            let drafts = std::mem::take(&mut state.drafts);
            let entity = state.binding.entity();
            let key = state.binding.key(old.key()).duplicate();
            let past = Past::take(state, drafts);
            self.untold.lock().behind.remove(&old.ino);
            if old_stays {
                self.remember(old.ino, state);
                let another = EntityId::random();
                state.binding.bind(old.key(), another, Key::random());
                self.inodes.lock().stands_for(another, old.ino);
                (state.published, state.was_named) = (None, None);
                (state.untold, state.meta_dirty, state.times_only) = (true, true, false);
            }
            (entity, key, past)
        };
        if old_stays {
            self.mark_dirty(old.ino);
        }
        self.give(new, entity, key, past);
    }

    /// What two names stand for was swapped, as a save: the names keep their entities, whichever of the
    /// two files is the new one. The tree is locked.
    pub(in crate::vault) fn swap_over(&self, one: &Inode, two: &Inode) {
        let take = |inode: &Inode| {
            let mut state = inode.state.write();
            let state = &mut *state;
            self.capture(inode, state);
            let key = state.binding.key(inode.key()).duplicate();
            let drafts = std::mem::take(&mut state.drafts);
            (state.binding.entity(), key, Past::take(state, drafts))
        };
        let (of_one, of_two) = (take(one), take(two));
        for (inode, (entity, key, past)) in [(one, of_two), (two, of_one)] {
            self.untold.lock().behind.remove(&inode.ino);
            self.give(inode, entity, key, past);
        }
    }

    fn give(&self, new: &Inode, entity: EntityId, key: Key, past: Past) {
        let mut guard = new.state.write();
        let state = &mut *guard;
        self.remember(new.ino, state);
        self.rebound.lock().heirs.insert(entity, new.ino);
        // What it was before it had this name is no version of what it stands for now.
        self.drop_drafts(state.binding.entity(), &mut state.drafts);
        state.drafts = past.drafts;
        state.fresh = true;
        // Whoever saves it is editing it: what is put beside it now belongs to that.
        state.found = Some(Instant::now());
        state.binding.bind(new.key(), entity, key);
        self.inodes.lock().stands_for(entity, new.ino);
        (state.published, state.beside) = (past.published, past.beside);
        (state.behind, state.was_named) = (past.behind, None);
        match state.behind {
            0 => self.untold.lock().behind.remove(&new.ino),
            _ => self.untold.lock().behind.insert(new.ino),
        };
        (state.untold, state.meta_dirty, state.times_only) = (true, true, false);
        let at_rest = state.writers == 0;
        drop(guard);
        self.mark_dirty(new.ino);
        if at_rest {
            self.signals.tell();
        }
    }

    /// What a commit that is under way saw of it, should it tell its node.
    fn remember(&self, ino: Ino, state: &State) {
        let seen = (state.binding.entity(), state.published);
        self.rebound.lock().was.entry(ino).or_insert(seen);
    }

    /// An event has told of an entity, as a file had it at the commit's instant; the file is gone
    /// by now or stands for another. Whoever has the entity learns of the event. The tree is locked:
    /// nobody takes it over meanwhile.
    pub(in crate::vault) fn told_late(&self, (ino, entity): (Ino, EntityId), told: &ToldEntity, gone: bool) {
        let named_by = told.stand();
        // What the file has still, its text has heard of already.
        let mut heard = !gone;
        let heir = self.rebound.lock().heirs.get(&entity).copied();
        let heir = heir.and_then(|heir| self.inodes.lock().get(heir));
        if let Some(heir) = heir {
            let mut state = heir.state.write();
            if state.binding.entity() == entity {
                (state.published, state.beside) = (told.at, told.beside.clone());
                self.told_drafts(&mut state.drafts, &told.drafts);
                if told.behind {
                    self.be_behind(heir.ino, &mut state);
                }
                state.meta_dirty = true;
                // Together: else the step takes what was told for what is still to be.
                if !heard {
                    self.texts.told(entity, ino, told.texts.clone());
                }
                heard = true;
                drop(state);
                self.mark_dirty(heir.ino);
            }
        }
        if !heard {
            self.texts.told(entity, ino, told.texts.clone());
        }
        self.left.lock().told_late(entity, &named_by);
        let mut untold = self.untold.lock();
        let untold = &mut *untold;
        let removed = untold.removed.iter_mut();
        for (node, record) in removed.filter(|(_, record)| record.entity == Some(entity)) {
            record.saw.clone_from(&named_by);
            for gone in untold.gone.values_mut().filter(|gone| gone.id == *node) {
                gone.saw.clone_from(&named_by);
            }
        }
    }

    /// These drafts are events now.
    pub(in crate::vault) fn told_drafts(&self, drafts: &mut Vec<Draft>, told: &[u64]) {
        drafts.retain(|draft| {
            let is_told = told.contains(&draft.serial);
            if is_told {
                self.drafts.forget(draft);
            }
            !is_told
        });
    }

    /// Nobody takes these removed names over any more, nor others of their files; the next commit tells that they are gone.
    pub(in crate::vault) fn end_grace(&self, nodes: &[NodeId]) {
        let rows = nodes.iter().filter_map(|node| self.gone_row(*node).ok()?);
        let mut entities: Vec<EntityId> = rows.filter_map(|row| row.record.entity).collect();
        let _tree = self.tree.write(); // not in the middle of a save
        {
            let untold = self.untold.lock();
            let removed = nodes.iter().filter_map(|node| untold.removed.get(node)?.entity);
            entities.extend(removed);
        }
        self.left.lock().forget(nodes, &entities);
    }

    /// A known file has left a name, by a move. The tree is locked, and shows it at its new place.
    pub(in crate::vault) fn leave(
        &self,
        was: &Entry,
        node: NodeNo,
        from: (Ino, &[u8]),
        to: Ino,
        inode: &Inode,
        who: Process,
    ) {
        self.left.lock().moved(node, to);
        let mut state = inode.state.write();
        // Its new name may not be one of a text.
        self.capture(inode, &mut state);
        let is_known = was.told != Told::Never && state.published.is_some();
        if !(is_known || state.marks.text) || !state.may_yield() {
            return;
        }
        drop(state);
        let known = Known {
            id: was.id,
            told: was.told,
        };
        let how = How::Moved {
            ino: inode.ino,
            folder: to,
        };
        self.left
            .lock()
            .put(from.0, from.1, Left::new(node, known, Some(who), how));
    }

    /// A file has got a name: if a known one has just left it, this is a save of that, perhaps. `from`: the name that it had
    /// until now, if it was moved. The tree is locked, and shows the file there.
    pub(in crate::vault) fn settle_in(
        &self,
        tree: &mut Tree,
        inode: &Arc<Inode>,
        (folder, name): (Ino, &[u8]),
        from: (Ino, &[u8]),
        who: Process,
    ) {
        // By the name that it had until now.
        let is_new = inode.state.read().is_new_and_own(who);
        self.mark(tree, inode, folder, name, who);
        let Some(left) = self.left.lock().take(folder, name) else {
            return;
        };
        let Ok((node, _)) = tree.lookup(folder, name) else {
            return;
        };
        if !is_new || node == left.node {
            return;
        }
        match left.how {
            How::Moved { ino, folder: at } => {
                let Ok(old) = self.get(ino) else { return };
                let Some((at, entry)) = tree.folder_of(left.node, at).and_then(|at| {
                    let entry = tree.folder(at)?.entries.get(&left.node)?;
                    (entry.ino == ino && entry.id == left.known.id).then(|| (at, entry.name.clone()))
                }) else {
                    return;
                };
                let same = left.who.is_none_or(|by| same_process(by, who));
                let backup = at == folder && original(&entry) == Some(name);
                if !(same || backup) || old.ino == inode.ino || !old.state.read().may_yield() {
                    return;
                }
                let was = tree.come_back((folder, node), (at, left.node), left.known, NodeId::random());
                self.was_known(tree, was, inode, from);
                // First: once it has an entity of its own, a commit may look at it.
                old.state.write().marks.scratch = backup;
                self.take_over(inode, &old, true);
            }
            How::Removed {
                entity,
                key,
                named_by,
            } => {
                let mut untold = self.untold.lock();
                if untold.gone.remove(&left.node).is_none() {
                    return; // it was told already
                }
                untold.undone.push(left.node);
                untold.removed.remove(&left.known.id);
                untold.revived.insert(left.known.id);
                drop(untold);
                let was = tree.come_back_removed((folder, node), left.node, left.known);
                self.was_known(tree, was, inode, from);
                let past = Past {
                    published: named_by.first().copied(),
                    beside: named_by.get(1..).unwrap_or_default().to_vec(),
                    // Others may have written since.
                    behind: 1,
                    drafts: Vec::new(),
                };
                self.give(inode, entity, key, past);
            }
        }
    }

    /// An entry is another node from now on. The one that it was, `at` a place, is gone, should they know of it, with what its
    /// file, which stands for its own entity still, has shown; and can be brought back.
    fn was_known(&self, tree: &mut Tree, was: Option<Known>, inode: &Inode, at: (Ino, &[u8])) {
        if let Some(was) = was.filter(|was| was.told != Told::Never) {
            let gone = Replaced {
                node: tree.spare(),
                ino: inode.ino,
                kind: Kind::File,
                id: was.id,
                told: was.told,
                name: at.1.into(),
            };
            let state = inode.state.read();
            let is_last = state.meta.nlink < 2;
            self.note_gone(tree, &state, inode, &gone, (at.0, is_last), Time::now());
        }
    }
}
