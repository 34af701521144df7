//! What is said of chains, and what each chain has said of others so far.
//!
//! Guarantees: a payload and a row have one form each; hearing something twice, or in another order, comes to the same.

use std::collections::BTreeMap;

use crate::codec::{Malformed, Reader, Unread, Writer};
use crate::ids::ChainId;

const VERSION: u8 = 0;
/// Most chains that one event acknowledges.
pub const ACKS_MAX: usize = 4096;
/// Most words of one kind that are kept of a chain: more than any device ever has to say.
const WORDS_MAX: usize = 65_536;

/// What an event says of chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// This chain's device durably has these chains up to these events.
    Acknowledge(BTreeMap<ChainId, u64>),
    /// This chain is silent: nothing beyond this event of it counts as said at its own time.
    Lapse(ChainId, u64),
    /// What this chain says beyond this event counts as said now.
    Admit(ChainId, u64),
}

impl Say {
    /// An Acknowledge's payload, or that of a Lapse or Admit, whose event names the chain.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        match self {
            Say::Acknowledge(chains) => {
                w.varint(chains.len() as u64);
                for (chain, last) in chains {
                    w.raw(&chain.0).varint(*last);
                }
            }
            Say::Lapse(_, last) | Say::Admit(_, last) => {
                w.varint(*last);
            }
        }
        w.0
    }

    /// An Acknowledge, of its payload.
    ///
    /// # Errors
    /// [`Unread::Newer`] for a version that this program does not know; malformed for anything else but what
    /// [`encode`](Say::encode) makes of one.
    pub fn acknowledge(bytes: &[u8]) -> Result<Say, Unread> {
        let mut r = reader(bytes)?;
        let mut chains = BTreeMap::new();
        let count = r.varint()?;
        if count == 0 || count > ACKS_MAX as u64 {
            return Err(Malformed("too few or too many chains are acknowledged").into());
        }
        for _ in 0..count {
            let (chain, last) = (ChainId(r.array()?), r.varint()?);
            let follows = chains.last_key_value().is_none_or(|(before, _)| *before < chain);
            if !follows || last == 0 {
                return Err(Malformed("chains are acknowledged out of order").into());
            }
            chains.insert(chain, last);
        }
        r.end()?;
        Ok(Say::Acknowledge(chains))
    }

    /// The event of a Lapse or an Admit, of its payload.
    ///
    /// # Errors
    /// As [`acknowledge`](Say::acknowledge).
    pub fn last(bytes: &[u8]) -> Result<u64, Unread> {
        let mut r = reader(bytes)?;
        let last = r.varint()?;
        r.end()?;
        Ok(last)
    }
}

fn reader(bytes: &[u8]) -> Result<Reader<'_>, Unread> {
    let mut r = Reader::new(bytes);
    match r.u8()? {
        VERSION => Ok(r),
        _ => Err(Unread::Newer),
    }
}

/// A Lapse or an Admit that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// The number of its event.
    pub seq: u64,
    /// Its event's own Lamport time.
    pub lamport: u64,
    /// The chain that it is about.
    pub chain: ChainId,
    /// The event of that.
    pub last: u64,
}

/// What one chain has said of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// How far it has acknowledged each chain.
    pub acks: BTreeMap<ChainId, u64>,
    /// The number and Lamport time of its newest Acknowledge; 0 without one.
    pub acked_at: (u64, u64),
    /// Whom it admitted, in order.
    pub admits: Vec<Word>,
    /// Whom it lapsed, in order.
    pub lapses: Vec<Word>,
}

impl Said {
    /// Its event of this number and Lamport time says this.
    pub fn hear(&mut self, (seq, lamport): (u64, u64), say: &Say) {
        let word = |chain: &ChainId, last: &u64| Word {
            seq,
            lamport,
            chain: *chain,
            last: *last,
        };
        let note = |words: &mut Vec<Word>, word: Word| {
            if let Err(at) = words.binary_search(&word)
                && words.len() < WORDS_MAX
            {
                words.insert(at, word);
            }
        };
        match say {
            Say::Acknowledge(chains) => {
                for (chain, last) in chains {
                    let known = self.acks.entry(*chain).or_default();
                    *known = (*known).max(*last);
                }
                self.acked_at = self.acked_at.max((seq, lamport));
            }
            Say::Lapse(chain, last) => note(&mut self.lapses, word(chain, last)),
            Say::Admit(chain, last) => note(&mut self.admits, word(chain, last)),
        }
    }

    /// How far it has acknowledged a chain.
    pub fn has(&self, chain: &ChainId) -> u64 {
        self.acks.get(chain).copied().unwrap_or(0)
    }

    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).varint(self.acked_at.0).varint(self.acked_at.1);
        w.varint(self.acks.len() as u64);
        for (chain, last) in &self.acks {
            w.raw(&chain.0).varint(*last);
        }
        for words in [&self.admits, &self.lapses] {
            w.varint(words.len() as u64);
            for word in words {
                w.varint(word.seq).varint(word.lamport);
                w.raw(&word.chain.0).varint(word.last);
            }
        }
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a row of this version.
    pub fn decode(bytes: &[u8]) -> Result<Said, Malformed> {
        let mut r = reader(bytes)?;
        let mut said = Said {
            acked_at: (r.varint()?, r.varint()?),
            ..Said::default()
        };
        for _ in 0..r.varint()? {
            let (chain, last) = (ChainId(r.array()?), r.varint()?);
            let follows = said
                .acks
                .last_key_value()
                .is_none_or(|(before, _)| *before < chain);
            if !follows {
                return Err(Malformed("acknowledged chains are out of order"));
            }
            said.acks.insert(chain, last);
        }
        for words in [&mut said.admits, &mut said.lapses] {
            for _ in 0..r.varint()? {
                let word = Word {
                    seq: r.varint()?,
                    lamport: r.varint()?,
                    chain: ChainId(r.array()?),
                    last: r.varint()?,
                };
                if words.last().is_some_and(|before| *before >= word) {
                    return Err(Malformed("what was said of chains is out of order"));
                }
                words.push(word);
            }
        }
        r.end()?;
        Ok(said)
    }
}
