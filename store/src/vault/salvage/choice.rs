//! What of an entity's versions its file showed, brought to the destination.
//!
//! Guarantees: of concurrent versions it is the line that the vault would show; one that began before it
//! only where that cannot be read, and that is said. What only a newer program can read, and what goes on from it, is left out,
//! as the vault does, and that is said, too. Each version is opened once to know its line, and no more than one is kept in
//! memory.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::out::{BringError, Out};
use super::told::{Newest, Past, Told, Unusable, is_newer};
use super::woven::{Woven, in_order, is_change};
use crate::event::{EventRef, Version};
use crate::ids::EntityId;
use crate::keys::Key;
use crate::vault::texts::{Line, Step, lines};

/// A version brought to the destination.
pub(super) struct Restored {
    /// In bytes.
    pub(super) size: u64,
    pub(super) at: PathBuf,
    /// The versions that it is, and those that they were made from.
    pub(super) covers: HashSet<EventRef>,
    /// A newer one was told, and does not open.
    pub(super) newer_lost: bool,
    /// One was told that is not among those, and only a newer program can read it.
    pub(super) newer_waits: bool,
}

/// What is known of an entity's versions.
struct Lines {
    /// The one that its file shows first.
    lines: Vec<Line>,
    /// A version that nothing replaces cannot be read, so that what it was is not known.
    is_lost: bool,
    /// Those that only a newer program can read, and what goes on from them.
    waits: HashSet<EventRef>,
}

/// What may be brought out of an entity.
enum Candidate {
    Line(Line),
    Doubtful(Newest),
}

/// These versions, and all that they were made from.
fn covered(past: &Past, heads: Vec<EventRef>) -> HashSet<EventRef> {
    let parents: HashMap<EventRef, &Vec<EventRef>> = past
        .iter()
        .map(|(newest, parents)| (newest.at, parents))
        .collect();
    let (mut covers, mut next) = (HashSet::new(), heads);
    while let Some(at) = next.pop() {
        if covers.insert(at) {
            next.extend(parents.get(&at).into_iter().copied().flatten());
        }
    }
    covers
}

impl Told {
    /// Writes what an entity's file showed, as its events tell, to a file.
    pub(super) fn restore(
        &self,
        entity: EntityId,
        to: &Path,
        out: &mut Out<'_>,
    ) -> Result<Restored, BringError> {
        let lost = |what: &str| BringError::Vault(format!("{what} is missing or damaged"));
        let versions = self.versions.get(&entity).ok_or_else(|| lost("its content"))?;
        let key = self.key(&entity).ok_or_else(|| lost("its key"))?;
        let all = &in_order(&versions.past);
        let Lines {
            lines,
            is_lost: mut newer_lost,
            mut waits,
        } = self.lines(&key, &entity, all);
        let past = all.iter().filter(|(newest, _)| !waits.contains(&newest.at));
        let past = &past.cloned().collect::<Past>();
        // What nothing vouches for, but its seal: first, if it is newer than all others.
        let doubtful = versions.doubtful;
        let is_first = doubtful.is_some_and(|other| {
            let newer = |known: &Newest| is_newer((known.lamport, known.at), (other.lamport, other.at));
            all.iter().all(|(known, _)| newer(known))
        });
        let doubtful = doubtful.map(Candidate::Doubtful);
        let (first, last) = if is_first {
            (doubtful, None)
        } else {
            (None, doubtful)
        };
        let lines = lines.into_iter().map(Candidate::Line);
        for candidate in first.into_iter().chain(lines).chain(last) {
            let whole = |newest| self.whole(&key, &entity, newest);
            let found = match &candidate {
                Candidate::Doubtful(newest) => whole(newest),
                Candidate::Line(line) if line.is_whole() => {
                    let newest = past.iter().find(|(newest, _)| newest.at == line.last);
                    newest.map_or(Err(Unusable::Damaged), |(newest, _)| whole(newest))
                }
                Candidate::Line(line) => {
                    let name = to.file_name().map_or(&b""[..], OsStrExt::as_bytes);
                    let woven = self.woven(&key, &entity, past, line, name);
                    woven.ok_or(Unusable::Damaged)
                }
            };
            let Woven { version, is_whole } = match (found, &candidate) {
                (Ok(woven), _) => woven,
                (Err(Unusable::Damaged), _) => {
                    newer_lost = true;
                    continue;
                }
                (Err(Unusable::Newer), Candidate::Line(Line { last, .. })) => {
                    waits.insert(*last);
                    continue;
                }
                (Err(Unusable::Newer), Candidate::Doubtful(newest)) => {
                    waits.insert(newest.at);
                    continue;
                }
            };
            let (size, at) = self.write_version(&version, to, out)?;
            let heads = match candidate {
                Candidate::Line(line) => line.heads,
                Candidate::Doubtful(newest) => vec![newest.at],
            };
            let covers = covered(all, heads);
            return Ok(Restored {
                size,
                at,
                newer_waits: !waits.is_subset(&covers),
                covers,
                newer_lost: newer_lost || !is_whole,
            });
        }
        match waits.is_empty() || newer_lost {
            true => Err(lost("its content")),
            false => Err(BringError::Newer),
        }
    }

    /// A version that has its bytes.
    fn whole(&self, key: &Key, entity: &EntityId, newest: &Newest) -> Result<Woven, Unusable> {
        let version = self.version(key, entity, newest)?;
        match is_change(&version.body) {
            true => Err(Unusable::Damaged),
            false => Ok(Woven {
                version,
                is_whole: true,
            }),
        }
    }

    /// The lines of an entity's versions.
    fn lines(&self, key: &Key, entity: &EntityId, past: &Past) -> Lines {
        let (mut unread, mut waits) = (Vec::new(), HashSet::new());
        let mut steps = Vec::with_capacity(past.len());
        for (newest, parents) in past {
            // The only one needs no look.
            let version = match past.len() > 1 && newest.is_kept() {
                true => self.version(key, entity, newest),
                false => Err(Unusable::Damaged),
            };
            let needs = |version: &Version| {
                let needed = version.needs(parents).unwrap_or_default();
                needed.iter().any(|at| waits.contains(at))
            };
            if matches!(version, Err(Unusable::Newer)) || version.as_ref().is_ok_and(needs) {
                waits.insert(newest.at);
                continue;
            }
            let body = version.ok().map(|version| version.body);
            let is_lost = past.len() > 1 && newest.is_kept() && body.is_none();
            unread.extend(is_lost.then_some(newest.at));
            steps.push(Step {
                at: newest.at,
                lamport: newest.lamport,
                parents,
                // Mostly it goes on with what it was made from.
                is_change: body.map_or(is_lost && !parents.is_empty(), |body| is_change(&body)),
                counts: newest.is_kept(),
            });
        }
        let is_replaced = |at: &EventRef| steps.iter().any(|step| step.parents.contains(at));
        let is_lost = unread.iter().any(|at| !is_replaced(at));
        Lines {
            lines: lines(&steps),
            is_lost,
            waits,
        }
    }
}
