//! What this device keeps: everything, or names and texts with the bytes of other files on demand.
//!
//! Guarantees: what is kept is this device's own choice, durable and told to nobody here; a piece is given up only if
//! nobody needs it at the moment, its version was told, and a member that keeps everything has confirmed it since the choice
//! was made and within the last minute; whoever waits for a piece waits for a bounded time, and with no lock held.
//! Manifests and texts are never given up. It never asks the network itself: it says what is wanted to whoever serves it.
//!
//! Parts, each importing only those above it: `waits` (readers that wait), `pins` (what is always to be here), `used` (when each
//! file was last opened), `survey` (what is here and what is not), `evict` (giving up), `relied` (what others gave up on this
//! device's word, and what is brought before it is told).

mod evict;
mod pins;
mod relied;
mod survey;
mod used;
mod waits;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use super::Vault;
use crate::core::StoreError;
use crate::ids::EntityId;
use crate::keys::ChunkId;
use crate::record::ChunkRef;
pub use evict::Plan;
pub use pins::{PINS_MAX, Pinned};
pub use relied::Gathered;
pub use survey::Survey;
pub use waits::{Demanded, Unreached, Why};

/// The note in which it lies.
const NOTE: &str = "keeping";

/// What a device keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Keeping {
    /// All of every file and version.
    Everything = 1,
    /// Names, texts, what is pinned, and of other files what was used last, up to a limit.
    Texts = 2,
}

/// See the module. All of it are leaves in the order of locks.
pub(super) struct Demand {
    keeping: AtomicU8,
    /// Bytes of files that are kept.
    limit: AtomicU64,
    waits: waits::Waits,
    /// What was pinned, by entity or node.
    pins: Mutex<Vec<EntityId>>,
    /// Files that are pinned, or lie in a folder that is.
    pinned: RwLock<Arc<HashSet<EntityId>>>,
    used: Mutex<used::Used>,
    /// What a commit needs to tell a file that was changed, and does not have.
    needed: Mutex<HashMap<ChunkId, (ChunkRef, EntityId)>>,
    /// What members that keep everything have confirmed, and when; of the present choice.
    confirmed: Mutex<HashMap<ChunkId, Instant>>,
    /// What was asked for and nobody confirmed, and when.
    unconfirmed: Mutex<HashMap<ChunkId, Instant>>,
    /// One at a time looks for what may go, here or in a collection.
    pub(super) sweeping: Mutex<()>,
    surveyed: Mutex<Option<(Instant, Survey)>>,
    /// Pieces that texts need, and when they were looked for.
    texts: Mutex<Option<(Instant, HashSet<ChunkId>)>>,
    /// Chunks have come, gone or been made since the last survey.
    pub(super) stale: AtomicBool,
    /// Somebody relies on what is here; see `relied`.
    relied: AtomicBool,
    /// On a full disk: what is to go of what others hold.
    yielding: Mutex<evict::Yielding>,
    /// History was let go of early, and its bytes may still be here.
    let_go: AtomicBool,
    /// What somebody brought, and is about to name.
    gathered: Mutex<relied::Held>,
}

impl Default for Demand {
    fn default() -> Demand {
        Demand {
            keeping: AtomicU8::new(Keeping::Everything as u8),
            limit: AtomicU64::new(u64::MAX),
            waits: waits::Waits::default(),
            pins: Mutex::default(),
            pinned: RwLock::default(),
            used: Mutex::default(),
            needed: Mutex::default(),
            confirmed: Mutex::default(),
            unconfirmed: Mutex::default(),
            sweeping: Mutex::default(),
            surveyed: Mutex::default(),
            texts: Mutex::default(),
            stale: AtomicBool::new(true),
            relied: AtomicBool::new(false),
            yielding: Mutex::default(),
            let_go: AtomicBool::new(false),
            gathered: Mutex::default(),
        }
    }
}

fn decode(note: &[u8]) -> Option<(Keeping, bool, u64)> {
    let [0, keeping, partial, limit @ ..] = note else {
        return None;
    };
    let keeping = match keeping {
        1 => Keeping::Everything,
        2 => Keeping::Texts,
        _ => return None,
    };
    let limit = u64::from_le_bytes(limit.try_into().ok()?);
    Some((keeping, *partial != 0, limit))
}

impl Vault {
    /// Reads what was chosen; when the vault is put together.
    pub(super) fn load_keeping(&self) {
        match self.note(NOTE).map(|note| note.map(|note| decode(&note))) {
            Ok(None) => {}
            Ok(Some(Some((keeping, partial, limit)))) => {
                self.demand.keeping.store(keeping as u8, Ordering::Release);
                self.demand.limit.store(limit, Ordering::Relaxed);
                self.core.partial.store(partial, Ordering::Release);
            }
            // Nothing is called lost that may be elsewhere.
            Ok(Some(None)) | Err(_) => self.core.partial.store(true, Ordering::Release),
        }
        self.load_relied();
        self.load_pins();
        self.load_used();
    }

    /// What this device keeps.
    pub fn keeping(&self) -> Keeping {
        match self.demand.keeping.load(Ordering::Acquire) {
            2 => Keeping::Texts,
            _ => Keeping::Everything,
        }
    }

    /// Bytes of files that are kept at most, of those that need not be here.
    pub fn keeping_limit(&self) -> u64 {
        self.demand.limit.load(Ordering::Relaxed)
    }

    /// Whether pieces of files may not be on this device although its versions are.
    pub fn is_partial(&self) -> bool {
        self.core.partial.load(Ordering::Acquire)
    }

    /// Chooses what this device keeps, durably. What was confirmed before counts no more; from this moment on
    /// [`Vault::keeping`] says so.
    ///
    /// # Errors
    /// As [`StoreError`] says; then all is as before.
    pub fn set_keeping(&self, keeping: Keeping, limit: u64) -> Result<(), StoreError> {
        let before = (self.keeping(), self.keeping_limit());
        if before == (keeping, limit) {
            return Ok(());
        }
        {
            // Nobody is giving up anything by the former choice.
            let _alone = self.demand.sweeping.lock();
            // Others may rely on what is here only as long as that is durably so.
            let now = self.demand.keeping.swap(keeping as u8, Ordering::AcqRel);
            let partial = self.is_partial() || keeping == Keeping::Texts;
            let note = [&[0, keeping as u8, u8::from(partial)][..], &limit.to_le_bytes()].concat();
            if let Err(error) = self.set_note(NOTE, &note) {
                self.demand.keeping.store(now, Ordering::Release);
                return Err(error);
            }
            self.core.partial.store(partial, Ordering::Release);
            self.demand.limit.store(limit, Ordering::Relaxed);
            self.demand.confirmed.lock().clear();
            self.demand.unconfirmed.lock().clear();
        }
        self.demand.stale.store(true, Ordering::Relaxed);
        if before.0 != keeping {
            match keeping {
                Keeping::Texts => self.wait_no_more()?,
                Keeping::Everything => drop(self.forget_lacking()),
            }
            self.demand.waits.more();
        }
        Ok(())
    }

    /// Once everything is kept and all has come, what is not here is lost again, and not elsewhere.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub fn finish_keeping(&self) -> Result<(), StoreError> {
        if self.keeping() == Keeping::Texts || !self.is_partial() || !self.lacking(1)?.is_empty() {
            return Ok(());
        }
        if self.look_round()?.survey.absent_bytes > 0 {
            return Ok(());
        }
        let _alone = self.demand.sweeping.lock();
        if self.keeping() == Keeping::Everything {
            let limit = self.keeping_limit().to_le_bytes();
            self.set_note(NOTE, &[&[0, Keeping::Everything as u8, 0][..], &limit].concat())?;
            self.core.partial.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// A commit lacks this to tell a file; it is fetched, whatever is kept. An inode is locked.
    pub(super) fn need(&self, chunk: ChunkRef, entity: EntityId) {
        self.demand.needed.lock().insert(chunk.id, (chunk, entity));
        self.demand.waits.more();
    }

    /// A commit told versions of these: of what is to be here, what they name and is not is fetched.
    pub(super) fn were_told(&self, entities: &[EntityId]) {
        if !self.is_partial() {
            return;
        }
        let is_texts = self.keeping() == Keeping::Texts;
        let mut entities = entities.to_vec();
        entities.retain(|entity| !is_texts || self.is_pinned(entity));
        if entities.is_empty() {
            return;
        }
        if self.may_lack(&entities).is_err() {
            // All is looked at anew.
            self.forget_lacking();
        }
        self.demand.waits.more();
    }

    /// What commits lack.
    pub(super) fn needed(&self) -> Vec<(ChunkRef, EntityId)> {
        self.demand.needed.lock().values().copied().collect()
    }

    /// It came, if it was needed.
    pub(super) fn need_no_more(&self, id: &ChunkId) {
        if self.demand.needed.lock().remove(id).is_some() {
            self.signals.tell();
        }
    }
}
