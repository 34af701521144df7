//! What of an entity's versions its file showed, brought to the destination.
//!
//! Guarantees: of concurrent versions it is the line that the vault would show; one that began before it
//! only where that cannot be read, and that is said. Each version is opened once to know its line, and
//! no more than one is kept in memory.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::out::{BringError, Out};
use super::told::{Newest, Past, Told, is_newer};
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
        let past = &in_order(&versions.past);
        let (lines, mut newer_lost) = self.lines(&key, &entity, past);
        // What nothing vouches for, but its seal: first, if it is newer than all others.
        let doubtful = versions.doubtful;
        let is_first = doubtful.is_some_and(|other| {
            let newer = |known: &Newest| is_newer((known.lamport, known.at), (other.lamport, other.at));
            past.iter().all(|(known, _)| newer(known))
        });
        let doubtful = doubtful.map(Candidate::Doubtful);
        let (first, last) = if is_first {
            (doubtful, None)
        } else {
            (None, doubtful)
        };
        let lines = lines.into_iter().map(Candidate::Line);
        for candidate in first.into_iter().chain(lines).chain(last) {
            let found = match &candidate {
                Candidate::Doubtful(newest) => self.whole(&key, &entity, newest).map(|version| Woven {
                    version,
                    is_whole: true,
                }),
                Candidate::Line(line) if line.is_whole() => {
                    let newest = past.iter().find(|(newest, _)| newest.at == line.last);
                    let version = newest.and_then(|(newest, _)| self.whole(&key, &entity, newest));
                    version.map(|version| Woven {
                        version,
                        is_whole: true,
                    })
                }
                Candidate::Line(line) => {
                    let name = to.file_name().map_or(&b""[..], OsStrExt::as_bytes);
                    self.woven(&key, &entity, past, line, name)
                }
            };
            let Some(Woven { version, is_whole }) = found else {
                newer_lost = true;
                continue;
            };
            let (size, at) = self.write_version(&version, to, out)?;
            let heads = match candidate {
                Candidate::Line(line) => line.heads,
                Candidate::Doubtful(newest) => vec![newest.at],
            };
            return Ok(Restored {
                size,
                at,
                covers: covered(past, heads),
                newer_lost: newer_lost || !is_whole,
            });
        }
        Err(lost("its content"))
    }

    /// A version that has its bytes.
    fn whole(&self, key: &Key, entity: &EntityId, newest: &Newest) -> Option<Version> {
        let version = self.version(key, entity, newest)?;
        (!is_change(&version.body)).then_some(version)
    }

    /// The lines of an entity's versions, the one that its file shows first; and whether a version that
    /// nothing replaces cannot be read, so that what it was is not known.
    fn lines(&self, key: &Key, entity: &EntityId, past: &Past) -> (Vec<Line>, bool) {
        let mut unread = Vec::new();
        let mut steps = Vec::with_capacity(past.len());
        for (newest, parents) in past {
            // The only one needs no look.
            let body = match past.len() > 1 && newest.is_kept() {
                true => self.version(key, entity, newest).map(|version| version.body),
                false => None,
            };
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
        (lines(&steps), is_lost)
    }
}
