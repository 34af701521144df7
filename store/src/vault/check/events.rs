//! Checking the events: each batch follows the one before it, and is signed.

use std::collections::HashMap;

use super::report::{CheckReport, Problem};
use crate::db::Table;
use crate::event::{BatchRow, Unverified};
use crate::ids::ChainId;
use crate::vault::Vault;

impl Vault {
    pub(super) fn check_events(&self, rows: Vec<(Vec<u8>, Vec<u8>)>, report: &mut CheckReport) {
        let mut heads: HashMap<ChainId, ([u8; 32], u64)> = HashMap::new();
        for (key, value) in rows {
            let name = <[u8; 8]>::try_from(key.as_slice()).map_or(0, u64::from_be_bytes);
            let mut bad = |what: String| {
                report
                    .problems
                    .push(Problem::new(None, format!("batch {name} of events: {what}")));
            };
            let row = match BatchRow::decode(&value) {
                Ok(row) => row,
                Err(e) => {
                    bad(e.to_string());
                    continue;
                }
            };
            let (prev, next) = heads.get(&row.chain).copied().unwrap_or(([0; 32], 1));
            heads.insert(row.chain, (row.head, row.first + u64::from(row.count)));
            let result = self.check_batch(&row).or_else(|_| {
                // Perhaps it was moved to another pack: as it is now, and nothing moves.
                let _committer = self.committer.lock();
                let now = self
                    .core
                    .db
                    .get(Table::Batches, &key)
                    .map_err(|e| e.to_string())?;
                let now = now.ok_or("its row is missing")?;
                self.check_batch(&BatchRow::decode(&now).map_err(|e| e.to_string())?)
            });
            match result {
                Ok((events, after)) => {
                    report.events += events;
                    if after != prev || row.first != next {
                        bad("it does not follow the one before it".into());
                    }
                }
                Err(what) => bad(what),
            }
        }
    }

    /// Reads a batch; returns how many events of it were verified, and the head that it goes on from.
    fn check_batch(&self, row: &BatchRow) -> Result<(u64, [u8; 32]), String> {
        let mut bytes = vec![0; row.place.len as usize];
        let read = self.core.packs.read(row.place, 0, &mut bytes);
        read.map_err(|e| e.to_string())?;
        let bytes = &bytes[..];
        let found = Unverified { row, bytes };
        // Of a chain whose device is not known the hashes are verified, and the row that holds the last is in the set hash.
        let signer = match row.chain == self.own_chain() {
            true => Some(self.device()),
            false => self.who_signs(&row.chain).map(|signer| signer.key),
        };
        let checked = match signer {
            Some(key) => found.verify(&key).map(|events| {
                events
                    .first()
                    .map(|first| (events.len(), first.event().head.prev))
            }),
            None => found
                .chained()
                .map(|events| events.first().map(|first| (events.len(), first.event.head.prev))),
        };
        let (count, after) = checked.map_err(|e| e.to_string())?.ok_or("it has no events")?;
        Ok((count as u64, after))
    }
}
