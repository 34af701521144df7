//! The row of a text's document: what it has, and the document's own bytes.
//!
//! A cache: whatever is wrong with it, it is made anew from the text's events.

use super::VERSION;
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef};

/// A version of a text, as its document names it: the newest of its changes.
pub(crate) type Names = Vec<[u8; 32]>;

/// Most changes that name one version, and most versions that are listed.
const MOST: usize = 1024;

/// A text's document, as it is stored on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRecord {
    /// The event that the text began with.
    pub genesis: EventRef,
    /// The number of the last version that it has.
    pub upto: u64,
    /// Its newest versions.
    pub heads: Vec<(EventRef, Names)>,
    /// What the file showed lately, the newest last, and whether this device made it.
    pub recent: Vec<(bool, Names)>,
    /// The document.
    pub bytes: Vec<u8>,
}

impl DocumentRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).raw(&self.genesis.chain.0).u64(self.genesis.seq);
        w.u64(self.upto).u16(self.heads.len() as u16);
        for (at, names) in &self.heads {
            w.raw(&at.chain.0).u64(at.seq);
            put_names(&mut w, names);
        }
        w.u16(self.recent.len() as u16);
        for (own, names) in &self.recent {
            w.u8(u8::from(*own));
            put_names(&mut w, names);
        }
        w.raw(&self.bytes);
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<DocumentRecord, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("the record of a text's document of an unknown version"));
        }
        let genesis = event(&mut r)?;
        let upto = r.u64()?;
        let count = r.u16()?;
        let mut heads = Vec::new();
        for _ in 0..count {
            heads.push((event(&mut r)?, names(&mut r)?));
        }
        let count = r.u16()?;
        let mut recent = Vec::new();
        for _ in 0..count {
            let own = match r.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed("the record of a text's document contradicts itself")),
            };
            recent.push((own, names(&mut r)?));
        }
        if heads.len().max(recent.len()) > MOST {
            return Err(Malformed("the record of a text's document contradicts itself"));
        }
        Ok(DocumentRecord {
            genesis,
            upto,
            heads,
            recent,
            bytes: r.rest().to_vec(),
        })
    }
}

fn put_names(w: &mut Writer, names: &Names) {
    w.u16(names.len() as u16);
    for name in names {
        w.raw(name);
    }
}

fn names(r: &mut Reader<'_>) -> Result<Names, Malformed> {
    let count = usize::from(r.u16()?);
    if count == 0 || count > MOST {
        return Err(Malformed("the record of a text's document contradicts itself"));
    }
    (0..count).map(|_| r.array()).collect()
}

fn event(r: &mut Reader<'_>) -> Result<EventRef, Malformed> {
    Ok(EventRef {
        chain: ChainId(r.array()?),
        seq: r.u64()?,
    })
}
