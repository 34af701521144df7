//! Putting there what others lack: statements and batches first, then chunks.
//!
//! Guarantees: no more is put there than there is room and leave for; a bundle that could not be ended is taken away again; what
//! has its name is durable, and whole. It writes and removes this device's files alone.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use coffer_store::ids::{ChainId, EntityId};

use super::bundle::{Bundler, Entry};
use super::error::CarrierError;
use super::folder::Folder;
use super::index::BundleRef;
use super::look::Lists;
use super::name::{Is, Name, Names};
use super::needs::{Covered, Other};
use super::report::Tally;
use super::stream::SEGMENT;
use super::take::SESSION;
use crate::core::wire::Parcel;
use crate::core::{Answer, ChunkName, Policy, Request};
use crate::replica::Carries;

/// Bytes that are read of the vault at a time.
const READ: usize = 4 << 20;
/// Files whose chunks are looked for.
const FILES_MAX: usize = 1 << 20;

/// What keeps a device from putting more there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The disk, or its share of it, is full.
    Full,
    /// It may not be written to.
    ReadOnly,
}

/// See the module.
pub(super) struct Giver<'a, 'f> {
    pub(super) replica: &'a dyn Carries,
    pub(super) folder: &'a dyn Folder,
    pub(super) names: &'a Names,
    pub(super) lists: &'a mut Lists<'f>,
    pub(super) covered: Covered,
    /// Bytes of files that may be written.
    pub(super) room: u64,
    /// Bundles that are ended.
    pub(super) made: Vec<BundleRef>,
    /// How many more bundles there may be.
    pub(super) bundles: usize,
    pub(super) gave: &'a mut Tally,
    /// Bytes for which there was no room.
    pub(super) left_out: u64,
    pub(super) stopped: Option<Stopped>,
    open: Option<(Name, Bundler)>,
    /// Bytes that were put there since somebody asked.
    published: u64,
}

/// Why a write failed, if that is no fault of the disk.
pub(super) fn stopped(error: &io::Error) -> Option<Stopped> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Some(Stopped::Full),
        Errno::ROFS | Errno::ACCESS | Errno::PERM => Some(Stopped::ReadOnly),
        _ => None,
    }
}

impl<'a, 'f> Giver<'a, 'f> {
    pub(super) fn new(
        replica: &'a dyn Carries,
        (folder, names): (&'a dyn Folder, &'a Names),
        (lists, gave): (&'a mut Lists<'f>, &'a mut Tally),
        covered: Covered,
        (room, bundles): (u64, usize),
    ) -> Giver<'a, 'f> {
        Giver {
            replica,
            folder,
            names,
            lists,
            covered,
            room,
            made: Vec::new(),
            bundles,
            gave,
            left_out: 0,
            stopped: None,
            open: None,
            published: 0,
        }
    }

    /// Notes what a write came to.
    fn wrote<T>(&mut self, result: io::Result<T>) -> Result<Option<T>, CarrierError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => match stopped(&error) {
                Some(why) => {
                    self.stopped = Some(why);
                    self.abandon();
                    Ok(None)
                }
                None => {
                    self.abandon();
                    Err(CarrierError::io("write to the folder")(error))
                }
            },
        }
    }

    fn abandon(&mut self) {
        if let Some((name, bundler)) = self.open.take() {
            drop(bundler);
            // If this fails, too, the next exchange knows it by its name.
            let _ = self.folder.remove(&name);
        }
    }

    /// Puts a thing there. False: there is no room for it.
    fn put(&mut self, entry: Entry, bytes: &[u8]) -> Result<bool, CarrierError> {
        if self
            .open
            .as_ref()
            .is_some_and(|(_, open)| !open.fits(bytes.len()))
        {
            self.close()?;
        }
        let before = self.open.as_ref().map_or(0, |(_, open)| open.len());
        // What it comes to, with its padding.
        let after = before + (bytes.len() as u64).div_ceil(8) * 9 + 2 * SEGMENT;
        if self.stopped.is_some() || after > self.room || self.made.len() >= self.bundles {
            self.left_out += bytes.len() as u64;
            self.stopped.get_or_insert(Stopped::Full);
            return Ok(false);
        }
        if self.open.is_none() {
            let name = self.names.fresh(Is::Temporary);
            let made = self.folder.create(&name);
            let Some(sink) = self.wrote(made)? else {
                self.left_out += bytes.len() as u64;
                return Ok(false);
            };
            self.open = Some((name, Bundler::new(sink)));
        }
        let added = match &mut self.open {
            Some((_, open)) => open.add(entry, bytes),
            None => Ok(()),
        };
        match self.wrote(added)? {
            Some(()) => {
                self.covered.add(&entry);
                Ok(true)
            }
            None => {
                self.left_out += bytes.len() as u64;
                Ok(false)
            }
        }
    }

    /// Ends the bundle that is open.
    pub(super) fn close(&mut self) -> Result<(), CarrierError> {
        let Some((temporary, bundler)) = self.open.take() else {
            return Ok(());
        };
        if bundler.count() == 0 {
            let _ = self.folder.remove(&temporary);
            return Ok(());
        }
        let name = self.names.fresh(Is::Bundle);
        let ended = bundler.finish(name);
        let ended = ended.and_then(|ended| self.folder.publish(&temporary, &name).map(|()| ended));
        if ended.is_err() {
            let _ = self.folder.remove(&temporary);
        }
        let Some((bundle, toc)) = self.wrote(ended)? else {
            return Ok(());
        };
        for (entry, _, len) in &toc.0 {
            self.gave.bytes += *len as u64;
            match entry {
                Entry::Statement(_) => self.gave.statements += 1,
                Entry::Chunk(_) => self.gave.chunks += 1,
                // Nobody gives what it does not know.
                Entry::Other(..) => {}
                Entry::Batch { first, last, .. } => {
                    self.gave.batches += 1;
                    self.gave.events += last - first + 1;
                }
            }
        }
        self.room = self.room.saturating_sub(bundle.len());
        self.published += bundle.len();
        self.lists.put(name, Arc::new(toc));
        self.made.push(bundle);
        Ok(())
    }

    /// Bytes that were put there since this was asked last, once they are so many.
    pub(super) fn much(&mut self, many: u64) -> bool {
        let is_much = self.published >= many;
        if is_much {
            self.published = 0;
        }
        is_much
    }

    /// Statements that any of these lacks.
    pub(super) fn statements(
        &mut self,
        heads: &[[u8; 32]],
        others: &[Other<'_>],
    ) -> Result<(), CarrierError> {
        let mut asked: Vec<Vec<[u8; 32]>> = Vec::new();
        for other in others {
            let have = other.index.map_or(Vec::new(), |index| index.heads.clone());
            if have != heads && !asked.contains(&have) {
                asked.push(have);
            }
        }
        // Who was never here lacks all that anybody does.
        if asked.contains(&Vec::new()) {
            asked = vec![Vec::new()];
        }
        for have in asked {
            let mut skip = 0;
            loop {
                let request = Request::Statements {
                    session: SESSION,
                    want: heads.to_vec(),
                    have: have.clone(),
                    skip,
                    most: READ,
                };
                let Answer::Statements { statements, more, .. } = self.replica.answer(request) else {
                    break;
                };
                skip += statements.len();
                for bytes in &statements {
                    let Some(signed) = bytes.len().checked_sub(64) else {
                        continue;
                    };
                    let id = *blake3::hash(&bytes[..signed]).as_bytes();
                    if !self.covered.statement(&id) && !self.put(Entry::Statement(id), bytes)? {
                        return Ok(());
                    }
                }
                if !more || statements.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Batches behind what all have. Returns the files that they tell of; with `all`, also of those that lie there already.
    pub(super) fn batches(
        &mut self,
        floor: &HashMap<ChainId, u64>,
        clock: &HashMap<ChainId, u64>,
        all: bool,
    ) -> Result<HashSet<EntityId>, CarrierError> {
        let mut files = HashSet::new();
        let behind = floor
            .iter()
            .filter(|(chain, last)| clock.get(*chain).is_some_and(|here| here > *last));
        let mut cursors: HashMap<ChainId, u64> = behind.map(|(chain, last)| (*chain, *last)).collect();
        while !cursors.is_empty() {
            if !all {
                // What lies there is not read.
                for (chain, last) in &mut cursors {
                    while let Some(end) = self.covered.batch(chain, *last + 1) {
                        *last = end;
                    }
                }
                cursors.retain(|chain, last| clock.get(chain).is_some_and(|here| here > last));
            }
            let after: Vec<(ChainId, u64)> = cursors.iter().map(|(chain, last)| (*chain, *last)).collect();
            let request = Request::Batches {
                session: SESSION,
                after,
                most: READ,
            };
            let Answer::Batches { batches, .. } = self.replica.answer(request) else {
                break;
            };
            if batches.is_empty() {
                break;
            }
            let mut asked_again: HashSet<ChainId> = HashSet::new();
            for carried in batches {
                let (chain, first) = (carried.row.chain, carried.row.first);
                if asked_again.contains(&chain) {
                    continue;
                }
                let last = carried.row.last().unwrap_or(u64::MAX - 1);
                let lies_there = self.covered.batch(&chain, first);
                if (all || lies_there.is_none()) && files.len() < FILES_MAX {
                    files.extend(carried.entities());
                }
                if let Some(end) = lies_there.filter(|end| *end < last) {
                    // It was joined with others since: what is beyond that end is asked for by itself.
                    cursors.insert(chain, end);
                    asked_again.insert(chain);
                    continue;
                }
                cursors.insert(chain, last);
                if lies_there.is_some() {
                    continue;
                }
                let entry = Entry::Batch {
                    chain,
                    first,
                    last,
                    lamport: carried.lamport(),
                };
                let parcel = Parcel::new(carried).piece(0, usize::MAX);
                if !self.put(entry, &parcel)? {
                    return Ok(files);
                }
            }
        }
        Ok(files)
    }

    /// Chunks that others say they lack, by turns; then those of these files' versions told after the floor. `between` is called
    /// whenever much was put there.
    pub(super) fn chunks(
        &mut self,
        others: &[Other<'_>],
        files: &HashSet<EntityId>,
        floor: &HashMap<ChainId, u64>,
        between: &mut dyn FnMut(&mut Self) -> Result<(), CarrierError>,
    ) -> Result<(), CarrierError> {
        let indexes = others.iter().filter_map(|other| other.index);
        let lacks: Vec<&[ChunkName]> = indexes.map(|index| &index.lacks[..]).collect();
        let longest = lacks.iter().map(|list| list.len()).max().unwrap_or(0);
        let by_turns = (0..longest).flat_map(|at| lacks.iter().filter_map(move |list| list.get(at)));
        for id in by_turns.copied() {
            if !self.chunk(id)? {
                return Ok(());
            }
            between(self)?;
        }
        if files.is_empty() {
            return Ok(());
        }
        // Where nobody keeps everything, there is still use for what names pieces, and for texts.
        let keeps = |other: &Other<'_>| other.index.is_none_or(|index| index.policy == Policy::Everything);
        let (with_bulk, replica) = (others.iter().any(keeps), self.replica);
        let (mut ids, mut seen): (Vec<(ChunkName, usize)>, HashSet<ChunkName>) = Default::default();
        let (mut bytes, room, covered) = (0u64, self.room, &self.covered);
        let mut beyond = 0u64;
        let found = self.replica.chunks_told(files, floor, &mut |id, len| {
            let is_due = with_bulk || !replica.is_bulk(&id);
            if is_due && !covered.chunk(&id) && seen.insert(id) {
                match bytes <= room {
                    true => ids.push((id, len)),
                    false => beyond += len as u64,
                }
                bytes += len as u64;
            }
            true
        });
        found.map_err(CarrierError::Store)?;
        drop(seen);
        for (id, len) in ids {
            match self.stopped {
                None => drop(self.chunk(id)?),
                Some(_) => self.left_out += len as u64,
            }
            between(self)?;
        }
        if beyond > 0 {
            self.left_out += beyond;
            self.stopped.get_or_insert(Stopped::Full);
        }
        Ok(())
    }

    /// Puts a chunk there, if it is here. False: there is no room.
    fn chunk(&mut self, id: ChunkName) -> Result<bool, CarrierError> {
        if self.covered.chunk(&id) {
            return Ok(true);
        }
        // What is carried costs nothing by the byte, whatever the network does.
        let request = Request::Chunk {
            session: SESSION,
            id,
            urgent: true,
        };
        match self.replica.answer(request) {
            Answer::Chunk {
                bytes: Some(bytes), ..
            } => self.put(Entry::Chunk(id), &bytes),
            _ => Ok(true),
        }
    }
}
