//! Changing the password: every key is wrapped anew, in one transaction together with
//! the new parameters. After a crash the old or the new password opens everything. A key
//! that is damaged, and so opens by neither, stays as it is and keeps nobody from it.
//!
//! The key file is a copy beside the database. It is written after the transaction; where
//! that fails the change stands all the same, the loss is noted, and the copy is renewed
//! at the next unlock, check or backup.

use std::sync::atomic::Ordering;

use super::heads::put_heads;
use super::key_file::KeyFile;
use super::open::read_only;
use super::{Problem, Vault};
use crate::core::StoreError;
use crate::db::{Batch, Table};
use crate::ids::number;
use crate::keys::{Header, KdfError, KdfParams, MasterKey, Password, RecoveryPhrase, UnlockError};
use crate::record::kind;

/// A wrap's key and value.
type Row = (Vec<u8>, Vec<u8>);

/// How the note begins that the key file is not what it should be.
const STALE: &str = "vault.key could not be written";

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
    /// Whether this is the vault's password. Takes the time that the KDF's parameters ask for.
    ///
    /// # Errors
    /// [`UnlockError::WrongPassword`] if it is not; else as [`UnlockError`] says.
    pub fn verify_password(&self, password: &Password) -> Result<(), UnlockError> {
        let header = self.header.lock().clone();
        header.unlock(password).map(drop)
    }

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
        self.verify_password(current)?;
        self.set_password(new, params)
    }

    /// Sets a password without asking for the present one.
    pub(super) fn set_password(&self, new: &Password, params: KdfParams) -> Result<(), PasswdError> {
        params.check()?;
        self.changeable()?;
        let make = |before: &Header| before.change_password(&self.master.read(), new, params);
        let before = self.header.lock().clone();
        let made = make(&before);
        // No commit may wrap a key under the old master meanwhile.
        let _committer = self.committer.lock();
        let (header, master) = {
            let now = self.header.lock().clone();
            match made {
                Ok(made) if now == before => made,
                // Another change came between: a recovery phrase of its must not be lost.
                _ => make(&now)?,
            }
        };
        let mut batch = self.rewrap(&master)?;
        put_heads(&mut batch, &header, &master, &self.local, &self.secrets());
        {
            let mut present = self.header.lock();
            // Who reads a key waits from before its row is another until the master is.
            let mut slot = self.master.write();
            self.core.db.apply(&batch).map_err(StoreError::Db)?;
            *present = header;
            *slot = master;
        }
        self.note_key_file(self.write_key_file());
        Ok(())
    }

    fn changeable(&self) -> Result<(), StoreError> {
        match self.read_only.load(Ordering::Relaxed) && !self.visiting {
            true => Err(read_only()),
            false => Ok(()),
        }
    }

    /// Makes a recovery phrase; one made before is void.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn add_recovery(&self) -> Result<RecoveryPhrase, StoreError> {
        self.changeable()?;
        let _committer = self.committer.lock();
        let mut header = self.header.lock();
        let before = header.clone();
        let phrase = header.add_recovery(&self.master.read());
        let mut batch = Batch::new();
        put_heads(
            &mut batch,
            &header,
            &self.master.read(),
            &self.local,
            &self.secrets(),
        );
        if let Err(e) = self.core.db.apply(&batch) {
            *header = before;
            return Err(e.into());
        }
        drop(header);
        self.note_key_file(self.write_key_file());
        Ok(phrase)
    }

    /// Writes the key file anew unless it leads to what the database says: after a crash
    /// between the two, or if it was lost, damaged, or is another device's. A failure is
    /// noted.
    pub(super) fn renew_key_file(&self) {
        let _committer = self.committer.lock();
        let header = self.header.lock().clone();
        let good = KeyFile::read(&self.core.disk).is_some_and(|file| {
            let opened = file.open(&self.master.read());
            file.header == header && opened.is_some_and(|(_, s)| *s.encode() == *self.secrets().encode())
        });
        let result = match good {
            true => Ok(()),
            false => self.changeable().and_then(|()| self.write_key_file()),
        };
        self.note_key_file(result);
    }

    fn note_key_file(&self, result: Result<(), StoreError>) {
        let mut met = self.met.lock();
        met.retain(|problem| !problem.what.starts_with(STALE));
        if let Err(e) = result {
            let what = format!(
                "{STALE} ({e}); what was done to the keys stands, and it is tried again at the next unlock"
            );
            met.push(Problem::new(None, what));
        }
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
                .map(|part| {
                    scope.spawn(move || {
                        part.iter()
                            .filter_map(|row| self.rewrap_row(old, new, row))
                            .collect()
                    })
                })
                .collect();
            handles
                .into_iter()
                .map(|h| {
                    h.join()
                        .map(Ok)
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
        if batch.is_empty() && !rows.is_empty() {
            // Not one: that is no damage to a file.
            let what = "every file's key".into();
            return Err(StoreError::Tampered { what });
        }
        Ok(batch)
    }

    /// `None`: it opens by no password any more, however often it is read.
    fn rewrap_row(&self, old: &MasterKey, new: &MasterKey, (key, wrapped): &Row) -> Option<Row> {
        let ino = number(<[u8; 8]>::try_from(key.as_slice()).map(u64::from_be_bytes).ok()?);
        let unwrap = |wrapped: &[u8]| old.unwrap(kind::WRAP_ENTITY, &ino, wrapped).ok();
        let again = || unwrap(&self.core.db.get(Table::Wraps, key).ok()??);
        let entity = unwrap(wrapped).or_else(again)?;
        Some((key.clone(), new.wrap(kind::WRAP_ENTITY, &ino, &entity).to_vec()))
    }
}
