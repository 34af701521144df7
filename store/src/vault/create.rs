//! Making a vault.
//!
//! Guarantees: nothing that is there is written over; a vault that was made is durable, and has its
//! root and its key file. What is left where it fails is a folder that does not open.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::{Parts, assemble};
use super::devices::Devices;
use super::heads::{COUNTERS, INSTANCE, put_heads, seal_counters, sums_key};
use super::hold::take_lock;
use super::inode::Inode;
use super::kept::Kept;
use super::publish::Untold;
use super::saves::LeftNames;
use super::secrets::{Counters, Secrets, machine_name};
use super::{Vault, keeper};
use crate::chunk::Packs;
use crate::core::StoreError;
use crate::db::{Batch, Db, DbError, Table};
use crate::ids::{EntityId, ROOT, ROOT_NODE};
use crate::io::Disk;
use crate::io::real::RealDisk;
use crate::keys::{Header, KdfError, KdfParams, Key, MasterKey, Password, RecoveryPhrase, random_bytes};
use crate::members::Members;
use crate::record::{Meta, Time};
use crate::tree::{Kind, Tree};

/// Why no vault was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Something is there.
    #[error("{} is not empty, and nothing is ever overwritten; choose an empty or new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The KDF parameters.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The folder.
    #[error("cannot write to {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An empty or new folder to make a vault in, and its lock.
pub(super) fn prepare(dir: &Path) -> Result<(Arc<dyn Disk>, Option<File>), CreateError> {
    let at = |e| CreateError::Io(dir.to_path_buf(), e);
    std::fs::create_dir_all(dir).map_err(at)?;
    if std::fs::read_dir(dir).map_err(at)?.next().is_some() {
        return Err(CreateError::NotEmpty(dir.to_path_buf()));
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).map_err(at)?;
    let lock = take_lock(dir, false).map_err(|e| at(io::Error::other(e.to_string())))?;
    Ok((Arc::new(RealDisk::open(dir).map_err(at)?), lock))
}

impl Vault {
    /// Makes a vault in an empty or new folder, and opens it.
    ///
    /// # Errors
    /// As [`CreateError`] says.
    pub fn create(
        dir: &Path,
        password: &Password,
        params: KdfParams,
        recovery: bool,
    ) -> Result<(Arc<Vault>, Option<RecoveryPhrase>), CreateError> {
        params.check()?;
        let (disk, lock) = prepare(dir)?;
        let (vault, phrase) = Vault::create_on(disk, password, params, recovery, lock)?;
        Ok((vault, phrase))
    }

    /// The same on any disk (for tests: without a lock).
    ///
    /// # Errors
    /// As [`CreateError`] says.
    pub fn create_on(
        disk: Arc<dyn Disk>,
        password: &Password,
        params: KdfParams,
        recovery: bool,
        lock: Option<File>,
    ) -> Result<(Arc<Vault>, Option<RecoveryPhrase>), CreateError> {
        let (mut header, master) = Header::create(random_bytes(), password, params)?;
        let phrase = recovery.then(|| header.add_recovery(&master));
        let (secrets, members) = Secrets::found(machine_name());
        Vault::create_with(disk, (header, master), (secrets, members), lock).map(|vault| (vault, phrase))
    }

    /// A vault of a device that is a member already.
    pub(super) fn create_with(
        disk: Arc<dyn Disk>,
        (header, master): (Header, MasterKey),
        (secrets, members): (Secrets, Members),
        lock: Option<File>,
    ) -> Result<Arc<Vault>, CreateError> {
        let db = Db::create(disk.clone()).map_err(StoreError::Db)?;
        let local = Key::random();
        let counters = Counters::new();
        let instance = random_bytes::<16>();
        let mut batch = Batch::new();
        put_heads(&mut batch, &header, &master, &local, &secrets);
        let devices = Devices::new(members, &local, &mut batch);
        batch.put(Table::Meta, INSTANCE, instance.to_vec());
        batch.put(Table::Meta, COUNTERS, seal_counters(&local, &counters));
        db.apply(&batch).map_err(StoreError::Db)?;
        db.keep_sums(sums_key(&local), true).map_err(StoreError::Db)?;
        let packs = Packs::open(disk.clone(), &[]).map_err(StoreError::Pack)?;
        let vault = assemble(Parts {
            disk,
            db,
            packs,
            header,
            master,
            local,
            secrets,
            devices,
            counters,
            tree: Tree::default(),
            left: LeftNames::default(),
            untold: Untold::default(),
            met: Vec::new(),
            kept: Kept::default(),
            instance,
            visiting: false,
            lock,
        })?;
        let now = Time::now();
        let meta = Meta {
            kind: Kind::Folder,
            perm: 0o755,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            nlink: 2,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
        };
        let root = Inode::new(ROOT, EntityId(ROOT_NODE.0), meta, false);
        vault.inodes.lock().put(Arc::new(root), EntityId(ROOT_NODE.0));
        vault.mark_dirty(ROOT);
        vault.commit()?;
        vault.write_key_file()?;
        keeper::start(&vault).map_err(|e| StoreError::Db(DbError::Io(e)))?;
        Ok(vault)
    }
}
