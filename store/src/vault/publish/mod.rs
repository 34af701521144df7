//! Telling: from what changed to events of this device's chain.
//!
//! An entity is told when nobody has it open for writing; a node when what it names has
//! been. What came and went between two commits is never told. The events of one commit
//! lie together in a pack, signed once; a small file's body is a part of its event and
//! lies nowhere else.
//!
//! Parts, each importing only those above it: `untold` (what is to be told), `told` (what was),
//! `batches` (events, chained and signed), `versions` (of files), `nodes` (names, settings).

mod batches;
mod nodes;
mod told;
mod untold;
mod versions;

use std::collections::HashMap;
use std::sync::Arc;

use super::Vault;
use super::history::NewVersions;
use super::secrets::{Counters, Secrets};
use crate::content::Durable;
use crate::core::Keyring;
use crate::event::EventRef;
use crate::ids::Ino;
use crate::moves::Op;
use batches::Growing;
pub(super) use told::{ToldEntity, ToldNow};
pub(super) use untold::SAW_MAX;
pub(crate) use untold::{GoneNode, Untold};

/// Gathers one commit's events.
pub(super) struct Publishing<'a> {
    vault: &'a Vault,
    /// Whose events these are, and what they are sealed with: the same for all of them.
    secrets: Arc<Secrets>,
    keyring: Arc<Keyring>,
    seq: u64,
    lamport: u64,
    head: [u8; 32],
    /// Finished batches, and the one that grows.
    batches: Vec<Growing>,
    told: ToldNow,
    stale: Vec<(Ino, Durable)>,
    versions: NewVersions,
    /// Which versions the drafts are that it tells.
    drafts: HashMap<u64, Vec<EventRef>>,
    /// What it tells of names, if that is noted.
    ops: Vec<Op>,
    /// Settings that it tells, with their Lamport times.
    stamps: Vec<([u8; 16], u64)>,
}

impl<'a> Publishing<'a> {
    pub(super) fn new(vault: &'a Vault, counters: &Counters) -> Publishing<'a> {
        let secrets = vault.secrets();
        Publishing {
            vault,
            secrets: secrets.clone(),
            keyring: vault.core.keyring(),
            seq: counters.seq,
            lamport: counters.lamport,
            head: counters.head,
            batches: vec![Growing::new(
                &secrets,
                counters.next_batch,
                (counters.seq + 1, counters.lamport + 1),
                counters.head,
            )],
            told: ToldNow {
                first: counters.seq + 1,
                ..ToldNow::default()
            },
            stale: Vec::new(),
            versions: NewVersions::default(),
            drafts: HashMap::new(),
            ops: Vec::new(),
            stamps: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
