//! This device's index: what it says, writing it, and removing what it does not name any more.
//!
//! Guarantees: an index is written only if it says something else than the one that stands there; what it replaces goes after it is durable.

use std::collections::{BTreeSet, HashSet};

use coffer_store::ids::ChainId;
use coffer_store::keys::SigningKey;
use coffer_store::members::DeviceId;

use super::envelope::{Opener, Readers};
use super::error::CarrierError;
use super::folder::Folder;
use super::give::{Stopped, stopped};
use super::index::{BundleRef, Index};
use super::limits::{BROKEN_MAX, DONE_MAX, HEADS_MAX, LACKS_MAX};
use super::look::{Lists, Look, Notes};
use super::name::{Is, Name, Names};
use super::needs::{Author, author};
use super::report::Exchange;
use crate::core::limits::CHAINS_MAX;
use crate::core::{ChunkName, Config};
use crate::replica::Carries;

/// Devices that nobody has heard of, and whose indexes are looked at.
const UNKNOWN_MAX: usize = 16;

/// Chunks that it says it lacks where there is no room for more.
const LACKS_FEW: usize = 256;

/// What the index says, and which were written.
#[derive(Default)]
pub(super) struct Says {
    pub(super) done: BTreeSet<Name>,
    pub(super) serial: u64,
    pub(super) written: Option<Index>,
    /// The last one is the one that counts.
    pub(super) indexes: Vec<Name>,
    pub(super) read_only: bool,
}

/// An exchange under way.
pub(super) struct Exchanging<'a> {
    pub(super) replica: &'a dyn Carries,
    pub(super) folder: &'a dyn Folder,
    pub(super) names: &'a Names,
    pub(super) device: SigningKey,
    pub(super) me: DeviceId,
    pub(super) notes: Notes,
    pub(super) out: Exchange,
}

impl Exchanging<'_> {
    pub(super) fn must_be_member(&self) -> Result<(), CarrierError> {
        let mut is_member = false;
        let me = self.me;
        self.replica
            .with_members(&mut |members| is_member = members.state().is_member(&me));
        is_member.then_some(()).ok_or(CarrierError::NotMember)
    }

    pub(super) fn look(&mut self) -> Result<Look, CarrierError> {
        let opener = Opener::new(self.replica.space(), &self.device, &self.replica.keyring());
        let who = (self.replica.space(), self.me, &opener);
        // Whoever knows members' keys can write in the names of as many devices as it likes.
        let (replica, mut unknown) = (self.replica, BTreeSet::new());
        let mut may = |device: &DeviceId| match author(replica, device) {
            Author::Member | Author::Objects => true,
            Author::Gone => false,
            Author::Unknown => {
                if unknown.len() < UNKNOWN_MAX {
                    unknown.insert(*device);
                }
                unknown.contains(device)
            }
        };
        Look::at(self.folder, self.names, who, &mut may, &mut self.notes)
            .map_err(CarrierError::io("read the folder"))
    }

    pub(super) fn config(&self) -> Result<Config, CarrierError> {
        self.replica.config().map_err(CarrierError::Store)
    }

    pub(super) fn heads(&self) -> Result<Vec<[u8; 32]>, CarrierError> {
        // Those that matter come first.
        let mut heads = self.config()?.heads;
        heads.truncate(HEADS_MAX);
        heads.sort_unstable();
        Ok(heads)
    }

    /// Writes an index, unless the newest that stands there says the same. False: it cannot be written.
    pub(super) fn publish(
        &mut self,
        look: &Look,
        lists: &Lists<'_>,
        (mut bundles, whole): (Vec<BundleRef>, bool),
        says: &mut Says,
    ) -> Result<bool, CarrierError> {
        let config = self.config()?;
        let (lacks, lacking) = self.lacking()?;
        let mut clock: Vec<(ChainId, u64)> = config.clock.iter().map(|(id, last, _)| (*id, *last)).collect();
        clock.retain(|(_, last)| *last > 0);
        clock.sort_unstable();
        clock.truncate(CHAINS_MAX);
        bundles.sort_by_key(|bundle| bundle.name);
        let mut index = Index {
            author: self.me,
            serial: says.serial + 1,
            policy: config.policy,
            whole,
            heads: self.heads()?,
            clock,
            lacks: lacks.into_iter().take(LACKS_MAX).collect(),
            lacking,
            bundles,
            done: says.done.iter().take(DONE_MAX).copied().collect(),
            broken: lists.broken.iter().take(BROKEN_MAX).copied().collect(),
        };
        let newest = says.written.as_ref().or(look.own.first());
        // One that cannot be read, or is of an older day, gives way to a new one.
        let own = look
            .files
            .keys()
            .filter(|name| self.names.is_own_index(name))
            .count();
        let is_one = says.written.is_some() || own == 1;
        if is_one && newest.is_some_and(|newest| newest.says(&index)) {
            return Ok(true);
        }
        let mut readers = None;
        let keyring = self.replica.keyring();
        self.replica
            .with_members(&mut |members| readers = Some(Readers::of(members, &keyring)));
        let Some(readers) = readers else { return Ok(false) };
        let name = self.names.fresh(Is::Index);
        let mut written = self.write(&index, &readers, &name);
        if matches!(&written, Err(error) if stopped(error) == Some(Stopped::Full))
            && index.lacks.len() > LACKS_FEW
        {
            // What it lacks most is said at least; how far it is, and what it is done with, makes room.
            index.lacks.truncate(LACKS_FEW);
            written = self.write(&index, &readers, &name);
        }
        if let Err(error) = written {
            return match stopped(&error) {
                Some(Stopped::ReadOnly) => {
                    says.read_only = true;
                    Ok(false)
                }
                Some(Stopped::Full) => {
                    self.out.full = true;
                    self.notes
                        .say("there is no room left to say what is there; make some, and exchange again");
                    Ok(false)
                }
                None => Err(CarrierError::io("write to the folder")(error)),
            };
        }
        says.indexes.push(name);
        says.serial += 1;
        says.written = Some(index);
        Ok(true)
    }

    fn write(&self, index: &Index, readers: &Readers, name: &Name) -> std::io::Result<()> {
        let temporary = self.names.fresh(Is::Temporary);
        let write = || {
            let mut sink = self.folder.create(&temporary)?;
            index.write((self.replica.space(), &self.device), readers, &mut *sink)?;
            sink.finish()?;
            self.folder.publish(&temporary, name)
        };
        write().inspect_err(|_| drop(self.folder.remove(&temporary)))
    }

    /// What is lacking of what this device keeps, each once, and the bytes of all.
    pub(super) fn lacking(&self) -> Result<(Vec<ChunkName>, u64), CarrierError> {
        let (mut chunks, beyond) = self.replica.wanted(LACKS_MAX).map_err(CarrierError::Store)?;
        let mut seen = HashSet::new();
        chunks.retain(|(id, ..)| seen.insert(*id));
        let bytes = chunks.iter().map(|(_, len, _)| u64::from(*len)).sum::<u64>();
        let ids = chunks.into_iter().map(|(id, ..)| id).collect();
        Ok((ids, bytes.saturating_add(beyond)))
    }

    /// Removes this device's files but for those that the index names now. What cannot be removed is tried again next time.
    pub(super) fn tidy(&self, look: &Look, says: &Says, named: &BTreeSet<Name>) {
        for name in look.files.keys() {
            let is_old = match says.written {
                Some(_) => self.names.is_own_index(name) && !says.indexes.contains(name),
                None => false,
            };
            let is_left = self.names.is(name, Is::Temporary);
            let is_over = self.names.is(name, Is::Bundle) && !named.contains(name);
            if is_old || is_left || is_over {
                let _ = self.folder.remove(name);
            }
        }
        // Indexes that were written on the way.
        if let Some((_, before)) = says.indexes.split_last() {
            for name in before {
                let _ = self.folder.remove(name);
            }
        }
    }
}
