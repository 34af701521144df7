//! What is noted of events that are here and are not taken: set aside for what they say, or waiting.
//!
//! Guarantees: who judged an event is noted with it, so that a program that reads more looks at it once more, and one
//! that reads no more does not; what was refused of names or chains is so for good. What a note is asked for its key
//! says: nobody looks at all of them to find one kind, or those of one file. A note whose value cannot be read counts as
//! one of an older program.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Db, DbError, Table};
use crate::event::{EventRef, Head};
use crate::ids::{ChainId, EntityId};
use crate::vault::Vault;
use crate::vault::texts::Verdict;

/// How much this program reads of what other devices tell. It grows by one with each version that reads more, be it a
/// kind of event, a payload, or a limit: then all that was set aside of files, and all that waited for a newer program, is
/// tried once more. What an earlier level refuses of names and chains every later one refuses, too (docs/tree.md): there
/// a later program may only read what this one takes for a newer one's.
pub(in crate::vault) const PROGRAM_LEVEL: u8 = 1;

/// Of files and settings: set aside …
const ASIDE: u8 = 7;
/// … waits for something that is not here …
const WAITS: u8 = 8;
/// The row that says that files are to become texts, or none, as the setting is that came.
pub(super) const TURN: u8 = 9;
/// … or for a newer program.
const NEWER: u8 = 10;
/// The same of names and chains, and of what may be about them: until it is read nobody knows where names lie.
const NAMES_WAIT: u8 = 11;
const NAMES_NEWER: u8 = 12;
const NAMES_ASIDE: u8 = 13;
/// Notes of what may be told of a file, and was not taken.
const OF_FILES: [u8; 4] = [ASIDE, WAITS, NEWER, NAMES_NEWER];

const VERSION: u8 = 0;

/// So many of those that wait are tried with each batch that comes, of its own files and of others.
pub(super) const TRY_MOST: usize = 256;

/// What is here of other devices, and is not read by this program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Events that a newer program made, and such as build on them.
    pub newer: u64,
    /// Events that are set aside for what they say.
    pub aside: u64,
}

/// What became of an event that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is set aside.
    Aside,
    /// It waits for something that is not here.
    Waits,
    /// It waits for a newer program.
    Newer,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) at: EventRef,
    /// What its event is about: a file, a node, a setting, a chain.
    pub(super) subject: [u8; 16],
    /// It is about names or chains, or may be.
    pub(super) of_names: bool,
}

/// What a note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) about: About,
    pub(super) fate: Fate,
    /// The batch in which it came; none of one that is set aside.
    pub(super) batch: Option<u64>,
    /// The level of the program that said so.
    pub(super) level: u8,
}

/// Which of those that wait are tried.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'a> {
    /// All of them.
    All,
    /// Those of these files, and some of the others, by turns.
    Of(&'a HashSet<[u8; 16]>),
}

fn key(tag: u8, subject: &[u8; 16], at: &EventRef) -> Vec<u8> {
    [&[tag][..], subject, &at.chain.0, &at.seq.to_be_bytes()].concat()
}

fn of_subject(tag: u8, subject: &[u8; 16]) -> Vec<u8> {
    [&[tag][..], subject].concat()
}

impl About {
    /// What notes of this event are about.
    pub(super) fn of(head: &Head) -> About {
        About {
            at: head.at,
            subject: head.subject,
            of_names: head.kind.concerns_names(),
        }
    }

    fn key(&self, fate: Fate) -> Vec<u8> {
        let tag = match (fate, self.of_names) {
            (Fate::Aside, false) => ASIDE,
            (Fate::Waits, false) => WAITS,
            (Fate::Newer, false) => NEWER,
            (Fate::Aside, true) => NAMES_ASIDE,
            (Fate::Waits, true) => NAMES_WAIT,
            (Fate::Newer, true) => NAMES_NEWER,
        };
        key(tag, &self.subject, &self.at)
    }

    /// It waits no more.
    pub(super) fn waits_no_more(&self, batch: &mut Batch) {
        batch.delete(Table::Pending, self.key(Fate::Waits));
        batch.delete(Table::Pending, self.key(Fate::Newer));
    }

    /// It is not set aside any more.
    pub(super) fn is_not_aside(&self, batch: &mut Batch) {
        batch.delete(Table::Pending, self.key(Fate::Aside));
    }
}

impl Note {
    /// Notes it, in place of what was noted of its waiting.
    pub(super) fn put(&self, batch: &mut Batch) {
        let others = match self.fate {
            Fate::Aside => [Some(Fate::Waits), Some(Fate::Newer)],
            Fate::Waits => [Some(Fate::Newer), None],
            Fate::Newer => [Some(Fate::Waits), None],
        };
        for other in others.into_iter().flatten() {
            batch.delete(Table::Pending, self.about.key(other));
        }
        batch.put(Table::Pending, self.about.key(self.fate), self.encode());
    }

    /// The row's value.
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).u8(self.level);
        if let Some(batch) = self.batch {
            w.raw(&batch.to_be_bytes());
        }
        w.0
    }

    fn decode(about: About, fate: Fate, value: &[u8]) -> Result<Note, Malformed> {
        let mut r = Reader::new(value);
        if r.u8()? != VERSION {
            return Err(Malformed("a note of an event is of an unknown version"));
        }
        let level = r.u8()?;
        let batch = match fate {
            Fate::Aside => None,
            Fate::Waits | Fate::Newer => Some(u64::from_be_bytes(r.array()?)),
        };
        r.end()?;
        Ok(Note {
            about,
            fate,
            batch,
            level,
        })
    }

    /// What a row says; none if it is about no event.
    fn of(key: &[u8], value: &[u8]) -> Option<Note> {
        let (tag, key) = key.split_first()?;
        let (fate, of_names) = match *tag {
            ASIDE => (Fate::Aside, false),
            WAITS => (Fate::Waits, false),
            NEWER => (Fate::Newer, false),
            NAMES_ASIDE => (Fate::Aside, true),
            NAMES_WAIT => (Fate::Waits, true),
            NAMES_NEWER => (Fate::Newer, true),
            _ => return None,
        };
        let (subject, key) = key.split_first_chunk::<16>()?;
        let (chain, seq) = key.split_first_chunk::<16>()?;
        let about = About {
            at: EventRef {
                chain: ChainId(*chain),
                seq: u64::from_be_bytes(seq.try_into().ok()?),
            },
            subject: *subject,
            of_names,
        };
        Some(Note::decode(about, fate, value).unwrap_or(Note {
            about,
            fate,
            batch: None,
            level: 0,
        }))
    }

    /// Whether a program of this level is to try it.
    fn is_due(&self, level: u8) -> bool {
        match self.fate {
            Fate::Waits => true,
            Fate::Newer => self.level < level,
            // Others may have settled what lies behind it: it has no place among names any more, and gets none.
            Fate::Aside => !self.about.of_names && self.level < level,
        }
    }
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
        let most = Cell::new(TRY_MOST);
        let mut put = |key: &[u8], value: &[u8]| {
            let note = Note::of(key, value).filter(|note| seen.insert(note.about.at));
            found.extend(note);
            found.len() < most.get()
        };
        for file in files {
            db.scan(Table::Pending, &of_subject(WAITS, file), &mut put)?;
        }
        // Whoever tells much of one file keeps nothing else from its turn.
        most.set(2 * TRY_MOST);
        let mut tried = self.texts.tried.lock();
        let last = std::mem::take(&mut *tried);
        for from in [last.as_slice(), &[]] {
            for tag in [WAITS, NAMES_WAIT] {
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

    /// Guards the one form of a note, and that one which cannot be read is tried again, and holds names up if it is of
    /// such.
    #[test]
    fn a_note_is_what_its_row_says() {
        let at = EventRef {
            chain: ChainId([7; 16]),
            seq: 9,
        };
        let mut keys = HashSet::new();
        for (fate, batch) in [
            (Fate::Aside, None),
            (Fate::Waits, Some(5)),
            (Fate::Newer, Some(5)),
        ] {
            for of_names in [false, true] {
                let about = About {
                    at,
                    subject: [3; 16],
                    of_names,
                };
                let level = 3;
                let note = Note {
                    about,
                    fate,
                    batch,
                    level,
                };
                let (key, value) = (about.key(fate), note.encode());
                assert_eq!(key.len(), 41);
                assert_eq!(Note::of(&key, &value), Some(note));
                for bad in [&value[..value.len() - 1], &[], &[&value[..], &[0]].concat()] {
                    let read = Note::of(&key, bad).unwrap();
                    assert_eq!((read.about, read.fate, read.level), (about, fate, 0), "{bad:?}");
                    assert_eq!(read.is_due(1), !(of_names && fate == Fate::Aside));
                }
                assert!(keys.insert(key));
            }
        }
        assert_eq!(Note::of(&[TURN], &[0]), None);
    }
}
