//! The row of a text's document: what it has, and the document's own bytes.
//!
//! A cache: whatever is wrong with it, it is made anew from the text's events.

use super::VERSION;
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{ChainId, EventRef};

/// Most states that are listed, and most versions that name one.
const MOST: usize = 1024;

/// A text's document, as it is stored on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRecord {
    /// The event that the text began with.
    pub genesis: EventRef,
    /// The number of the last version that it has.
    pub upto: u64,
    /// What the file showed lately, the newest last: the versions that each state was the merge of.
    pub recent: Vec<Vec<EventRef>>,
    /// The document.
    pub bytes: Vec<u8>,
}

const CONTRADICTS: Malformed = Malformed("the record of a text's document contradicts itself");

impl DocumentRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION).raw(&self.genesis.chain.0).u64(self.genesis.seq);
        w.u64(self.upto).u16(self.recent.len() as u16);
        for state in &self.recent {
            w.u16(state.len() as u16);
            for at in state {
                w.raw(&at.chain.0).u64(at.seq);
            }
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
        let count = usize::from(r.u16()?);
        if count > MOST {
            return Err(CONTRADICTS);
        }
        let recent = (0..count).map(|_| state(&mut r)).collect::<Result<_, _>>()?;
        Ok(DocumentRecord {
            genesis,
            upto,
            recent,
            bytes: r.rest().to_vec(),
        })
    }
}

fn state(r: &mut Reader<'_>) -> Result<Vec<EventRef>, Malformed> {
    let count = usize::from(r.u16()?);
    if count == 0 || count > MOST {
        return Err(CONTRADICTS);
    }
    (0..count).map(|_| event(r)).collect()
}

fn event(r: &mut Reader<'_>) -> Result<EventRef, Malformed> {
    Ok(EventRef {
        chain: ChainId(r.array()?),
        seq: r.u64()?,
    })
}
