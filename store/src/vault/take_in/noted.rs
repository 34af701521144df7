//! What is asked of the notes: what is to be tried now, what is noted of an event, and how much there is.
//!
//! Guarantees: what a question is about the notes' keys say. So nobody looks at all of them to find one kind, or those of
//! one file; and with a batch that comes a bounded part of what waits is tried, by turns, so that all comes to its turn.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

use super::notes::{
    ASIDE, Fate, NAMES_ASIDE, NAMES_NEWER, NAMES_WAIT, NEWER, Note, OF_FILES, TURN, WAITS, key, of_subject,
};
use crate::core::StoreError;
use crate::db::{Db, DbError, Table};
use crate::event::EventRef;
use crate::ids::EntityId;
use crate::vault::Vault;
use crate::vault::texts::Verdict;

/// So many of those that wait are tried with each batch that comes, of its own files and of others.
const TRY_MOST: usize = 256;

/// What is here of other devices, and is not read by this program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Events that a newer program made, and such as build on them.
    pub newer: u64,
    /// Events that are set aside for what they say.
    pub aside: u64,
}

/// Which of those that wait are tried.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'a> {
    /// All of them.
    All,
    /// Those of these files, and some of the others, by turns.
    Of(&'a HashSet<[u8; 16]>),
}

fn is_any(db: &Db, tags: &[u8], which: &dyn Fn(&Note) -> bool) -> Result<bool, DbError> {
    let mut found = false;
    for tag in tags {
        if !found {
            db.scan(Table::Pending, &[*tag], &mut |key, value| {
                found = Note::of(key, value).is_some_and(|note| which(&note));
                !found
            })?;
        }
    }
    Ok(found)
}

/// Whether anything waits that was said of names or chains.
pub(in crate::vault) fn do_names_wait(db: &Db) -> Result<bool, DbError> {
    is_any(db, &[NAMES_WAIT, NAMES_NEWER], &|_| true)
}

impl Vault {
    /// How much the program reads by which this vault is open.
    pub(super) fn level(&self) -> u8 {
        self.texts.level.load(Relaxed)
    }

    /// As if a program of this level had opened the vault.
    #[cfg(test)]
    pub(in crate::vault) fn open_as(&self, level: u8) {
        self.begin_trying(level).unwrap();
    }

    /// A program of this level has opened the vault: what it may read is tried soon.
    pub(in crate::vault) fn begin_trying(&self, level: u8) -> Result<(), DbError> {
        let db = &self.core.db;
        self.texts.level.store(level, Relaxed);
        let older = is_any(db, &[NEWER, NAMES_NEWER, ASIDE], &|note| note.is_due(level))?;
        let waits = is_any(db, &[WAITS, NAMES_WAIT], &|_| true)?;
        let turns = db.get(Table::Pending, &[TURN])?.is_some();
        self.texts.try_older.store(older, Relaxed);
        self.texts.to_retry.store(older || waits || turns, Relaxed);
        Ok(())
    }

    /// A payload, as a program of this level reads it. In tests one of level 2 reads those of version 1 as such of
    /// version 0.
    pub(in crate::vault) fn as_read(&self, plain: Vec<u8>) -> Vec<u8> {
        #[cfg(test)]
        if self.level() > 1 && plain.first() == Some(&1) {
            return [&[0], &plain[1..]].concat();
        }
        plain
    }

    /// The notes of what is to be tried: of these that wait; and of what an older program has judged, if that is asked
    /// for.
    pub(super) fn due(&self, which: Which<'_>, older: bool) -> Result<Vec<Note>, StoreError> {
        let level = self.level();
        let is_due = |note: &Note| note.is_due(level);
        let mut due = match which {
            Which::All => self.notes(&[WAITS, NAMES_WAIT], &is_due)?,
            Which::Of(files) => self.some_waiting(files)?,
        };
        if older {
            due.extend(self.notes(&[NEWER, NAMES_NEWER, ASIDE], &is_due)?);
        }
        Ok(due)
    }

    /// Of what waits for something that is not here that of these files, then others from where the last time ended;
    /// of both not more than are tried with one batch.
    fn some_waiting(&self, files: &HashSet<[u8; 16]>) -> Result<Vec<Note>, StoreError> {
        let db = &self.core.db;
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let (most, count) = (Cell::new(TRY_MOST), Cell::new(0));
        let full = || count.get() >= most.get();
        let mut put = |key: &[u8], value: &[u8]| {
            let note = Note::of(key, value).filter(|note| seen.insert(note.about.at));
            count.set(count.get() + usize::from(note.is_some()));
            found.extend(note);
            !full()
        };
        for file in files {
            if full() {
                break;
            }
            db.scan(Table::Pending, &of_subject(WAITS, file), &mut put)?;
        }
        // Whoever tells much of one file keeps nothing else from its turn.
        most.set(2 * TRY_MOST);
        let mut tried = self.texts.tried.lock();
        let last = std::mem::take(&mut *tried);
        for from in [last.as_slice(), &[]] {
            for tag in [WAITS, NAMES_WAIT] {
                // Else each scan would move the turn to its own first.
                if full() {
                    break;
                }
                let begin = match from.first() {
                    Some(first) if *first > tag => continue,
                    Some(first) if *first == tag => from,
                    _ => &[tag],
                };
                db.scan_from(Table::Pending, &[tag], begin, &mut |key, value| {
                    tried.clear();
                    tried.extend_from_slice(key);
                    put(key, value)
                })?;
            }
            if last.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    fn notes(&self, tags: &[u8], which: &dyn Fn(&Note) -> bool) -> Result<Vec<Note>, StoreError> {
        let mut found = Vec::new();
        for tag in tags {
            self.core.db.scan(Table::Pending, &[*tag], &mut |key, value| {
                found.extend(Note::of(key, value).filter(which));
                true
            })?;
        }
        Ok(found)
    }

    /// The notes of versions that wait, or may be such.
    pub(super) fn waiting_versions(&self) -> Result<Vec<Note>, StoreError> {
        self.notes(&[WAITS, NEWER], &|_| true)
    }

    /// The notes of all that may be told of files and was not taken.
    pub(super) fn notes_of_files(&self) -> Result<Vec<Note>, StoreError> {
        self.notes(&OF_FILES, &|_| true)
    }

    /// Calls `each` with the key of each note of a file.
    pub(super) fn each_key_of(&self, file: &EntityId, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        for tag in OF_FILES {
            let prefix = of_subject(tag, &file.0);
            self.core.db.scan(Table::Pending, &prefix, &mut |key, _| {
                each(key);
                true
            })?;
        }
        Ok(())
    }

    /// What is noted of a version of this entity that is not looked at now, or by what it goes on from.
    pub(super) fn noted(&self, at: &EventRef, entity: &[u8; 16]) -> Result<Verdict, StoreError> {
        let level = self.level();
        let keys = OF_FILES.map(|tag| key(tag, entity, at));
        let values = self.core.db.get_many(Table::Pending, &keys)?;
        let mut verdict = Verdict::Good;
        for (key, value) in keys.iter().zip(values) {
            let Some(note) = value.and_then(|value| Note::of(key, &value)) else {
                continue;
            };
            verdict = verdict.max(match (note.is_due(level), note.fate) {
                // One that is to be tried, and could not be read just now, is not judged yet.
                (true, _) | (_, Fate::Waits) => Verdict::Waits,
                (false, Fate::Newer) => Verdict::Newer,
                (false, Fate::Aside) => Verdict::Refused,
            });
        }
        Ok(verdict)
    }

    /// What is here of other devices, and is not read by this program.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn unreadable(&self) -> Result<Unreadable, StoreError> {
        let count = |tags: &[u8]| -> Result<u64, StoreError> {
            let mut count = 0;
            for tag in tags {
                self.core.db.scan(Table::Pending, &[*tag], &mut |_, _| {
                    count += 1;
                    true
                })?;
            }
            Ok(count)
        };
        Ok(Unreadable {
            newer: count(&[NEWER, NAMES_NEWER])?,
            aside: count(&[ASIDE, NAMES_ASIDE])?,
        })
    }

    /// Whether anything waits for a newer program.
    pub(in crate::vault) fn is_behind_others(&self) -> Result<bool, StoreError> {
        Ok(is_any(&self.core.db, &[NEWER, NAMES_NEWER], &|_| true)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Batch;
    use crate::ids::ChainId;
    use crate::io::sim::SimDisk;
    use crate::vault::tests::vault;

    /// Guards turns: of 2,000 that stay waiting, whatever they wait for, each is tried within as many turns as that takes. Beyond the first
    /// thousand none was: the scans of a turn that was full began it anew.
    #[test]
    fn each_that_waits_comes_to_its_turn() {
        let vault = vault(&SimDisk::new());
        for tags in [&[WAITS][..], &[WAITS, NAMES_WAIT]] {
            let mut batch = Batch::new();
            for n in 0..2_000u64 {
                let mut subject = [0; 16];
                subject[..8].copy_from_slice(&n.to_be_bytes());
                let at = EventRef {
                    chain: ChainId([7; 16]),
                    seq: 1 + n,
                };
                let tag = tags[n as usize % tags.len()];
                batch.put(
                    Table::Pending,
                    key(tag, &subject, &at),
                    [&[0, 1][..], &[0; 8]].concat(),
                );
            }
            vault.core.db.apply(&batch).unwrap();
            let mut tried = HashSet::new();
            for _ in 0..2_000 / TRY_MOST {
                let notes = vault.some_waiting(&HashSet::new()).unwrap();
                assert!(notes.len() <= 2 * TRY_MOST);
                tried.extend(notes.iter().map(|note| note.about.at.seq));
            }
            assert_eq!(tried.len(), 2_000, "{tags:?}");
        }
    }
}
