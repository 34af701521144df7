//! The store's own rows of the table `meta`: header, local key, secrets, counters.

use super::secrets::{Counters, Secrets};
use crate::db::{Batch, Table};
use crate::ids::number;
use crate::keys::{Aad, Header, Key, MasterKey, derive, labels, seal};
use crate::record::kind;

/// Rows of the meta table.
pub(super) const HEADER: &[u8] = b"header";
pub(super) const LOCAL_KEY: &[u8] = b"local key";
pub(super) const SECRETS: &[u8] = b"secrets";
pub(super) const INSTANCE: &[u8] = b"instance";
pub(super) const COUNTERS: &[u8] = b"counters";

pub(crate) fn local_aad(row: u8) -> Aad {
    Aad {
        kind: kind::LOCAL,
        id: number(u64::from(row)),
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

pub(super) fn seal_counters(local: &Key, counters: &Counters) -> Vec<u8> {
    seal(local, &local_aad(1), &counters.encode())
}

pub(super) fn sums_key(local: &Key) -> [u8; 32] {
    *derive(local, labels::SET_HASH, &[]).expose()
}

pub(super) fn put_heads(
    batch: &mut Batch,
    header: &Header,
    master: &MasterKey,
    local: &Key,
    secrets: &Secrets,
) {
    batch.put(Table::Meta, HEADER, header.encode());
    let id = header.vault_id();
    batch.put(
        Table::Meta,
        LOCAL_KEY,
        master.wrap(kind::WRAP_LOCAL, &id, local).to_vec(),
    );
    batch.put(
        Table::Meta,
        SECRETS,
        seal(local, &local_aad(2), &secrets.encode()),
    );
}
