//! Objects that come in pieces.
//!
//! Guarantees: room is made for what has come, never for what was announced.

use coffer_store::ids::ChainId;

use super::PartialBatch;
use crate::core::PeerId;

/// A batch of which a part has come.
pub(crate) struct BatchPart(pub(crate) PartialBatch);

/// What a piece of a batch is of: chain, first event, token, total.
pub(crate) type Of = (ChainId, u64, [u8; 16], u32);

impl PartialBatch {
    /// Whether a piece from this offset is of this batch, and leaves nothing out.
    pub(crate) fn goes_on(&self, of: Of, offset: u32) -> bool {
        (self.chain, self.first, self.token, self.total) == of && offset as usize <= self.bytes.len()
    }
}

impl BatchPart {
    /// Begins.
    pub(crate) fn new(by: PeerId, of: Of) -> BatchPart {
        let (chain, first, token, total) = of;
        BatchPart(PartialBatch {
            by,
            is_mixed: false,
            chain,
            first,
            token,
            total,
            bytes: Vec::new(),
        })
    }

    /// Adds a piece that goes on; how many of its bytes were here already.
    pub(crate) fn add(&mut self, by: PeerId, offset: u32, data: &[u8]) -> usize {
        self.0.is_mixed |= self.0.by != by;
        self.0.by = by;
        add(&mut self.0.bytes, offset, data)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.0.bytes.len() == self.0.total as usize
    }

    pub(crate) fn held(&self) -> usize {
        self.0.bytes.capacity()
    }
}

/// Adds what is new of a piece; how many bytes of it are not.
fn add(bytes: &mut Vec<u8>, offset: u32, data: &[u8]) -> usize {
    let again = (bytes.len() - offset as usize).min(data.len());
    bytes.extend_from_slice(&data[again..]);
    again
}

/// A chunk of which a part has come.
#[derive(Clone)]
pub(crate) struct ChunkPart {
    /// Who sent the end of it.
    pub(crate) by: PeerId,
    pub(crate) total: u32,
    pub(crate) bytes: Vec<u8>,
    /// Whether other peers sent some of it.
    pub(crate) is_mixed: bool,
}

impl ChunkPart {
    /// Whether a piece from this offset leaves nothing out.
    pub(crate) fn goes_on(&self, total: u32, offset: u32) -> bool {
        self.total == total && offset as usize <= self.bytes.len()
    }

    /// Adds a piece that goes on; how many of its bytes were here already.
    pub(crate) fn add(&mut self, by: PeerId, offset: u32, data: &[u8]) -> usize {
        self.is_mixed |= self.by != by;
        self.by = by;
        add(&mut self.bytes, offset, data)
    }

    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

/// A statement of which a part has come; none at first.
#[derive(Default)]
pub(crate) struct StatementPart {
    pub(crate) total: u32,
    pub(crate) bytes: Vec<u8>,
}

impl StatementPart {
    /// Adds a piece; the statement, if it is whole by that.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn add(
        &mut self,
        total: u32,
        offset: u32,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, &'static str> {
        if self.bytes.is_empty() {
            self.total = total;
        }
        if (self.total, self.bytes.len()) != (total, offset as usize) {
            return Err("a statement's pieces are out of order");
        }
        self.bytes.extend_from_slice(data);
        match self.bytes.len() == total as usize {
            true => Ok(Some(std::mem::take(&mut self.bytes))),
            false => Ok(None),
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}
