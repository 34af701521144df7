//! Notes of the program's own: small things that it keeps on this device, sealed, and tells nobody.
//!
//! Guarantees: a note is replaced whole or not at all. It never travels, and a backup has it.

use super::Vault;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::keys::{Aad, open, seal};
use crate::record::kind;

/// The longest note, in bytes.
pub const NOTE_MAX: usize = 1 << 20;

fn row(name: &str) -> Vec<u8> {
    [b"note ", name.as_bytes()].concat()
}

fn aad(name: &str) -> Aad {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(&row(name)).as_bytes()[..16]);
    Aad {
        kind: kind::LOCAL,
        id,
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

impl Vault {
    /// A note; none if there is none by this name.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(sealed) = self.core.db.get(Table::Meta, &row(name))? else {
            return Ok(None);
        };
        let plain = open(&self.local, &aad(name), &sealed);
        plain
            .map(Some)
            .map_err(StoreError::tampered("a note of the program's own"))
    }

    /// The row of a note, for who has a batch and the committer.
    pub(super) fn note_row(&self, name: &str, plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (row(name), seal(&self.local, &aad(name), plain))
    }

    /// Writes a note, durably, over the one that was there.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] if it is longer than [`NOTE_MAX`]; else as [`StoreError`] says.
    pub fn set_note(&self, name: &str, plain: &[u8]) -> Result<(), StoreError> {
        if plain.len() > NOTE_MAX {
            return Err(StoreError::NoSpace);
        }
        self.writable().map_err(|_| super::open::read_only())?;
        let _committer = self.committer.lock();
        let mut batch = Batch::new();
        let (row, sealed) = self.note_row(name, plain);
        batch.put(Table::Meta, row, sealed);
        Ok(self.core.db.apply(&batch)?)
    }
}
