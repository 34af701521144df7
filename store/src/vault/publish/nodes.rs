//! Names and settings, and the keys that go with them.

use std::collections::HashMap;

use super::Publishing;
use super::batches::Draft;
use super::untold::{GoneNode, SAW_MAX};
use crate::event::{self, EventKind, EventRef, NodeGone, NodeState};
use crate::horizon::Say;
use crate::ids::{EntityId, NodeId, NodeNo, ROOT, ROOT_NODE};
use crate::keys::{Key, seal};
use crate::moves::{Op, Stamp, Step};
use crate::record::{NodeRecord, Time};
use crate::tree::{DirtyNode, Kind, Told};
use crate::vault::commit::Work;
use crate::vault::history::Setting;
use crate::vault::horizon::subject;
use crate::vault::shared::place_of;

impl Publishing<'_> {
    /// Tells nodes whose targets have been told, and those that are gone.
    pub(in crate::vault) fn nodes(&mut self, work: &mut Work) {
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
        let tree = self.vault.tree.read();
        // Folders before what is in them: no move is into what is yet to be moved out of there.
        nodes.sort_by_cached_key(|(no, record)| (tree.depth(record.parent), *no));
        drop(tree);
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
            let Some(saw) = self.saw(work, gone) else {
                continue;
            };
            let said = NodeGone { when: Time::now() };
            let plain = said.encode();
            for id in self.all_of(gone.id) {
                let aad = event::gone_aad(&id, self.next(), self.generation());
                let sealed = seal(self.keyring.present().tree(), &aad, &plain);
                let draft = Draft {
                    replaces: saw.clone(),
                    wrapped: None,
                    sealed,
                };
                self.push(EventKind::NodeGone, id.0, draft);
                self.note_op(id, || Step::Gone(saw.clone().into(), Some(said.when.sec)));
            }
            self.told.gone.insert(*no);
        }
    }

    /// The versions that whoever removed a name saw: also what was saved before and is told by this commit.
    /// None while such a save is not told: it would come after the removal, as an edit that nobody who
    /// removed it knew of, and bring the name back.
    fn saw(&self, work: &Work, gone: &GoneNode) -> Option<Vec<EventRef>> {
        let mut saw = gone.saw.clone();
        let Some(ino) = gone.of else { return Some(saw) };
        let told = self.told.entities.get(&ino);
        let seen = work.items.get(&ino).and_then(|item| item.seen.as_ref());
        let waits = seen.is_some_and(|seen| {
            let told = told.map_or(0, |told| told.drafts.len());
            seen.meta.nlink > 0 && seen.drafts.len() > told
        });
        for at in told.iter().flat_map(|told| told.stand()) {
            if !saw.contains(&at) && saw.len() < SAW_MAX.into() {
                saw.push(at);
            }
        }
        (!waits).then_some(saw)
    }

    /// Tells settings that are new.
    pub(in crate::vault) fn settings(&mut self, settings: &[Setting]) {
        for (id, plain) in settings {
            let aad = event::setting_aad(id, self.next(), self.generation());
            let sealed = seal(self.keyring.present().tree(), &aad, plain);
            let draft = Draft {
                replaces: Vec::new(),
                wrapped: None,
                sealed,
            };
            self.push(EventKind::Setting, *id, draft);
            self.stamps.push((*id, self.lamport));
        }
    }

    /// Tells something of chains.
    pub(in crate::vault) fn chain(&mut self, say: &Say) {
        let kind = match say {
            Say::Acknowledge(_) => EventKind::Acknowledge,
            Say::Lapse(..) => EventKind::Lapse,
            Say::Admit(..) => EventKind::Admit,
        };
        let of = subject(say);
        let aad = event::chain_aad(kind, &of, self.next(), self.generation());
        let draft = Draft {
            replaces: Vec::new(),
            wrapped: None,
            sealed: seal(self.keyring.present().tree(), &aad, &say.encode()),
        };
        self.push(kind, of, draft);
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
        let lies = NodeState {
            parent,
            entity,
            perm,
            xattrs,
            when: Time::now(),
            name: record.name.clone(),
        };
        let plain = lies.encode();
        let all = match record.kind {
            Kind::Folder => self.all_of(record.id),
            _ => vec![record.id],
        };
        for id in all {
            let aad = event::node_aad(&id, self.next(), self.generation());
            let draft = Draft {
                replaces: Vec::new(),
                wrapped: None,
                sealed: seal(self.keyring.present().tree(), &aad, &plain),
            };
            self.push(EventKind::Node, id.0, draft);
            self.note_op(id, || Step::Place(place_of(lies.clone())));
        }
        true
    }

    /// A node, and the folders that are seen as one with it: whoever moves or removes one means all of them.
    fn all_of(&self, node: NodeId) -> Vec<NodeId> {
        let mut all = vec![node];
        all.extend(self.vault.seen_as_one(node));
        all
    }

    /// What was just pushed says this of a node.
    fn note_op(&mut self, node: NodeId, step: impl FnOnce() -> Step) {
        if self.vault.is_shared() {
            let at = EventRef {
                chain: self.secrets.chain(),
                seq: self.seq,
            };
            let stamp = Stamp {
                lamport: self.lamport,
                at,
            };
            let step = step();
            self.ops.push(Op { stamp, node, step });
        }
    }

    pub(super) fn wrap(&self, entity: &EntityId, at: EventRef, key: &Key) -> [u8; crate::keys::WRAPPED] {
        let aad = event::key_aad(entity, at, self.generation());
        let sealed = seal(self.keyring.present().wrap(), &aad, key.expose());
        sealed
            .try_into()
            .expect("a sealed key of 32 bytes has the length of a wrap")
    }

    /// By which events name the epoch in which they are sealed.
    pub(super) fn generation(&self) -> u32 {
        self.keyring.present().tag()
    }
}
