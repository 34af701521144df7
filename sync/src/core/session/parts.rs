//! Objects that come in pieces.
//!
//! Guarantees: room is made for what has come, never for what was announced.

use coffer_store::ids::ChainId;

use super::PartialBatch;

/// A batch of which a part has come.
pub(crate) struct BatchPart(pub(crate) PartialBatch);

impl BatchPart {
    /// Begins, or goes on with what was kept.
    pub(crate) fn new(chain: ChainId, first: u64, token: [u8; 16], total: u32, bytes: Vec<u8>) -> BatchPart {
        BatchPart(PartialBatch {
            chain,
            first,
            token,
            total,
            bytes,
        })
    }

    /// Whether a piece is of this batch, and the next.
    pub(crate) fn goes_on(&self, chain: ChainId, token: [u8; 16], total: u32, offset: u32) -> bool {
        let part = &self.0;
        (part.chain, part.token, part.total) == (chain, token, total) && part.bytes.len() == offset as usize
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.0.bytes.len() == self.0.total as usize
    }

    pub(crate) fn held(&self) -> usize {
        self.0.bytes.capacity()
    }
}

/// A chunk of which a part has come.
#[derive(Clone)]
pub(crate) struct ChunkPart {
    pub(crate) total: u32,
    pub(crate) bytes: Vec<u8>,
    /// Whether other peers sent some of it.
    pub(crate) is_mixed: bool,
}

impl ChunkPart {
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
