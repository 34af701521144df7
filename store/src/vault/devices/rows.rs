//! The table of statements.

use crate::core::StoreError;
use crate::db::{Batch, Db, Table};
use crate::ids::{SpaceId, number};
use crate::keys::{Aad, Key, open, seal};
use crate::members::{Inserted, Members, Verified};
use crate::record::kind;
use crate::vault::Problem;

/// All statements that are here, and how many of them have rows.
pub(in crate::vault) struct Devices {
    pub(in crate::vault) members: Members,
    stored: usize,
    /// How many rows there are.
    rows: usize,
}

fn aad(no: u64) -> Aad {
    Aad {
        kind: kind::STATEMENT,
        id: number(no),
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

impl Devices {
    /// Those of a new vault; their rows go into the batch.
    pub(in crate::vault) fn new(members: Members, local: &Key, batch: &mut Batch) -> Devices {
        let mut devices = Devices {
            members,
            stored: 0,
            rows: 0,
        };
        devices.put(local, batch);
        devices
    }

    /// Those that are stored. What is damaged is named: other devices have it, too.
    pub(in crate::vault) fn read(
        db: &Db,
        local: &Key,
        space: SpaceId,
    ) -> Result<(Devices, Vec<Problem>), StoreError> {
        let (mut members, mut bad, mut rows) = (Members::of(space), 0, 0);
        db.scan(Table::Members, b"", &mut |key, sealed| {
            let no = <[u8; 8]>::try_from(key).map(u64::from_be_bytes);
            let plain = no.ok().and_then(|no| open(local, &aad(no), sealed).ok());
            let said = plain.and_then(|bytes| Verified::decode(&bytes).ok());
            let taken = said.map(|said| members.insert(said));
            bad += usize::from(!matches!(taken, Some(Ok(Inserted::Taken(_)))));
            rows += 1;
            true
        })?;
        members.forget_waiting();
        let what = match bad {
            0 => None,
            _ => Some(Problem::new(
                None,
                format!(
                    "the list of the vault's devices: {bad} of its {rows} statements cannot be read; the other devices have them, too"
                ),
            )),
        };
        let devices = Devices {
            // All are written anew with the next, where some are missing.
            stored: if bad == 0 { members.len() } else { 0 },
            members,
            rows,
        };
        Ok((devices, what.into_iter().collect()))
    }

    /// Notes what has no row yet. It is [`stored`](Devices::stored) once the batch is applied.
    pub(in crate::vault) fn put(&mut self, local: &Key, batch: &mut Batch) {
        self.put_rows(local, batch);
        self.stored();
    }

    pub(super) fn put_rows(&self, local: &Key, batch: &mut Batch) {
        for (no, said) in self.members.iter().enumerate().skip(self.stored) {
            let no = no as u64;
            let sealed = seal(local, &aad(no), &said.statement().encode());
            batch.put(Table::Members, no.to_be_bytes(), sealed);
        }
        // Of damaged ones, when all were written anew.
        for no in self.members.len()..self.rows {
            batch.delete(Table::Members, (no as u64).to_be_bytes());
        }
    }

    /// All have rows.
    pub(super) fn stored(&mut self) {
        self.stored = self.members.len();
        self.rows = self.stored;
    }
}
