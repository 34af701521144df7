//! How a commit ended, told to memory.

use super::work::Work;
use crate::content::Plan;
use crate::ids::{Ino, NodeNo, ROOT_NODE};
use crate::record::{NodeRecord, Time};
use crate::tree::{DirtyNode, Replaced, Told};
use crate::vault::Vault;
use crate::vault::publish::{GoneNode, ToldNow};

impl Vault {
    /// The transaction is through: memory learns it.
    pub(super) fn settle_memory(&self, work: &mut Work, told: &ToldNow) {
        let mut still: Vec<(Ino, bool)> = Vec::with_capacity(work.items.len());
        for (ino, item) in &work.items {
            let Some(seen) = &item.seen else { continue };
            let mut guard = item.inode.state.write();
            let state = &mut *guard;
            if item.is_unwritten(told) {
                state.meta_dirty = true;
                drop(guard);
                self.mark_dirty(*ino);
                continue;
            }
            state.stored = true;
            if let Some((durable, seq)) = told.entities.get(ino) {
                state.published = *seq;
                // Untold again if it changed between the instant and now.
                state.untold &= state.meta_dirty
                    || state
                        .content
                        .as_ref()
                        .is_some_and(|c| item.plan.as_ref().is_some_and(|p| c.changes() != p.changes));
                state.untold_row = false;
                let owner = item.inode.owner(&self.core, state.entity);
                if let (Some(content), Some(plan)) = (state.content.as_mut(), &item.plan) {
                    content.done(
                        &Plan {
                            durable: *durable,
                            changes: plan.changes,
                        },
                        owner,
                    );
                }
            } else {
                state.untold_row = seen.needs_row();
                let owner = item.inode.owner(&self.core, state.entity);
                if let (Some(content), Some(plan)) = (state.content.as_mut(), &item.plan) {
                    content.done(plan, owner);
                }
            }
            if state.opens == 0
                && let Some(content) = state.content.as_mut()
            {
                content.unload(&self.core);
            }
            still.push((*ino, state.untold && !state.meta.kind.is_local()));
            let again = state.meta_dirty || item.left || state.content_dirty();
            drop(guard);
            if again {
                self.mark_dirty(*ino);
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
        untold.gone_rows.extend(work.gone_rows.drain(..));
        untold.gone_rows.extend(work.noted.iter().copied());
        for node in work.removed.keys() {
            untold.removed.remove(node);
        }
        for node in &work.revived {
            untold.revived.remove(node);
        }
        self.settings.lock().told(&work.settings);
        for no in &told.gone {
            untold.gone.remove(no);
            untold.gone_rows.remove(no);
        }
        drop(untold);
        if !told.nodes.is_empty() {
            let mut tree = self.tree.write();
            for (no, record) in &told.nodes {
                if !tree.set_told(*no, record) {
                    // It was removed while it was being told: that is to be told too.
                    let saw = told.entities.get(&record.ino).and_then(|(_, at)| *at);
                    let gone = GoneNode { id: record.id, saw };
                    self.untold.lock().gone.entry(*no).or_insert(gone);
                    self.removed_late(work, *no, record);
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
    /// bring back. The tree is locked.
    fn removed_late(&self, work: &Work, no: NodeNo, record: &NodeRecord) {
        let Some(item) = work.items.get(&record.ino) else {
            return;
        };
        let above = self.inodes.lock().get(record.parent);
        let parent = above.map_or(ROOT_NODE, |above| above.node());
        let gone = Replaced {
            node: no,
            ino: record.ino,
            kind: record.kind,
            id: record.id,
            told: Told::Now,
            name: record.name.as_slice().into(),
        };
        let state = item.inode.state.read();
        let record = self.gone_record(&state, item.inode.key(), &gone, parent, Time::now());
        if let Some(record) = record {
            self.untold.lock().removed.entry(gone.id).or_insert(record);
        }
    }

    /// It is not: everything is dirty as before.
    pub(super) fn give_back(&self, work: &Work) {
        let mut dirty = work.drained.clone();
        for (ino, item) in &work.items {
            let mut state = item.inode.state.write();
            if item.seen.is_some() {
                (state.meta_dirty, state.times_only) = (true, false);
            }
            if item.plan.is_some()
                && let Some(content) = state.content.as_mut()
            {
                content.undone();
            }
            dirty.insert(*ino);
        }
        self.tree.write().put_back(&work.nodes);
        self.dirty.lock().extend(dirty);
        self.dead.lock().extend(work.dead.iter().cloned());
    }
}
