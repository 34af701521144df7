//! What lies in a folder: whose indexes, and which bundles.
//!
//! Guarantees: of each device the newest index counts, and its own files are known to this device by their names, whatever is in them. What
//! cannot be read is said in a sentence, and counts for nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;

use coffer_store::ids::SpaceId;
use coffer_store::members::DeviceId;

use super::bundle::{self, Toc};
use super::envelope::Opener;
use super::folder::{Folder, Source};
use super::index::{BundleRef, Index};
use super::limits::INDEXES_MAX;
use super::name::{Is, Name, Names};

/// What is said of somebody who may not put anything there.
pub(super) const NO_MEMBER: &str =
    "a device that is no member of the vault has left files there; they are left alone";
/// Sentences that are kept of one exchange.
const NOTES_MAX: usize = 32;
/// How often a folder is listed while others replace indexes in it.
const LOOKS: usize = 4;
/// Things of lists that are kept in memory.
const KEPT_MAX: usize = 1 << 20;
/// Batches of another version that are remembered one by one; of a bundle with more, none is looked at.
const NEWER_MAX: usize = 1 << 18;

/// A statement's first byte, as a batch's, is its version: there is none before 0.
pub(super) fn is_newer(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|version| *version != 0)
}

/// Sentences for a person; more of them than anybody reads are counted.
#[derive(Default)]
pub(super) struct Notes {
    said: Vec<String>,
    more: usize,
}

impl Notes {
    pub(super) fn say(&mut self, what: impl Into<String>) {
        let what = what.into();
        match self.said.len() {
            _ if self.said.contains(&what) => {}
            0..NOTES_MAX => self.said.push(what),
            _ => self.more += 1,
        }
    }

    pub(super) fn take(self) -> Vec<String> {
        let mut all = self.said;
        if self.more > 0 {
            all.push(format!("and {} more of this kind", self.more));
        }
        all
    }
}

/// See the module.
pub(super) struct Look {
    /// All files that may be ours, and their lengths.
    pub(super) files: HashMap<Name, u64>,
    /// This device's indexes.
    pub(super) own: Vec<Index>,
    /// The newest of each other device.
    pub(super) others: BTreeMap<DeviceId, Index>,
    /// Files with names that are none of ours.
    pub(super) strangers: usize,
}

impl Look {
    /// Of whose indexes `may` says no, none is kept.
    pub(super) fn at(
        folder: &dyn Folder,
        names: &Names,
        who: (SpaceId, DeviceId, &Opener),
        may: &mut dyn FnMut(&DeviceId) -> bool,
        notes: &mut Notes,
    ) -> io::Result<Look> {
        let mut found = Look::once(folder, names, who, may, notes)?;
        for _ in 1..LOOKS {
            if !found.1 {
                break;
            }
            found = Look::once(folder, names, who, may, notes)?;
        }
        Ok(found.0)
    }

    /// And whether an index went meanwhile: the newer one in its place was not listed yet.
    fn once(
        folder: &dyn Folder,
        names: &Names,
        (space, me, opener): (SpaceId, DeviceId, &Opener),
        may: &mut dyn FnMut(&DeviceId) -> bool,
        notes: &mut Notes,
    ) -> io::Result<(Look, bool)> {
        let mut went = false;
        let listing = folder.list()?;
        let mut look = Look {
            files: listing.files.into_iter().collect(),
            own: Vec::new(),
            others: BTreeMap::new(),
            strangers: listing.others,
        };
        let mut indexes: Vec<(Name, u64)> = look.files.iter().map(|(name, len)| (*name, *len)).collect();
        indexes.retain(|(name, _)| names.is(name, Is::Index));
        indexes.sort_unstable();
        if indexes.len() > INDEXES_MAX {
            notes.say(format!(
                "there are more than {INDEXES_MAX} indexes; the others are left alone"
            ));
            indexes.truncate(INDEXES_MAX);
        }
        for (name, len) in indexes {
            let source = match folder.open(&name) {
                Ok(source) => source,
                // A newer one has taken its place.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    went = true;
                    continue;
                }
                Err(e) => {
                    notes.say(format!("the file {name} cannot be read: {e}"));
                    continue;
                }
            };
            match Index::read(space, opener, (&*source, len)) {
                Ok(None) => {}
                Err(why) => notes.say(format!("the file {name} {why}, and is left alone")),
                Ok(Some(index)) if index.author == me => look.own.push(index),
                Ok(Some(index)) if !may(&index.author) => notes.say(NO_MEMBER),
                Ok(Some(index)) => {
                    let known = look.others.get(&index.author);
                    if known.is_none_or(|known| known.serial < index.serial) {
                        look.others.insert(index.author, index);
                    }
                }
            }
        }
        look.own.sort_by_key(|index| std::cmp::Reverse(index.serial));
        Ok((look, went))
    }

    /// Whether a bundle's file is there, whole.
    pub(super) fn has(&self, bundle: &BundleRef) -> bool {
        self.files.get(&bundle.name) == Some(&bundle.len())
    }

    /// This device's bundles that are there, whichever of its indexes names them.
    pub(super) fn own_bundles(&self) -> Vec<BundleRef> {
        let mut seen = BTreeSet::new();
        let all = self.own.iter().flat_map(|index| &index.bundles);
        let there = all.filter(|bundle| self.has(bundle) && seen.insert(bundle.name));
        there.map(BundleRef::duplicate).collect()
    }
}

/// Bundles' lists, read once as far as memory is for that; and which bundles are broken.
pub(super) struct Lists<'a> {
    folder: &'a dyn Folder,
    known: HashMap<Name, Arc<Toc>>,
    kept: usize,
    pub(super) broken: BTreeSet<Name>,
    /// Batches that say that they are of another version: the bundle, and where in it.
    newer: HashSet<(Name, u64)>,
    /// Bundles with more of these than are remembered.
    newer_whole: BTreeSet<Name>,
}

impl<'a> Lists<'a> {
    pub(super) fn new(folder: &'a dyn Folder) -> Lists<'a> {
        Lists {
            folder,
            known: HashMap::new(),
            kept: 0,
            broken: BTreeSet::new(),
            newer: HashSet::new(),
            newer_whole: BTreeSet::new(),
        }
    }

    /// This batch says that it is of another version.
    pub(super) fn newer(&mut self, bundle: Name, at: u64) {
        match self.newer.len() < NEWER_MAX {
            true => drop(self.newer.insert((bundle, at))),
            false => drop(self.newer_whole.insert(bundle)),
        }
    }

    /// Whether the batch that begins there said so.
    pub(super) fn is_newer(&self, bundle: &Name, at: u64) -> bool {
        self.newer.contains(&(*bundle, at)) || self.newer_whole.contains(bundle)
    }

    fn judge<T>(&mut self, name: Name, read: io::Result<T>, notes: &mut Notes) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            // Its device has removed it: it was not needed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                let why = match e.kind() {
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => "is torn or altered".into(),
                    _ => format!("cannot be read: {e}"),
                };
                self.break_off(name, &why, notes);
                None
            }
        }
    }

    /// This bundle is none that can be used.
    pub(super) fn break_off(&mut self, name: Name, why: &str, notes: &mut Notes) {
        notes.say(format!("the file {name} {why}; what it holds is asked for again"));
        self.broken.insert(name);
    }

    /// A bundle's list, unless it is broken.
    pub(super) fn of(&mut self, bundle: &BundleRef, notes: &mut Notes) -> Option<Arc<Toc>> {
        if self.broken.contains(&bundle.name) {
            return None;
        }
        if let Some(toc) = self.known.get(&bundle.name) {
            return Some(toc.clone());
        }
        let read = self.folder.open(&bundle.name);
        let read = read.and_then(|source| bundle::list(&*source, bundle));
        let toc = Arc::new(self.judge(bundle.name, read, notes)?);
        self.put(bundle.name, toc.clone());
        Some(toc)
    }

    /// The list of one that was just written.
    pub(super) fn put(&mut self, name: Name, toc: Arc<Toc>) {
        if self.kept + toc.0.len() <= KEPT_MAX {
            self.kept += toc.0.len();
            self.known.insert(name, toc);
        }
    }

    /// Opens a bundle to read what is in it.
    pub(super) fn open(&mut self, bundle: &BundleRef, notes: &mut Notes) -> Option<Box<dyn Source>> {
        let opened = self.folder.open(&bundle.name);
        self.judge(bundle.name, opened, notes)
    }

    /// Reads a thing that its list names.
    pub(super) fn thing(
        &mut self,
        source: &dyn Source,
        bundle: &BundleRef,
        place: (u64, usize),
        notes: &mut Notes,
    ) -> Option<Vec<u8>> {
        let read = bundle::thing(source, bundle, place);
        self.judge(bundle.name, read, notes).map(|bytes| bytes.to_vec())
    }
}
