//! Keeps the index as the vault is: what is told goes into the tables, the search, and where links lead.
//!
//! Owns what is known of names and files. Guarantees: after [`Keeper::settle`] the views are those of a keeper that was told the present state
//! alone, whatever was told before it and in which order; a query sees one settled state, never half of one. When a table or the search
//! fails, it says so, and is of no more use: its owner makes a new one and is told everything again.

mod kinds; // files.kind
mod read; // bytes to rows
mod seen; // what searches know of files
mod tree; // names and paths
mod words; // what of a file is searched

mod settle; // what was told, into tables and search

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::catalog::{Catalog, CatalogError};
use crate::parse::Format;
use crate::resolve::Resolver;
use crate::said::{Blob, Device, Facts, File, Lazy, Name, Tell, Text, Version};
use crate::search::{Finder, Index, Query, SearchError};
use crate::sql::Search;
use crate::texts::Texts;
use seen::Seen;
use tree::Tree;

/// Bytes of text that wait, after which it is settled.
pub const WAITING_MAX: usize = 8 << 20;
/// Names and files that wait, after which it is settled.
const MANY_MAX: usize = 20_000;

/// The index cannot be kept any longer.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The tables.
    #[error(transparent)]
    Tables(#[from] CatalogError),
    /// The search.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// What is known of one file.
#[derive(Default)]
struct Known {
    facts: Facts,
    /// As what it was read, and a hash of the bytes.
    read: Option<(Format, [u8; 32])>,
    /// Its names, as the search has them.
    names: Box<str>,
    /// Whether it is to be read again though its bytes are the same: its names are others.
    is_stale: bool,
    tags: Vec<String>,
    /// Under which content it is counted.
    counted: Option<[u8; 16]>,
    /// Whether the search has it.
    is_searched: bool,
    /// A note's body, among the texts.
    body: Option<u64>,
}

/// What was told and is not in the tables yet.
#[derive(Default)]
struct Pending {
    nodes: HashSet<u64>,
    /// Files whose names changed.
    named: HashSet<u64>,
    /// Files of which something changed.
    files: HashSet<u64>,
    texts: HashMap<u64, Text>,
    bytes: usize,
    /// Contents that other numbers of files have.
    counts: BTreeSet<[u8; 16]>,
    /// Bodies of files that are gone.
    bodies: Vec<u64>,
}

/// See the module.
pub struct Keeper {
    tree: Tree,
    links: Resolver,
    known: HashMap<u64, Known>,
    same: HashMap<[u8; 16], u64>,
    devices: HashMap<Vec<u8>, (i32, Option<Device>)>,
    devices_changed: bool,
    /// What is told of these until it is whole.
    history: Vec<Version>,
    blobs: Vec<Blob>,
    pending: Pending,
    catalog: Catalog,
    texts: Texts,
    search: Index,
    /// Bytes that were told since searches were shown what there is.
    unsearched: usize,
    seen: Arc<Seen>,
    zone: TimeZone,
}

/// Searches, for SQL.
struct Searching {
    finder: Finder,
    seen: Arc<Seen>,
    zone: TimeZone,
}

impl Search for Searching {
    fn search(&self, words: &str, best: usize) -> Result<Vec<(u64, f32)>, String> {
        let now = Timestamp::now().to_zoned(self.zone.clone());
        search(&self.finder, &self.seen, words, best, &now)
    }
}

fn search(
    finder: &Finder,
    seen: &Seen,
    words: &str,
    best: usize,
    now: &Zoned,
) -> Result<Vec<(u64, f32)>, String> {
    let query = Query::parse(words, now).map_err(|e| e.to_string())?;
    let found = seen.with(|files| finder.find(&query, best, files));
    let hits = found.map_err(|e| e.to_string())?.hits;
    Ok(hits.into_iter().map(|hit| (hit.file, hit.score)).collect())
}

/// The search that a keeper will fill, and what answers queries from it.
pub struct Searched {
    index: Index,
    seen: Arc<Seen>,
}

impl Searched {
    /// An empty one, which may take `budget` bytes while it is filled.
    ///
    /// # Errors
    /// The library's.
    pub fn new(budget: usize) -> Result<Searched, SearchError> {
        Ok(Searched {
            index: Index::new(budget)?,
            seen: Arc::default(),
        })
    }

    /// What answers; times without a zone are meant as in this one.
    pub fn answers(&self, zone: &TimeZone) -> Arc<dyn Search> {
        Arc::new(Searching {
            finder: self.index.finder(),
            seen: Arc::clone(&self.seen),
            zone: zone.clone(),
        })
    }
}

impl Keeper {
    /// Over empty tables and an empty search; the tables' texts are put there.
    pub fn new(catalog: Catalog, searched: Searched, texts: Texts, zone: TimeZone) -> Keeper {
        Keeper {
            tree: Tree::default(),
            links: Resolver::default(),
            known: HashMap::new(),
            same: HashMap::new(),
            devices: HashMap::new(),
            devices_changed: false,
            history: Vec::new(),
            blobs: Vec::new(),
            pending: Pending::default(),
            catalog,
            texts,
            search: searched.index,
            unsearched: 0,
            seen: searched.seen,
            zone,
        }
    }

    /// Takes names, files and devices; nothing of it is seen before [`Keeper::settle`]. Files whose bytes it
    /// must be told are added to `wants`.
    ///
    /// # Errors
    /// As [`KeepError`] says.
    pub fn tell(&mut self, tell: Tell, wants: &mut BTreeSet<u64>) -> Result<(), KeepError> {
        match tell {
            Tell::Names(names) => names.into_iter().for_each(|name| self.name(name)),
            Tell::Unnamed(nodes) => {
                let pending = &mut self.pending;
                for node in nodes {
                    self.tree.remove(node, &mut pending.nodes, &mut pending.named);
                }
            }
            Tell::Files(files) => files.into_iter().for_each(|file| self.file(file)),
            Tell::Gone(files) => {
                for file in files {
                    self.pending.texts.remove(&file);
                    self.pending.files.insert(file);
                    self.forget(file)?;
                }
            }
            Tell::Devices(devices) => self.devices(devices),
            Tell::History(first, versions) => {
                if first {
                    self.history.clear();
                }
                self.history.extend(versions);
            }
            Tell::Blobs(first, blobs) => {
                if first {
                    self.blobs.clear();
                }
                self.blobs.extend(blobs);
            }
            Tell::Whole(Lazy::History) => self.put_history()?,
            Tell::Whole(Lazy::Blobs) => {
                let blobs = std::mem::take(&mut self.blobs);
                self.catalog.together(|catalog| catalog.blobs(&blobs))?;
            }
            Tell::Known(_) | Tell::Filled | Tell::Mark(_) | Tell::Still(_) => {}
        }
        if self.pending.bytes > WAITING_MAX || self.pending.nodes.len() + self.pending.files.len() > MANY_MAX
        {
            self.settle(wants)?;
        }
        Ok(())
    }

    /// How many files something is known of.
    pub fn files(&self) -> u64 {
        self.known.len() as u64
    }

    /// Whether something was told that is not in the tables.
    pub fn is_behind(&self) -> bool {
        let pending = &self.pending;
        !(pending.nodes.is_empty() && pending.files.is_empty() && pending.texts.is_empty())
            || self.devices_changed
    }

    fn name(&mut self, name: Name) {
        let pending = &mut self.pending;
        self.tree.set(name, &mut pending.nodes, &mut pending.named);
    }

    fn file(&mut self, file: File) {
        let number = file.facts.file;
        self.known.entry(number).or_default().facts = file.facts;
        self.pending.files.insert(number);
        if file.text != Text::Unread {
            if let Text::Bytes(bytes) = &file.text {
                self.pending.bytes += bytes.len();
            }
            self.pending.texts.insert(number, file.text);
        }
    }

    fn forget(&mut self, file: u64) -> Result<(), KeepError> {
        let Some(known) = self.known.remove(&file) else {
            return Ok(());
        };
        if known.is_searched {
            self.search.remove(file)?;
        }
        self.pending.bodies.extend(known.body);
        self.count(known.counted, None);
        Ok(())
    }

    /// A file is counted under another content.
    fn count(&mut self, was: Option<[u8; 16]>, is: Option<[u8; 16]>) {
        for (content, more) in [(was, false), (is, true)] {
            let Some(content) = content else { continue };
            let count = self.same.entry(content).or_default();
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            self.pending.counts.insert(content);
        }
    }

    fn device(&mut self, id: &[u8]) -> Option<i32> {
        if id.is_empty() {
            return None;
        }
        if let Some((number, _)) = self.devices.get(id) {
            return Some(*number);
        }
        let number = self.devices.len() as i32;
        self.devices.insert(id.to_vec(), (number, None));
        self.devices_changed = true;
        Some(number)
    }

    fn devices(&mut self, devices: Vec<Device>) {
        self.devices.values_mut().for_each(|(_, device)| *device = None);
        for device in devices {
            let id = device.id.clone();
            self.device(&id);
            if let Some((_, known)) = self.devices.get_mut(&id) {
                *known = Some(device);
            }
        }
        self.devices_changed = true;
    }

    fn put_history(&mut self) -> Result<(), KeepError> {
        let versions = std::mem::take(&mut self.history);
        let rows: Vec<(Version, Option<i32>)> = versions
            .into_iter()
            .map(|version| {
                let device = self.device(&version.device);
                (version, device)
            })
            .collect();
        Ok(self.catalog.together(|catalog| catalog.history(&rows))?)
    }

    /// Says how far the index is.
    ///
    /// # Errors
    /// As [`KeepError`] says.
    pub fn about(&self, complete: bool, known: u64) -> Result<(), KeepError> {
        Ok(self
            .catalog
            .about(complete, known.max(self.files()), self.files())?)
    }

    /// Gives back room.
    ///
    /// # Errors
    /// As [`KeepError`] says.
    pub fn tidy(&self) -> Result<(), KeepError> {
        Ok(self.catalog.tidy()?)
    }
}

#[cfg(test)]
mod tests;
