//! Putting the open vault together from what was made or read.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use parking_lot::{Mutex, RwLock};

use super::commit::Committer;
use super::devices::Devices;
use super::feed::Feed;
use super::join::Joining;
use super::keeper::Signals;
use super::kept::Kept;
use super::map::Map;
use super::publish::Untold;
use super::saves::LeftNames;
use super::secrets::{Counters, Secrets};
use super::shared::is_begun;
use super::take_in::PROGRAM_LEVEL;
use super::{Problem, Vault};
use crate::chunk::Packs;
use crate::core::{Core, StoreError};
use crate::db::{Db, DbError};
use crate::io::Disk;
use crate::keys::{Header, Key, MasterKey};
use crate::text::TextNames;
use crate::tree::Tree;

/// What differs from vault to vault.
pub(super) struct Parts {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) db: Db,
    pub(super) packs: Packs,
    pub(super) header: Header,
    pub(super) master: MasterKey,
    pub(super) local: Key,
    pub(super) secrets: Secrets,
    pub(super) devices: Devices,
    pub(super) counters: Counters,
    pub(super) tree: Tree,
    pub(super) untold: Untold,
    pub(super) left: LeftNames,
    pub(super) met: Vec<Problem>,
    pub(super) kept: Kept,
    pub(super) instance: [u8; 16],
    pub(super) visiting: bool,
    pub(super) lock: Option<File>,
}

/// A vault in which nothing is going on yet: its keeper is not started.
pub(super) fn assemble(p: Parts) -> Result<Arc<Vault>, StoreError> {
    let keyring = p.secrets.keyring(&p.devices.members);
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get()).min(4);
    let is_shared = is_begun(&p.db)?;
    let core =
        Core::new(p.disk, p.db, p.packs, keyring, threads).map_err(|e| StoreError::Db(DbError::Io(e)))?;
    let vault = Vault {
        core: Arc::new(core),
        header: Mutex::new(p.header),
        master: RwLock::new(p.master),
        local: p.local,
        secrets: RwLock::new(Arc::new(p.secrets)),
        devices: RwLock::new(p.devices),
        tree: RwLock::new(p.tree),
        shared: Mutex::default(),
        horizon: Mutex::new(None),
        patience: Mutex::default(),
        is_shared: AtomicBool::new(is_shared),
        lost_names: AtomicBool::new(false),
        inodes: Mutex::new(Map::default()),
        dirty: Mutex::default(),
        dead: Mutex::default(),
        untold: Mutex::new(p.untold),
        left: Mutex::new(p.left),
        drafts: Default::default(),
        editors: Mutex::default(),
        rebound: Mutex::default(),
        text_names: RwLock::new(TextNames::default()),
        to_mark: Mutex::default(),
        texts: Default::default(),
        next_ino: AtomicU64::new(p.counters.next_ino),
        tickets: AtomicU64::new(0),
        committer: Mutex::new(Committer::new(p.counters)),
        signals: Arc::new(Signals::default()),
        feed: Feed::default(),
        replaced: Mutex::default(),
        readers: Mutex::default(),
        stored_with: Mutex::default(),
        joining: Mutex::new(Joining::before(p.counters.next_batch)),
        lacking: Mutex::default(),
        demand: Default::default(),
        settings: Mutex::default(),
        history: Mutex::default(),
        known_time: AtomicI64::new(i64::MIN),
        owes: AtomicBool::new(false),
        owing: AtomicBool::new(false),
        early: AtomicU64::new(0),
        unsearched: AtomicBool::new(true),
        relieved: AtomicBool::new(false),
        grown: AtomicBool::new(false),
        fruitless: Mutex::new(None),
        pack_limit: AtomicU64::new(0),
        read_only: AtomicBool::new(false),
        met: Mutex::new(p.met),
        gone: Mutex::new(None),
        on_gone: Mutex::new(None),
        kept: p.kept,
        instance: p.instance,
        visiting: p.visiting,
        _lock: p.lock,
    };
    vault.size_packs();
    vault.load_history()?;
    vault.load_keeping();
    {
        let untold = vault.untold.lock();
        untold.behind.iter().for_each(|ino| vault.texts.may_show(*ino));
    }
    vault.begin_trying(PROGRAM_LEVEL)?;
    Ok(Arc::new(vault))
}
