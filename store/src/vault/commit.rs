//! The commit: what changed in memory becomes one transaction.
//!
//! What is committed is a state that the tree really had at one instant, and for each
//! file a state that it really had. A file that was cut while it is open is left at its
//! old content until its last close, for 30 seconds at most: half a save is no state
//! that anybody wants back. The order is: sealed bytes into packs, packs synced, then
//! the transaction that names them. If it fails, everything is dirty again as before.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::inode::{Inode, State};
use super::open::{COUNTERS, seal_counters};
use super::publish::{GoneNode, Publishing, ToldNow};
use super::secrets::Counters;
use super::{Vault, inode_aad, node_aad};
use crate::content::{Durable, INLINE_MAX, Plan, Settled};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::{EventRef, Ino, NodeNo, number};
use crate::keys::{ChunkId, seal};
use crate::record::{ChunkRow, Meta, NodeRecord, kind};
use crate::tree::{DirtyNode, Kind};

/// How long an unfinished save keeps its old content.
const SAVE_MAX: Duration = Duration::from_secs(30);
/// So many changed files at a sync are stored and told in one go: small ones then come with their
/// events, where they stay, instead of going through the log first. For a few, as when an
/// editor saves, that would take a sync of a pack on top.
const MANY: usize = 64;
/// Bytes of one file that one commit chunks anew.
const SETTLE_STEP: u64 = 8 << 20;

/// How much a commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Durability of everything for this file's sake, as quickly as may be.
    Sync(Ino),
    /// Durability, and events for what is at rest.
    Timer,
    /// The same, and no file is left out.
    All,
}

/// When a sync was asked for, among all of them.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

/// An inode that this commit writes.
pub(super) struct Item {
    pub(super) inode: Arc<Inode>,
    pub(super) plan: Option<Plan>,
    /// What an earlier round of this commit has put into the batch.
    logged: Option<Plan>,
    /// A small file's bytes, to be stored with its event.
    pub(super) body: Option<Vec<u8>>,
    /// It is to be told to the other devices now.
    pub(super) publish: bool,
    /// Taken with the tree.
    pub(super) seen: Option<Seen>,
    /// The content is left for a later commit.
    left: bool,
}

/// An inode at the commit's instant.
pub(super) struct Seen {
    pub(super) meta: Meta,
    pub(super) durable: Durable,
    pub(super) stored: bool,
    pub(super) published: Option<EventRef>,
    pub(super) untold: bool,
    pub(super) untold_row: bool,
}

impl Seen {
    /// Whether the database must note that the other devices have not been told. What they
    /// never heard of is found by its names, which say so; and a folder is told by its name.
    fn needs_row(&self) -> bool {
        let known = self.published.is_some() && self.meta.kind != Kind::Folder;
        self.untold && known && !self.meta.kind.is_local()
    }
}

/// What moves between commits; whoever holds it commits.
pub(crate) struct Committer {
    pub(super) counters: Counters,
    served: u64,
    /// What the last commit did not take along, though it was dirty.
    left: HashSet<Ino>,
    /// When the last one went well.
    pub(crate) last: Instant,
}

impl Committer {
    pub(crate) fn new(counters: Counters) -> Committer {
        Committer {
            counters,
            served: 0,
            left: HashSet::new(),
            last: Instant::now(),
        }
    }
}

impl Vault {
    /// Makes everything durable that was done before the call.
    ///
    /// # Errors
    /// As [`StoreError`] says; then nothing is lost from memory, and the next call tries again.
    pub fn sync(&self, ino: Ino) -> Result<(), StoreError> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::SeqCst) + 1);
        self.sync_by(ino, ticket)
    }

    /// As [`Vault::sync`], for a request that was made when its ticket was.
    ///
    /// # Errors
    /// As [`Vault::sync`].
    pub fn sync_by(&self, ino: Ino, ticket: Ticket) -> Result<(), StoreError> {
        let mut committer = self.committer.lock();
        if committer.served >= ticket.0 && !committer.left.contains(&ino) {
            return Ok(()); // a commit that began after the call has taken it along
        }
        self.sync_with(&mut committer, ino)
    }

    /// As [`Vault::sync`], if no commit is under way; else a ticket for [`Vault::sync_by`].
    ///
    /// # Errors
    /// The ticket.
    pub fn try_sync(&self, ino: Ino) -> Result<Result<(), StoreError>, Ticket> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::SeqCst) + 1);
        match self.committer.try_lock() {
            Some(mut committer) => Ok(self.sync_with(&mut committer, ino)),
            None => Err(ticket),
        }
    }

    fn sync_with(&self, committer: &mut Committer, ino: Ino) -> Result<(), StoreError> {
        self.commit_with(committer, Scope::Sync(ino))?;
        // Only damage keeps a sync from taking along the file that it is for: see `prepare`.
        if committer.left.contains(&ino) {
            let what = format!("something that file number {ino} needs to be saved");
            return Err(StoreError::Tampered { what });
        }
        Ok(())
    }

    /// Makes everything durable and tells the other devices of what is at rest.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn commit(&self) -> Result<(), StoreError> {
        self.commit_with(&mut self.committer.lock(), Scope::All)
    }

    pub(crate) fn commit_with(&self, committer: &mut Committer, scope: Scope) -> Result<(), StoreError> {
        if self.read_only.load(Ordering::Relaxed) {
            return Ok(());
        }
        let served = self.tickets.load(Ordering::SeqCst);
        let mut work = Work::new(scope);
        work.tells = !work.is_sync() || self.dirty.lock().len() >= MANY;
        let steps = || {
            self.rescue()?;
            self.gather(&mut work)?;
            self.write_out(committer, &mut work)
        };
        // A panic half-way must not leave plans that no transaction will keep.
        let result = catch_unwind(AssertUnwindSafe(steps)).unwrap_or_else(|_| {
            Err(StoreError::Tampered {
                what: "what was to be committed".into(),
            })
        });
        committer.left = work.later.iter().copied().collect();
        committer
            .left
            .extend(work.items.values().filter(|i| i.left).map(|i| i.inode.ino));
        for ino in std::mem::take(&mut work.later) {
            self.mark_dirty(ino);
        }
        match &result {
            Ok(()) => {
                committer.served = served;
                committer.last = Instant::now();
                self.core.failing.store(false, Ordering::Relaxed);
            }
            Err(e) => {
                self.core.note_failure(e);
                self.give_back(&work);
            }
        }
        result
    }

    /// Takes what is dirty: contents first, each under its own lock, then the tree and
    /// all attributes at one instant.
    fn gather(&self, work: &mut Work) -> Result<(), StoreError> {
        let tells = work.tells;
        let mut next: Vec<Ino> = match work.scope {
            Scope::Sync(ino) => vec![ino],
            _ => self.untold.lock().inodes.iter().copied().collect(),
        };
        let mut rounds = 0;
        loop {
            next.extend(self.dirty.lock().drain());
            self.prepare_all(work, std::mem::take(&mut next))?;
            let mut tree = self.tree.write();
            next.extend(self.dirty.lock().drain());
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
            work.gone = self
                .untold
                .lock()
                .gone
                .iter()
                .map(|(no, gone)| (*no, *gone))
                .collect();
            for item in work.items.values_mut() {
                item.see();
            }
            return Ok(());
        }
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
        let mut item = work.items.remove(&ino).unwrap_or_else(|| Item {
            inode: inode.clone(),
            plan: None,
            logged: None,
            body: None,
            publish: false,
            seen: None,
            left: false,
        });
        item.left = false;
        let resting = state.writers == 0 && work.tells;
        // What is to be chunked first is not what a sync should wait for.
        let is_small = state.content.as_ref().is_none_or(|c| c.size() <= INLINE_MAX);
        let quick = is_small || !work.is_sync();
        let may_tell = resting && quick && state.untold && !state.meta.kind.is_local();
        item.publish = may_tell;
        let mut result = self.prepare_content(work, &inode, state, &mut item, may_tell);
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
        let owner = inode.owner(&self.core, state.entity);
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
        if may_tell && !content.is_settled() {
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
            None => *item.logged.insert(content.persist(owner, &mut work.batch)?),
        });
        Ok(())
    }

    fn write_out(&self, committer: &mut Committer, work: &mut Work) -> Result<(), StoreError> {
        let mut counters = committer.counters;
        let mut publishing = Publishing::new(self, &counters);
        if work.tells {
            for item in work.items.values_mut().filter(|i| i.publish) {
                publishing.entity(item);
            }
            publishing.nodes(work);
        }
        let told = publishing.finish(&mut counters, &mut work.batch)?;
        for item in work.items.values() {
            self.write_inode(&mut work.batch, item, &told);
        }
        for (no, state) in &work.nodes {
            match state {
                DirtyNode::Is(record) => {
                    let sealed = seal(&self.local, &node_aad(*no), &record.encode());
                    work.batch.put(Table::Nodes, no.to_be_bytes(), sealed);
                }
                DirtyNode::Gone => work.batch.delete(Table::Nodes, no.to_be_bytes()),
            }
        }
        self.write_gone(work, &told.gone);
        for dead in &work.dead {
            work.batch.delete(Table::Inodes, dead.ino.to_be_bytes());
            work.batch.delete(Table::Wraps, dead.ino.to_be_bytes());
            if dead.noted {
                work.batch.delete(Table::Pending, pending_inode(dead.ino));
            }
            let prefix = dead.ino.to_be_bytes();
            let batch = &mut work.batch;
            self.core.db.scan(Table::Log, &prefix, &mut |key, _| {
                batch.delete(Table::Log, key);
                true
            })?;
        }
        let fresh: Vec<(ChunkId, ChunkRow)> = self
            .core
            .fresh
            .lock()
            .iter()
            .map(|(id, row)| (*id, *row))
            .collect();
        for (id, row) in &fresh {
            work.batch.put(Table::Chunks, id.0, row.encode());
        }
        let packs = self.core.packs.sync()?;
        for (pack, len) in &packs {
            work.batch
                .put(Table::Packs, pack.to_be_bytes(), len.to_be_bytes());
        }
        counters.next_ino = self.next_ino.load(Ordering::Relaxed);
        if work.batch.is_empty() && counters == committer.counters {
            return Ok(());
        }
        counters.commits += 1;
        work.batch
            .put(Table::Meta, COUNTERS, seal_counters(&self.local, &counters));
        match work.tells {
            // What others are told of is in the database's own file.
            true => self.core.db.apply(&work.batch)?,
            false => self.core.db.apply_quickly(&work.batch)?,
        }
        self.core.packs.committed(&packs);
        committer.counters = counters;
        {
            let mut map = self.core.fresh.lock();
            for (id, _) in &fresh {
                map.remove(id);
            }
        }
        self.settle_memory(work, &told);
        Ok(())
    }

    fn write_inode(&self, batch: &mut Batch, item: &Item, told: &ToldNow) {
        let Some(seen) = &item.seen else { return };
        let ino = item.inode.ino;
        if item.is_unwritten(told) {
            return;
        }
        let (durable, published) = told
            .entities
            .get(&ino)
            .copied()
            .unwrap_or((seen.durable, seen.published));
        let state = item.inode.state.read();
        let mut record = state.record(durable, published);
        drop(state);
        record.meta = seen.meta.clone();
        let mut plain = record.encode();
        batch.put(
            Table::Inodes,
            ino.to_be_bytes(),
            seal(item.inode.key(), &inode_aad(ino), &plain),
        );
        zeroize::Zeroize::zeroize(&mut plain);
        if !seen.stored {
            let wrapped = self
                .master
                .read()
                .wrap(kind::WRAP_ENTITY, &number(ino), item.inode.key());
            batch.put(Table::Wraps, ino.to_be_bytes(), wrapped.to_vec());
        }
        let untold = seen.needs_row() && !told.entities.contains_key(&ino);
        match (untold, seen.untold_row) {
            (true, false) => batch.put(Table::Pending, pending_inode(ino), Vec::new()),
            (false, true) => batch.delete(Table::Pending, pending_inode(ino)),
            _ => {}
        }
    }

    /// The transaction is through: memory learns it.
    fn settle_memory(&self, work: &mut Work, told: &ToldNow) {
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

    /// It is not: everything is dirty as before.
    fn give_back(&self, work: &Work) {
        let mut dirty: HashSet<Ino> = HashSet::new();
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

pub(crate) fn pending_inode(ino: Ino) -> [u8; 9] {
    pending(2, ino)
}

pub(crate) fn pending_gone(no: NodeNo) -> [u8; 9] {
    pending(1, no)
}

fn pending(tag: u8, n: u64) -> [u8; 9] {
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&n.to_be_bytes());
    key
}

impl Item {
    /// Leaves the content at what the batch says of it already, or the database. Not at a body
    /// that was planned: it goes with no event now, and the row would name bytes that lie nowhere.
    fn leave(&mut self) {
        self.left = true;
        self.publish = false;
        self.body = None;
        self.plan = self.logged;
    }

    /// Whether the content has changed since it was prepared.
    fn has_moved_on(&self) -> bool {
        let state = self.inode.state.read();
        match (&self.plan, &state.content) {
            (Some(plan), Some(content)) => content.changes() != plan.changes,
            _ => false,
        }
    }

    /// Its bytes were to go with an event that was not made: its last name went, or it was
    /// damaged, while it was being prepared. Then its row stays as it is.
    fn is_unwritten(&self, told: &ToldNow) -> bool {
        self.body.is_some() && !told.entities.contains_key(&self.inode.ino)
    }

    /// Takes attributes at the commit's instant. The tree is locked.
    fn see(&mut self) {
        let mut state = self.inode.state.write();
        state.meta_dirty = false;
        let durable = match (&self.plan, &state.content) {
            (Some(plan), _) => plan.durable,
            (None, Some(content)) => content.durable(),
            (None, None) => Durable::default(),
        };
        self.seen = Some(Seen {
            meta: state.meta.clone(),
            durable,
            stored: state.stored,
            published: state.published,
            untold: state.untold,
            untold_row: state.untold_row,
        });
    }
}

/// One commit's work.
pub(super) struct Work {
    pub(super) scope: Scope,
    /// Files at rest become events.
    tells: bool,
    pub(super) items: HashMap<Ino, Item>,
    pub(super) nodes: Vec<(NodeNo, DirtyNode)>,
    pub(super) dead: Vec<Dead>,
    /// Inodes that stay dirty.
    later: Vec<Ino>,
    /// Nodes that were told nowhere, or of an earlier place, at the commit's instant.
    pub(super) untold: Vec<(NodeNo, NodeRecord)>,
    /// Removals that were not told, at the same.
    pub(super) gone: Vec<(NodeNo, GoneNode)>,
    /// Of those, what this commit notes in rows.
    pub(super) noted: Vec<NodeNo>,
    pub(super) batch: Batch,
    /// Removals that the batch notes.
    pub(super) gone_rows: Vec<NodeNo>,
}

/// An inode whose rows go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dead {
    pub(crate) ino: Ino,
    /// There may be a note that it is untold.
    pub(crate) noted: bool,
}

impl Work {
    fn is_sync(&self) -> bool {
        matches!(self.scope, Scope::Sync(_))
    }

    fn new(scope: Scope) -> Work {
        Work {
            scope,
            tells: false,
            items: HashMap::new(),
            nodes: Vec::new(),
            dead: Vec::new(),
            later: Vec::new(),
            untold: Vec::new(),
            gone: Vec::new(),
            noted: Vec::new(),
            batch: Batch::new(),
            gone_rows: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ROOT;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::{file_meta, password, vault};
    use crate::vault::{Identity, Sealed};

    fn save(vault: &Vault, ino: Ino, text: &[u8]) {
        vault.open(ino, true, true, false).unwrap();
        vault.write(ino, Some(0), text, false).unwrap();
    }

    /// A small file whose bytes were to go with its event was cut for a new save before the
    /// commit's instant. It was left out, but its row was written with the size of the bytes that
    /// now went nowhere: a crash left the version before, cut or filled with zeros.
    #[test]
    fn a_save_that_begins_while_the_last_is_committed_tears_nothing() {
        let disk = SimDisk::new();
        let vault = vault(&disk);
        let texts = [&b"the first"[..], b"the second, which is longer"];
        let ino = vault.make(ROOT, b"note", file_meta(), b"").unwrap();
        save(&vault, ino, texts[0]);
        vault.release(ino, true);
        vault.commit().unwrap();
        save(&vault, ino, texts[1]);
        vault.release(ino, true);
        let names = vault.tree.read();
        std::thread::scope(|scope| {
            let commit = scope.spawn(|| vault.tick());
            // It has prepared the file once it wants the tree for itself.
            while vault.tree.try_read().is_some() {
                std::thread::yield_now();
            }
            save(&vault, ino, b"the th");
            drop(names);
            commit.join().unwrap().unwrap();
        });
        let found = Arc::new(disk.crash_all_lost());
        let sealed = Sealed::open_on(found, "sim".into(), None).unwrap();
        let after = sealed.unlock(&password(), Identity::Same).unwrap();
        let mut text = Vec::new();
        after.read(ino, 0, 100, &mut text).unwrap();
        assert!(
            texts.contains(&text.as_slice()),
            "{:?}",
            text.escape_ascii().to_string()
        );
    }
}
