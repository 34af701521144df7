//! What is noted of events that are here and are not taken: set aside for what they say, or waiting.
//!
//! Guarantees: who judged an event is noted with it, so that a program that reads more looks at it once more, and one
//! that reads no more does not. A note that cannot be read counts as one of an older program, about names.

use std::sync::atomic::Ordering::Relaxed;

use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::db::{Db, DbError, Table};
use crate::event::EventRef;
use crate::ids::ChainId;
use crate::vault::Vault;
use crate::vault::texts::Verdict;

/// How much this program reads of what other devices tell. It grows by one with each version that reads more, be it a
/// kind of event, a payload, or a limit: then all that was set aside, and all that waited for a newer program, is
/// tried once more.
pub(in crate::vault) const PROGRAM_LEVEL: u8 = 1;

const ASIDE: u8 = 7;
const WAITING: u8 = 8;
/// The row that says that files are to become texts, or none, as the setting is that came.
pub(super) const TURN: u8 = 9;

const VERSION: u8 = 0;
/// In a note: it is about names or chains. Until it is read nobody knows where names lie.
const OF_NAMES: u8 = 1;
/// It takes a newer program.
const NEWER: u8 = 2;

/// What is here of other devices, and is not read by this program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// Events that a newer program made, and such as build on them.
    pub newer: u64,
    /// Events that are set aside for what they say.
    pub aside: u64,
}

/// What a note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) at: EventRef,
    /// The batch in which it came; none of one that is set aside.
    pub(super) batch: Option<u64>,
    /// It is about names or chains.
    pub(super) of_names: bool,
    /// It takes a newer program.
    pub(super) newer: bool,
    /// The level of the program that said so.
    pub(super) level: u8,
}

fn note(tag: u8, at: &EventRef) -> Vec<u8> {
    [&[tag][..], &at.chain.0, &at.seq.to_be_bytes()].concat()
}

/// The row of an event that is set aside.
pub(super) fn aside_note(at: &EventRef) -> Vec<u8> {
    note(ASIDE, at)
}

/// The row of an event that waits.
pub(super) fn waiting_note(at: &EventRef) -> Vec<u8> {
    note(WAITING, at)
}

impl Note {
    /// The row's value.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).u8(self.level);
        if let Some(batch) = self.batch {
            let bit = |yes: bool, bit: u8| if yes { bit } else { 0 };
            w.raw(&batch.to_be_bytes())
                .u8(bit(self.of_names, OF_NAMES) | bit(self.newer, NEWER));
        }
        w.0
    }

    fn decode(at: EventRef, tag: u8, value: &[u8]) -> Result<Note, Malformed> {
        let mut r = Reader::new(value);
        if r.u8()? != VERSION {
            return Err(Malformed("a note of an event is of an unknown version"));
        }
        let level = r.u8()?;
        let (batch, what) = match tag {
            WAITING => (Some(u64::from_be_bytes(r.array()?)), r.u8()?),
            _ => (None, 0),
        };
        r.end()?;
        if what & !(OF_NAMES | NEWER) != 0 {
            return Err(Malformed("a note of an event says something unknown"));
        }
        Ok(Note {
            at,
            batch,
            of_names: what & OF_NAMES != 0,
            newer: what & NEWER != 0,
            level,
        })
    }

    /// What a row says; none if it is about no event.
    fn of(key: &[u8], value: &[u8]) -> Option<Note> {
        let (tag, key) = key.split_first()?;
        let (chain, seq) = key.split_first_chunk::<16>()?;
        let at = EventRef {
            chain: ChainId(*chain),
            seq: u64::from_be_bytes(seq.try_into().ok()?),
        };
        Some(Note::decode(at, *tag, value).unwrap_or(Note {
            at,
            batch: None,
            of_names: true,
            newer: true,
            level: 0,
        }))
    }
}

/// Whether anything is to be tried once more by a program of this level; and whether that is so of what is set aside.
pub(in crate::vault) fn is_waiting(db: &Db, level: u8) -> Result<(bool, bool), DbError> {
    let (mut waits, mut aside) = (false, false);
    db.scan(Table::Pending, &[WAITING], &mut |key, value| {
        waits = Note::of(key, value).is_some_and(|note| is_due(&note, false, level));
        !waits
    })?;
    db.scan(Table::Pending, &[ASIDE], &mut |key, value| {
        aside = Note::of(key, value).is_some_and(|note| is_due(&note, true, level));
        !aside
    })?;
    let turns = db.get(Table::Pending, &[TURN])?.is_some();
    Ok((waits || aside || turns, aside))
}

/// Whether a program of this level is to try it.
fn is_due(note: &Note, aside: bool, level: u8) -> bool {
    (!aside && !note.newer) || note.level < level
}

/// Whether anything waits that was said of names or chains.
pub(in crate::vault) fn do_names_wait(db: &Db) -> Result<bool, DbError> {
    let mut waits = false;
    db.scan(Table::Pending, &[WAITING], &mut |key, value| {
        waits = Note::of(key, value).is_some_and(|note| note.of_names);
        !waits
    })?;
    Ok(waits)
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
        self.texts.level.store(level, Relaxed);
        let (waits, aside) = is_waiting(&self.core.db, level)?;
        self.texts.try_aside.store(aside, Relaxed);
        self.texts.to_retry.store(waits, Relaxed);
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

    /// The notes of all that waits.
    pub(super) fn waiting(&self) -> Result<Vec<Note>, StoreError> {
        self.notes(WAITING, &|_| true)
    }

    /// The notes of what is to be tried: of what waits, and, if that is asked for, of what is set aside.
    pub(super) fn due(&self, aside: bool) -> Result<(Vec<Note>, Vec<Note>), StoreError> {
        let level = self.level();
        let waiting = self.notes(WAITING, &|note| is_due(note, false, level))?;
        let aside = match aside {
            true => self.notes(ASIDE, &|note| is_due(note, true, level))?,
            false => Vec::new(),
        };
        Ok((waiting, aside))
    }

    fn notes(&self, tag: u8, which: &dyn Fn(&Note) -> bool) -> Result<Vec<Note>, StoreError> {
        let mut found = Vec::new();
        self.core.db.scan(Table::Pending, &[tag], &mut |key, value| {
            found.extend(Note::of(key, value).filter(which));
            true
        })?;
        Ok(found)
    }

    /// What is noted of an event that is not looked at now, or by what it goes on from.
    pub(super) fn noted(&self, at: &EventRef) -> Result<Verdict, StoreError> {
        let level = self.level();
        let db = &self.core.db;
        let key = aside_note(at);
        let aside = db.get(Table::Pending, &key)?;
        if let Some(note) = aside.and_then(|value| Note::of(&key, &value)) {
            // One that is to be tried, and could not be read just now, is not judged yet.
            return Ok(match is_due(&note, true, level) {
                true => Verdict::Waits,
                false => Verdict::Refused,
            });
        }
        let key = waiting_note(at);
        let waits = db.get(Table::Pending, &key)?;
        Ok(match waits.and_then(|value| Note::of(&key, &value)) {
            None => Verdict::Good,
            Some(note) if is_due(&note, false, level) => Verdict::Waits,
            Some(_) => Verdict::Newer,
        })
    }

    /// What is here of other devices, and is not read by this program.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn unreadable(&self) -> Result<Unreadable, StoreError> {
        Ok(Unreadable {
            newer: self.notes(WAITING, &|note| note.newer)?.len() as u64,
            aside: self.notes(ASIDE, &|_| true)?.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the one form of a note, and that one which cannot be read is tried again, and holds names up.
    #[test]
    fn a_note_is_what_its_row_says() {
        let at = EventRef {
            chain: ChainId([7; 16]),
            seq: 9,
        };
        for (batch, of_names, newer) in [
            (None, false, false),
            (Some(5), false, false),
            (Some(5), true, false),
            (Some(5), false, true),
            (Some(5), true, true),
        ] {
            let level = 3;
            let note = Note {
                at,
                batch,
                of_names,
                newer,
                level,
            };
            let key = match batch {
                None => aside_note(&at),
                Some(_) => waiting_note(&at),
            };
            let value = note.encode();
            assert_eq!(Note::of(&key, &value), Some(note));
            for bad in [&value[..value.len() - 1], &[], &[&value[..], &[0]].concat()] {
                let read = Note::of(&key, bad).unwrap();
                assert!(read.of_names && read.newer && read.level == 0, "{bad:?}");
            }
        }
        let keys = [waiting_note(&at), aside_note(&at)];
        assert_eq!(keys.map(|key| key.len()), [25, 25]);
    }
}
