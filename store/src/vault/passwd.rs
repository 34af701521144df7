//! Changing the password: every key is wrapped anew, in one transaction together with
//! the new parameters. After a crash the old or the new password opens everything.

use super::Vault;
use super::open::put_heads;
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::number;
use crate::keys::{KdfError, KdfParams, MasterKey, Password, RecoveryPhrase, UnlockError};
use crate::record::kind;

/// A wrap's key and value.
type Row = (Vec<u8>, Vec<u8>);

/// Why a password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PasswdError {
    /// The present password is another.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The parameters.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Vault {
    /// Changes the password; `current` is checked first.
    ///
    /// # Errors
    /// As [`PasswdError`] says; the old password stays then.
    pub fn change_password(
        &self,
        current: &Password,
        new: &Password,
        params: KdfParams,
    ) -> Result<(), PasswdError> {
        let header = self.header.lock().encode();
        let header =
            crate::keys::Header::decode(&header).map_err(|e| StoreError::Tampered { what: e.to_string() })?;
        header.unlock(current)?;
        self.set_password(new, params)
    }

    /// Sets a password without asking for the present one.
    pub(super) fn set_password(&self, new: &Password, params: KdfParams) -> Result<(), PasswdError> {
        params.check()?;
        let (header, master) = {
            let header = self.header.lock();
            header.change_password(&self.master.read(), new, params)?
        };
        // No commit may wrap a key under the old master meanwhile.
        let _committer = self.committer.lock();
        let mut batch = self.rewrap(&master)?;
        put_heads(&mut batch, &header, &master, &self.local, &self.secrets);
        self.core.db.apply(&batch).map_err(StoreError::Db)?;
        *self.header.lock() = header;
        *self.master.write() = master;
        self.write_key_file()?;
        Ok(())
    }

    /// Makes a recovery phrase; one made before is void.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn add_recovery(&self) -> Result<RecoveryPhrase, StoreError> {
        let _committer = self.committer.lock();
        let mut header = self.header.lock();
        let bytes = header.encode();
        let phrase = header.add_recovery(&self.master.read());
        let mut batch = Batch::new();
        put_heads(
            &mut batch,
            &header,
            &self.master.read(),
            &self.local,
            &self.secrets,
        );
        if let Err(e) = self.core.db.apply(&batch) {
            if let Ok(old) = crate::keys::Header::decode(&bytes) {
                *header = old;
            }
            return Err(e.into());
        }
        drop(header);
        self.write_key_file()?;
        Ok(phrase)
    }

    fn rewrap(&self, new: &MasterKey) -> Result<Batch, StoreError> {
        let old = self.master.read();
        let mut rows = Vec::new();
        self.core.db.scan(Table::Wraps, b"", &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })?;
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(4);
        let share = rows.len().div_ceil(threads).max(1);
        let old: &MasterKey = &old;
        let parts: Vec<Result<Vec<Row>, StoreError>> = std::thread::scope(|scope| {
            let handles: Vec<_> = rows
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().map(|row| rewrap_row(old, new, row)).collect()))
                .collect();
            handles
                .into_iter()
                .map(|h| {
                    h.join()
                        .unwrap_or_else(|_| Err(StoreError::Tampered { what: "a key".into() }))
                })
                .collect()
        });
        let mut batch = Batch::new();
        for part in parts {
            for (key, wrapped) in part? {
                batch.put(Table::Wraps, key, wrapped);
            }
        }
        Ok(batch)
    }
}

fn rewrap_row(old: &MasterKey, new: &MasterKey, (key, wrapped): &Row) -> Result<Row, StoreError> {
    let ino = <[u8; 8]>::try_from(key.as_slice())
        .map(u64::from_be_bytes)
        .unwrap_or(0);
    let what = format!("the key of file number {ino}");
    let entity = old
        .unwrap(kind::WRAP_ENTITY, &number(ino), wrapped)
        .map_err(StoreError::tampered(what))?;
    Ok((
        key.clone(),
        new.wrap(kind::WRAP_ENTITY, &number(ino), &entity).to_vec(),
    ))
}
