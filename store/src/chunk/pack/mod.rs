//! Pack files: append-only files of self-describing records, for chunks and other sealed
//! bytes too large for the database.
//!
//! Guarantees: what `append` returned is readable at once; what was appended before a
//! `sync` that returned is durable; a file or byte that a transaction may name is never
//! overwritten or cut. Reads take any place, however wrong, without harm. Never opens a
//! seal, never decides what is garbage.
//!
//! # Format, version 0
//!
//! Packs are files `pack-00000001`, `pack-00000002`, … (decimal, at least eight digits).
//! A pack has no header of its own: it is records, one behind the other, each:
//!
//! | offset | bytes | field | |
//! | --- | --- | --- | --- |
//! | 0 | 3 | magic | `c0 ff e5` |
//! | 3 | 1 | version | 0 |
//! | 4 | 1 | kind | chosen by the caller |
//! | 5 | 4 | length | of the payload, little-endian; at most 16 MiB |
//! | 9 | 32 | id | chosen by the caller |
//! | 41 | 4 | check | first bytes of BLAKE3 over bytes 0 to 40 |
//! | 45 | length | payload | sealed by the caller |
//!
//! Between records there may be holes: zeros, or parts of records, that a failed write
//! left. The database names payloads by [`Place`] and each pack's committed length; the
//! headers serve `check` and salvage. A new pack begins when a record would take the
//! current one past the limit: 256 MiB, or what the vault finds fit for its disk.
//!
//! # Crashes
//!
//! | found on opening | means | done |
//! | --- | --- | --- |
//! | pack longer than committed | its last appends were not committed | cut back just before the first new append |
//! | pack not listed | it was made after the last commit, or its removal was lost, or the database is older than the packs | a stray: kept, readable, never appended to; its number is not used again |
//! | pack shorter than committed, or missing | damage | reported; what is there stays readable; never appended to |
//!
//! # When the system fails to save
//!
//! A write that fails (disk full) is reported to its caller and leaves at most a hole.
//! Small records wait in memory; if writing them fails they stay there, readable, and
//! the next append or sync tries again. But after a failed fdatasync nobody can say what
//! is on the disk, and a second one would succeed without having saved it. So that pack
//! becomes doubtful: appends go to a new pack, and `sync` fails until its caller has
//! dealt with the doubtful records ([`Packs::doubtful`], [`Packs::abandon`]) or the
//! vault is opened again, which cuts them off.

mod append;
mod error;
mod read;
mod record;
mod scan;
mod state;
mod sync;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub use self::error::PackError;
pub use self::record::{HEADER, Header};
pub use self::scan::ScanItem;
use self::state::{Pack, State};
use crate::io::Disk;

/// The largest payload, in bytes.
pub const MAX_PAYLOAD: usize = 16 << 20;
/// Where a pack ends, in bytes.
pub const PACK_LIMIT: u64 = 256 << 20;
/// Packs held open at once.
const MAX_OPEN: usize = 128;

/// Where a payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The pack's number.
    pub pack: u32,
    /// The payload's first byte, in bytes from the pack's start.
    pub offset: u64,
    /// The payload's length in bytes.
    pub len: u32,
}

/// What can be said of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// As it should be.
    Whole,
    /// Missing or unreadable (`None`), or shorter than committed.
    Damaged {
        /// Its length in bytes.
        have: Option<u64>,
    },
    /// No transaction lists it.
    Stray,
    /// A sync of it failed; from this byte on it may not be on the disk.
    Doubtful {
        /// The first byte in doubt.
        from: u64,
    },
    /// It was doubtful, and nothing in doubt is needed any more.
    Abandoned,
    /// No transaction lists it any more; who looked up a place in it may still read.
    Retired,
}

/// One pack, as [`Packs::list`] tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackInfo {
    /// Its number.
    pub pack: u32,
    /// Its length in bytes: all that was appended, written yet or not.
    pub len: u64,
    /// Its condition.
    pub condition: Condition,
}

/// The packs of one vault. All methods may be called from several threads at once.
pub struct Packs {
    disk: Arc<dyn Disk>,
    limit: AtomicU64,
    state: Mutex<State>,
    /// One sync at a time: the second finds most of its work done.
    syncing: Mutex<()>,
}

/// The name of a pack's file.
pub fn pack_name(pack: u32) -> String {
    format!("pack-{pack:08}")
}

/// The number in a pack's name, if it is one that [`pack_name`] makes.
pub fn pack_number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("pack-")?.parse().ok()?;
    (pack_name(number) == name).then_some(number)
}

impl Packs {
    /// Opens the packs of a vault, given what its database lists: numbers, and committed
    /// lengths in bytes. Writes nothing.
    ///
    /// # Errors
    /// If the directory cannot be listed. Damaged packs are no error here: see
    /// [`Packs::list`].
    pub fn open(disk: Arc<dyn Disk>, committed: &[(u32, u64)]) -> Result<Packs, PackError> {
        Packs::with_limit(disk, committed, PACK_LIMIT)
    }

    /// As [`Packs::open`], with packs of another size, in bytes (for tests). Readers do
    /// not depend on it.
    pub fn with_limit(disk: Arc<dyn Disk>, committed: &[(u32, u64)], limit: u64) -> Result<Packs, PackError> {
        let names = disk.list().map_err(|source| PackError::Folder {
            action: "list",
            source,
        })?;
        let mut lengths = BTreeMap::new();
        for pack in names.iter().filter_map(|name| pack_number(name)) {
            // Whatever the reason, a pack that cannot be opened must not take the rest
            // of the vault with it.
            let len = disk.open(&pack_name(pack)).and_then(|file| file.len()).ok();
            lengths.insert(pack, len);
        }
        let mut state = State::default();
        for &(pack, want) in committed {
            let have = lengths.get(&pack).copied().flatten();
            let condition = match have {
                Some(have) if have >= want => Condition::Whole,
                _ => Condition::Damaged { have },
            };
            state.packs.insert(pack, Pack::found(condition, want, want));
            if have.is_some_and(|have| have > want) {
                state.tails.push(pack);
            }
        }
        let newest = state.packs.last_key_value();
        state.current = newest
            .filter(|(_, pack)| pack.condition == Condition::Whole)
            .map(|(number, _)| *number);
        for (pack, len) in lengths {
            state
                .packs
                .entry(pack)
                .or_insert_with(|| Pack::found(Condition::Stray, 0, len.unwrap_or(0)));
        }
        state.next = state
            .packs
            .last_key_value()
            .map_or(Some(1), |(number, _)| number.checked_add(1));
        Ok(Packs {
            disk,
            limit: AtomicU64::new(limit),
            state: Mutex::new(state),
            syncing: Mutex::new(()),
        })
    }

    /// A transaction has taken this pack off the list: no later one may put it back.
    pub fn retire(&self, pack: u32) {
        let mut state = self.state.lock();
        state.drop_regions(pack);
        if let Some(known) = state.packs.get_mut(&pack) {
            known.condition = Condition::Retired;
            known.dirty_from = None;
        }
    }

    /// These numbers are taken, whether there are such packs or not: from now on none of them is
    /// made or appended to.
    pub fn avoid(&self, numbers: impl IntoIterator<Item = u32>) {
        let mut state = self.state.lock();
        for number in numbers {
            state.leave(number);
            if state.next.is_some_and(|next| next <= number) {
                state.next = number.checked_add(1);
            }
        }
    }

    /// From now on, packs end at another size, in bytes.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Removes a pack that no transaction lists any more: commit that first.
    ///
    /// # Errors
    /// If the system refuses; the pack is then still there. A pack that is gone already
    /// is no error.
    pub fn remove(&self, pack: u32) -> Result<(), PackError> {
        let mut state = self.state.lock();
        state.drop_regions(pack);
        let Some(known) = state.packs.remove(&pack) else {
            return Ok(());
        };
        // Unlinking a large file takes long.
        drop(state);
        match self.disk.remove(&pack_name(pack)) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                self.state.lock().packs.insert(pack, known);
                Err(PackError::Io {
                    pack,
                    action: "remove",
                    source,
                })
            }
            _ => Ok(()),
        }
    }

    /// All packs, by number.
    pub fn list(&self) -> Vec<PackInfo> {
        let state = self.state.lock();
        let info = |(&pack, known): (&u32, &Pack)| PackInfo {
            pack,
            len: known.end,
            condition: known.condition,
        };
        state.packs.iter().map(info).collect()
    }

    /// The numbers of packs that no transaction lists, as found on opening.
    pub fn strays(&self) -> Vec<u32> {
        self.list()
            .iter()
            .filter(|info| info.condition == Condition::Stray)
            .map(|info| info.pack)
            .collect()
    }

    /// The length of all packs together, in bytes.
    pub fn bytes(&self) -> u64 {
        let lens = self.list().into_iter().map(|info| info.len);
        // The lengths are the database's, and may be anything.
        lens.fold(0, u64::saturating_add)
    }
}

impl std::fmt::Debug for Packs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packs")
            .field("packs", &self.list())
            .finish_non_exhaustive()
    }
}
