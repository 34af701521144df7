//! Settings that another device has set.
//!
//! Guarantees: of all values that were ever told of a setting the last one counts, by Lamport time, then
//! by chain: the same on every device, in whatever order they came. What was set here and is not told yet
//! comes after all that is known, and is not touched. A value that this program cannot read is kept, and
//! wins as any other does: then its default counts.

use std::collections::BTreeMap;

use super::notes::TURN;
use crate::codec::{Reader, Writer};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::event::{EventRef, Found, setting_aad};
use crate::ids::ChainId;
use crate::keys::{Aad, open, seal};
use crate::vault::Vault;
use crate::vault::history::Setting;
use crate::vault::texts::Verdict;

/// Which of two values of a setting is the later one.
pub(in crate::vault) type Stamp = (u64, ChainId);

/// A setting that came.
pub(super) struct SettingCame {
    pub(super) at: EventRef,
    /// The batch that it lies in, if that is stored.
    pub(super) batch: Option<u64>,
    pub(super) id: [u8; 16],
    pub(super) stamp: Stamp,
    pub(super) value: Vec<u8>,
}

/// The row that says when a setting was set, and by which chain.
fn stamp_row(id: &[u8; 16]) -> Vec<u8> {
    [b"set by ", &id[..]].concat()
}

fn stamp_aad(id: &[u8; 16]) -> Aad {
    // Its value's row has number 0.
    let nowhere = EventRef {
        chain: ChainId([0; 16]),
        seq: 1,
    };
    setting_aad(id, nowhere, 0)
}

impl Vault {
    /// What a setting's event says, if it can be had.
    pub(super) fn setting_of(&self, batch: Option<u64>, found: &Found) -> Result<SettingCame, Verdict> {
        let head = &found.event.head;
        let sealed = found.event.sealed.as_deref();
        let sealed = sealed.ok_or(Verdict::Waits)?;
        let aad = setting_aad(&head.subject, head.at, head.generation);
        let value = self.core.keyring().open_tree(&aad, sealed)?;
        Ok(SettingCame {
            at: head.at,
            batch,
            id: head.subject,
            stamp: (head.lamport, head.at.chain),
            value,
        })
    }

    /// Notes when a setting was set.
    pub(in crate::vault) fn put_stamp(&self, batch: &mut Batch, id: &[u8; 16], (lamport, chain): Stamp) {
        let mut w = Writer::new();
        w.u8(0).u64(lamport).raw(&chain.0);
        batch.put(
            Table::Meta,
            stamp_row(id),
            seal(&self.local, &stamp_aad(id), &w.0),
        );
    }

    /// When a setting was set last, as far as that is known.
    fn stamp(&self, id: &[u8; 16]) -> Result<Option<Stamp>, StoreError> {
        let row = self.core.db.get(Table::Meta, &stamp_row(id))?;
        // One that was altered says nothing: then the next value counts.
        Ok(row.and_then(|sealed| {
            let plain = open(&self.local, &stamp_aad(id), &sealed).ok()?;
            let mut r = Reader::new(&plain);
            let version = r.u8().ok().filter(|version| *version == 0);
            version.and_then(|_| Some((r.u64().ok()?, ChainId(r.array().ok()?))))
        }))
    }

    /// Of settings that came those that count, with their rows; the others are passed over.
    pub(super) fn newer_settings(
        &self,
        batch: &mut Batch,
        came: &[SettingCame],
    ) -> Result<Vec<Setting>, StoreError> {
        let mut last: BTreeMap<[u8; 16], &SettingCame> = BTreeMap::new();
        for one in came {
            let known = last.entry(one.id).or_insert(one);
            if known.stamp < one.stamp {
                *known = one;
            }
        }
        let mut newer = Vec::new();
        for (id, one) in last {
            if self.stamp(&id)?.is_some_and(|stamp| stamp >= one.stamp) {
                continue;
            }
            self.put_setting_row(batch, &id, &one.value);
            self.put_stamp(batch, &id, one.stamp);
            if self.is_text_setting(&id) {
                // What it makes of the files is stored by the next commit.
                batch.put(Table::Pending, [TURN], vec![0]);
            }
            newer.push((id, one.value.clone()));
        }
        Ok(newer)
    }
}
