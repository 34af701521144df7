//! A backup: a second vault folder that opens with the same password, taken while the
//! vault is in use.
//!
//! The database is written anew from one instant's view, and compared with its own sums
//! before it counts; packs only grow, so a later backup to the same place copies what is
//! new of them. Nothing that the earlier backup's database names is touched until all of
//! the new one is there: a pack of another history is copied beside, and takes its place
//! together with the database (see `handover`). What of the vault is damaged is left out and reported.
//!
//! The backup's lock is held from before the first byte to the last: nobody opens it, or
//! backs up to it, meanwhile. All in it is closed to others, whatever it was before.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::gc::Pin;
use super::handover::{self, NEXT, READY};
use super::heads::sums_key;
use super::hold::{LOCK_FILE, take_lock};
use super::key_file::KEY_FILE;
use super::open::{OpenError, Sealed};
use super::{Problem, Vault};
use crate::chunk::pack::pack_name;
use crate::core::StoreError;
use crate::db::{Batch, Db, DbError, FILE, Snapshot, Table};
use crate::io::real::RealDisk;
use crate::io::{Disk, DiskFile};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something else is there.
    #[error("{} holds something that is not a backup of this vault; choose an empty or new folder", .0.display())]
    Foreign(PathBuf),
    /// It is open, perhaps mounted, or another backup goes there now.
    #[error("the backup in {} is in use: it is open, or another backup is being written there; lock it, then try again", .0.display())]
    Held(PathBuf),
    /// What was backed up there does not open.
    #[error("the earlier backup in {} is damaged ({}); keep it for `coffer check --salvage`, and choose another folder", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// The destination.
    #[error("cannot write the backup to {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// The vault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Bytes of packs that were new.
    pub copied: u64,
    /// Bytes of packs that were there already.
    pub kept: u64,
    /// Rows of the database.
    pub records: u64,
    /// Files of which something is not on this device, and so not in the backup.
    pub absent_files: u64,
    /// How many bytes of them.
    pub absent_bytes: u64,
    /// What could not be backed up: not committed, or damaged in the vault itself.
    pub problems: Vec<Problem>,
}

/// Bytes of rows that one transaction of the new database takes.
const STEP: usize = 16 << 20;
/// How often the database is copied, should one copy not agree with its sums.
const TRIES: u32 = 2;
/// Bytes that are compared at the end of what is there of a pack.
const OVERLAP: u64 = 1 << 16;

/// One instant's rows, and the packs that they name. While it lives none of them is
/// removed, and nobody asks the database to check its structure.
pub(super) struct View<'a> {
    // Dropped first: it must be gone when the pin is.
    pub(super) snapshot: Snapshot,
    _pin: Pin<'a>,
}

/// Packs, with their lengths in bytes.
type PackLengths = Vec<(u32, u64)>;

/// What a pack at the destination became.
struct Copied {
    new: u64,
    /// Bytes that the source should have and does not.
    lost: u64,
}

impl Vault {
    /// See [`View`].
    pub(super) fn view(&self) -> Result<View<'_>, StoreError> {
        Ok(self.view_and_key_file()?.0)
    }

    /// Both of one instant: no password is changed between them.
    fn view_and_key_file(&self) -> Result<(View<'_>, Vec<u8>), StoreError> {
        let _committer = self.committer.lock();
        let _pin = self.pin_packs();
        let snapshot = self.core.db.snapshot()?;
        Ok((View { snapshot, _pin }, self.key_file()))
    }

    /// Makes or renews the backup in `dest`. `progress` gets bytes done and bytes in all.
    /// What is damaged in the vault is reported, and does not keep the rest from being
    /// backed up; if the last changes cannot be committed, what is committed is.
    ///
    /// # Errors
    /// As [`BackupError`] says; an earlier backup there stays whole.
    pub fn backup(
        &self,
        dest: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupReport, BackupError> {
        let at = |e: io::Error| BackupError::Io(dest.to_path_buf(), e);
        let (_lock, trusted) = self.prepare_dest(dest)?;
        let mut report = BackupReport::default();
        if let Err(e) = self.commit() {
            let what = format!("the last changes could not be saved, and are not in the backup: {e}");
            report.problems.push(Problem::new(None, what));
        }
        if self.is_partial() {
            let survey = self.survey_now()?;
            (report.absent_files, report.absent_bytes) = (survey.absent_files, survey.absent_bytes);
        }
        self.renew_key_file();
        let next = dest.join(NEXT);
        if let Err(e) = fs::remove_dir_all(&next)
            && e.kind() != ErrorKind::NotFound
        {
            return Err(at(e));
        }
        fs::DirBuilder::new().mode(0o700).create(&next).map_err(at)?;
        // From before the view is taken until the packs are copied.
        let _pin = self.pin_packs();
        let (packs, key_file) = self.copy_database(&next, dest, &mut report)?;
        let total: u64 = packs.iter().fold(0, |sum, (_, len)| sum.saturating_add(*len));
        let mut done = 0;
        for (pack, len) in packs {
            let name = pack_name(pack);
            let known = trusted.get(&pack).copied().unwrap_or(0);
            let copied = self.copy_pack(&name, len, known, dest)?;
            if copied.lost > 0 {
                let what = format!("{name} lacks {} of {len} bytes; the rest was copied", copied.lost);
                report.problems.push(Problem::new(None, what));
            }
            report.copied += copied.new;
            report.kept += len - copied.new - copied.lost;
            done += len;
            progress(done, total);
        }
        write_file(&next.join(KEY_FILE), &key_file).map_err(at)?;
        // All of it is durable: from here on it is the backup.
        handover::hand_over(dest).map_err(at)?;
        Ok(report)
    }

    /// Writes the database anew; returns the packs that it names, with their lengths in
    /// bytes, and the key file of the same instant.
    fn copy_database(
        &self,
        next: &Path,
        dest: &Path,
        report: &mut BackupReport,
    ) -> Result<(PackLengths, Vec<u8>), BackupError> {
        let theirs = |e: DbError| match e {
            DbError::Io(e) => BackupError::Io(dest.to_path_buf(), e),
            e => BackupError::Store(e.into()),
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (view, key_file) = self.view_and_key_file()?;
            let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(next).map_err(DbError::Io).map_err(theirs)?);
            match disk.remove(FILE) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(theirs(DbError::Io(e))),
                _ => {}
            }
            let db = Db::create(disk).map_err(theirs)?;
            report.records = 0;
            for table in Table::ALL {
                report.records += copy_table(&view.snapshot, &db, table).map_err(theirs)?;
            }
            drop(view);
            // A view outlives a failed commit, but its pages may not: then the copy is no good.
            let differing = db
                .keep_sums(sums_key(&self.local), false)
                .and_then(|()| db.verify());
            // No journal that lies where this is brought back shall be taken for its own.
            db.begin_epoch().map_err(theirs)?;
            let differing = match differing {
                Ok(tables) => tables.iter().map(|t| t.name()).collect::<Vec<_>>().join(", "),
                Err(e) => e.to_string(),
            };
            if !differing.is_empty() && attempt < TRIES {
                db.close();
                continue;
            }
            if !differing.is_empty() {
                let what = format!("the database is damaged, and so is its copy: {differing}");
                report.problems.push(Problem::new(None, what));
            }
            let packs = packs_of(&db).map_err(theirs)?;
            db.close();
            return Ok((packs, key_file));
        }
    }

    /// The destination is new, empty, or a backup of this vault: then its lock, and the packs
    /// that its database names, with their lengths in bytes. What lies there beyond them was
    /// never made durable, perhaps.
    fn prepare_dest(&self, dest: &Path) -> Result<(Option<File>, HashMap<u32, u64>), BackupError> {
        let at = |e: io::Error| BackupError::Io(dest.to_path_buf(), e);
        let closed = || fs::set_permissions(dest, fs::Permissions::from_mode(0o700));
        let opening = |e: OpenError| match e {
            OpenError::Held(_) => BackupError::Held(dest.to_path_buf()),
            OpenError::Io(_, e) => at(e),
            OpenError::NotAVault(_) => BackupError::Foreign(dest.to_path_buf()),
            e => BackupError::Damaged(dest.to_path_buf(), e.to_string()),
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dest)
            .map_err(at)?;
        let mut only_ours = true;
        for entry in fs::read_dir(dest).map_err(at)? {
            let name = entry.map_err(at)?.file_name().to_string_lossy().into_owned();
            only_ours &= [NEXT, READY, KEY_FILE, LOCK_FILE].contains(&name.as_str())
                || crate::chunk::pack::pack_number(&name).is_some();
        }
        if only_ours {
            // Nothing, or a first backup that was broken off.
            let lock = take_lock(dest, false).map_err(opening)?;
            handover::finish(dest).map_err(at)?;
            // Nobody can have finished one in between but who had the lock before.
            if !dest.join(FILE).exists() {
                closed().map_err(at)?;
                return Ok((lock, HashMap::new()));
            }
        }
        let mut sealed = Sealed::open(dest).map_err(opening)?;
        if sealed.header().vault_id() != self.id().0 {
            return Err(BackupError::Foreign(dest.to_path_buf()));
        }
        closed().map_err(at)?;
        let packs = packs_of(&sealed.db).map_err(StoreError::Db)?;
        sealed.db.close();
        Ok((sealed.lock.take(), packs.into_iter().collect()))
    }

    /// Copies what is new of a pack's first `len` bytes. Of what is there, the first
    /// `trusted` bytes are believed, if they end as the source does there; else the pack is
    /// of another history, and is copied beside.
    fn copy_pack(&self, name: &str, len: u64, trusted: u64, dest: &Path) -> Result<Copied, BackupError> {
        let to = dest.join(name);
        let at = |e: io::Error| BackupError::Io(to.clone(), e);
        let source = self.core.disk.open(name).ok();
        let there = source.as_ref().and_then(|file| file.len().ok()).unwrap_or(0);
        let there = there.min(len);
        let (have, same) = match File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&to)
        {
            Ok(mut target) => {
                let _ = target.set_permissions(fs::Permissions::from_mode(0o600));
                let have = trusted.min(target.metadata().map_err(at)?.len()).min(len);
                let common = have.min(there);
                let same = match &source {
                    Some(source) => same_end(&**source, &mut target, common).map_err(at)?,
                    None => true,
                };
                (have, same)
            }
            Err(e) if e.kind() == ErrorKind::NotFound => (0, true),
            Err(e) => return Err(at(e)),
        };
        let (Some(source), false) = (source, same && have >= there) else {
            // Nothing to add; if the vault's own was cut, the backup's may be the longer one.
            return Ok(Copied {
                new: 0,
                lost: len - have,
            });
        };
        let beside = !same;
        let have = if beside { 0 } else { have };
        let to = match beside {
            true => dest.join(NEXT).join(name),
            false => to.clone(),
        };
        let mut target = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&to)
            .map_err(at)?;
        target.seek(SeekFrom::Start(have)).map_err(at)?;
        let (mut pos, mut lost) = (have, len - there);
        let mut buf = vec![0; 1 << 20];
        while pos < there {
            let take = buf.len().min((there - pos) as usize);
            // Where the disk cannot read, zeros are copied: whoever opens them sees it.
            lost += read_around(&*source, pos, &mut buf[..take]);
            target.write_all(&buf[..take]).map_err(at)?;
            pos += take as u64;
        }
        if pos > have {
            target.sync_data().map_err(at)?;
        }
        let new = (len - have).saturating_sub(lost);
        Ok(Copied { new, lost })
    }
}

/// Fills `out`, with zeros where that cannot be read; returns how many bytes that were.
fn read_around(source: &dyn DiskFile, at: u64, out: &mut [u8]) -> u64 {
    if source.read_at(at, out).is_ok() {
        return 0;
    }
    let mut lost = 0;
    for (i, block) in out.chunks_mut(4096).enumerate() {
        if source.read_at(at + i as u64 * 4096, block).is_err() {
            block.fill(0);
            lost += block.len() as u64;
        }
    }
    lost
}

/// Whether the last of the first `have` bytes are the same; what the source cannot read is not.
fn same_end(source: &dyn DiskFile, target: &mut File, have: u64) -> io::Result<bool> {
    let take = have.min(OVERLAP);
    let (mut a, mut b) = (vec![0; take as usize], vec![0; take as usize]);
    if source.read_at(have - take, &mut a).is_err() {
        return Ok(false);
    }
    target.seek(SeekFrom::Start(have - take))?;
    target.read_exact(&mut b)?;
    Ok(a == b)
}

/// The packs that a database names, with their lengths in bytes.
fn packs_of(db: &Db) -> Result<Vec<(u32, u64)>, DbError> {
    let mut packs = Vec::new();
    db.scan(Table::Packs, b"", &mut |key, value| {
        if let (Ok(pack), Ok(len)) = (<[u8; 4]>::try_from(key), <[u8; 8]>::try_from(value)) {
            packs.push((u32::from_be_bytes(pack), u64::from_be_bytes(len)));
        }
        true
    })?;
    Ok(packs)
}

fn copy_table(from: &Snapshot, to: &Db, table: Table) -> Result<u64, DbError> {
    let (mut batch, mut held, mut records) = (Batch::new(), 0, 0);
    let mut result = Ok(());
    from.scan(table, &mut |key, value| {
        if result.is_err() {
            return;
        }
        batch.put(table, key, value.to_vec());
        records += 1;
        held += key.len() + value.len();
        if held > STEP {
            result = to.apply(&std::mem::take(&mut batch));
            held = 0;
        }
    })?;
    result?;
    to.apply(&batch)?;
    Ok(records)
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
