//! Versions: what a file was, each time that it was saved, and what it is.

use std::sync::Arc;

use super::Publishing;
use super::batches::Draft;
use super::told::{ToldEntity, ToldVersion, replaced, version_of};
use crate::content::Durable;
use crate::event::{Body, EVENT_MAX, EventKind, EventRef, Form, REPLACES_MAX, Version, content_aad};
use crate::ids::EntityId;
use crate::keys::{Key, seal};
use crate::record::{BaseRef, Meta, Time, xattrs_len};
use crate::text::TEXT_MAX;
use crate::tree::Kind;
use crate::vault::commit::{Item, Seen};
use crate::vault::history::ToldAt;
use crate::vault::saves;
use crate::vault::texts::{Name, Ready, Telling, ToldText, form_of, place_in};

impl Publishing<'_> {
    /// Tells of what an entity was, one version after the other, before its present state; as far as
    /// it is known how.
    pub(in crate::vault) fn drafts(&mut self, item: &Item) {
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
            let beside = draft.meta.xattrs.as_deref().map_or(0, xattrs_len) + (64 << 10);
            let is_whole = draft.is_text && draft.bytes.len() <= TEXT_MAX.min(EVENT_MAX - beside);
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
        let names = self
            .versions_of(ready.names())
            .filter(|names| (1..=REPLACES_MAX).contains(&names.len()));
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
    pub(in crate::vault) fn entity(&mut self, item: &mut Item) {
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
            (Telling::Whole, Some(_)) if told.at.is_some() => {
                // How it is told may have been taken back since it was prepared.
                let ready = seen.ready.last().and_then(Option::as_deref);
                if !ready.is_some_and(Ready::is_whole) {
                    return false;
                }
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
                generation: self.generation(),
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
        let was = told.stand();
        told.is(now.at, Vec::new());
        told.behind = false;
        match last {
            Some(draft) => {
                told.drafts.push(draft.serial);
                self.whole_draft(told, draft.serial, now.at);
            }
            None if !seen.fresh && !was.is_empty() => told.texts.push(ToldText::Again { was, at: now.at }),
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

    /// Tells versions that carry others of the same entity over. One that replaces another of them names it
    /// by its place.
    pub(in crate::vault) fn carried(
        &mut self,
        (entity, key): (EntityId, &Key),
        versions: Vec<(Version, Vec<EventRef>)>,
    ) {
        let mut told: Vec<EventRef> = Vec::new();
        for (version, mut replaces) in versions {
            for at in &mut replaces {
                if let Some(now) = place_in(at).and_then(|place| told.get(place)) {
                    *at = *now;
                }
            }
            let same = matches!(&version.body, Body::Carried { bytes, .. } if bytes.is_empty());
            told.push(
                self.version_of((entity, key), replaces, version, (None, None, same))
                    .at,
            );
        }
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
        let of = (seen.binding.entity(), seen.binding.key(item.inode.key()));
        self.version_of(of, parents, version, (recorded, program, same))
    }

    /// The same of an entity with this key.
    fn version_of(
        &mut self,
        (entity, key): (EntityId, &Key),
        parents: Vec<EventRef>,
        version: Version,
        (recorded, program, same): (Option<Time>, Option<Arc<str>>, bool),
    ) -> ToldVersion {
        let recorded = recorded.unwrap_or_else(|| self.versions.now());
        let version = Version { recorded, ..version };
        let (at, generation) = (self.next(), self.generation());
        let mut plain = version.encode();
        let sealed = seal(
            &self.keyring.present().content(key),
            &content_aad(&entity, at, generation),
            &plain,
        );
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
}
