//! What is noted of events that are here and are not taken: set aside for what they say, or waiting.
//!
//! Here is the form of these rows; `noted` asks for them. Guarantees: who judged an event is noted with it, so that a
//! program that reads more looks at it once more, and one that reads no more does not; what was refused of names or
//! chains is so for good. A note whose value cannot be read counts as one of an older program.

use crate::codec::{Malformed, Reader, Writer};
use crate::db::{Batch, Table};
use crate::event::{EventRef, Head};
use crate::ids::ChainId;

/// How much this program reads of what other devices tell. It grows by one with each version that reads more, be it a
/// kind of event, a payload, or a limit: then all that was set aside of files, and all that waited for a newer program, is
/// tried once more. What an earlier level refuses of names and chains every later one refuses, too (docs/tree.md): there
/// a later program may only read what this one takes for a newer one's.
pub(in crate::vault) const PROGRAM_LEVEL: u8 = 1;

/// Of files and settings: set aside …
pub(super) const ASIDE: u8 = 7;
/// … waits for something that is not here …
pub(super) const WAITS: u8 = 8;
/// The row that says that files are to become texts, or none, as the setting is that came.
pub(super) const TURN: u8 = 9;
/// … or for a newer program.
pub(super) const NEWER: u8 = 10;
/// The same of names and chains, and of what may be about them: until it is read nobody knows where names lie.
pub(super) const NAMES_WAIT: u8 = 11;
pub(super) const NAMES_NEWER: u8 = 12;
pub(super) const NAMES_ASIDE: u8 = 13;
/// Notes of what may be told of a file, and was not taken.
pub(super) const OF_FILES: [u8; 4] = [ASIDE, WAITS, NEWER, NAMES_NEWER];

const VERSION: u8 = 0;

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

/// The key of a note.
pub(super) fn key(tag: u8, subject: &[u8; 16], at: &EventRef) -> Vec<u8> {
    [&[tag][..], subject, &at.chain.0, &at.seq.to_be_bytes()].concat()
}

/// What the keys of a subject's notes begin with.
pub(super) fn of_subject(tag: u8, subject: &[u8; 16]) -> Vec<u8> {
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
    pub(super) fn of(key: &[u8], value: &[u8]) -> Option<Note> {
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
    pub(super) fn is_due(&self, level: u8) -> bool {
        match self.fate {
            Fate::Waits => true,
            Fate::Newer => self.level < level,
            // Others may have settled what lies behind it: it has no place among names any more, and gets none.
            Fate::Aside => !self.about.of_names && self.level < level,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
