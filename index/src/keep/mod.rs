//! Keeps the index as the vault is: what is told goes into the tables, the search, and where links lead.
//!
//! Owns what is known of names and files. Guarantees: after [`Keeper::settle`] the views are those of a keeper that was told the present state
//! alone, whatever was told before it and in which order; a query sees one settled state, never half of one. When a table or the search
//! fails, it says so, and is of no more use: its owner makes a new one and is told everything again.

mod kinds; // files.kind
mod read; // bytes to rows
mod seen; // what searches know of files
mod tree; // names and paths

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::catalog::{Catalog, CatalogError, Change, FileRow, Lead, TextRows};
use crate::parse::Format;
use crate::resolve::{Leads, Resolver};
use crate::rows::{Extract, Link};
use crate::said::{Blob, Device, Facts, File, Kind, Lazy, Name, Tell, Text, Version};
use crate::search::{Doc, Finder, Index, Query, SearchError};
use crate::sql::Search;
use read::Job;
use seen::{Entry, Seen};
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
    search: Index,
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
    fn search(&self, words: &str) -> Result<Vec<(u64, f32)>, String> {
        let now = Timestamp::now().to_zoned(self.zone.clone());
        search(&self.finder, &self.seen, words, &now)
    }
}

fn search(finder: &Finder, seen: &Seen, words: &str, now: &Zoned) -> Result<Vec<(u64, f32)>, String> {
    let query = Query::parse(words, now).map_err(|e| e.to_string())?;
    let found = seen.with(|files| finder.find(&query, usize::MAX, files));
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

/// A file's names, without folders.
fn names(paths: &[(u64, String)]) -> Box<str> {
    let names: Vec<&str> = paths.iter().map(|(_, path)| last(path)).collect();
    names.join(" / ").into()
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Keeper {
    /// Over empty tables and an empty search.
    pub fn new(catalog: Catalog, searched: Searched, zone: TimeZone) -> Keeper {
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
            search: searched.index,
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

    /// As what a file is read: by the first of its names that says so.
    fn format(paths: &[(u64, String)], is: Option<Kind>) -> Option<Format> {
        if is != Some(Kind::File) {
            return None;
        }
        paths
            .iter()
            .find_map(|(_, path)| Format::of(last(path).as_bytes()))
    }

    /// Puts all that was told into the tables and the search. Files whose bytes are to be told first are added to
    /// `wants`; until then they have no texts.
    ///
    /// # Errors
    /// As [`KeepError`] says.
    pub fn settle(&mut self, wants: &mut BTreeSet<u64>) -> Result<(), KeepError> {
        if !self.is_behind() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let mut files: BTreeSet<u64> = pending.files.iter().chain(&pending.named).copied().collect();
        files.extend(pending.texts.keys());
        let mut change = Change::default();
        let mut nodes: BTreeSet<u64> = pending.nodes.iter().copied().collect();

        // Names first: links are followed by them.
        let (mut keys, mut moved) = (BTreeSet::new(), BTreeSet::new());
        for node in &nodes {
            let path = self.tree.path(*node);
            let was = self.links.path(*node).map(str::to_owned);
            if path.as_ref().map(|(path, _)| path) == was.as_ref() {
                continue;
            }
            for name in path.iter().map(|(path, _)| path).chain(&was) {
                let name = last(name).to_lowercase();
                let plain = ["", ".md", ".markdown"]
                    .map(|ending| name.strip_suffix(ending).unwrap_or(&name).to_owned());
                keys.extend(plain);
            }
            moved.extend(path.iter().map(|(_, file)| *file));
            match path {
                Some((path, _)) => self.links.insert(*node, &path),
                None => drop(self.links.remove(*node)),
            }
        }

        // Then texts.
        let mut paths: HashMap<u64, Vec<(u64, String)>> = HashMap::new();
        let (mut jobs, mut unread) = (Vec::new(), Vec::new());
        let mut texts = pending.texts;
        let mut renamed = HashSet::new();
        for file in &files {
            let its = self.tree.paths(*file);
            let text = texts.remove(file);
            if let Some(known) = self.known.get_mut(file) {
                let format = Keeper::format(&its, self.tree.kind(*file));
                let hash = match &text {
                    Some(Text::Bytes(bytes)) => Some(*blake3::hash(bytes).as_bytes()),
                    _ => None,
                };
                let names = names(&its);
                if known.names != names {
                    known.names = names;
                    known.is_stale = true;
                    renamed.insert(*file);
                }
                let same = format.is_some() && !known.is_stale && format.zip(hash) == known.read;
                match (format, text) {
                    (None, _) => {
                        if known.read.take().is_some() {
                            known.tags.clear();
                            unread.push(*file);
                        }
                    }
                    (Some(_), Some(_)) if same => {}
                    (Some(format), Some(text)) => {
                        known.read = Some((format, hash.unwrap_or_default()));
                        known.is_stale = false;
                        jobs.push(Job {
                            file: *file,
                            format,
                            text,
                        });
                    }
                    (Some(format), None) => {
                        let other = known.read.is_none_or(|(was, _)| was != format);
                        if other || known.is_stale {
                            wants.insert(*file);
                        }
                    }
                }
            } else {
                unread.push(*file);
            }
            paths.insert(*file, its);
        }
        let read = read::all(&jobs, &self.zone);
        drop(jobs);
        change.texts_of = unread;
        for (file, extract) in read {
            change.texts_of.push(file);
            let note = paths.get(&file).and_then(|its| its.first());
            let note = note.map_or("", |(_, path)| path);
            let leads = extract.links.iter().map(|link| self.lead(note, link)).collect();
            if let Some(known) = self.known.get_mut(&file) {
                known.tags = tags(&extract);
            }
            change.texts.push(TextRows { file, extract, leads });
        }

        // What is known of files stands beside each of their names.
        let mut seen = Vec::new();
        for file in &files {
            let its = paths.get(file).map_or(&[][..], |its| its);
            nodes.extend(its.iter().map(|(node, _)| *node));
            let Some(known) = self.known.get_mut(file) else {
                seen.push((*file, None));
                continue;
            };
            let content = known
                .facts
                .content
                .filter(|_| !its.is_empty() && known.facts.size > 0);
            let was = std::mem::replace(&mut known.counted, content);
            let modified = known.facts.modified;
            if was != content {
                self.count(was, content);
            }
            let modified = Timestamp::new(modified.seconds, modified.nanoseconds as i32).unwrap_or_default();
            let is = self.tree.kind(*file).unwrap_or(Kind::File);
            seen.push((
                *file,
                its.first().map(|(_, path)| Entry {
                    path: path.as_str().into(),
                    modified,
                    kind: kinds::kind(last(path), is),
                }),
            ));
        }
        change.nodes = nodes.iter().copied().collect();
        for node in &nodes {
            let Some((path, file)) = self.tree.path(*node) else {
                continue;
            };
            let Some(device) = self.known.get(&file).map(|known| known.facts.device.clone()) else {
                continue;
            };
            let device = self.device(&device);
            let is = self.tree.kind(file).unwrap_or(Kind::File);
            let names = paths.get(&file).map_or(1, |its| its.len() as u64);
            if let Some(known) = self.known.get(&file) {
                change.files.push(FileRow {
                    node: *node,
                    kind: kinds::kind(last(&path), is),
                    path,
                    names,
                    device,
                    tags: known.tags.clone(),
                    facts: known.facts.clone(),
                });
            }
        }
        let counts = std::mem::take(&mut self.pending.counts);
        for content in pending.counts.into_iter().chain(counts).collect::<BTreeSet<_>>() {
            let count = self.same.get(&content).copied().unwrap_or_default();
            if count == 0 {
                self.same.remove(&content);
            }
            change.same.push((content, count));
        }

        self.searched(&files, &renamed, &paths, &change)?;
        let devices = std::mem::take(&mut self.devices_changed).then(|| self.all_devices());
        // Links of others to what came, went or moved, and of notes that moved themselves.
        let read: HashSet<u64> = change.texts_of.iter().copied().collect();
        let moved: Vec<u64> = moved.into_iter().filter(|file| !read.contains(file)).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        self.catalog.together(|catalog| {
            if let Some(devices) = &devices {
                catalog.devices(devices)?;
            }
            catalog.apply(&change)?;
            let leads = self.follow(&keys, &moved, &read)?;
            catalog.lead(&leads)
        })?;
        self.seen.set(seen);
        Ok(self.search.refresh()?)
    }

    fn lead(&self, note: &str, link: &Link) -> Lead {
        match self.links.resolve(note, link) {
            Leads::To(node) => Lead::Name(node),
            Leads::Here => Lead::Here,
            Leads::Elsewhere => Lead::Web,
            Leads::Dangling => Lead::Dangling,
        }
    }

    fn all_devices(&self) -> Vec<(i32, Option<Device>, Vec<u8>)> {
        let all = self.devices.iter();
        let mut all: Vec<_> = all
            .map(|(id, (number, device))| (*number, device.clone(), id.clone()))
            .collect();
        all.sort_by_key(|(number, ..)| *number);
        all
    }

    /// Links with these keys or in these files that lead elsewhere than they did; all but those of files that were
    /// just read.
    fn follow(
        &self,
        keys: &[String],
        moved: &[u64],
        fresh: &HashSet<u64>,
    ) -> Result<Vec<(i64, Lead)>, CatalogError> {
        let mut firsts: HashMap<u64, String> = HashMap::new();
        let mut changed = Vec::new();
        for kept in self.catalog.links(keys, moved)? {
            if fresh.contains(&kept.file) {
                continue;
            }
            let note = firsts.entry(kept.file).or_insert_with(|| {
                let paths = self.tree.paths(kept.file);
                paths.into_iter().next().map(|(_, path)| path).unwrap_or_default()
            });
            let lead = self.lead(note, &kept.link);
            if lead != kept.lead {
                changed.push((kept.row, lead));
            }
        }
        Ok(changed)
    }

    /// Tells the search of files that were read or have other names.
    fn searched(
        &mut self,
        files: &BTreeSet<u64>,
        renamed: &HashSet<u64>,
        paths: &HashMap<u64, Vec<(u64, String)>>,
        change: &Change,
    ) -> Result<(), KeepError> {
        let mut read: HashMap<u64, &Extract> = HashMap::new();
        for row in &change.texts {
            read.insert(row.file, &row.extract);
        }
        let unread: HashSet<u64> = change.texts_of.iter().copied().collect();
        for file in files {
            let its = paths.get(file).map_or(&[][..], |its| its);
            let Some(known) = self.known.get_mut(file) else {
                continue;
            };
            if its.is_empty() {
                if std::mem::take(&mut known.is_searched) {
                    self.search.remove(*file)?;
                }
                continue;
            }
            // A text whose names changed is told again with its bytes.
            let by_name = !known.is_searched
                || unread.contains(file)
                || (renamed.contains(file) && known.read.is_none());
            let extract = read.get(file).copied();
            if extract.is_none() && !by_name {
                continue;
            }
            let (body, headings): (String, Vec<&str>) = extract.map_or_else(Default::default, words);
            self.search.put(&Doc {
                file: *file,
                name: &known.names,
                title: extract.and_then(|e| e.note.as_ref()?.title.as_deref()),
                tags: &known.tags,
                headings: &headings,
                body: &body,
            })?;
            known.is_searched = true;
        }
        Ok(())
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

/// All tags of a file, each once.
fn tags(extract: &Extract) -> Vec<String> {
    let note = extract.note.iter().flat_map(|note| &note.tags);
    let tasks = extract.tasks.iter().flat_map(|task| &task.tags);
    let contacts = extract.contacts.iter().flat_map(|contact| &contact.categories);
    let events = extract.events.iter().flat_map(|event| &event.categories);
    let mut seen = HashSet::new();
    note.chain(tasks)
        .chain(contacts)
        .chain(events)
        .filter(|tag| seen.insert(*tag))
        .cloned()
        .collect()
}

/// What is searched of a file beside its names and tags: its text, and its headings.
fn words(extract: &Extract) -> (String, Vec<&str>) {
    if let Some(note) = &extract.note {
        let headings = note.headings.iter().map(|heading| &*heading.text);
        let mut body = note.body.clone();
        if let Some(front) = &note.front_matter {
            body.push('\n');
            body.push_str(front);
        }
        return (body, headings.collect());
    }
    let mut lines: Vec<&str> = extract.tasks.iter().map(|task| &*task.raw).collect();
    for contact in &extract.contacts {
        lines.push(&contact.name);
        let lists = [
            &contact.nicknames,
            &contact.emails,
            &contact.phones,
            &contact.addresses,
            &contact.urls,
        ];
        lines.extend(lists.into_iter().flatten().map(String::as_str));
        lines.extend(
            [&contact.organisation, &contact.title, &contact.note]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
    }
    for event in &extract.events {
        lines.push(&event.summary);
        lines.extend(
            [&event.description, &event.location, &event.organizer]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
        lines.extend(event.attendees.iter().map(String::as_str));
    }
    (lines.join("\n"), Vec::new())
}

#[cfg(test)]
mod tests;
