//! Opening a vault, and unlocking it.
//!
//! Parts: `errors`, `rows` (what is read and written for it).

mod errors;
mod rows;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use errors::{OpenError, RecoverVaultError, UnlockVaultError};

use super::assemble::{Parts, assemble};
use super::devices::Devices;
use super::handover;
use super::heads::{HEADER, INSTANCE, sums_key};
use super::hold::{find_database, take_lock};
use super::kept::Kept;
use super::rows::{read_left, read_nodes, read_untold};
use super::secrets::Counters;
use super::{Problem, Vault, keeper};
use crate::chunk::Packs;
use crate::core::StoreError;
use crate::db::{Db, DbError, Table};
use crate::ids::Ino;
use crate::io::Disk;
use crate::io::overlay::Overlay;
use crate::io::real::RealDisk;
use crate::keys::{Header, HeaderError, KdfParams, MasterKey, Password, RecoveryPhrase};
use crate::tree::{Kind, Told, Tree};

/// Whether the store goes on as the device that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It is the one that was here: what its database does not know is what a crash left.
    Same,
    /// It was moved or restored, and takes the place of the other: the same device, but a new
    /// chain, since the other may have gone on with the old one. What its database does not
    /// know is kept.
    NewChain,
    /// It is a copy, beside the other: it becomes a device of its own, with a new chain. What
    /// its database does not know is kept.
    NewDevice,
}

/// A vault that this process holds, still locked.
pub struct Sealed {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    pub(super) db: Db,
    header: Header,
    /// Missing only where it was lost: then it unlocks for salvage alone.
    instance: Option<[u8; 16]>,
    pub(super) lock: Option<File>,
    read_only: bool,
}

/// How much must be right for a vault to be unlocked, and what is done on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// To be used: what a crash left is tidied up.
    Fully,
    /// To be looked at, or given other keys: no content is changed, nothing tidied up.
    Visiting,
    /// To be read: nothing is changed.
    Quietly,
    /// To be salvaged: nothing is changed, and what the key file tells or nobody needs for
    /// reading may be missing.
    Somehow,
}

/// What refuses every change of a vault that is open to be read only.
pub(super) fn read_only() -> StoreError {
    StoreError::Db(DbError::Io(io::Error::from_raw_os_error(libc::EROFS)))
}

impl Sealed {
    /// Takes the vault's lock and reads its header.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn open(dir: &Path) -> Result<Sealed, OpenError> {
        let at = |e| OpenError::Io(dir.to_path_buf(), e);
        find_database(dir)?;
        let lock = take_lock(dir, false)?;
        handover::finish(dir).map_err(at)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir).map_err(at)?);
        Sealed::open_on(disk, dir.to_path_buf(), lock)
    }

    /// The same, to be read only: not a byte of it will be changed. The folder need not be
    /// writable; where it is, the lock is taken, and made if it is not there.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn open_read_only(dir: &Path) -> Result<Sealed, OpenError> {
        Sealed::open_over(dir, Db::open)
    }

    /// The same for salvage: a damaged journal is read up to the damage. Returns whether it is.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub(super) fn open_somehow(dir: &Path) -> Result<(Sealed, bool), OpenError> {
        let mut damaged = false;
        let sealed = Sealed::open_over(dir, |disk| {
            let (db, journal) = Db::open_somehow(disk)?;
            damaged = journal;
            Ok(db)
        })?;
        Ok((sealed, damaged))
    }

    fn open_over(
        dir: &Path,
        open: impl FnOnce(Arc<dyn Disk>) -> Result<Db, DbError>,
    ) -> Result<Sealed, OpenError> {
        let at = |e| OpenError::Io(dir.to_path_buf(), e);
        find_database(dir)?;
        let lock = take_lock(dir, true)?;
        let mut layers: Vec<Arc<dyn Disk>> = Vec::new();
        for dir in handover::layers(dir) {
            layers.push(Arc::new(RealDisk::open_read_only(&dir).map_err(at)?));
        }
        let disk: Arc<dyn Disk> = Arc::new(Overlay::new(layers));
        let sealed = Sealed::of(open(disk.clone())?, disk, dir.to_path_buf(), lock)?;
        Ok(Sealed {
            read_only: true,
            ..sealed
        })
    }

    /// Whether it was opened by [`Sealed::open_read_only`].
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The same on any disk.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn open_on(disk: Arc<dyn Disk>, dir: PathBuf, lock: Option<File>) -> Result<Sealed, OpenError> {
        Sealed::of(Db::open(disk.clone())?, disk, dir, lock)
    }

    fn of(db: Db, disk: Arc<dyn Disk>, dir: PathBuf, lock: Option<File>) -> Result<Sealed, OpenError> {
        let bytes = db
            .get(Table::Meta, HEADER)?
            .ok_or_else(|| OpenError::BadHeader("it is missing".into()))?;
        let header = Header::decode(&bytes).map_err(|e| match e {
            HeaderError::UnknownVersion(_) | HeaderError::UnknownKdf(_) | HeaderError::Needs { .. } => {
                OpenError::TooNew
            }
            HeaderError::Earlier(_) => OpenError::Trial,
            e => OpenError::BadHeader(e.to_string()),
        })?;
        let instance = db
            .get(Table::Meta, INSTANCE)?
            .and_then(|bytes| bytes.try_into().ok());
        Ok(Sealed {
            dir,
            disk,
            db,
            header,
            instance,
            lock,
            read_only: false,
        })
    }

    /// The header, as it stands in clear.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A random tag of this very store: a copy has the same, until it becomes a device of its own.
    pub fn instance(&self) -> [u8; 16] {
        self.instance.unwrap_or_default()
    }

    /// Unlocks. One that was opened to be read only is read as it is: nothing is tidied up.
    ///
    /// # Errors
    /// As [`UnlockVaultError`] says.
    pub fn unlock(self, password: &Password, identity: Identity) -> Result<Arc<Vault>, UnlockVaultError> {
        let master = self.header.unlock(password)?;
        self.unlock_with(master, identity)
    }

    /// Unlocks by the recovery phrase and sets a new password.
    ///
    /// # Errors
    /// As [`RecoverVaultError`] says; nothing is changed then.
    pub fn recover(
        self,
        phrase: &RecoveryPhrase,
        new: &Password,
        params: KdfParams,
    ) -> Result<Arc<Vault>, RecoverVaultError> {
        params.check()?;
        if self.read_only {
            return Err(read_only().into());
        }
        let master = self.header.recover(phrase)?;
        let vault = self.visit_with(master).map_err(|e| match e {
            UnlockVaultError::Store(e) => RecoverVaultError::Store(e),
            e => RecoverVaultError::Store(StoreError::Tampered { what: e.to_string() }),
        })?;
        vault.set_password(new, params).map_err(|e| match e {
            super::PasswdError::Store(e) => RecoverVaultError::Store(e),
            super::PasswdError::Kdf(e) => RecoverVaultError::Kdf(e),
            super::PasswdError::Unlock(e) => {
                RecoverVaultError::Store(StoreError::Tampered { what: e.to_string() })
            }
        })?;
        Ok(vault)
    }

    /// Unlocks for reading only: nothing is removed, mended or committed, whatever is found.
    ///
    /// # Errors
    /// As [`UnlockVaultError`] says.
    pub fn unlock_quietly(self, password: &Password) -> Result<Arc<Vault>, UnlockVaultError> {
        let master = self.header.unlock(password)?;
        self.unlock_as(master, Identity::Same, Manner::Quietly)
    }

    /// The same with as little as reading takes: the key file stands in for the store's own
    /// key and secrets, and the sum over all records and the counters are not needed.
    pub(super) fn unlock_somehow(self, master: MasterKey) -> Result<Arc<Vault>, UnlockVaultError> {
        self.unlock_as(master, Identity::Same, Manner::Somehow)
    }

    pub(crate) fn unlock_with(
        self,
        master: MasterKey,
        identity: Identity,
    ) -> Result<Arc<Vault>, UnlockVaultError> {
        let manner = match self.read_only {
            true if identity != Identity::Same => return Err(UnlockVaultError::ReadOnly),
            true => Manner::Quietly,
            false => Manner::Fully,
        };
        self.unlock_as(master, identity, manner)
    }

    pub(super) fn visit_with(self, master: MasterKey) -> Result<Arc<Vault>, UnlockVaultError> {
        let manner = match self.read_only {
            true => Manner::Quietly,
            false => Manner::Visiting,
        };
        self.unlock_as(master, Identity::Same, manner)
    }

    fn unlock_as(
        self,
        master: MasterKey,
        identity: Identity,
        manner: Manner,
    ) -> Result<Arc<Vault>, UnlockVaultError> {
        let mut met = Vec::new();
        let (local, mut secrets) = match self.keys(&master) {
            Err(e) if manner == Manner::Somehow => {
                met.push(Problem::new(None, format!("the database: {e}")));
                self.keys_by_file(&master).ok_or(e)?
            }
            keys => keys?,
        };
        let mut counters = match self.counters(&local) {
            Err(e) if manner == Manner::Somehow => {
                met.push(Problem::new(None, format!("the database: {e}")));
                Counters::new()
            }
            counters => counters?,
        };
        match self.db.keep_sums(sums_key(&local), false) {
            Err(e) if manner == Manner::Somehow => met.push(Problem::new(None, e.to_string())),
            kept => kept?,
        }
        if self.instance.is_none() && manner != Manner::Somehow {
            let what = "the tag of this copy of the vault".into();
            return Err(StoreError::Missing { what }.into());
        }

        let (mut devices, strange) = Devices::read(&self.db, &local, secrets.space)?;
        met.extend(strange);
        let mut committed = Vec::new();
        self.db.scan(Table::Packs, b"", &mut |key, value| {
            if let (Ok(pack), Ok(len)) = (<[u8; 4]>::try_from(key), <[u8; 8]>::try_from(value)) {
                committed.push((u32::from_be_bytes(pack), u64::from_be_bytes(len)));
            }
            true
        })?;
        let mut kept = match self.kept() {
            Err(e) if manner == Manner::Somehow => {
                met.push(Problem::new(None, format!("the database: {e}")));
                Kept::default()
            }
            kept => kept?,
        };
        let refused = |e| StoreError::Db(DbError::Io(e));
        kept = kept.unless_given_up(&*self.disk).map_err(refused)?;
        let mut instance = self.instance.unwrap_or_default();
        if identity != Identity::Same {
            self.begin_chain(
                identity,
                &local,
                (&mut secrets, &mut devices),
                &mut counters,
                &mut instance,
            )
            .and_then(|batch| self.keep(batch, identity, &mut kept, &mut committed))?;
        }
        let packs = Packs::open(self.disk.clone(), &committed).map_err(StoreError::Pack)?;
        // What is kept is read as ever, appended to no more, and its numbers are not used again.
        packs.avoid(kept.packs());
        let rows = read_nodes(&self.db, &local, &mut met)?;
        let referenced: HashSet<Ino> = rows.iter().map(|(_, r)| r.ino).collect();
        let (mut untold, left_rows) = read_untold(&self.db, &local, &mut met)?;
        for (no, row) in &rows {
            if row.told != Told::Now && !row.kind.is_local() {
                untold.nodes.insert(*no, row.parent);
            }
            if row.told == Told::Never && matches!(row.kind, Kind::File | Kind::Symlink) {
                // Perhaps the file was never told either; to tell it again does no harm.
                untold.inodes.insert(row.ino);
            }
        }
        let (mut tree, strays) = Tree::load(rows);
        for no in untold.gone.keys() {
            tree.reserve(*no);
        }
        let left = read_left(&self.db, &local, &untold, left_rows, &tree)?;
        for (no, row) in strays {
            untold.nodes.remove(&no);
            met.push(Problem::new(
                Some(row.name),
                "its place in the tree is damaged or taken",
            ));
        }
        let vault = assemble(Parts {
            disk: self.disk,
            db: self.db,
            packs,
            header: self.header,
            master,
            local,
            secrets,
            devices,
            counters,
            tree,
            untold,
            left,
            met,
            kept,
            instance,
            visiting: manner == Manner::Visiting,
            lock: self.lock,
        })?;
        if manner != Manner::Fully {
            vault.set_read_only(true);
            if manner == Manner::Visiting {
                vault.renew_key_file();
            }
            return Ok(vault);
        }
        vault.drop_leftovers(&referenced)?;
        vault.renew_key_file();
        keeper::start(&vault).map_err(|e| StoreError::Db(DbError::Io(e)))?;
        Ok(vault)
    }
}
