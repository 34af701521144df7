//! Carrying over: what others changed in a text that was begun anew meanwhile, and what was begun beside
//! it, comes into the text that its file shows.
//!
//! A text begins anew where its past was purged or has become too long, or where a change would not have
//! fitted into an event. Whoever has not heard of it goes on with the former one. Each version of that is
//! carried over by an event of its own, once a device knows both: its difference from what it was made
//! from, made to what the text that is shown comes to with that. So no word is lost, and none is there
//! twice. A device that has let go of the former text cannot do that, and takes what others carry.
//!
//! Guarantees: which change carries a version follows from the two texts' events alone, and so do its
//! bytes: whoever carries it over makes the same change, and it counts once. Where a program makes another, since it
//! divides texts otherwise, that is another change, by another actor: both are taken, and the words are there twice.
//! What a device does not know enough of is left where it is, and stays a version of its own; so is what was made from
//! versions that it has let go of: a version's own parents count, as its event names them, never those that its row names
//! in their place.

use std::collections::{HashMap, HashSet};

use super::hot::Hot;
use super::lines::shown_line;
use super::shelf::DocumentError;
use crate::core::StoreError;
use crate::event::{Body, EventKind, EventRef, Form, REPLACES_MAX, Version};
use crate::ids::{ChainId, EntityId, Ino};
use crate::keys::Key;
use crate::record::{Kept, VersionRecord};
use crate::text::{Document, Heads, TEXT_MAX, TextError, still_whole};
use crate::vault::Vault;

/// So many versions are carried over in one transaction.
const STEP: usize = 32;

/// Where the document begins that [`together`] makes; in no vault.
const NOWHERE: EventRef = EventRef {
    chain: ChainId([0; 16]),
    seq: 1,
};

/// A version of another text.
struct Other {
    at: EventRef,
    version: Version,
    /// What it comes after, in the text that is shown.
    parents: Vec<EventRef>,
    /// What it was made from, and what it is.
    base: String,
    text: String,
}

/// Which versions of the text that is shown others come to.
struct Names {
    /// What the text went on from when it began: all of it is in its first version.
    past: HashSet<EventRef>,
    /// What is carried over, and by which version.
    carried: HashMap<EventRef, EventRef>,
    genesis: EventRef,
    /// What each version's text began with.
    began: HashMap<EventRef, EventRef>,
}

impl Names {
    /// Whether something that a version was made from is in the text that is shown.
    fn may_have(&self, row: &VersionRecord) -> bool {
        let mut parents = row.parents.iter();
        parents.any(|at| self.past.contains(at) || self.carried.contains_key(at))
    }

    /// The versions of the text that is shown which these come to; none if one of them is not in it.
    fn of(&self, versions: &[EventRef]) -> Option<Vec<EventRef>> {
        let mut names = Vec::new();
        for at in versions {
            let name = match self.carried.get(at) {
                Some(name) => *name,
                None if self.past.contains(at) => self.genesis,
                None => return None,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then_some(names)
    }
}

/// The versions that others were made from, of whole batches.
type OwnParents = HashMap<EventRef, Vec<EventRef>>;

/// What came of carrying over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrying {
    /// Something is told of that was not.
    Some,
    /// There is nothing that could be carried.
    Nothing,
    /// Somebody else is at the history: it is to be tried again, and until then the file stays behind.
    NotNow,
}

/// What both made of a text, together; none if that is no text that can be had. The same on every device.
fn together(base: &str, ours: &str, theirs: &str) -> Result<Option<String>, TextError> {
    let text = if base == ours || ours == theirs {
        theirs.to_owned()
    } else if base == theirs {
        ours.to_owned()
    } else if base.is_empty() {
        format!("{ours}{theirs}")
    } else {
        let mut document = Document::genesis(NOWHERE, base)?;
        let began = document.heads()?;
        document.edit(&began, ours, ChainId([1; 16]), 1)?;
        document.edit(&began, theirs, ChainId([2; 16]), 2)?;
        document.text()?
    };
    Ok((text.len() <= TEXT_MAX).then_some(text))
}

impl Vault {
    /// Carries over into the text that a file shows what of its other texts is not in it, of the versions
    /// that these rows are of.
    pub(super) fn carry_over(
        &self,
        ino: Ino,
        (entity, key): (EntityId, &Key),
        rows: &[VersionRecord],
    ) -> Result<Carrying, StoreError> {
        let others = self.to_carry((entity, key), rows)?;
        if others.is_none_or(|(names, others)| !others.iter().any(|row| names.may_have(row))) {
            return Ok(Carrying::Nothing);
        }
        // Whoever lets go of versions is waited for by nobody here.
        let Some(_history) = self.history.try_lock() else {
            return Ok(Carrying::NotNow);
        };
        let rows = self.rows_of_versions(key, &entity)?;
        let Some((mut names, others)) = self.to_carry((entity, key), &rows)? else {
            return Ok(Carrying::Nothing);
        };
        let mut made: Vec<(Version, Vec<EventRef>)> = Vec::new();
        for other in self.read_others((entity, key), &names, &others)? {
            let Some(on) = names.of(&other.parents) else {
                continue;
            };
            // With the one that it carries, more than an event can name: that stays a version of its own.
            if on.len() >= REPLACES_MAX {
                continue;
            }
            let version = match self.carried((entity, key), &names, (&on, &other), &made, ino) {
                Ok(Some(version)) => version,
                Ok(None) => continue,
                Err(DocumentError::Store(e)) if !e.is_damage() => return Err(e),
                Err(_) => {
                    self.texts.discard(&entity);
                    break;
                }
            };
            let mut replaces = on;
            replaces.push(other.at);
            // Named by its place until it has an event.
            names.carried.insert(other.at, place_of(made.len()));
            made.push((version, replaces));
        }
        if made.is_empty() {
            return Ok(Carrying::Nothing);
        }
        let told = self.tell_carried((entity, key), made);
        if told.is_err() {
            // Its document has what nobody is told of.
            self.texts.discard(&entity);
        }
        told.map(|()| Carrying::Some)
    }

    /// What names versions in the text that is shown, and those that are not in it, in their order. None
    /// if what is shown is no text.
    fn to_carry<'a>(
        &self,
        (entity, key): (EntityId, &Key),
        rows: &'a [VersionRecord],
    ) -> Result<Option<(Names, Vec<&'a VersionRecord>)>, StoreError> {
        let Some(line) = shown_line(rows) else {
            return Ok(None);
        };
        let by_event: HashMap<EventRef, &VersionRecord> = rows.iter().map(|row| (row.at, row)).collect();
        let genesis = line.began();
        let Some(first) = by_event.get(&genesis).filter(|row| row.is_genesis()) else {
            return Ok(None);
        };
        let (mut past, mut next) = (HashSet::new(), first.parents.clone());
        while let Some(row) = next.pop().map(|at| by_event.get(&at)) {
            // What is no text ends the one before it.
            if let Some(row) = row.filter(|row| row.form == Form::Text as u8)
                && past.insert(row.at)
            {
                next.extend(&row.parents);
            }
        }
        let mut began: HashMap<EventRef, EventRef> = HashMap::new();
        let mut by: HashMap<EventRef, (u64, EventRef)> = HashMap::new();
        let mut others = Vec::new();
        for row in rows {
            let first = match row.is_change() {
                true => row.parents.first().and_then(|at| began.get(at)).copied(),
                false => Some(row.at).filter(|_| row.is_genesis()),
            };
            began.extend(first.map(|first| (row.at, first)));
            if first == Some(genesis) {
                // One whose parents are all of this text carries nothing.
                if row.is_change() && row.parents.iter().any(|at| began.get(at) != first.as_ref()) {
                    match self.version_payload(key, entity, row) {
                        Ok(version) => {
                            if let Body::Carried { of, .. } = version.body {
                                // Of several changes that do, all take the same one.
                                let first = by.entry(of).or_insert((row.lamport, row.at));
                                *first = (*first).min((row.lamport, row.at));
                            }
                        }
                        // Whoever carries it once more makes the same change.
                        Err(e) if e.is_damage() => {}
                        Err(e) => return Err(e),
                    }
                }
            } else if !past.contains(&row.at) {
                others.push(row);
            }
        }
        let carried: HashMap<EventRef, EventRef> = by.into_iter().map(|(of, (_, at))| (of, at)).collect();
        // Of what is no text, and of what is there only with it, nothing is carried.
        others.retain(|row| {
            let is_text = row.is_change() || row.is_genesis();
            is_text && row.kept == Kept::All && !row.parents.is_empty() && !carried.contains_key(&row.at)
        });
        let names = Names {
            past,
            carried,
            genesis,
            began,
        };
        Ok(Some((names, others)))
    }

    /// The text of versions that are of a former text of the one that a file shows, if it is there still:
    /// what goes on from these is carried over.
    pub(super) fn former_text(
        &self,
        (entity, key): (EntityId, &Key),
        versions: &[EventRef],
    ) -> Result<Option<String>, StoreError> {
        let rows = self.rows_of_versions(key, &entity)?;
        let Some((names, _)) = self.to_carry((entity, key), &rows)? else {
            return Ok(None);
        };
        if names.of(versions).is_none() {
            return Ok(None);
        }
        let text = self.text_of(key, entity, versions)?;
        Ok(text.and_then(|text| String::from_utf8(text).ok()))
    }

    /// Of these versions of other texts the first that may be carried over, with their texts.
    fn read_others(
        &self,
        (entity, key): (EntityId, &Key),
        names: &Names,
        rows: &[&VersionRecord],
    ) -> Result<Vec<Other>, StoreError> {
        let mut found: Vec<(&VersionRecord, Version, Vec<EventRef>)> = Vec::new();
        let mut may_have: HashSet<EventRef> = HashSet::new();
        let mut own = OwnParents::new();
        for row in rows {
            let is_next = row.parents.iter().any(|at| may_have.contains(at));
            if found.len() >= STEP || !(is_next || names.may_have(row)) {
                continue;
            }
            let version = match self.version_payload(key, entity, row) {
                Err(e) if e.is_damage() => continue,
                version => version?,
            };
            let Some(parents) = self.own_parents(&mut own, row.at)? else {
                continue;
            };
            may_have.insert(row.at);
            let of = match &version.body {
                Body::Carried { of, .. } => Some(*of),
                _ => None,
            };
            let from: Vec<EventRef> = parents.iter().copied().filter(|at| Some(*at) != of).collect();
            found.push((row, version, from));
        }
        // Each document is looked at once.
        let mut wanted: HashMap<EventRef, Vec<Vec<EventRef>>> = HashMap::new();
        for (row, _, from) in &found {
            for versions in [vec![row.at], from.clone()] {
                let mut began = versions.iter().map(|at| names.began.get(at));
                if let Some(Some(first)) = began.next()
                    && began.all(|other| other == Some(first))
                {
                    wanted.entry(*first).or_default().push(versions);
                }
            }
        }
        let mut texts: HashMap<Vec<EventRef>, String> = HashMap::new();
        for versions in wanted.into_values() {
            let found = match self.texts_of(key, entity, &versions) {
                Err(e) if e.is_damage() => None,
                found => found?,
            };
            texts.extend(versions.into_iter().zip(found.unwrap_or_default()));
        }
        let others = found.into_iter().filter_map(|(row, version, from)| {
            let text = texts.get(&vec![row.at])?.clone();
            let (mut parents, mut base) = (from.clone(), texts.get(&from).cloned());
            if let Body::Carried { of, .. } = &version.body {
                // What it carries is in its text already: it says nothing that this does not say.
                parents.push(*of);
                base = Some(text.clone());
            }
            Some(Other {
                at: row.at,
                version,
                parents,
                base: base?,
                text,
            })
        });
        Ok(others.collect())
    }

    /// The versions that one was made from, as its event says. Its row may name others in their place: those that a
    /// thinned one was made from, or one that came without what it said; and others have thinned others.
    fn own_parents<'a>(
        &self,
        known: &'a mut OwnParents,
        at: EventRef,
    ) -> Result<Option<&'a Vec<EventRef>>, StoreError> {
        if !known.contains_key(&at) {
            let beside = match self.core.events_beside(at) {
                Ok(found) => found.map(|(_, events)| events).unwrap_or_default(),
                Err(e) if e.is_damage() => Vec::new(),
                Err(e) => return Err(e),
            };
            let versions = beside
                .into_iter()
                .filter(|event| event.head.kind == EventKind::Version);
            known.extend(versions.map(|event| (event.head.at, event.head.replaces)));
        }
        Ok(known.get(&at))
    }

    /// The version that carries another over, as a change of these versions of the text that is shown.
    fn carried(
        &self,
        (entity, key): (EntityId, &Key),
        names: &Names,
        (on, other): (&[EventRef], &Other),
        made: &[(Version, Vec<EventRef>)],
        ino: Ino,
    ) -> Result<Option<Version>, DocumentError> {
        let name = self.name_of(ino).unwrap_or_default();
        let done = self.with_document((entity, key), names.genesis, |hot| {
            let Some(heads) = heads_of(hot, on, made)? else {
                return Ok(None);
            };
            let ours = hot.doc.text_at(&heads)?;
            let Some(new) = together(&other.base, &ours, &other.text)? else {
                return Ok(None);
            };
            // Else both are kept.
            if !still_whole(&name, &[&ours, &other.text], &new) {
                return Ok(None);
            }
            let limits = &self.texts.limits;
            let change = hot.doc.carry_as(&heads, &new, other.at, limits.split())?;
            Ok(match &change {
                Some(change)
                    if change.bytes().len() > limits.change() || change.last_op() > limits.hard() =>
                {
                    return Err(TextError::Full.into());
                }
                _ => Some((
                    change.map(|change| change.packed()).unwrap_or_default(),
                    new.len(),
                )),
            })
        });
        let Some((bytes, size)) = done?.flatten() else {
            return Ok(None);
        };
        // Attributes: those of the text that is shown, but what the other has changed.
        let of = |at: Option<&EventRef>| -> Result<Option<Version>, StoreError> {
            let row = at.map(|at| self.row_of(key, &entity, *at)).transpose()?.flatten();
            row.map(|row| self.version_payload(key, entity, &row)).transpose()
        };
        let theirs = &other.version;
        let before = of(other.parents.first())?;
        let ours = match on.last().and_then(|at| made.get(place_in(at)?)) {
            Some((version, _)) => Some(version.clone()),
            None => of(on.last())?,
        };
        let (mut perm, mut xattrs) = (theirs.perm, theirs.xattrs.clone());
        if let (Some(before), Some(ours)) = (before, ours) {
            if before.perm == perm {
                perm = ours.perm;
            }
            if before.xattrs == xattrs {
                xattrs = ours.xattrs;
            }
        }
        Ok(Some(Version {
            form: Form::Text,
            size: size as u64,
            perm,
            xattrs,
            body: Body::Carried { of: other.at, bytes },
            ..theirs.clone()
        }))
    }
}

/// Stands for the event of the version at this place among those that are carried over together.
fn place_of(place: usize) -> EventRef {
    EventRef {
        chain: ChainId([0; 16]),
        seq: 2 + place as u64,
    }
}

/// The inverse.
pub(in crate::vault) fn place_in(at: &EventRef) -> Option<usize> {
    let place = at.seq.checked_sub(2).filter(|_| at.chain == NOWHERE.chain)?;
    usize::try_from(place).ok()
}

/// What names these versions together, of which some have no event yet.
fn heads_of(
    hot: &Hot,
    on: &[EventRef],
    made: &[(Version, Vec<EventRef>)],
) -> Result<Option<Heads>, DocumentError> {
    let mut all = Vec::new();
    for at in on {
        let heads = match place_in(at) {
            None => hot.names(at).cloned(),
            Some(place) => match made.get(place) {
                Some((version, replaces)) => match carried_name(version) {
                    Some(name) => Some(name),
                    None => heads_of(hot, &replaces[..replaces.len() - 1], made)?,
                },
                None => None,
            },
        };
        match heads {
            Some(heads) => all.extend_from_slice(heads.as_slice()),
            None => return Ok(None),
        }
    }
    Ok(Some(hot.doc.newest_of(all.into_iter().collect())))
}

/// The change that a version is which carries another; none if it is none.
fn carried_name(version: &Version) -> Option<Heads> {
    let name = crate::vault::history::change_name(version, NOWHERE.chain)?;
    Some([name].into_iter().collect())
}
