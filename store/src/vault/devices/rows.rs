//! The table of statements.

use crate::core::StoreError;
use crate::db::{Batch, Db, Table};
use crate::ids::{SpaceId, number};
use crate::keys::{Aad, Key, open, seal};
use crate::members::{Members, StatementId, Verified};
use crate::record::kind;
use crate::vault::Problem;

/// All statements that are here, and which of them have rows.
pub(in crate::vault) struct Devices {
    pub(in crate::vault) members: Members,
    /// The first so many have rows.
    stored: usize,
    /// The next row's number. No row is ever removed or written over: what cannot be read may be one that nobody else has.
    next: u64,
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
            next: 0,
        };
        devices.put(local, batch);
        devices
    }

    /// Those that are stored. What is damaged is named, and what stands on it waits until it comes from another device.
    pub(in crate::vault) fn read(
        db: &Db,
        local: &Key,
        space: SpaceId,
    ) -> Result<(Devices, Vec<Problem>), StoreError> {
        let (mut members, mut rows, mut next) = (Members::of(space), Vec::new(), 0);
        db.scan(Table::Members, b"", &mut |key, sealed| {
            let no = <[u8; 8]>::try_from(key).map(u64::from_be_bytes);
            next = no.map_or(next, |no| no.saturating_add(1).max(next));
            let plain = no.ok().and_then(|no| open(local, &aad(no), sealed).ok());
            let said = plain.and_then(|bytes| Verified::decode(&bytes).ok());
            rows.push(said.as_ref().map(Verified::id));
            // One that is refused counts as one that cannot be read.
            let _ = said.map(|said| members.insert(said));
            true
        })?;
        let is_in = |id: &Option<StatementId>| id.is_some_and(|id| members.get(&id).is_some());
        let bad = rows.iter().filter(|id| !is_in(id)).count();
        let problem = (bad > 0).then(|| {
            let what = format!(
                "the list of the vault's devices: {bad} of its {} statements cannot be read, or stand on such; other devices may have them, too",
                rows.len()
            );
            Problem::new(None, what)
        });
        let devices = Devices {
            stored: members.len(),
            members,
            next,
        };
        Ok((devices, problem.into_iter().collect()))
    }

    /// Notes what has no row yet. It is [`stored`](Devices::stored) once the batch is applied.
    pub(in crate::vault) fn put(&mut self, local: &Key, batch: &mut Batch) {
        self.put_rows(local, batch);
        self.stored();
    }

    pub(super) fn put_rows(&self, local: &Key, batch: &mut Batch) {
        for (said, no) in self.members.iter().skip(self.stored).zip(self.next..) {
            let sealed = seal(local, &aad(no), &said.statement().encode());
            batch.put(Table::Members, no.to_be_bytes(), sealed);
        }
    }

    /// All have rows.
    pub(super) fn stored(&mut self) {
        self.next += (self.members.len() - self.stored) as u64;
        self.stored = self.members.len();
    }
}
