//! Telling: from what changed to events of this device's chain.
//!
//! An entity is told when nobody has it open for writing; a node when what it names has
//! been. What came and went between two commits is never told. The events of one commit
//! lie together in a pack, signed once; a small file's body is a part of its event and
//! lies nowhere else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::commit::{Item, Seen, Work, pending_gone, pending_left};
use super::history::{NewVersions, Setting, ToldAt};
use super::saves;
use super::secrets::Counters;
use super::texts::{Name, Ready, Telling, ToldText, form_of};
use super::{Vault, gone_aad};
use crate::codec::{Malformed, Reader, Writer};
use crate::content::{Durable, delete_log};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{
    self, BatchRow, Body, Digest, Event, EventKind, EventRef, Form, Head, NodeState, Version, content_aad,
    hash,
};
use crate::ids::{ChainId, EntityId, Ino, NodeId, NodeNo, ROOT, ROOT_NODE};
use crate::keys::{Key, labels, seal};
use crate::record::{BaseRef, GoneRecord, Meta, NodeRecord, Time, kind};
use crate::text::TEXT_MAX;
use crate::tree::{DirtyNode, Kind, Told};

/// Most versions that a file can show the merge of.
const SAW_MAX: u16 = 1024;

/// A node that is gone, and the versions that whoever removed it saw.
#[derive(Clone, Debug)]
pub(crate) struct GoneNode {
    pub(crate) id: NodeId,
    pub(crate) saw: Vec<EventRef>,
}

impl GoneNode {
    /// The note's bytes: version, node, and the versions that were seen.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0).raw(&self.id.0).u16(self.saw.len() as u16);
        for saw in &self.saw {
            w.raw(&saw.chain.0).u64(saw.seq);
        }
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a note of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<GoneNode, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed("the note of a removal of an unknown version"));
        }
        let id = NodeId(r.array()?);
        let count = r.u16()?;
        if count > SAW_MAX {
            return Err(Malformed("the note of a removal contradicts itself"));
        }
        let saw = (0..count).map(|_| {
            Ok(EventRef {
                chain: ChainId(r.array()?),
                seq: r.u64()?,
            })
        });
        let saw = saw.collect::<Result<_, Malformed>>()?;
        r.end()?;
        Ok(GoneNode { id, saw })
    }
}

/// What the other devices have not been told.
#[derive(Default)]
pub(crate) struct Untold {
    pub(crate) inodes: HashSet<Ino>,
    /// Files that are to show newer versions; nothing of that is to be told.
    pub(crate) behind: HashSet<Ino>,
    /// Nodes, with the folder that they are in.
    pub(crate) nodes: HashMap<NodeNo, Ino>,
    pub(crate) gone: HashMap<NodeNo, GoneNode>,
    /// Those of `gone` that have a row.
    pub(crate) gone_rows: HashSet<NodeNo>,
    /// Removals that did not happen after all: the name was taken again. Their rows are to go.
    pub(crate) undone: Vec<NodeNo>,
    /// What is kept of names that are gone and has no row yet.
    pub(crate) removed: HashMap<NodeId, GoneRecord>,
    /// Removed nodes that came back, and still have one.
    pub(crate) revived: HashSet<NodeId>,
}

impl Untold {
    pub(crate) fn len(&self) -> usize {
        self.inodes.len() + self.nodes.len() + self.gone.len()
    }
}

/// What one commit tells of an entity.
pub(super) struct ToldEntity {
    /// Where the file's content lies then.
    pub(super) durable: Durable,
    /// The last event.
    pub(super) at: Option<EventRef>,
    /// Its present state is told, and not only what it was before.
    pub(super) present: bool,
    /// The others of its newest events, if the file shows the merge of several.
    pub(super) beside: Vec<EventRef>,
    /// Drafts that are told.
    pub(super) drafts: Vec<u64>,
    /// What its text's document is to hear of.
    pub(super) texts: Vec<ToldText>,
    /// There are newer versions than what the file shows.
    pub(super) behind: bool,
}

impl ToldEntity {
    /// Nothing yet.
    fn before(seen: &Seen) -> ToldEntity {
        ToldEntity {
            durable: seen.durable,
            at: seen.published,
            present: false,
            beside: seen.beside.clone(),
            drafts: Vec::new(),
            texts: Vec::new(),
            behind: false,
        }
    }

    /// What the file shows is named by this from now on.
    fn is(&mut self, at: EventRef, beside: Vec<EventRef>) {
        (self.at, self.beside) = (Some(at), beside);
    }

    /// What names what it shows.
    pub(super) fn stand(&self) -> Vec<EventRef> {
        self.at.iter().chain(&self.beside).copied().collect()
    }
}

/// A version that was told: its event, its number, its batch, and where in that its sealed payload
/// begins and how long it is.
struct ToldVersion {
    at: EventRef,
    batch: u64,
    offset: u32,
    len: u32,
    number: u64,
}

/// A version with these attributes; form and body are to be filled in.
fn version_of(meta: &Meta, size: u64) -> Version {
    Version {
        kind: meta.kind,
        form: Form::Blob,
        perm: meta.perm,
        mtime: meta.mtime,
        btime: meta.btime,
        size,
        xattrs: meta.xattrs.clone(),
        body: Body::Same,
    }
}

/// What a version that is told with its bytes replaces.
fn replaced(ready: Option<&Ready>, told: &ToldEntity) -> Vec<EventRef> {
    let apart = ready.and_then(Ready::apart).map(<[EventRef]>::to_vec);
    apart.unwrap_or_else(|| told.stand())
}

/// What one commit tells.
#[derive(Default)]
pub(super) struct ToldNow {
    pub(super) entities: HashMap<Ino, ToldEntity>,
    pub(super) nodes: Vec<(NodeNo, NodeRecord)>,
    pub(super) gone: HashSet<NodeNo>,
    pub(super) first: u64,
    pub(super) count: u32,
}

/// A batch's bytes, about, at most: a record of a pack.
const BATCH_MAX: usize = 4 << 20;

/// Gathers one commit's events.
pub(super) struct Publishing<'a> {
    vault: &'a Vault,
    tree_key: Option<Key>,
    wrap_key: Option<Key>,
    seq: u64,
    lamport: u64,
    head: [u8; 32],
    /// Finished batches, and the one that grows.
    batches: Vec<Growing>,
    told: ToldNow,
    stale: Vec<(Ino, Durable)>,
    versions: NewVersions,
    /// Which versions the drafts are that it tells.
    drafts: HashMap<u64, Vec<EventRef>>,
}

impl<'a> Publishing<'a> {
    pub(super) fn new(vault: &'a Vault, counters: &Counters) -> Publishing<'a> {
        Publishing {
            vault,
            tree_key: None,
            wrap_key: None,
            seq: counters.seq,
            lamport: counters.lamport,
            head: counters.head,
            batches: vec![Growing::new(counters.next_batch, counters.seq + 1, counters.head)],
            told: ToldNow {
                first: counters.seq + 1,
                ..ToldNow::default()
            },
            stale: Vec::new(),
            versions: NewVersions::default(),
            drafts: HashMap::new(),
        }
    }

    /// The place of the event that is pushed next.
    fn next(&self) -> EventRef {
        EventRef {
            chain: self.vault.secrets.chain(),
            seq: self.seq + 1,
        }
    }

    /// Appends an event; returns its batch, and where in it its sealed payload begins.
    fn push(&mut self, kind: EventKind, subject: [u8; 16], event: Draft) -> (u64, u32) {
        let secrets = &self.vault.secrets;
        let at = self.next();
        self.seq = at.seq;
        self.lamport += 1;
        let head = Head {
            kind,
            space: secrets.space,
            at,
            lamport: self.lamport,
            prev: self.head,
            subject,
            generation: secrets.epoch,
            replaces: event.replaces,
            sealed: Digest::of(&event.sealed),
            wrapped: event.wrapped.as_ref().map(|wrapped| hash(wrapped)),
        };
        let (head_bytes, len) = (head.encode(), event.sealed.len());
        let its_hash = hash(&head_bytes);
        let event = Event {
            head,
            wrapped: event.wrapped,
            sealed: Some(event.sealed),
        };
        let bytes = event.encode_after(head_bytes);
        let full = self
            .batches
            .last()
            .is_none_or(|b| b.bytes.len() + bytes.len() > BATCH_MAX);
        if full {
            let no = self.batches.last().map_or(0, |b| b.no + 1);
            self.batches.push(Growing::new(no, self.seq, self.head));
        }
        self.head = its_hash;
        self.told.count += 1;
        let batch = self
            .batches
            .last_mut()
            .expect("one is there: it was made with the first or just now");
        let mut w = Writer(std::mem::take(&mut batch.bytes));
        w.bytes(&bytes);
        batch.bytes = w.0;
        batch.count += 1;
        batch.head = self.head;
        (batch.no, (batch.bytes.len() - len) as u32)
    }

    /// Tells of what an entity was, one version after the other, before its present state; as far as
    /// it is known how.
    pub(super) fn drafts(&mut self, item: &Item) {
        let Some(seen) = item.seen.as_ref().filter(|seen| !seen.drafts.is_empty()) else {
            return;
        };
        // The last may be what the file still is: then it is told as its present state, once whoever
        // has it open to write has closed it. Some open it once more and write nothing.
        let over = match seen.present_draft().is_some() {
            true => &seen.drafts[..seen.drafts.len() - 1],
            false => &seen.drafts[..],
        };
        // Where the content stays behind on disk, a crash would bring back what is older than they are.
        if seen.meta.nlink == 0 || over.is_empty() || item.left {
            return;
        }
        let mut told = ToldEntity::before(seen);
        for (draft, ready) in over.iter().zip(&seen.ready) {
            let ready = match (told.at, ready) {
                // The first of all begins a text; how the next is told depends on its event.
                (None, _) => None,
                (Some(_), None) => break,
                (_, ready) => ready.as_deref(),
            };
            if let Some(ready) = ready.filter(|ready| !ready.is_whole()) {
                if !self.woven(item, seen, &mut told, (draft, ready), (&draft.meta, draft.size)) {
                    break;
                }
                continue;
            }
            told.drafts.push(draft.serial);
            told.behind = false;
            let is_whole = draft.is_text && draft.bytes.len() <= TEXT_MAX;
            if !is_whole {
                // Its bytes are not kept: it is no version of its own.
                let (draft, is) = (draft.serial, Vec::new());
                told.texts.push(ToldText::Passed { draft, is });
                continue;
            }
            let version = Version {
                form: form_of(true, draft.meta.kind, &draft.bytes),
                body: Body::Inline(draft.bytes.to_vec()),
                ..version_of(&draft.meta, draft.bytes.len() as u64)
            };
            let parents = replaced(ready, &told);
            let by = (Some(draft.recorded), draft.program.clone(), false);
            let now = self.version(item, seen, parents, version, by);
            told.is(now.at, Vec::new());
            self.whole_draft(&mut told, draft.serial, now.at);
        }
        if !told.drafts.is_empty() {
            self.told.entities.insert(item.inode.ino, told);
        }
    }

    /// Tells a version of a text as its draft is ready to be told; false if what it was made from
    /// is not told yet.
    fn woven(
        &mut self,
        item: &Item,
        seen: &Seen,
        told: &mut ToldEntity,
        (draft, ready): (&saves::Draft, &Ready),
        (meta, size): (&Meta, u64),
    ) -> bool {
        // What replaces nothing would be another file's beginning.
        let names = self.versions_of(ready.names()).filter(|names| !names.is_empty());
        let Some(names) = names else {
            return false;
        };
        let is = match ready.body() {
            Some(body) => {
                let version = Version {
                    form: Form::Text,
                    body,
                    ..version_of(meta, size)
                };
                let by = (Some(draft.recorded), draft.program.clone(), false);
                let now = self.version(item, seen, names.clone(), version, by);
                told.texts.push(ToldText::Version {
                    draft: draft.serial,
                    at: now.at,
                    parents: names,
                    heads: ready.heads().clone(),
                    number: now.number,
                });
                vec![now.at]
            }
            None => {
                let (draft, is) = (draft.serial, names.clone());
                told.texts.push(ToldText::Passed { draft, is });
                names
            }
        };
        let Some((at, beside)) = is.split_first() else {
            return false;
        };
        told.is(*at, beside.to_vec());
        told.behind = ready.is_behind();
        told.drafts.push(draft.serial);
        self.drafts.insert(draft.serial, is);
        true
    }

    /// A draft was told with its bytes.
    fn whole_draft(&mut self, told: &mut ToldEntity, draft: u64, at: EventRef) {
        told.texts.push(ToldText::Passed { draft, is: vec![at] });
        told.texts.push(ToldText::Other(at));
        self.drafts.insert(draft, vec![at]);
    }

    /// The versions that these name, those told by this commit included; each once.
    fn versions_of(&self, names: &[Name]) -> Option<Vec<EventRef>> {
        let mut versions = Vec::new();
        for name in names {
            let is: &[EventRef] = match name {
                Name::Told(at) => std::slice::from_ref(at),
                Name::Draft(serial) => self.drafts.get(serial)?,
            };
            for at in is {
                if !versions.contains(at) {
                    versions.push(*at);
                }
            }
        }
        Some(versions)
    }

    /// Tells an entity's (or a folder's own) present state.
    pub(super) fn entity(&mut self, item: &mut Item) {
        let Some(seen) = &item.seen else { return };
        if !seen.untold || seen.meta.nlink == 0 {
            return;
        }
        let ino = item.inode.ino;
        let mut told = match self.told.entities.remove(&ino) {
            Some(told) => told,
            None => ToldEntity::before(seen),
        };
        told.present = self.present(item, seen, &mut told);
        if told.present || !told.drafts.is_empty() {
            self.told.entities.insert(ino, told);
        }
    }

    /// See [`Publishing::entity`]; false if it stays untold.
    fn present(&mut self, item: &Item, seen: &Seen, told: &mut ToldEntity) -> bool {
        if seen.meta.kind == Kind::Folder {
            // A folder is told by its node.
            return true;
        }
        let last = seen.present_draft();
        let rest = seen.drafts.len() - told.drafts.len();
        if rest > usize::from(last.is_some()) {
            return false; // what it was before comes first
        }
        match (item.telling, last) {
            (Telling::Later, _) => return false,
            (Telling::Woven, Some(draft)) => {
                let ready = seen.ready.last().and_then(Option::as_deref);
                let of = (&seen.meta, seen.durable.size);
                // Or made anew since, as something else.
                return ready
                    .filter(|ready| !ready.is_whole())
                    .is_some_and(|ready| self.woven(item, seen, told, (draft, ready), of));
            }
            (Telling::Woven, None) => return false,
            (Telling::Attributes, _) => {
                if seen.fresh || last.is_some() {
                    return false; // changed since
                }
                self.attributes(item, seen, told);
                return true;
            }
            (Telling::Whole, _) => {}
        }
        let Some(body) = self.body(item, seen) else {
            return false; // damaged, found by `check`
        };
        let is_inline = matches!(body, Body::Inline(_));
        let form = match &body {
            Body::Inline(bytes) => form_of(seen.marks.text, seen.meta.kind, bytes),
            _ => item.form,
        };
        let version = Version {
            form,
            body,
            ..version_of(&seen.meta, seen.durable.size)
        };
        let by = match last {
            Some(draft) => (Some(draft.recorded), draft.program.clone(), false),
            // What has nothing new but its attributes is no version by itself.
            None => (None, seen.program.clone(), !seen.fresh && told.at.is_some()),
        };
        let ready = last.and(seen.ready.last()).and_then(Option::as_deref);
        let now = self.version(item, seen, replaced(ready, told), version, by);
        let durable = &mut told.durable;
        if is_inline && durable.size > 0 {
            self.stale.push((item.inode.ino, *durable));
            durable.base = BaseRef::Body {
                batch: now.batch,
                offset: now.offset,
                len: now.len,
                at: now.at,
                generation: self.vault.secrets.epoch,
                entity: seen.binding.entity(),
            };
            durable.base_len = durable.size;
            durable.log_first = durable.log_next;
        } else if is_inline {
            self.stale.push((item.inode.ino, *durable));
            *durable = Durable {
                log_first: durable.log_next,
                log_next: durable.log_next,
                ..Durable::default()
            };
        }
        told.is(now.at, Vec::new());
        told.behind = false;
        match last {
            Some(draft) => {
                told.drafts.push(draft.serial);
                self.whole_draft(told, draft.serial, now.at);
            }
            None => told.texts.push(ToldText::Other(now.at)),
        }
        true
    }

    /// Tells new attributes of a text: the version has the same bytes, and needs none.
    fn attributes(&mut self, item: &Item, seen: &Seen, told: &mut ToldEntity) {
        let version = Version {
            form: Form::Text,
            body: Body::Same,
            ..version_of(&seen.meta, seen.durable.size)
        };
        let now = self.version(item, seen, told.stand(), version, (None, None, true));
        told.is(now.at, Vec::new());
        told.texts.push(ToldText::Same);
    }

    /// The bytes of the present state; none if they cannot be read.
    fn body(&self, item: &Item, seen: &Seen) -> Option<Body> {
        Some(match (&item.body, seen.durable.base) {
            (Some(bytes), _) => Body::Inline(bytes.clone()),
            (None, BaseRef::Manifest(root)) => Body::Manifest(root),
            (None, BaseRef::Empty) if seen.durable.size == 0 => Body::Inline(Vec::new()),
            // Only attributes changed: the body is told again, it is small.
            (None, BaseRef::Body { .. }) => {
                let owner = item.inode.owner(&self.vault.core, &seen.binding);
                Body::Inline(crate::content::read_body(owner, seen.durable.base).ok()?)
            }
            (None, BaseRef::Empty) => return None,
        })
    }

    /// Tells a version of the entity that a file stands for, which replaces `parents`.
    fn version(
        &mut self,
        item: &Item,
        seen: &Seen,
        parents: Vec<EventRef>,
        version: Version,
        (recorded, program, same): (Option<Time>, Option<Arc<str>>, bool),
    ) -> ToldVersion {
        let entity = seen.binding.entity();
        let key = seen.binding.key(item.inode.key());
        let (at, generation) = (self.next(), self.vault.secrets.epoch);
        let mut plain = version.encode();
        let sealed = seal(key, &content_aad(&entity, at, generation), &plain);
        zeroize::Zeroize::zeroize(&mut plain);
        let len = sealed.len() as u32;
        let (kind, wrapped) = match parents.is_empty() {
            true => (EventKind::Create, Some(self.wrap(&entity, at, key))),
            false => (EventKind::Version, None),
        };
        let draft = Draft {
            replaces: parents.clone(),
            wrapped,
            sealed,
        };
        let (batch, offset) = self.push(kind, entity.0, draft);
        let told_at = ToldAt {
            batch,
            offset,
            len,
            at,
            generation,
            lamport: self.lamport,
            parents,
            recorded,
            program,
            same,
            foreign: false,
        };
        let number = self.versions.note(self.vault, key, entity, &version, told_at);
        ToldVersion {
            at,
            batch,
            offset,
            len,
            number,
        }
    }

    /// Tells nodes whose targets have been told, and those that are gone.
    pub(super) fn nodes(&mut self, work: &mut Work) {
        let dirty: HashMap<NodeNo, usize> = work
            .nodes
            .iter()
            .enumerate()
            .map(|(i, (no, _))| (*no, i))
            .collect();
        let mut nodes: Vec<(NodeNo, NodeRecord)> = std::mem::take(&mut work.untold);
        nodes.retain(|(no, _)| !dirty.contains_key(no));
        nodes.extend(work.nodes.iter().filter_map(|(no, state)| match state {
            DirtyNode::Is(record) => Some((*no, record.clone())),
            DirtyNode::Gone => None,
        }));
        nodes.sort_unstable_by_key(|(no, _)| *no);
        for (no, mut record) in nodes {
            let held = work.held.contains(&no);
            if held || record.told == Told::Now || record.kind.is_local() || !self.node(&record) {
                continue;
            }
            record.told = Told::Now;
            match dirty.get(&no) {
                Some(i) => work.nodes[*i].1 = DirtyNode::Is(record.clone()),
                None => work.nodes.push((no, DirtyNode::Is(record.clone()))),
            }
            self.told.nodes.push((no, record));
        }
        for (no, gone) in work.gone.iter().filter(|(no, _)| !work.held.contains(no)) {
            let mut w = Writer::new();
            w.u8(0);
            let aad = event::gone_aad(&gone.id, self.next(), self.vault.secrets.epoch);
            let sealed = seal(self.tree_key(), &aad, &w.0);
            let draft = Draft {
                replaces: gone.saw.clone(),
                wrapped: None,
                sealed,
            };
            self.push(EventKind::NodeGone, gone.id.0, draft);
            self.told.gone.insert(*no);
        }
    }

    /// Tells settings that are new.
    pub(super) fn settings(&mut self, settings: &[Setting]) {
        for (id, plain) in settings {
            let aad = event::setting_aad(id, self.next(), self.vault.secrets.epoch);
            let sealed = seal(self.tree_key(), &aad, plain);
            let draft = Draft {
                replaces: Vec::new(),
                wrapped: None,
                sealed,
            };
            self.push(EventKind::Setting, *id, draft);
        }
    }

    /// Tells one node; false if what it names has not been told yet.
    fn node(&mut self, record: &NodeRecord) -> bool {
        let Ok(inode) = self.vault.get(record.ino) else {
            return false;
        };
        let Ok(parent) = self.vault.get(record.parent) else {
            return false;
        };
        let state = inode.state.read();
        // As it was at the commit's instant: it may have been bound to another entity since.
        let rebound = self.vault.rebound.lock().was(record.ino);
        let (entity, published) = rebound.unwrap_or((state.binding.entity(), state.published));
        let told = self.told.entities.get(&record.ino);
        let known = told.is_some_and(|told| told.at.is_some()) || published.is_some();
        if record.kind != Kind::Folder && !known {
            return false;
        }
        let entity = (record.kind != Kind::Folder).then_some(entity);
        let (perm, xattrs) = match record.kind {
            Kind::Folder => (state.meta.perm, state.meta.xattrs.clone()),
            _ => (0, None),
        };
        drop(state);
        let parent = if record.parent == ROOT {
            ROOT_NODE
        } else {
            NodeId(parent.state.read().binding.entity().0)
        };
        let plain = NodeState {
            parent,
            entity,
            perm,
            xattrs,
            name: record.name.clone(),
        }
        .encode();
        let aad = event::node_aad(&record.id, self.next(), self.vault.secrets.epoch);
        let sealed = seal(self.tree_key(), &aad, &plain);
        self.push(
            EventKind::Node,
            record.id.0,
            Draft {
                replaces: Vec::new(),
                wrapped: None,
                sealed,
            },
        );
        true
    }

    fn wrap(&mut self, entity: &EntityId, at: EventRef, key: &Key) -> [u8; crate::keys::WRAPPED] {
        let secrets = &self.vault.secrets;
        let wrap_key = self.wrap_key.get_or_insert_with(|| secrets.wrap_key());
        let aad = event::key_aad(entity, at, secrets.epoch);
        let sealed = seal(wrap_key, &aad, key.expose());
        sealed
            .try_into()
            .expect("a sealed key of 32 bytes has the length of a wrap")
    }

    fn tree_key(&mut self) -> &Key {
        let secrets = &self.vault.secrets;
        self.tree_key.get_or_insert_with(|| secrets.tree_key())
    }

    /// Stores and signs the batch.
    pub(super) fn finish(self, counters: &mut Counters, batch: &mut Batch) -> Result<ToldNow, StoreError> {
        if self.told.count == 0 {
            return Ok(self.told);
        }
        self.versions.put(batch)?;
        for (ino, durable) in &self.stale {
            delete_log(batch, *ino, durable);
        }
        let secrets = &self.vault.secrets;
        for grown in self.batches.iter().filter(|b| b.count > 0) {
            let place = self
                .vault
                .core
                .packs
                .append(kind::BATCH, &grown.head, &grown.bytes)?;
            let last = grown.first + u64::from(grown.count) - 1;
            let signed = BatchRow::signed(secrets.chain(), last, &grown.head);
            let row = BatchRow {
                place,
                chain: secrets.chain(),
                first: grown.first,
                count: grown.count,
                prev: grown.prev,
                head: grown.head,
                signature: secrets.signing.sign(labels::SIGN_HEAD, &signed),
                holes: Vec::new(),
            };
            batch.put(Table::Batches, grown.no.to_be_bytes(), row.encode());
            counters.next_batch = grown.no + 1;
        }
        counters.seq = self.seq;
        counters.lamport = self.lamport;
        counters.head = self.head;
        Ok(self.told)
    }
}

/// A batch that is being made.
struct Growing {
    no: u64,
    first: u64,
    count: u32,
    prev: [u8; 32],
    head: [u8; 32],
    bytes: Vec<u8>,
}

impl Growing {
    fn new(no: u64, first: u64, prev: [u8; 32]) -> Growing {
        Growing {
            no,
            first,
            count: 0,
            prev,
            head: prev,
            bytes: Vec::new(),
        }
    }
}

/// What is particular about an event.
struct Draft {
    replaces: Vec<EventRef>,
    wrapped: Option<[u8; crate::keys::WRAPPED]>,
    sealed: Vec<u8>,
}

impl Vault {
    /// Rows for removals that are not told yet, and none for those that are; and for names that are held for who may be saving.
    pub(super) fn write_gone(&self, work: &mut Work, told: &HashSet<NodeNo>) {
        let rows = self.untold.lock().gone_rows.clone();
        for no in &work.undone {
            work.batch.delete(Table::Pending, pending_gone(*no));
        }
        for (no, gone) in &work.gone {
            // A name that came back and went again has its number still: its note is written anew.
            let noted = rows.contains(no) && !work.undone.contains(no);
            match (told.contains(no), noted) {
                (false, false) => {
                    let sealed = seal(&self.local, &gone_aad(*no), &gone.encode());
                    work.batch.put(Table::Pending, pending_gone(*no), sealed);
                    work.noted.push(*no);
                }
                (true, true) => work.batch.delete(Table::Pending, pending_gone(*no)),
                _ => {}
            }
        }
        let (new, old) = &work.left;
        for (no, plain) in new {
            let sealed = seal(&self.local, &gone_aad(*no), plain);
            work.batch.put(Table::Pending, pending_left(*no), sealed);
        }
        for no in old {
            work.batch.delete(Table::Pending, pending_left(*no));
        }
    }
}
