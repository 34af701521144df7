//! A backup: a second vault folder that opens with the same password, taken while the
//! vault is in use.
//!
//! The database is written anew from one instant's view; packs only grow, so a later
//! backup to the same place copies what is new of them. The destination is complete, or
//! as it was: its database is replaced last.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Vault;
use super::open::{KEY_FILE, Sealed};
use crate::chunk::pack::pack_name;
use crate::core::StoreError;
use crate::db::{Batch, Db, DbError, FILE, Table};
use crate::io::Disk;
use crate::io::real::RealDisk;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something else is there.
    #[error("{} holds something that is not a backup of this vault; choose an empty or new folder", .0.display())]
    Foreign(PathBuf),
    /// The destination.
    #[error("cannot write the backup to {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// The vault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Bytes of packs that were new.
    pub copied: u64,
    /// Bytes of packs that were there already.
    pub kept: u64,
    /// Rows of the database.
    pub records: u64,
}

const NEXT: &str = "next";

impl Vault {
    /// Makes or renews the backup in `dest`. `progress` gets bytes done and bytes in all.
    ///
    /// # Errors
    /// As [`BackupError`] says; an earlier backup there stays whole.
    pub fn backup(
        &self,
        dest: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupReport, BackupError> {
        let at = |e: io::Error| BackupError::Io(dest.to_path_buf(), e);
        self.prepare_dest(dest)?;
        self.commit()?;
        let (snapshot, packs) = {
            let _committer = self.committer.lock();
            let mut packs = Vec::new();
            self.core
                .db
                .scan(Table::Packs, b"", &mut |key, value| {
                    if let (Ok(pack), Ok(len)) = (<[u8; 4]>::try_from(key), <[u8; 8]>::try_from(value)) {
                        packs.push((u32::from_be_bytes(pack), u64::from_be_bytes(len)));
                    }
                    true
                })
                .map_err(StoreError::Db)?;
            (self.core.db.snapshot().map_err(StoreError::Db)?, packs)
        };
        let mut report = BackupReport::default();
        let total: u64 = packs.iter().map(|(_, len)| len).sum();
        for (pack, len) in &packs {
            let name = pack_name(*pack);
            let copied = self.copy_pack(&name, *len, &dest.join(&name)).map_err(at)?;
            report.copied += copied;
            report.kept += len - copied;
            progress(report.copied + report.kept, total);
        }
        let next = dest.join(NEXT);
        let _ = fs::remove_dir_all(&next);
        fs::create_dir(&next).map_err(at)?;
        report.records = write_database(&snapshot, &next).map_err(|e| match e {
            DbError::Io(e) => at(e),
            e => BackupError::Store(e.into()),
        })?;
        for name in [KEY_FILE] {
            if let Some(bytes) = self.small_file(name) {
                write_file(&dest.join(name), &bytes).map_err(at)?;
            }
        }
        fs::rename(next.join(FILE), dest.join(FILE)).map_err(at)?;
        fs::remove_dir(&next).map_err(at)?;
        File::open(dest).and_then(|d| d.sync_all()).map_err(at)?;
        Ok(report)
    }

    /// The destination is new, empty, or a backup of this vault.
    fn prepare_dest(&self, dest: &Path) -> Result<(), BackupError> {
        let at = |e: io::Error| BackupError::Io(dest.to_path_buf(), e);
        fs::create_dir_all(dest).map_err(at)?;
        let mut entries = fs::read_dir(dest).map_err(at)?;
        if entries.next().is_none() {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            return fs::set_permissions(dest, mode).map_err(at);
        }
        let known = dest.join(FILE).is_file();
        let only_packs = fs::read_dir(dest).map_err(at)?.flatten().all(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name == NEXT || name == KEY_FILE || crate::chunk::pack::pack_number(&name).is_some()
        });
        if !known && only_packs {
            return Ok(()); // a first backup that was broken off
        }
        match Sealed::open(dest) {
            Ok(sealed) if sealed.header().vault_id() == self.id().0 => Ok(()),
            _ => Err(BackupError::Foreign(dest.to_path_buf())),
        }
    }

    /// Copies what is new of a pack. A shorter or longer file there is brought to `len`.
    fn copy_pack(&self, name: &str, len: u64, dest: &Path) -> io::Result<u64> {
        let source = self.core.disk.open(name)?;
        let mut target = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dest)?;
        let mut have = target.metadata()?.len();
        if have > len || !same_end(&*source, &mut target, have)? {
            // Another history of the vault: copy this pack whole.
            have = 0;
            target.set_len(0)?;
        }
        target.seek(SeekFrom::Start(have))?;
        let mut buf = vec![0; 1 << 20];
        let mut at = have;
        while at < len {
            let take = buf.len().min((len - at) as usize);
            source.read_at(at, &mut buf[..take])?;
            target.write_all(&buf[..take])?;
            at += take as u64;
        }
        if at > have {
            target.sync_data()?;
        }
        Ok(len - have)
    }

    fn small_file(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.core.disk.open(name).ok()?;
        let mut bytes = vec![0; file.len().ok()? as usize];
        file.read_at(0, &mut bytes).ok()?;
        Some(bytes)
    }
}

/// Whether the last bytes that the target has are the source's.
fn same_end(source: &dyn crate::io::DiskFile, target: &mut File, have: u64) -> io::Result<bool> {
    let take = have.min(1 << 16);
    let (mut a, mut b) = (vec![0; take as usize], vec![0; take as usize]);
    source.read_at(have - take, &mut a)?;
    target.seek(SeekFrom::Start(have - take))?;
    target.read_exact(&mut b)?;
    Ok(a == b)
}

fn write_database(snapshot: &crate::db::Snapshot, dir: &Path) -> Result<u64, DbError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).map_err(DbError::Io)?);
    let db = Db::create(disk)?;
    let mut records = 0;
    for table in Table::ALL {
        let mut batch = Batch::new();
        snapshot.scan(table, &mut |key, value| {
            batch.put(table, key, value.to_vec());
            records += 1;
        })?;
        db.apply(&batch)?;
    }
    db.close();
    Ok(records)
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("new");
    let mut file = File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(next, path)
}
