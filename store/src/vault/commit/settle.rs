//! How a commit ended, told to memory.

use super::work::Work;
use crate::content::Plan;
use crate::ids::{Ino, NodeNo};
use crate::record::{GoneRecord, NodeRecord, Time};
use crate::tree::{DirtyNode, Kind, Tree};
use crate::vault::Vault;
use crate::vault::publish::{GoneNode, ToldNow};

impl Vault {
    /// The transaction is through: memory learns it.
    pub(super) fn settle_memory(&self, work: &mut Work, told: &ToldNow) {
        let files = work.items.iter().filter_map(|(ino, item)| {
            let seen = item.seen.as_ref()?;
            let is_named = seen.meta.kind != Kind::Folder && seen.meta.nlink > 0;
            is_named.then(|| (seen.binding.entity(), *ino))
        });
        self.are_stored(files);
        let mut still: Vec<(Ino, bool)> = Vec::with_capacity(work.items.len());
        let (mut late, mut anew) = (Vec::new(), Vec::new());
        for (ino, item) in &work.items {
            let Some(seen) = &item.seen else { continue };
            let mut guard = item.inode.state.write();
            let state = &mut *guard;
            let now = told.entities.get(ino);
            let entity = seen.binding.entity();
            let same = state.binding.entity() == entity;
            if let Some(now) = now {
                anew.push(entity);
                // It may stand for another entity by now, of which it must be told in any case.
                if same {
                    state.published = now.at;
                    state.beside.clone_from(&now.beside);
                    self.told_drafts(&mut state.drafts, &now.drafts);
                    if now.behind {
                        self.be_behind(*ino, state);
                    }
                }
                let gone = !same || state.meta.nlink == 0;
                if !gone {
                    self.texts.told(entity, *ino, now.texts.clone());
                }
                late.push(((*ino, entity), now, gone));
            }
            let present = now.filter(|now| now.present);
            state.fresh |= item.publish && seen.fresh && present.is_none();
            if item.is_unwritten(told) {
                if let Some(content) = state.content.as_mut() {
                    content.undone();
                }
                state.meta_dirty = true;
                drop(guard);
                self.mark_dirty(*ino);
                continue;
            }
            state.stored = true;
            state.pending = seen.note(now);
            if !item.left && state.was_named.is_some() {
                // Of what it came to show since the commit's instant nothing is stored.
                let named_by = state.named_by();
                state.was_named = (named_by != seen.row_name).then(|| seen.row_name.clone());
            }
            let plan = match present {
                Some(now) => {
                    if same {
                        state.binding.forget(now.durable.base);
                    }
                    // Untold again if it changed between the instant and now.
                    let content = state.content.as_ref();
                    let plan = item.plan.as_ref();
                    state.untold &= !same
                        || state.meta_dirty
                        || content.is_some_and(|c| plan.is_some_and(|p| c.changes() != p.changes));
                    state.anew = false;
                    plan.map(|plan| Plan {
                        durable: now.durable,
                        changes: plan.changes,
                    })
                }
                None => item.plan,
            };
            if same && state.behind > 0 {
                self.untold.lock().behind.insert(*ino);
                if state.is_at_rest() {
                    self.texts.may_show(*ino);
                }
            }
            let is_whole = |plan: &Plan| {
                state
                    .content
                    .as_ref()
                    .is_some_and(|c| c.changes() == plan.changes)
            };
            if !item.left && plan.as_ref().is_some_and(is_whole) {
                // What there was before the save is on disk no more.
                state.saving_since = None;
            }
            let owner = item.inode.owner(&self.core, &state.binding);
            if let (Some(content), Some(plan)) = (state.content.as_mut(), &plan) {
                content.done(plan, owner);
            }
            if state.opens == 0
                && let Some(content) = state.content.as_mut()
            {
                content.unload(&self.core);
            }
            still.push((*ino, state.untold && !state.meta.kind.is_local()));
            let again = !state.is_clean() || item.left;
            drop(guard);
            if again {
                self.mark_dirty(*ino);
            }
        }
        self.were_told(&anew);
        if !late.is_empty() {
            // Nobody is half-way through taking one over.
            let _tree = self.tree.read();
            for (of, now, gone) in late {
                if gone || self.rebound.lock().has_heir(&of.1) {
                    self.told_late(of, now, gone);
                }
            }
        }
        let mut untold = self.untold.lock();
        for (ino, yes) in still {
            if yes {
                untold.inodes.insert(ino);
            } else {
                untold.inodes.remove(&ino);
            }
        }
        for (no, state) in &work.nodes {
            if let DirtyNode::Is(record) = state
                && record.told != crate::tree::Told::Now
                && !record.kind.is_local()
            {
                untold.nodes.insert(*no, record.parent);
            } else {
                untold.nodes.remove(no);
            }
        }
        for no in &work.undone {
            untold.gone_rows.remove(no);
        }
        untold.gone_rows.extend(work.gone_rows.drain(..));
        untold.gone_rows.extend(work.noted.iter().copied());
        for node in work.removed.keys() {
            untold.removed.remove(node);
        }
        for node in &work.revived {
            untold.revived.remove(node);
        }
        untold.awaited.drain(..work.awaited);
        self.settings.lock().told(&work.settings);
        for no in &told.gone {
            untold.gone.remove(no);
            untold.gone_rows.remove(no);
        }
        drop(untold);
        let new: Vec<NodeNo> = work.left.0.iter().map(|(no, _)| *no).collect();
        self.left.lock().rows_written(&new, &work.left.1);
        if !told.nodes.is_empty() {
            let mut tree = self.tree.write();
            for (no, record) in &told.nodes {
                // One that another folder stands for by now, under its number, is not gone.
                if !tree.set_told(*no, record) && tree.folder_of(*no, record.parent).is_none() {
                    // It was removed while it was being told: that is to be told too, unless whoever
                    // removed it knew that.
                    let saw = told.entities.get(&record.ino).map(|now| now.stand());
                    let saw = saw.unwrap_or_default();
                    let gone = GoneNode {
                        id: record.id,
                        saw,
                        of: None,
                    };
                    let spare = tree.spare();
                    let mut untold = self.untold.lock();
                    if !untold.gone.values().any(|known| known.id == record.id) {
                        untold.gone.insert(spare, gone);
                    }
                    drop(untold);
                    self.removed_late(work, told, &tree, record);
                }
            }
        }
        let mut map = self.inodes.lock();
        for dead in &work.dead {
            map.remove(dead.ino);
        }
        drop(map);
        self.feed.tell(work, told);
    }

    /// A name went while its file's first version was being told: only now there is something to
    /// bring back, which is what was told, whatever the file stands for by now. The tree is locked.
    fn removed_late(&self, work: &Work, told: &ToldNow, tree: &Tree, record: &NodeRecord) {
        let item = work.items.get(&record.ino);
        let Some((item, seen)) = item.and_then(|item| Some((item, item.seen.as_ref()?))) else {
            return;
        };
        let saw = told.entities.get(&record.ino).map(|now| now.stand());
        let saw = saw
            .filter(|saw| !saw.is_empty())
            .unwrap_or_else(|| seen.named_by());
        let folder = record.kind == Kind::Folder;
        let Some(parent) = tree.node_of(record.parent).filter(|_| folder || !saw.is_empty()) else {
            return;
        };
        let entity = seen.binding.entity();
        let state = item.inode.state.read();
        let nameless = state.meta.nlink == 0 || state.binding.entity() != entity;
        let key = seen.binding.key(item.inode.key());
        let now = Time::now();
        let gone = GoneRecord {
            parent,
            kind: record.kind,
            entity: (!folder).then_some(entity),
            key: (nameless && !folder).then(|| *key.expose()),
            saw,
            when: now,
            came: self.comes_at(now),
            size: seen.durable.size,
            perm: seen.meta.perm,
            name: record.name.clone(),
        };
        self.untold.lock().removed.entry(record.id).or_insert(gone);
    }

    /// It is not: everything is dirty as before.
    pub(super) fn give_back(&self, work: &Work) {
        let mut dirty = work.drained.clone();
        for (ino, item) in &work.items {
            let mut state = item.inode.state.write();
            if let Some(seen) = &item.seen {
                (state.meta_dirty, state.times_only) = (true, false);
                state.fresh |= item.publish && seen.fresh;
            }
            if item.plan.is_some()
                && let Some(content) = state.content.as_mut()
            {
                content.undone();
            }
            dirty.insert(*ino);
        }
        self.tree.write().put_back(&work.nodes);
        self.untold.lock().undone.extend(work.undone.iter().copied());
        self.dirty.lock().extend(dirty);
        self.dead.lock().extend(work.dead.iter().cloned());
        self.texts.give_back_rows(&work.documents);
    }
}
