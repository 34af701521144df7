//! Making durable, and what to do when that fails.
//!
//! Guarantees: a sync covers every append that returned before it began; a length that
//! it gives is backed by the file. Never takes a failed fdatasync for a passing matter.

use super::state::{Pack, State};
use super::{Condition, PackError, Packs, Place};

/// A pack with writes to make durable.
struct Dirty {
    number: u32,
    from: u64,
    written: u64,
    nameless: bool,
}

impl Packs {
    /// Makes durable every record whose append returned before this call. Gives the packs
    /// whose durable length, in bytes, is not [committed](Packs::committed) yet: the
    /// transaction that names the records must list these lengths. If nothing was
    /// appended, the system is not asked for anything.
    ///
    /// # Errors
    /// [`PackError::Doubtful`] while records from before a failed sync are neither removed
    /// nor [abandoned](Packs::abandon); or the system refuses. Then nothing may be
    /// committed that names a record appended since the last good sync.
    pub fn sync(&self) -> Result<Vec<(u32, u64)>, PackError> {
        let _one = self.syncing.lock();
        let doubtful = |state: &State| {
            let mut packs = state.packs.iter();
            packs
                .find(|(_, p)| matches!(p.condition, Condition::Doubtful { .. }))
                .map(|(number, _)| *number)
        };
        if let Some(pack) = doubtful(&self.state.lock()) {
            return Err(PackError::Doubtful { pack });
        }
        self.flush()?;
        self.sync_files()?;
        let state = self.state.lock();
        let ours = |pack: &Pack| matches!(pack.condition, Condition::Whole | Condition::Abandoned);
        let grown = state
            .packs
            .iter()
            .filter(|(_, pack)| ours(pack) && pack.durable > pack.committed);
        Ok(grown.map(|(number, pack)| (*number, pack.durable)).collect())
    }

    /// fdatasync of each pack written to, then of the directory if a pack is new.
    fn sync_files(&self) -> Result<(), PackError> {
        let mut dirty = Vec::new();
        for (number, pack) in &mut self.state.lock().packs {
            if pack.condition == Condition::Whole
                && let Some(from) = pack.dirty_from.take()
            {
                dirty.push(Dirty {
                    number: *number,
                    from,
                    written: pack.written,
                    nameless: pack.nameless,
                });
            }
        }
        let mut first_error = None;
        for Dirty { number, from, .. } in &dirty {
            if let Err(error) = self.sync_file(*number) {
                let mut state = self.state.lock();
                // One that was removed meanwhile needs no saving.
                if state.packs.contains_key(number) {
                    state.doubt(*number, *from);
                    first_error.get_or_insert(error);
                }
            }
        }
        if dirty.iter().any(|dirty| dirty.nameless)
            && let Err(source) = self.disk.sync_dir()
        {
            self.state.lock().doubt_names();
            first_error.get_or_insert(PackError::Folder {
                action: "save",
                source,
            });
        }
        let mut state = self.state.lock();
        for Dirty { number, written, .. } in dirty {
            if let Some(pack) = state.packs.get_mut(&number)
                && pack.condition == Condition::Whole
            {
                pack.durable = pack.durable.max(written);
                pack.nameless = false;
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Notes that saving the directory failed elsewhere: a later attempt may succeed without
    /// having saved the names of new packs.
    pub fn doubt_names(&self) {
        let _one = self.syncing.lock();
        self.state.lock().doubt_names();
    }

    fn sync_file(&self, pack: u32) -> Result<(), PackError> {
        let saved = self.file(pack)?.sync_data();
        saved.map_err(|source| PackError::Io {
            pack,
            action: "save",
            source,
        })
    }

    /// Notes that a transaction lists these lengths durably: [`Packs::sync`] repeats
    /// lengths until then, so that a transaction that failed loses none.
    pub fn committed(&self, lengths: &[(u32, u64)]) {
        let mut state = self.state.lock();
        for (number, len) in lengths {
            if let Some(pack) = state.packs.get_mut(number) {
                pack.committed = pack.committed.max(*len);
            }
        }
    }

    /// The parts of packs, as (pack, first byte, end), that a failed sync may have lost.
    /// They can still be read here, without any promise: who has the records elsewhere
    /// should append them again, and then abandon the pack.
    pub fn doubtful(&self) -> Vec<(u32, u64, u64)> {
        let part = |(number, pack): (&u32, &Pack)| match pack.condition {
            Condition::Doubtful { from } => Some((*number, from, pack.end)),
            _ => None,
        };
        self.state.lock().packs.iter().filter_map(part).collect()
    }

    /// Whether no failed sync can have lost the record at this place.
    pub fn is_sure(&self, place: Place) -> bool {
        let state = self.state.lock();
        let lost_from = state.packs.get(&place.pack).and_then(|pack| pack.lost_from);
        lost_from.is_none_or(|from| place.offset < from)
    }

    /// Whether the pack is there up to the place's end, as far as can be told without
    /// reading: what is appended again by its name need not be, if so.
    pub fn holds(&self, place: Place) -> bool {
        let end = place.offset.saturating_add(u64::from(place.len));
        match self.state.lock().packs.get(&place.pack) {
            Some(pack) => match pack.condition {
                Condition::Damaged { have } => have.is_some_and(|have| have >= end),
                Condition::Retired => false,
                _ => pack.end >= end,
            },
            None => false,
        }
    }

    /// The pack that is appended to.
    pub fn current(&self) -> Option<u32> {
        self.state.lock().current
    }

    /// Declares that no later transaction will name a place in the doubtful part of this
    /// pack, so that [`Packs::sync`] works again. What was committed of it stays.
    pub fn abandon(&self, number: u32) {
        let mut state = self.state.lock();
        if let Some(pack) = state.packs.get_mut(&number)
            && matches!(pack.condition, Condition::Doubtful { .. })
        {
            pack.condition = Condition::Abandoned;
            pack.dirty_from = None;
            state.drop_regions(number);
        }
    }
}
