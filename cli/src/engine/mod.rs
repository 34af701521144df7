//! The seam to the vault and its folder: everything this program asks of `coffer-store` and
//! `coffer-fs` goes through here, and their errors become sentences here.
//!
//! Guarantees that no type of theirs is named anywhere else in this crate but for the trait
//! `FileSystem`, so that the commands and the daemon read as what they do.

use crate::failure::Failure;
use crate::wire::{Kdf, Progress};
use coffer_store::keys::{self, KdfParams};
use std::path::{Path, PathBuf};

mod draw;
mod errors;
mod holder;
mod index;
mod mount;
mod network;
mod past;
mod transfer;
mod vault;
mod words;

pub(crate) use coffer_store::vault::ASIDE_ADVICE;
pub(crate) use draw::Drawing;
pub(crate) use holder::holder;
pub(crate) use index::{Index, Part, WORKER, work};
use mount::sentence;
pub(crate) use mount::{
    Life, Mount, abort, announce, at, check_options, dead_mounts, remove_stale, sync_mount,
};
use network::keeping;
pub(crate) use network::{Network, check_network, exchange_via, join, parse_ticket};
pub(crate) use past::past;
pub(crate) use transfer::{Stop, export, import, intake};
pub(crate) use vault::{Sealed, Vault, salvage};
pub(crate) use words::changed_pieces;

/// Called with how far an operation is.
pub(crate) type OnProgress<'a> = &'a mut dyn FnMut(Progress);

/// Forbids core dumps and being traced; first thing in every process of ours.
/// Goes on without what the system will not give; answers what that was, as sentences.
pub(crate) fn harden() -> Vec<String> {
    keys::harden_process().iter().map(sentence).collect()
}

/// Wipes whatever keys other threads still hold: the last thing that a daemon does.
pub(crate) fn wipe_keys() {
    keys::wipe_arena();
}

/// What a new vault's password costs to guess, unless asked otherwise.
pub(crate) const DEFAULT_KDF: Kdf = Kdf {
    memory_kib: KdfParams::DEFAULT.memory_kib,
    passes: KdfParams::DEFAULT.passes,
    lanes: KdfParams::DEFAULT.lanes,
};

/// Refuses parameters below the floor or above the ceiling.
///
/// # Errors
/// `Usage`, naming the bound.
pub(crate) fn check_kdf(kdf: Kdf) -> Result<(), Failure> {
    params(kdf)
        .check()
        .map_err(|error| Failure::usage(sentence(&error)))
}

fn params(kdf: Kdf) -> KdfParams {
    KdfParams {
        memory_kib: kdf.memory_kib,
        passes: kdf.passes,
        lanes: kdf.lanes,
    }
}

fn kdf(params: KdfParams) -> Kdf {
    Kdf {
        memory_kib: params.memory_kib,
        passes: params.passes,
        lanes: params.lanes,
    }
}

/// Refuses a list of names that are texts in which something is no pattern.
///
/// # Errors
/// `Usage`, naming it.
pub(crate) fn check_text_names(list: &str) -> Result<(), Failure> {
    past::text_names(list).map(drop)
}

/// The vault's database: the file whose inode tells where a vault lies.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join(coffer_store::db::FILE)
}

/// Refuses a folder that holds anything; an absent one is fine.
///
/// # Errors
/// `Failed`, or an I/O failure.
pub(crate) fn check_empty(dir: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::failed(format!(
            "{} is not empty, and nothing is ever overwritten; choose an empty or new folder.",
            dir.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(format_args!("look into {}", dir.display()), &error)),
    }
}

/// What stands readable at a vault's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The vault's id.
    pub id: [u8; 16],
    /// How its password is stretched.
    pub kdf: Kdf,
    /// Whether a recovery phrase exists.
    pub recovery: bool,
}

/// How far a vault is: one that was put back from another day is less far, or on another chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The chain that it goes on with.
    pub chain: [u8; 16],
    /// How many transactions there were.
    pub commits: u64,
}
