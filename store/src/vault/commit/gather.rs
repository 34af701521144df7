//! Gathering: what is dirty, sealed as far as rows can name it, and the names and attributes of one
//! instant.

use std::time::Duration;

use super::work::{Item, Scope, Work};
use crate::content::{INLINE_MAX, Settled};
use crate::core::StoreError;
use crate::event::Form;
use crate::ids::Ino;
use crate::text::TEXT_MAX;
use crate::tree::Kind;
use crate::vault::Vault;
use crate::vault::inode::{Inode, State};
use crate::vault::texts::{Telling, form_of};

/// How long an unfinished save keeps its old content.
const SAVE_MAX: Duration = Duration::from_secs(30);
/// Bytes of one file that one commit chunks anew.
const SETTLE_STEP: u64 = 8 << 20;

impl Vault {
    /// Takes what is dirty: contents first, each under its own lock, then the tree and
    /// all attributes at one instant.
    pub(super) fn gather(&self, work: &mut Work) -> Result<(), StoreError> {
        let tells = work.tells;
        let mut next: Vec<Ino> = match work.scope {
            Scope::Sync(ino) => vec![ino],
            _ => self.untold.lock().inodes.iter().copied().collect(),
        };
        let mut rounds = 0;
        loop {
            self.drain_dirty(work, &mut next);
            self.prepare_all(work, std::mem::take(&mut next))?;
            let mut tree = self.tree.write();
            self.drain_dirty(work, &mut next);
            rounds += 1;
            if !next.is_empty() && rounds < 4 {
                continue; // something was closed and perhaps moved meanwhile: it must come along
            }
            // The same for what was written since without being marked again: a file that is
            // renamed now must not be committed as it was before its last bytes.
            next.extend(
                work.items
                    .values()
                    .filter(|item| item.has_moved_on())
                    .map(|i| i.inode.ino),
            );
            self.prepare_all(work, std::mem::take(&mut next))?;
            self.mark_by_all_names(&tree);
            if tells {
                // Rows that nobody can reach any more need not go at each sync: after a crash they
                // are found without a name, and removed.
                work.dead = std::mem::take(&mut *self.dead.lock());
            }
            work.nodes = tree.take_dirty();
            if tells {
                let untold = self.untold.lock();
                let nodes = untold.nodes.iter();
                work.untold = nodes
                    .filter_map(|(no, parent)| Some((*no, tree.record(*parent, *no)?)))
                    .collect();
            }
            {
                let mut left = self.left.lock();
                work.held = left.held();
                work.left = left.rows();
            }
            {
                let mut untold = self.untold.lock();
                work.gone = untold.gone.iter().map(|(no, gone)| (*no, gone.clone())).collect();
                work.undone = std::mem::take(&mut untold.undone);
                work.removed = untold.removed.clone();
                work.revived = untold.revived.iter().copied().collect();
            }
            self.rebound.lock().clear();
            if tells {
                work.documents = self.texts.take_rows();
                work.settings = self.settings.lock().untold();
            }
            for item in work.items.values_mut() {
                item.see(&self.texts);
            }
            return Ok(());
        }
    }

    fn drain_dirty(&self, work: &mut Work, next: &mut Vec<Ino>) {
        let mut dirty = self.dirty.lock();
        work.drained.extend(dirty.iter());
        next.extend(dirty.drain());
    }

    fn prepare_all(&self, work: &mut Work, inos: Vec<Ino>) -> Result<(), StoreError> {
        let mut failed = None;
        for ino in inos {
            if failed.is_some() {
                self.dirty.lock().insert(ino);
            } else if let Err(e) = self.prepare(work, ino) {
                self.dirty.lock().insert(ino);
                failed = Some(e);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Brings one content to where a row can name it.
    fn prepare(&self, work: &mut Work, ino: Ino) -> Result<(), StoreError> {
        let inode = match self.resident(ino) {
            Ok(inode) => inode,
            Err(e) if e.is_damage() => {
                // One damaged file must not keep all others from being committed.
                self.note_damage(ino, &e);
                None
            }
            Err(e) => return Err(e),
        };
        let Some(inode) = inode else {
            self.untold.lock().inodes.remove(&ino);
            return Ok(());
        };
        let mut guard = inode.state.write();
        let state = &mut *guard;
        if state.meta.nlink == 0 {
            // Nobody will find it after a crash; its rows go with the last handle.
            self.untold.lock().inodes.remove(&ino);
            return Ok(());
        }
        let other = matches!(work.scope, Scope::Sync(target) if target != ino);
        let passing = state.times_only || !state.meta_dirty;
        if other && state.stored && passing && state.meta.kind == Kind::Folder {
            // Its entries are rows of their own; its times can wait for the keeper.
            work.later.push(ino);
            return Ok(());
        }
        // What is to be chunked first is not what a sync should wait for.
        let is_small = state.content.as_ref().is_none_or(|c| c.size() <= INLINE_MAX);
        let quick = is_small || !work.is_sync();
        // Whoever locks the vault, or carries it elsewhere, means all that is there.
        let all = matches!(work.scope, Scope::All);
        let telling = match work.tells && quick && state.untold && state.may_be_told(all) {
            true => self.telling(state.binding.key(inode.key()), state),
            false => Ok(Telling::Later),
        };
        let telling = match telling {
            Err(e) if e.is_damage() => {
                // Its past cannot be read: it is told as what it is.
                self.note_damage(ino, &e);
                Telling::Whole
            }
            telling => telling?,
        };
        let may_tell = !matches!(telling, Telling::Later);
        if !may_tell && state.is_clean() && !work.items.contains_key(&ino) {
            return Ok(()); // untold, and not at rest: nothing to be written
        }
        let mut item = work.items.remove(&ino).unwrap_or_else(|| Item {
            inode: inode.clone(),
            plan: None,
            logged: None,
            body: None,
            publish: false,
            telling: Telling::Later,
            form: Form::Blob,
            logged_name: Vec::new(),
            seen: None,
            left: false,
        });
        item.left = false;
        item.telling = telling;
        item.publish = may_tell;
        let mut result = self.prepare_content(work, &inode, state, &mut item, may_tell);
        if let Err(StoreError::Absent(absent)) = &result {
            // It is told once that has come; until then it is kept as it is.
            self.need(absent.chunk(), state.binding.entity());
            state.starved = true;
            (item.publish, item.body) = (false, None);
            result = self.prepare_content(work, &inode, state, &mut item, false);
        } else if may_tell {
            state.starved = false;
        }
        if let Err(e) = &result
            && e.is_damage()
        {
            // It stays as it is, and is told no more until the vault is opened again.
            self.note_damage(ino, e);
            state.untold = false;
            item.publish = false;
            item.body = None;
            result = self.prepare_content(work, &inode, state, &mut item, false);
            if let Err(e) = &result
                && e.is_damage()
            {
                item.leave();
                result = Ok(());
            }
        }
        drop(guard);
        // What an earlier round has planned must be undone, should the commit fail.
        if result.is_ok() || item.plan.is_some() {
            work.items.insert(ino, item);
        }
        result
    }

    fn prepare_content(
        &self,
        work: &mut Work,
        inode: &Inode,
        state: &mut State,
        item: &mut Item,
        may_tell: bool,
    ) -> Result<(), StoreError> {
        let owner = inode.owner(&self.core, &state.binding);
        let Some(content) = state.content.as_mut() else {
            return Ok(());
        };
        let saving = state.saving_since.is_some_and(|t| t.elapsed() < SAVE_MAX);
        let wanted = matches!(work.scope, Scope::All) || work.scope == Scope::Sync(inode.ino);
        item.body = None;
        if content.is_dirty() && saving && state.writers > 0 && !wanted {
            item.leave();
            return Ok(());
        }
        let is_text = matches!(item.telling, Telling::Woven | Telling::Attributes);
        let resting = state.writers == 0 && work.tells && state.marks.text;
        if (may_tell && is_text) || (resting && !state.untold) {
            // Of a text, what is small lies in the log, what is large in chunks; also once it shows a
            // merge, which is told of nobody.
            if content.size() > INLINE_MAX && !content.is_settled() {
                content.load(owner)?;
                if matches!(content.settle(owner, SETTLE_STEP)?, Settled::More) {
                    item.publish = false;
                }
            }
        } else if may_tell {
            // What is small is looked at where its bytes are at hand.
            let size = content.size();
            item.form = Form::Blob;
            if state.marks.text && size > INLINE_MAX && size <= TEXT_MAX as u64 {
                let mut bytes = Vec::with_capacity(size as usize);
                content.load(owner)?;
                content.read(owner, 0, size as usize, &mut bytes)?;
                item.form = form_of(true, state.meta.kind, &bytes);
            }
        }
        let is_whole = matches!(item.telling, Telling::Whole);
        if may_tell && is_whole && !content.is_settled() {
            content.load(owner)?;
            match content.settle(owner, SETTLE_STEP)? {
                Settled::Body(bytes) => item.body = Some(bytes),
                Settled::Pieces => {}
                Settled::More => item.publish = false,
            }
        }
        // A body is stored with its event: nothing else of it needs to be.
        item.plan = Some(match &item.body {
            Some(_) => content.plan_body(),
            None => {
                item.logged_name = state.published.iter().chain(&state.beside).copied().collect();
                *item.logged.insert(content.persist(owner, &mut work.batch)?)
            }
        });
        Ok(())
    }
}
