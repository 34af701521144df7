//! Rows of what was said of chains, in the table of operations on names.

use std::collections::BTreeMap;

use super::{Horizon, WordOf};
use crate::codec::{Malformed, Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::horizon::Said;
use crate::ids::ChainId;
use crate::keys::{Aad, open, seal};
use crate::record::kind;
use crate::vault::{Problem, Vault};

/// What a chain has said.
const SAID: u8 = 3;
/// Up to where all is settled, and the note.
const LINE: u8 = 4;
const NOTE: u8 = 5;
/// The longest silence that is told apart, in seconds: so seldom the note is written for it.
const COARSE: i64 = 3600;

fn row(chain: &ChainId) -> Vec<u8> {
    [&[SAID], &chain.0[..]].concat()
}

fn aad(chain: &ChainId, number: u64) -> Aad {
    Aad {
        kind: kind::SAID,
        id: chain.0,
        chain: [0; 16],
        version: number,
        generation: 0,
    }
}

/// Version 0 (1) ‖ Lamport time (8).
fn line_of(plain: &[u8]) -> Result<u64, Malformed> {
    let mut r = Reader::new(plain);
    if r.u8()? != 0 {
        return Err(Malformed("a line of an unknown version"));
    }
    let line = r.u64()?;
    r.end().map(|()| line)
}

/// No chain: of the rows that there is one of.
const NONE: ChainId = ChainId([0; 16]);

/// When this device heard of whom, by its own clock, and what it is yet to acknowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// When it acknowledged last, or began to listen.
    pub(super) acknowledged: i64,
    /// It has heard something since that calls for it.
    pub(super) owes: bool,
    /// At once: somebody was lapsed.
    pub(super) at_once: bool,
    /// When each chain was heard last, or this device began to listen to it.
    pub(super) heard: BTreeMap<ChainId, i64>,
}

impl Note {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0).u64(self.acknowledged as u64);
        w.u8(u8::from(self.owes) | u8::from(self.at_once) << 1);
        for (chain, when) in &self.heard {
            w.raw(&chain.0).u64(*when as u64);
        }
        w.0
    }

    fn decode(bytes: &[u8]) -> Result<Note, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed("the note of who was heard is of an unknown version"));
        }
        let (acknowledged, flags) = (r.u64()? as i64, r.u8()?);
        let mut heard = BTreeMap::new();
        while r.remaining() > 0 {
            heard.insert(ChainId(r.array()?), r.u64()? as i64);
        }
        Ok(Note {
            acknowledged,
            owes: flags & 1 != 0,
            at_once: flags & 2 != 0,
            heard,
        })
    }

    /// A chain was heard; whether that is worth a row.
    pub(super) fn hear(&mut self, chain: ChainId, now: i64) -> bool {
        let last = self.heard.entry(chain).or_insert(i64::MIN);
        // A clock that was ahead keeps nobody from being silent.
        let is_news = now.abs_diff(*last) >= COARSE as u64;
        if is_news {
            *last = now;
        }
        is_news
    }
}

impl Vault {
    pub(super) fn load_horizon(&self) -> Result<Horizon, StoreError> {
        let mut horizon = Horizon::default();
        let mut bad = 0u64;
        self.core.db.scan(Table::Moves, &[SAID], &mut |key, sealed| {
            let chain = key
                .get(1..)
                .and_then(|id| <[u8; 16]>::try_from(id).ok())
                .map(ChainId);
            let said = chain.and_then(|chain| {
                let plain = open(&self.local, &aad(&chain, 0), sealed).ok()?;
                Some((chain, Said::decode(&plain).ok()?))
            });
            match said {
                Some((chain, said)) => drop(horizon.said.insert(chain, said)),
                None => bad += 1,
            }
            true
        })?;
        if let Some(sealed) = self.core.db.get(Table::Moves, &[LINE])? {
            let what = "the record of what all devices have agreed on";
            let plain = open(&self.local, &aad(&NONE, 1), &sealed).map_err(StoreError::tampered(what))?;
            horizon.line = line_of(&plain).map_err(StoreError::malformed(what))?;
        }
        if let Some(sealed) = self.core.db.get(Table::Moves, &[NOTE])? {
            let plain = open(&self.local, &aad(&NONE, 2), &sealed);
            // Without it, everybody was heard just now.
            horizon.note = plain
                .ok()
                .and_then(|plain| Note::decode(&plain).ok())
                .unwrap_or_default();
        }
        if bad > 0 {
            let what = format!("{bad} records of what devices have acknowledged are damaged");
            self.note_problem(Problem::new(None, what));
        }
        Ok(horizon)
    }

    /// What these words make of what their chains have said, with its rows.
    pub(in crate::vault) fn put_words(
        &self,
        batch: &mut Batch,
        words: &[WordOf],
    ) -> Result<BTreeMap<ChainId, Said>, StoreError> {
        let mut all: BTreeMap<ChainId, Said> = BTreeMap::new();
        if words.is_empty() {
            return Ok(all);
        }
        self.with_horizon(|horizon| {
            for word in words {
                let chain = word.at.chain;
                let known = || horizon.said.get(&chain).cloned().unwrap_or_default();
                let said = all.entry(chain).or_insert_with(known);
                said.hear((word.at.seq, word.lamport), &word.say);
            }
        })?;
        for (chain, said) in &all {
            let sealed = seal(&self.local, &aad(chain, 0), &said.encode());
            batch.put(Table::Moves, row(chain), sealed);
        }
        Ok(all)
    }

    /// They are stored.
    pub(in crate::vault) fn words_are_stored(&self, all: BTreeMap<ChainId, Said>) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        self.with_horizon(|horizon| {
            horizon.said.extend(all);
            horizon.found_with = None;
        })
    }

    /// Notes up to where all is settled.
    pub(in crate::vault) fn put_line(&self, batch: &mut Batch, line: u64) {
        let mut w = Writer::new();
        w.u8(0).u64(line);
        batch.put(Table::Moves, [LINE], seal(&self.local, &aad(&NONE, 1), &w.0));
    }

    pub(super) fn put_note(&self, batch: &mut Batch, note: &Note) {
        batch.put(
            Table::Moves,
            [NOTE],
            seal(&self.local, &aad(&NONE, 2), &note.encode()),
        );
    }
}
