//! All that a simulated disk is: which names there are, live and durable, and the faults
//! to come.
//!
//! Guarantees: the durable names change only by `sync_names` and `sync_names_failed`.

use std::collections::BTreeMap;
use std::io::Result;
use std::sync::Arc;

use parking_lot::Mutex;

use super::image::Image;
use super::{Fault, SplitMix64};

/// The size of a disk whose space is not limited, in bytes.
pub(super) const UNLIMITED: u64 = 1 << 40;

pub(super) type SharedImage = Arc<Mutex<Image>>;
pub(super) type Names = BTreeMap<String, SharedImage>;

#[derive(Clone, Debug)]
pub(super) enum DirChange {
    Create(String, SharedImage),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) live: Names,
    pub(super) durable: Names,
    pub(super) pending: Vec<DirChange>,
    pub(super) ops: u64,
    pub(super) fault: Option<(u64, Fault, bool)>,
    pub(super) freeze_at: Option<u64>,
    pub(super) frozen: Option<Box<State>>,
    pub(super) limit: Option<u64>,
}

impl DirChange {
    /// A removal or renaming of what is not there does nothing.
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            DirChange::Create(name, image) => {
                names.insert(name.clone(), image.clone());
            }
            DirChange::Remove(name) => {
                names.remove(name);
            }
            DirChange::Rename(from, to) => {
                if let Some(image) = names.remove(from) {
                    names.insert(to.clone(), image);
                }
            }
        }
    }
}

impl State {
    /// Counts a mutating call; gives the fault that it meets, and a source of chance for
    /// what that leaves behind.
    pub(super) fn count(&mut self) -> Option<(Fault, SplitMix64)> {
        self.ops += 1;
        if self.freeze_at == Some(self.ops) {
            self.frozen = Some(Box::new(self.snapshot()));
        }
        let (k, fault, sticky) = self.fault?;
        (self.ops == k || sticky && self.ops > k).then_some((fault, SplitMix64(self.ops)))
    }

    /// A mutating call that does nothing when it fails.
    pub(super) fn count_plain(&mut self) -> Result<()> {
        self.count().map_or(Ok(()), |(fault, _)| Err(fault.error()))
    }

    pub(super) fn change(&mut self, change: DirChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn used(&self) -> u64 {
        self.live
            .values()
            .map(|image| image.lock().live().len() as u64)
            .sum()
    }

    pub(super) fn room(&self) -> u64 {
        self.limit.unwrap_or(UNLIMITED).saturating_sub(self.used())
    }

    /// The names as a power loss could leave them: a prefix of the pending changes, or any
    /// subset.
    pub(super) fn torn_names(&self, rng: &mut SplitMix64) -> Names {
        let mut names = self.durable.clone();
        let prefix = rng.below(2) == 0;
        let kept = rng.below(self.pending.len() as u64 + 1) as usize;
        for (i, change) in self.pending.iter().enumerate() {
            let keep = if prefix { i < kept } else { rng.below(2) == 0 };
            if keep {
                change.apply(&mut names);
            }
        }
        names
    }

    pub(super) fn sync_names(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that reported an error, as for a file: some are durable, the rest never.
    pub(super) fn sync_names_failed(&mut self, rng: &mut SplitMix64) {
        self.durable = self.torn_names(rng);
        self.pending.clear();
    }

    /// A copy that later writes do not reach.
    pub(super) fn snapshot(&self) -> State {
        let mut copies: Vec<(SharedImage, SharedImage)> = Vec::new();
        let mut copy = |image: &SharedImage| match copies.iter().find(|(old, _)| Arc::ptr_eq(old, image)) {
            Some((_, new)) => new.clone(),
            None => {
                let new = Arc::new(Mutex::new(image.lock().clone()));
                copies.push((image.clone(), new.clone()));
                new
            }
        };
        State {
            durable: self
                .durable
                .iter()
                .map(|(name, image)| (name.clone(), copy(image)))
                .collect(),
            pending: self
                .pending
                .iter()
                .map(|change| match change {
                    DirChange::Create(name, image) => DirChange::Create(name.clone(), copy(image)),
                    other => other.clone(),
                })
                .collect(),
            ..State::default()
        }
    }
}
