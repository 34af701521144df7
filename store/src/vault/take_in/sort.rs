//! What becomes of each event that came: it is taken, set aside, or waits.
//!
//! A file that is new comes with its key, which is kept whatever becomes of its first version: so those
//! that follow can be read.
//!
//! Guarantees: an event is set aside only for what it says itself, or because it builds on
//! such a one; never for want of a key, a row or a chunk on this device, nor for what only a newer program knows.

use std::collections::HashMap;

use super::TakeInError;
use super::holes::KeyCame;
use super::notes::About;
use super::sorted::{Coming, Sorted, Taking};
use crate::core::{Keyring, StoreError, Unopened};
use crate::event::{EventKind, EventRef, Found, Version, chain_aad, content_aad, key_aad};
use crate::horizon::Say;
use crate::ids::{ChainId, EntityId};
use crate::keys::Key;
use crate::vault::Vault;
use crate::vault::horizon::WordOf;
use crate::vault::shared::Said;
use crate::vault::texts::Verdict;

/// An entity's key, as far as it can be had.
enum Whose {
    Known(Key),
    Unknown,
    Unreadable,
}

impl From<Unopened> for Verdict {
    fn from(unopened: Unopened) -> Verdict {
        match unopened {
            // It may come.
            Unopened::NoKey => Verdict::Waits,
            Unopened::Tampered => Verdict::Refused,
        }
    }
}

/// The key of a file that is new.
fn new_key(keyring: &Keyring, found: &Found) -> Result<Key, Verdict> {
    let head = &found.event.head;
    let wrapped = found.event.wrapped.as_ref().ok_or(Verdict::Waits)?;
    let aad = key_aad(&EntityId(head.subject), head.at, head.generation);
    Ok(keyring.open_wrap(&aad, wrapped)?)
}

/// What an event says of chains.
fn word_of(keyring: &Keyring, found: &Found) -> Result<WordOf, Verdict> {
    let head = &found.event.head;
    let sealed = found.event.sealed.as_deref().ok_or(Verdict::Waits)?;
    let aad = chain_aad(head.kind, &head.subject, head.at, head.generation);
    let plain = keyring.open_tree(&aad, sealed)?;
    let (chain, last) = (ChainId(head.subject), || Say::last(&plain));
    let say = match head.kind {
        EventKind::Lapse => last().map(|last| Say::Lapse(chain, last)),
        EventKind::Admit => last().map(|last| Say::Admit(chain, last)),
        _ => Say::acknowledge(&plain),
    };
    // Nobody speaks for a chain that is its own.
    let is_own = chain == head.at.chain;
    let say = Some(say?).filter(|_| !is_own).ok_or(Verdict::Refused)?;
    Ok(WordOf {
        at: head.at,
        lamport: head.lamport,
        say,
    })
}

impl Vault {
    /// Sorts events, each of which comes after what it builds on. What of texts is in memory may have what
    /// is to be taken: whoever does not take it says [`Vault::give_up`].
    pub(super) fn sort(&self, coming: Vec<Coming>) -> Result<Sorted, TakeInError> {
        let mut sorted = Sorted::default();
        let mut whose = self.whose_are(&coming)?;
        let mut takings: Vec<Taking> = Vec::new();
        let mut verdicts: HashMap<EventRef, Verdict> = HashMap::new();
        let heads = coming.iter().map(|coming| &coming.found.event.head);
        let now: HashMap<EventRef, Option<[u8; 16]>> = heads.map(|head| (head.at, head.entity())).collect();
        let keyring = self.core.keyring();
        for Coming { batch, anew, found } in coming {
            let head = &found.event.head;
            let entity = EntityId(head.subject);
            sorted.about.insert(head.at, About::of(head));
            if batch.is_none() {
                sorted.heard.hears(head.kind);
            }
            if anew {
                sorted.anew.insert(head.at);
            }
            let is_newer = matches!(head.kind, EventKind::Other(_));
            if is_newer || !self.keeps_rules(head, &now)? {
                let verdict = match is_newer {
                    true => Verdict::Newer,
                    false => Verdict::Refused,
                };
                verdicts.insert(head.at, verdict);
                sorted.put(head, batch, verdict);
                continue;
            }
            if head.kind == EventKind::Setting {
                match self.setting_of(batch, &found) {
                    Ok(setting) => sorted.settings.push(setting),
                    Err(verdict) => sorted.put(head, batch, verdict),
                }
                continue;
            }
            if matches!(head.kind, EventKind::Node | EventKind::NodeGone) {
                match self.op_of(&keyring, &found) {
                    Ok(said) => {
                        sorted.read.extend(batch.map(|_| head.at));
                        match said {
                            Some(Said::Op(op)) => sorted.ops.push(op),
                            Some(Said::Nothing(op)) => {
                                sorted.gaps.push((op.node, op.stamp.lamport));
                                sorted.ops.push(op);
                            }
                            None => {}
                        }
                    }
                    Err(verdict) => sorted.put(head, batch, verdict),
                }
                continue;
            }
            if let EventKind::Acknowledge | EventKind::Lapse | EventKind::Admit = head.kind {
                match word_of(&keyring, &found) {
                    Ok(word) => {
                        sorted.read.extend(batch.map(|_| head.at));
                        sorted.words.push(word);
                    }
                    Err(verdict) => sorted.put(head, batch, verdict),
                }
                continue;
            }
            let is_hole = found.event.sealed.is_none();
            if is_hole && (head.kind == EventKind::Version || found.event.wrapped.is_none()) {
                // What needs it waits.
                verdicts.insert(head.at, Verdict::Waits);
                sorted.gone.extend(batch.map(|_| head.at));
                sorted.holes.came(head);
                continue;
            }
            let known = whose.entry(entity).or_insert(Whose::Unknown);
            if head.kind == EventKind::Create {
                match (new_key(&keyring, &found), &*known) {
                    (Ok(key), Whose::Unknown) => {
                        sorted.new.push(entity);
                        *known = Whose::Known(key);
                    }
                    // A copy of the device that made it told of it, too.
                    (Ok(key), Whose::Known(is)) if key.expose() == is.expose() => {}
                    (Ok(_), Whose::Unreadable) => {}
                    (Ok(_), Whose::Known(_)) => {
                        verdicts.insert(head.at, Verdict::Refused);
                        sorted.put(head, batch, Verdict::Refused);
                        continue;
                    }
                    (Err(verdict), _) => {
                        verdicts.insert(head.at, verdict);
                        sorted.put(head, batch, verdict);
                        continue;
                    }
                }
            }
            if let (true, Whose::Known(_)) = (is_hole, &*known) {
                verdicts.insert(head.at, Verdict::Waits);
                sorted.gone.extend(batch.map(|_| head.at));
                sorted.key_only.push(KeyCame {
                    head: head.clone(),
                    sealed_at: found.sealed_at,
                    batch,
                });
                continue;
            }
            let said = match known {
                Whose::Known(key) => self.usable(key, &found, &verdicts, &now)?,
                Whose::Unreadable => Err(Verdict::Waits),
                Whose::Unknown => match self.worst((&head.replaces, &head.subject), &verdicts, &now)? {
                    Verdict::Good => {
                        sorted.unknown.push(head.at);
                        continue;
                    }
                    // Its key has not come, or never will.
                    worst => Err(worst),
                },
            };
            match said {
                Ok(version) => takings.push(Taking {
                    batch,
                    entity,
                    head: head.clone(),
                    version,
                    sealed_at: found.sealed_at,
                }),
                Err(verdict) => {
                    verdicts.insert(head.at, verdict);
                    sorted.put(head, batch, verdict);
                }
            }
        }
        for (entity, whose) in whose {
            if let Whose::Known(key) = whose {
                sorted.keys.insert(entity, key);
            }
        }
        if let Err(e) = self.sort_texts(takings, &mut sorted) {
            sorted.keys.keys().for_each(|entity| self.give_up(*entity));
            return Err(e.into());
        }
        Ok(sorted)
    }

    /// What a version says, if it can be used as far as it alone, and what it goes on from, is
    /// concerned.
    fn usable(
        &self,
        key: &Key,
        found: &Found,
        verdicts: &HashMap<EventRef, Verdict>,
        now: &HashMap<EventRef, Option<[u8; 16]>>,
    ) -> Result<Result<Version, Verdict>, StoreError> {
        let head = &found.event.head;
        let version = match self.what_version(key, found) {
            Ok(version) if version.perm <= 0o7777 => version,
            Ok(_) => return Ok(Err(Verdict::Refused)),
            Err(verdict) => return Ok(Err(verdict)),
        };
        let Some(needed) = version.needs(&head.replaces) else {
            return Ok(Err(Verdict::Refused));
        };
        Ok(match self.worst((needed, &head.subject), verdicts, now)? {
            Verdict::Good => Ok(version),
            worst => Err(worst),
        })
    }

    /// What what goes on from these can be at best.
    fn worst(
        &self,
        (needed, entity): (&[EventRef], &[u8; 16]),
        verdicts: &HashMap<EventRef, Verdict>,
        now: &HashMap<EventRef, Option<[u8; 16]>>,
    ) -> Result<Verdict, StoreError> {
        let mut worst = Verdict::Good;
        for at in needed {
            let known = verdicts.get(at).copied().unwrap_or(Verdict::Good);
            worst = worst.max(known);
            // One that is looked at once more may be taken, whatever is noted of it.
            if now.contains_key(at) {
                continue;
            }
            worst = worst.max(self.noted(at, entity)?);
            if self.core.is_hole(*at)? {
                worst = worst.max(Verdict::Waits);
            }
        }
        Ok(worst)
    }

    /// What a version says, if that is here and is one.
    pub(in crate::vault) fn opened(&self, key: &Key, found: &Found) -> Option<Version> {
        self.what_version(key, found).ok()
    }

    /// The same, or the verdict on it. Whoever carried it here may have let go of what it says; others may have it.
    fn what_version(&self, key: &Key, found: &Found) -> Result<Version, Verdict> {
        let head = &found.event.head;
        let sealed = found.event.sealed.as_deref().ok_or(Verdict::Waits)?;
        let aad = content_aad(&EntityId(head.subject), head.at, head.generation);
        let plain = self.core.keyring().open_content(key, &aad, sealed)?;
        Ok(Version::decode(&zeroize::Zeroizing::new(self.as_read(plain)))?)
    }

    /// Asks the texts about those of each entity.
    fn sort_texts(&self, takings: Vec<Taking>, sorted: &mut Sorted) -> Result<(), StoreError> {
        let mut by_entity: HashMap<EntityId, Vec<usize>> = HashMap::new();
        for (place, taking) in takings.iter().enumerate() {
            by_entity.entry(taking.entity).or_default().push(place);
        }
        let mut verdicts = vec![Verdict::Good; takings.len()];
        for (entity, places) in by_entity {
            let Some(key) = sorted.keys.get(&entity) else {
                continue;
            };
            let came = places.iter().map(|place| &takings[*place]);
            let came: Vec<_> = came.map(|taking| (&taking.head, &taking.version)).collect();
            let judged = self.judge((entity, key), &came)?;
            if judged.iter().any(|verdict| *verdict != Verdict::Good) {
                // Whoever looked at its file meanwhile found in it a version that is none, and went away.
                self.look_again(entity);
            }
            for (place, verdict) in places.into_iter().zip(judged) {
                verdicts[place] = verdict;
            }
        }
        for (taking, verdict) in takings.into_iter().zip(verdicts) {
            sorted.put(&taking.head, taking.batch, verdict);
            if verdict == Verdict::Good {
                sorted.taking.push(taking);
            }
        }
        Ok(())
    }

    /// The keys of the entities that these events are about.
    fn whose_are(&self, coming: &[Coming]) -> Result<HashMap<EntityId, Whose>, StoreError> {
        let heads = coming.iter().map(|coming| &coming.found.event.head);
        let files = heads.filter(|head| matches!(head.kind, EventKind::Create | EventKind::Version));
        let entities = files.map(|head| EntityId(head.subject)).collect();
        let mut whose = HashMap::new();
        for (entity, key) in self.keys_of(&entities)? {
            let is = match key {
                Ok(key) => Whose::Known(key),
                Err(e) if e.is_damage() => Whose::Unreadable,
                Err(e) => return Err(e),
            };
            whose.insert(entity, is);
        }
        Ok(whose)
    }

    /// What was to be taken of an entity is not: its document is made anew, and its file is looked at
    /// again, which found a version in it that is none.
    pub(super) fn give_up(&self, entity: EntityId) {
        self.texts.discard(&entity);
        self.look_again(entity);
    }

    /// The file that shows an entity is looked at again, if it is behind.
    fn look_again(&self, entity: EntityId) {
        if let Ok(Some(ino)) = self.living(entity) {
            self.texts.may_show(ino);
        }
    }
}
