//! The rows that opening a vault takes: keys, secrets and counters, what is kept of a newer state, and a new chain.
//!
//! Guarantees: a row that does not open is damage, and is named; a new chain is one transaction.

use super::{Identity, Sealed};
use crate::core::StoreError;
use crate::db::{Batch, DbError, Table};
use crate::keys::{Key, MasterKey, open, random_bytes, seal};
use crate::record::kind;
use crate::vault::devices::Devices;
use crate::vault::heads::{COUNTERS, INSTANCE, LOCAL_KEY, SECRETS, local_aad, seal_counters};
use crate::vault::kept::{KEPT, Kept};
use crate::vault::key_file::KeyFile;
use crate::vault::secrets::{Counters, Secrets};

impl Sealed {
    pub(super) fn meta(&self, row: &[u8], what: &str) -> Result<Vec<u8>, StoreError> {
        self.db
            .get(Table::Meta, row)?
            .ok_or_else(|| StoreError::Missing { what: what.into() })
    }

    /// What is kept of a newer state.
    pub(super) fn kept(&self) -> Result<Kept, StoreError> {
        let row = self.db.get(Table::Meta, KEPT)?;
        row.map_or(Ok(Kept::default()), |row| {
            Kept::decode(&row).map_err(StoreError::malformed("the list of kept packs"))
        })
    }

    /// What begins a new chain, in memory; and the rows that say so.
    pub(super) fn begin_chain(
        &self,
        identity: Identity,
        local: &Key,
        (secrets, devices): (&mut Secrets, &mut Devices),
        counters: &mut Counters,
        instance: &mut [u8; 16],
    ) -> Result<Batch, StoreError> {
        let mut batch = Batch::new();
        if identity == Identity::NewDevice {
            secrets.become_another(&mut devices.members);
            *instance = random_bytes();
            batch.put(Table::Meta, INSTANCE, instance.to_vec());
        }
        secrets.begin_chain(&mut devices.members);
        devices.put(local, &mut batch);
        counters.seq = 0;
        counters.head = [0; 32];
        let sealed = seal(local, &local_aad(2), &secrets.encode());
        batch.put(Table::Meta, SECRETS, sealed);
        batch.put(Table::Meta, COUNTERS, seal_counters(local, counters));
        Ok(batch)
    }

    /// Notes in the same transaction what the folder has and the database does not know.
    pub(super) fn keep(
        &self,
        mut batch: Batch,
        identity: Identity,
        kept: &mut Kept,
        committed: &mut [(u32, u64)],
    ) -> Result<(), StoreError> {
        let before = committed.to_vec();
        // Where this one is a copy, the newer state goes on elsewhere.
        let shared = identity == Identity::NewChain;
        let found = kept.find(&*self.disk, committed, shared);
        // Said before it is noted: what nothing tells of counts as given up.
        let told = found.and_then(|()| kept.tell(&*self.disk));
        told.map_err(|e| StoreError::Db(DbError::Io(e)))?;
        for ((pack, len), (_, was)) in committed.iter().zip(before) {
            if *len != was {
                batch.put(Table::Packs, pack.to_be_bytes(), len.to_be_bytes());
            }
        }
        batch.put(Table::Meta, KEPT, kept.encode());
        Ok(self.db.apply(&batch)?)
    }

    /// The local key and the secrets, as the database has them.
    pub(in crate::vault) fn keys(&self, master: &MasterKey) -> Result<(Key, Secrets), StoreError> {
        let wrapped = self.meta(LOCAL_KEY, "the store's own key")?;
        let local = master
            .unwrap(kind::WRAP_LOCAL, &self.header.vault_id(), &wrapped)
            .map_err(StoreError::tampered("the store's own key"))?;
        let plain = open(
            &local,
            &local_aad(2),
            &self.meta(SECRETS, "the device's secrets")?,
        )
        .map_err(StoreError::tampered("the device's secrets"))?;
        let plain = zeroize::Zeroizing::new(plain);
        let secrets = Secrets::decode(&plain).map_err(StoreError::malformed("the device's secrets"))?;
        Ok((local, secrets))
    }

    /// The same, as the key file has them, if it is of this very header.
    pub(super) fn keys_by_file(&self, master: &MasterKey) -> Option<(Key, Secrets)> {
        let file = KeyFile::read(&self.disk).filter(|file| file.header == self.header)?;
        file.open(master)
    }

    pub(in crate::vault) fn counters(&self, local: &Key) -> Result<Counters, StoreError> {
        let sealed = self.meta(COUNTERS, "the store's counters")?;
        let plain = open(local, &local_aad(1), &sealed);
        let plain = plain.map_err(StoreError::tampered("the store's counters"))?;
        Counters::decode(&plain).map_err(StoreError::malformed("the store's counters"))
    }
}
