//! The open vault: what file systems, the index and sync call.
//!
//! It owns the tree, the inodes in memory, and the one commit. It guarantees that each
//! call is one atomic step on an instant's tree, that what [`Vault::sync`] returned from
//! is durable, and that what was not synced is committed within 5 seconds. When the disk
//! refuses, calls fail with what the disk said, memory keeps what it accepted, and the
//! next commit tries again. It knows nothing of FUSE, networks or SQL.
//!
//! Locks, in the order in which they are taken: committer → the shared tree → tree → an inode → the leaves
//! (maps, sets). Nobody takes two inodes at a time but under the tree's lock.

mod assemble;
mod attributes;
mod backup;
mod bulk;
mod check;
mod commit;
mod create;
mod demand;
mod devices;
mod exchange;
mod facts;
mod feed;
mod files;
mod forge;
mod gc;
mod gone;
mod handover;
pub(crate) mod heads;
mod history;
mod hold;
mod horizon;
mod inode;
mod join;
mod keeper;
pub(crate) mod kept;
pub(crate) mod key_file;
mod keyed;
mod leftovers;
mod map;
mod names;
mod notes;
mod open;
mod passwd;
pub(crate) mod publish;
mod rescue;
mod resident;
mod room;
mod rows;
mod salvage;
mod saves;
pub(crate) mod secrets;
mod shared;
mod status;
mod take_in;
mod text_names;
mod texts;
mod whereabouts;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

pub use attributes::{Change, Stat};
pub use backup::{BackupError, BackupReport};
pub use bulk::{At, Incoming};
pub use check::{CheckOptions, CheckProgress, CheckReport, Problem};
pub use commit::Ticket;
pub use create::CreateError;
pub use demand::{Demanded, Gathered, Keeping, PINS_MAX, Pinned, Plan, Survey, Unreached, Why};
pub use devices::{JoinError, Joined, SayError, TakeStatementError, TakenStatement};
pub use exchange::{ChunkError, Need, Wanted};
pub use facts::{Blob, Conflict, ContentHash, Deed, Facts, HistoryRow, Name, Of};
pub use feed::Changes;
pub use gc::Freed;
pub use gone::OnGone;
pub use history::{
    BringingBack, Keep, Merge, MergeSide, MergeTexts, OldVersion, Purged, Removed, Retention, Subject,
    Thinned, UndoError, Undone, VersionInfo,
};
pub(crate) use history::{removed_aad, version_aad};
pub use hold::lock_file;
#[doc(hidden)]
pub use horizon::Patience;
pub use join::JoinedBatches;
pub use kept::{ASIDE_ADVICE, Aside};
pub use keyed::{Keyed, Standing};
pub use notes::NOTE_MAX;
pub use open::{Identity, OpenError, RecoverVaultError, Sealed, UnlockVaultError};
pub use passwd::PasswdError;
pub use salvage::{Opener, SalvageError, SalvageReport, salvage, salvage_by};
pub use saves::{Local, Process};
pub use secrets::machine_name;
#[doc(hidden)]
pub use shared::NamesKept;
pub use shared::Renamed;
pub(crate) use shared::ground_again;
pub use status::Status;
pub use take_in::{Carried, TakeInError, TakenIn, Unreadable};

use crate::core::{Core, StoreError};
use crate::ids::{EntityId, Ino, NodeNo, VaultId, number};
use crate::keys::{Aad, Header, Key, MasterKey};
use crate::record::kind;
use crate::text::TextNames;
use crate::tree::{Kind, Tree, TreeError};
use commit::{Committer, Dead};
use feed::Feed;
use keeper::Signals;
use map::Map;
use publish::Untold;
use saves::{Drafts, Editors, LeftNames, Rebound};
use secrets::Secrets;

/// Called with a folder's entries: cookie, inode, kind, name. False: enough.
pub type EachEntry<'a> = &'a mut dyn FnMut(NodeNo, Ino, Kind, &[u8]) -> bool;

/// Why a call on the vault failed.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The tree does not allow it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A rule of POSIX, by its errno.
    #[error("{}", std::io::Error::from_raw_os_error(*.0))]
    Errno(i32),
}

impl OpError {
    /// The errno that a program sees.
    pub fn errno(&self) -> i32 {
        match self {
            OpError::Errno(e) => *e,
            OpError::Store(e) => e.errno(),
            OpError::Tree(e) => match e {
                TreeError::NotFound => libc::ENOENT,
                TreeError::Exists => libc::EEXIST,
                TreeError::NotFolder => libc::ENOTDIR,
                TreeError::IsFolder => libc::EISDIR,
                TreeError::NotEmpty => libc::ENOTEMPTY,
                TreeError::Loop | TreeError::BadName => libc::EINVAL,
                TreeError::NameTooLong => libc::ENAMETOOLONG,
            },
        }
    }
}

/// An unlocked vault. Dropping it wipes the keys; [`Vault::close`] commits before.
pub struct Vault {
    core: Arc<Core>,
    header: Mutex<Header>,
    master: RwLock<MasterKey>,
    /// Seals what is this store's alone.
    local: Key,
    /// Replaced as a whole, under the committer.
    secrets: RwLock<Arc<Secrets>>,
    /// What is known of the space's devices. A leaf.
    devices: RwLock<devices::Devices>,
    tree: RwLock<Tree>,
    /// The tree of all devices, once it is needed; before the tree in the order of locks.
    shared: Mutex<Option<shared::Shared>>,
    /// What chains have said of chains, once it is needed. Only leaves are locked under it.
    horizon: Mutex<Option<horizon::Horizon>>,
    /// When this device says what it has to say of chains. A leaf.
    patience: Mutex<horizon::Patience>,
    /// Whether what is said of names is noted for it.
    is_shared: AtomicBool,
    /// A fault has left names in no place: what others say of names waits for the next opening.
    lost_names: AtomicBool,
    inodes: Mutex<Map>,
    dirty: Mutex<HashSet<Ino>>,
    dead: Mutex<Vec<Dead>>,
    untold: Mutex<Untold>,
    /// Names that known files have just left.
    left: Mutex<LeftNames>,
    drafts: Drafts,
    /// Which processes have opened files that were there.
    editors: Mutex<Editors>,
    /// Files that stand for another entity since the last commit's instant.
    rebound: Mutex<Rebound>,
    /// Which names are texts.
    text_names: RwLock<TextNames>,
    /// Files that may be texts or not any more, by all their names.
    to_mark: Mutex<HashSet<Ino>>,
    /// What is kept of texts: documents, and what is to be told.
    texts: texts::Texts,
    next_ino: AtomicU64,
    tickets: AtomicU64,
    committer: Mutex<Committer>,
    signals: Arc<Signals>,
    feed: Feed,
    replaced: Mutex<gc::Replaced>,
    /// Old versions that are open.
    readers: Mutex<Vec<Weak<history::Reading>>>,
    /// With which file's row each entity was stored last, once that was asked for. A leaf.
    stored_with: Mutex<Option<HashMap<EntityId, Ino>>>,
    /// Which batches may be joined; held while some are, or while nobody may.
    joining: Mutex<join::Joining>,
    /// Chunks that are elsewhere; before all that looks for files in the order of locks.
    lacking: Mutex<exchange::Lacking>,
    /// What this device keeps, and who waits for what it does not.
    demand: demand::Demand,
    settings: Mutex<history::Settings>,
    /// Held while history is changed but for its growth: by one at a time, before the committer. How
    /// often something that was removed was brought back.
    history: Mutex<u64>,
    /// Before this time nothing comes, whatever the clock says; in seconds since 1970.
    known_time: AtomicI64,
    /// Something was let go of, or is to be destroyed, and still lies in packs.
    owes: AtomicBool,
    /// The last collection could not destroy all of it.
    owing: AtomicBool,
    /// Versions and removed files that were let go of before their time, for want of room.
    early: AtomicU64,
    /// What is dead since before the vault was opened has not been looked for.
    unsearched: AtomicBool,
    /// When it was last looked whether history must go, there was room.
    relieved: AtomicBool,
    /// History has grown since it was last asked to make room.
    grown: AtomicBool,
    /// When history went and freed nothing, or could not go, if that was the last of it.
    fruitless: Mutex<Option<std::time::Instant>>,
    /// Where packs end, in bytes.
    pack_limit: AtomicU64,
    read_only: AtomicBool,
    /// Damage that was met on opening, for `check` and `status`.
    met: Mutex<Vec<Problem>>,
    /// What of the vault's files was deleted while it was open.
    gone: Mutex<Option<String>>,
    on_gone: Mutex<Option<OnGone>>,
    /// What is kept of a newer state.
    kept: kept::Kept,
    instance: [u8; 16],
    /// No content is changed, but keys may be.
    visiting: bool,
    /// Held until the end: the lock on the folder.
    _lock: Option<std::fs::File>,
}

impl Vault {
    /// The vault's id.
    pub fn id(&self) -> VaultId {
        VaultId(self.header.lock().vault_id())
    }

    /// Refuses all changes from now on.
    pub fn set_read_only(&self, yes: bool) {
        self.read_only.store(yes, Ordering::Relaxed);
    }

    /// What each transaction changes, from now on.
    pub fn subscribe(&self) -> Receiver<Changes> {
        self.feed.subscribe()
    }

    /// The same, told to a function in the thread of whoever made the change: it must neither wait nor call the vault. It is
    /// called until it says false.
    pub fn subscribe_by(&self, tell: impl Fn(&Changes) -> bool + Send + 'static) {
        self.feed.subscribe_by(Box::new(tell));
    }

    /// The inode is named to somebody who may come back with its number.
    pub fn hold(&self, ino: Ino) {
        self.inodes.lock().hold(ino);
    }

    /// The inverse, so many times.
    pub fn let_go(&self, ino: Ino, count: u64) {
        let inode = {
            let mut map = self.inodes.lock();
            if !map.let_go(ino, count) {
                return;
            }
            map.get(ino)
        };
        if let Some(inode) = inode {
            self.reap(&inode);
        }
    }

    /// Calls `each` with a folder's entries after `cookie`, in order, until it returns
    /// false: (cookie, inode, kind, name). Returns the folder above.
    ///
    /// # Errors
    /// ENOENT if the folder is gone.
    pub fn list(&self, folder: Ino, cookie: NodeNo, each: EachEntry<'_>) -> Result<(), OpError> {
        let tree = self.tree.read();
        let Some(folder) = tree.folder(folder) else {
            return Err(TreeError::NotFound.into());
        };
        for (no, entry) in folder.entries.range(cookie.saturating_add(1)..) {
            if !each(*no, entry.ino, entry.kind, &entry.name) {
                break;
            }
        }
        Ok(())
    }

    /// The folder above; the root's is itself.
    pub fn parent(&self, folder: Ino) -> Option<Ino> {
        self.tree.read().folder(folder).map(|f| f.parent)
    }

    /// The entity that a file stands for, or a folder's node.
    ///
    /// # Errors
    /// ENOENT if the file is gone.
    pub fn entity(&self, ino: Ino) -> Result<EntityId, OpError> {
        Ok(self.get(ino)?.state.read().binding.entity())
    }

    /// Commits everything and lets go of the keys. Others must have stopped using it.
    ///
    /// # Errors
    /// If the last commit fails; the vault is closed all the same.
    pub fn close(&self) -> Result<(), StoreError> {
        self.set_reach(false, false);
        self.signals.stop();
        self.left.lock().clear();
        self.tidy_shelf(true);
        self.keep_used(true);
        let result = self.commit().and_then(|()| {
            // What a commit can tell only in steps.
            for _ in 0..10_000 {
                if !self.is_settling() {
                    break;
                }
                self.commit()?;
            }
            Ok(())
        });
        self.remove_replaced(std::time::Duration::ZERO);
        self.read_only.store(true, Ordering::Relaxed);
        // Nothing is sealed any more: the keys are about to go.
        self.core.pool.drain();
        self.inodes.lock().clear();
        self.core.db.close();
        result
    }

    fn writable(&self) -> Result<(), OpError> {
        if self.read_only.load(Ordering::Relaxed) {
            Err(OpError::Errno(libc::EROFS))
        } else {
            Ok(self.refuse_if_gone()?)
        }
    }

    fn next_ino(&self) -> Ino {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    fn mark_dirty(&self, ino: Ino) {
        let crowded = {
            let mut dirty = self.dirty.lock();
            if !dirty.insert(ino) {
                return;
            }
            dirty.len().is_multiple_of(keeper::CROWD)
        };
        self.signals.changed();
        if crowded && !self.core.failing.load(Ordering::Relaxed) {
            self.signals.hurry();
        }
    }

    /// Whether a large file is being chunked anew in steps.
    fn is_settling(&self) -> bool {
        let untold: Vec<Ino> = self.untold.lock().inodes.iter().copied().collect();
        untold.into_iter().any(|ino| {
            // The map is let go before the inode is locked: see the order of locks above.
            let inode = self.inodes.lock().get(ino);
            inode.is_some_and(|inode| {
                let state = inode.state.read();
                let may = state.may_be_told(false) && !state.starved;
                may && state.content.as_ref().is_some_and(|c| !c.is_settled())
            })
        })
    }
}

pub(crate) fn inode_aad(ino: Ino) -> Aad {
    Aad {
        kind: kind::INODE,
        id: number(ino),
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

pub(crate) fn node_aad(no: NodeNo) -> Aad {
    Aad {
        kind: kind::NODE,
        id: number(no),
        chain: [0; 16],
        version: 0,
        generation: 0,
    }
}

/// The tag of a note of a removal that is not told yet.
pub(crate) const GONE: u8 = 1;
/// The tag of a note of a name that was left.
pub(crate) const LEFT: u8 = 6;

/// Associated data of a note about a name, by the tag of its row's key: what is noted of a removal is no name that was left.
pub(crate) fn gone_aad(no: NodeNo, tag: u8) -> Aad {
    Aad {
        kind: kind::PENDING,
        id: number(no),
        chain: [0; 16],
        version: tag.into(),
        generation: 0,
    }
}

#[cfg(test)]
mod tests {
    //! What the tests of the parts share.

    use super::*;
    use crate::io::sim::SimDisk;
    use crate::keys::{KdfParams, Password};
    use crate::record::{Meta, Time};

    pub(super) fn password() -> Password {
        Password::new(b"correct horse battery staple".to_vec())
    }

    /// A new vault in which only the test commits.
    pub(super) fn vault(disk: &SimDisk) -> Arc<Vault> {
        let disk = Arc::new(disk.clone());
        let made = Vault::create_on(disk, &password(), KdfParams::FLOOR, false, None);
        let vault = made.unwrap().0;
        vault.stop_keeper();
        vault
    }

    /// Lets go of everything that was removed.
    pub(super) fn forget_removed(vault: &Vault) {
        for gone in vault.removed().unwrap() {
            vault.purge(Subject::Removed(gone.node)).unwrap();
        }
    }

    pub(super) fn file_meta() -> Meta {
        let now = Time::now();
        Meta {
            kind: Kind::File,
            perm: 0o644,
            uid: 0,
            gid: 0,
            rdev: 0,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: None,
        }
    }
}
