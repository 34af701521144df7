//! Reading what the packs' events tell.
//!
//! Guarantees: a payload is believed only if its seal opens, and that binds its entity or
//! node and its number in its chain. Events of a commit that failed are not told (`forks`). The
//! batches' signatures stand in the database and are not asked for. What is damaged is counted, never passed over in silence;
//! and so is what a newer program told and this one cannot read, which is no damage.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use super::forks::Forks;
use super::gaps::Gaps;
use super::told::{Newest, NodeTold, Told, Unusable, is_newer};
use crate::chunk::pack::{ScanItem, pack_name, pack_number};
use crate::chunk::{Packs, Place};
use crate::event::{
    BatchHeader, Event, EventKind, EventRef, Found, NodeGone, NodeState, Walk, chain_aad, content_aad,
    gone_aad, node_aad, setting_aad,
};
use crate::ids::{EntityId, NodeId};
use crate::io::Disk;
use crate::keys::ChunkId;
use crate::members::Members;
use crate::record::kind;
use crate::vault::secrets::Secrets;

/// Whether the second batch was written after the first.
fn is_behind(one: Place, other: Place) -> bool {
    (one.pack, one.offset) < (other.pack, other.offset)
}

impl Told {
    /// Reads all batches, in the packs' order, and notes where all chunks are.
    pub(super) fn read(disk: Arc<dyn Disk>, secrets: &Secrets) -> io::Result<Told> {
        let (mut lengths, mut damage) = (Vec::new(), Vec::new());
        for name in disk.list()? {
            let Some(pack) = pack_number(&name) else { continue };
            match disk.open(&name).and_then(|file| file.len()) {
                Ok(len) => lengths.push((pack, len)),
                Err(e) => damage.push(format!("{name} cannot be opened: {e}")),
            }
        }
        lengths.sort_unstable();
        let packs = Packs::open(disk, &lengths).map_err(|e| io::Error::other(e.to_string()))?;
        let mut told = Told {
            packs,
            keyring: secrets.keyring(&Members::of(secrets.space)),
            keys: HashMap::new(),
            versions: HashMap::new(),
            nodes: HashMap::new(),
            entity_of: HashMap::new(),
            chunks: HashMap::new(),
            copies: HashMap::new(),
            newer: HashSet::new(),
            damage,
        };
        let (mut batches, mut forks) = (Vec::new(), Forks::default());
        for (pack, _) in lengths {
            let (mut records, mut gaps) = (Vec::new(), 0);
            let scanned = told.packs.scan(pack, &mut |item| match item {
                ScanItem::Record { kind, id, place } => records.push((kind, id, place)),
                ScanItem::Gap { len, .. } => gaps += len,
            });
            let name = pack_name(pack);
            if let Err(e) = scanned {
                told.damage.push(format!("{name} cannot be read: {e}"));
            }
            if gaps > 0 {
                told.damage.push(format!(
                    "{gaps} bytes of {name} are no record: damage, or what a write left that failed"
                ));
            }
            for (what, id, place) in records {
                match what {
                    kind::BATCH => {
                        let mut bytes = vec![0; place.len as usize];
                        match told.packs.read(place, 0, &mut bytes) {
                            Ok(()) => forks.note(id, &bytes),
                            Err(_) => told.damage.push(format!("events in {name} cannot be read")),
                        }
                        batches.push((id, place));
                    }
                    kind::CHUNK | kind::MANIFEST => {
                        if let Some(other) = told.chunks.insert(ChunkId(id), (what, place)) {
                            told.copies.entry(ChunkId(id)).or_default().push(other);
                        }
                    }
                    _ => {}
                }
            }
        }
        // Read once more, now that it is known which count: all of them together may be large.
        let given_up = forks.given_up();
        let own: Vec<_> = secrets.chains.iter().map(|own| own.id).collect();
        let mut gaps = Gaps::new(secrets.space, &own);
        let (mut damaged, mut whole) = (Vec::new(), HashSet::new());
        for (head, place) in batches.into_iter().filter(|(head, _)| !given_up.contains(head)) {
            let mut bytes = vec![0; place.len as usize];
            if told.packs.read(place, 0, &mut bytes).is_err() {
                continue; // which was said
            }
            match gaps.read(&head, &bytes) {
                Some(found) => {
                    whole.insert(head);
                    let bad = told.note_all(found, place, true);
                    told.say_damaged(place, bad);
                }
                None => damaged.push((head, place)),
            }
        }
        // One whose beginning is damaged may be what another goes on from.
        loop {
            let before = damaged.len();
            damaged.retain(|(head, place)| {
                let Some(found) = told.bytes(*place).and_then(|bytes| gaps.read_on(head, &bytes)) else {
                    return true;
                };
                let bad = told.note_all(found, *place, true);
                told.say_damaged(*place, bad.max(1));
                whole.insert(*head);
                false
            });
            if damaged.len() == before {
                break;
            }
        }
        // Now that all is known that hashes vouch for: keys above all.
        for (head, place) in damaged {
            // Another copy of it told all.
            if whole.contains(&head) {
                told.say_damaged(place, 1);
                continue;
            }
            // One that was read before is said where it is missed.
            if let Some(bytes) = told.bytes(place) {
                // It belongs to no place, or it would have been read by that.
                if BatchHeader::is_of_newer(&bytes) {
                    let name = pack_name(place.pack);
                    told.damage.push(format!(
                        "events in {name} are damaged, or a newer version of coffer made them: update coffer, and salvage again"
                    ));
                    continue;
                }
                let bad = told.read_damaged(place, &bytes);
                told.say_damaged(place, bad.max(1));
            }
        }
        Ok(told)
    }

    /// The bytes of a record of a pack, if it can be read.
    fn bytes(&self, place: Place) -> Option<Vec<u8>> {
        let mut bytes = vec![0; place.len as usize];
        self.packs.read(place, 0, &mut bytes).ok()?;
        Some(bytes)
    }

    fn say_damaged(&mut self, place: Place, bad: u64) {
        if bad > 0 {
            let name = pack_name(place.pack);
            self.damage.push(format!("{bad} events in {name} are damaged"));
        }
    }

    /// Notes the events of a batch that is damaged somewhere, as far as their seals open; returns how
    /// many do not, or have no form.
    fn read_damaged(&mut self, batch: Place, bytes: &[u8]) -> u64 {
        let Ok(walk) = Walk::new(bytes) else { return 1 };
        // After a length that is damaged, all that follow: how many cannot be known.
        let all: Vec<Option<Found>> = walk.map(Result::ok).collect();
        let formless = all.iter().filter(|found| found.is_none()).count() as u64;
        formless + self.note_all(all.into_iter().flatten().collect(), batch, false)
    }

    /// Notes events of a batch; returns how many are damaged.
    fn note_all(&mut self, all: Vec<Found>, batch: Place, vouched: bool) -> u64 {
        let mut bad = 0;
        for found in all {
            let at = found.event.head.at;
            match self.note(found, batch, vouched) {
                Ok(()) => {}
                Err(Unusable::Damaged) => bad += 1,
                Err(Unusable::Newer) => drop(self.newer.insert(at)),
            }
        }
        bad
    }

    /// Notes an event of a batch, for all of which hashes vouch, or for which its seal must do. What was let go of tells
    /// nothing.
    fn note(&mut self, found: Found, batch: Place, vouched: bool) -> Result<(), Unusable> {
        let if_good = |good: bool| if good { Ok(()) } else { Err(Unusable::Damaged) };
        let Event {
            head: event,
            wrapped,
            sealed,
        } = found.event;
        let at = event.at;
        match event.kind {
            EventKind::Create | EventKind::Version => {
                let entity = EntityId(event.subject);
                if let Some(wrapped) = wrapped {
                    let key = (at, event.generation, wrapped);
                    let is_new =
                        || !self.keys.contains_key(&entity) && self.unwrapped(&entity, &key).is_some();
                    if vouched || is_new() {
                        self.keys.insert(entity, key);
                    }
                }
                let len = sealed.as_ref().map_or(0, |sealed| sealed.len() as u32);
                let newest = Newest {
                    lamport: event.lamport,
                    at,
                    generation: event.generation,
                    batch,
                    from: found.end - len,
                    len,
                };
                let opens = || {
                    let aad = content_aad(&entity, at, event.generation);
                    let key = self.key(&entity)?;
                    self.keyring.open_content(&key, &aad, sealed.as_ref()?).ok()
                };
                let sure = vouched || opens().map(zeroize::Zeroizing::new).is_some();
                let versions = self.versions.entry(entity).or_default();
                // Told twice: by a commit that failed, and anew by the one after it.
                let mut told = versions.past.iter_mut();
                if !vouched && let Some(known) = told.find(|(known, _)| known.at == at) {
                    if sure && is_behind(known.0.batch, batch) {
                        *known = (newest, event.replaces);
                    }
                    return if_good(sure);
                }
                let is_newer = |known: Newest| is_newer((known.lamport, known.at), (event.lamport, at));
                if sure {
                    versions.past.push((newest, event.replaces));
                } else if newest.is_kept() && versions.doubtful.is_none_or(is_newer) {
                    versions.doubtful = Some(newest);
                }
                if_good(sure)
            }
            EventKind::Node | EventKind::NodeGone => {
                let node = NodeId(event.subject);
                if sealed.is_none() && vouched {
                    // Let go of once what came after it was acknowledged; that it is a removal stands in the event itself.
                    if event.kind == EventKind::NodeGone {
                        self.tell_node(node, (event.lamport, at), batch, None);
                    }
                    return Ok(());
                }
                let aad = match event.kind {
                    EventKind::NodeGone => gone_aad(&node, at, event.generation),
                    _ => node_aad(&node, at, event.generation),
                };
                let plain = self.keyring.open_tree(&aad, &sealed.unwrap_or_default());
                let plain = plain.map_err(|_| Unusable::Damaged)?;
                // Of what only a newer program reads, the name stays what was told before.
                let state = match event.kind {
                    EventKind::NodeGone => {
                        NodeGone::decode(&plain)?;
                        None
                    }
                    _ => Some(NodeState::decode(&plain)?),
                };
                if let Some(entity) = state.as_ref().and_then(|state| state.entity) {
                    self.entity_of.insert(node, entity);
                }
                self.tell_node(node, (event.lamport, at), batch, state);
                Ok(())
            }
            // They bring no file.
            EventKind::Acknowledge | EventKind::Lapse | EventKind::Admit => {
                let aad = chain_aad(event.kind, &event.subject, at, event.generation);
                if_good(vouched || self.keyring.open_tree(&aad, &sealed.unwrap_or_default()).is_ok())
            }
            // Nobody knows what it brings until a newer program looks. Where nothing vouches for it, any kind may have become it.
            EventKind::Other(_) if vouched => Err(Unusable::Newer),
            EventKind::Other(_) => Err(Unusable::Damaged),
            // Salvage brings files; settings have defaults.
            EventKind::Setting => {
                let aad = setting_aad(&event.subject, at, event.generation);
                if_good(vouched || self.keyring.open_tree(&aad, &sealed.unwrap_or_default()).is_ok())
            }
        }
    }

    /// Notes what a node is by an event, if that is the newest of it.
    fn tell_node(
        &mut self,
        node: NodeId,
        (lamport, at): (u64, EventRef),
        batch: Place,
        state: Option<NodeState>,
    ) {
        let replaces = |known: &NodeTold| match known.at == at {
            true => is_behind(known.batch, batch),
            false => is_newer((known.lamport, known.at), (lamport, at)),
        };
        if self.nodes.get(&node).is_none_or(replaces) {
            let told = NodeTold {
                lamport,
                at,
                batch,
                state,
            };
            self.nodes.insert(node, told);
        }
    }
}
