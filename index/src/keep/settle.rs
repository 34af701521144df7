//! Puts what was told into the tables and the search.
//!
//! In this order: names, since links are followed by them; texts; what is known of files, for each of their names; then the search, and all tables
//! in one step. Searches see it when they are shown it, which costs more than to take it: at the latest when much was taken.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::read::{self, Job};
use super::seen::Entry;
use super::words::{last, names, tags, words};
use super::{KeepError, Keeper, WAITING_MAX, kinds};
use crate::catalog::{CatalogError, Change, FileRow, Lead, TextRows};
use crate::parse::Format;
use crate::resolve::Leads;
use crate::rows::{Extract, Link, Problem};
use crate::said::{Device, Kind, Text};
use crate::search::Doc;

/// Bytes told before searches are shown them.
const UNSEARCHED_MAX: usize = 8 * WAITING_MAX;

/// The names of a file, with their paths.
type Paths = HashMap<u64, Vec<(u64, String)>>;

/// What names that came, moved or went have to do with links.
#[derive(Default)]
struct Moved {
    /// By these, links are found that may lead elsewhere now.
    keys: BTreeSet<String>,
    /// Files that have other paths.
    files: BTreeSet<u64>,
}

/// Files as their texts are to be looked at.
#[derive(Default)]
struct Sorted {
    /// To be read.
    jobs: Vec<Job>,
    /// Not to be read, or not any more.
    unread: Vec<u64>,
    /// Named otherwise than they were.
    renamed: HashSet<u64>,
    paths: Paths,
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

fn each_once(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

impl Keeper {
    /// Puts all that was told into the tables and the search. Files whose bytes are to be told first are added to
    /// `wants`; until then they have no texts.
    ///
    /// # Errors
    /// As [`KeepError`] says.
    pub fn settle(&mut self, wants: &mut BTreeSet<u64>) -> Result<(), KeepError> {
        if !self.is_behind() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        let files = pending
            .files
            .iter()
            .chain(&pending.named)
            .chain(pending.texts.keys());
        let files = each_once(files.copied().collect());
        let nodes = each_once(pending.nodes.iter().copied().collect());

        let moved = self.moved(&nodes);
        let sorted = self.sorted(&files, &mut pending.texts, wants);
        let mut gone = std::mem::take(&mut pending.bodies);
        let mut change = self.texts(sorted.jobs, sorted.unread, &sorted.paths, &mut gone);
        let seen = self.facts(&files, &sorted.paths);
        change.nodes = nodes;
        self.rows(&files, &sorted.paths, &mut change);
        self.counted(pending.counts, &mut change);

        self.searched(&files, &sorted.renamed, &sorted.paths, &change)?;
        let devices = std::mem::take(&mut self.devices_changed).then(|| self.all_devices());
        // Links of others to what came, went or moved, and of notes that moved themselves.
        let read: HashSet<u64> = change.texts_of.iter().copied().collect();
        let away: Vec<u64> = moved
            .files
            .into_iter()
            .filter(|file| !read.contains(file))
            .collect();
        let keys: Vec<String> = moved.keys.into_iter().collect();
        self.catalog.together(|catalog| {
            if let Some(devices) = &devices {
                catalog.devices(devices)?;
            }
            catalog.apply(&change)?;
            let leads = self.follow(&keys, &away, &read)?;
            catalog.lead(&leads)
        })?;
        self.texts.give_up(gone);
        self.seen.set(seen);
        self.unsearched += pending.bytes.max(1);
        match self.unsearched > UNSEARCHED_MAX {
            true => self.show(),
            false => Ok(()),
        }
    }

    /// Lets searches see what the tables have.
    ///
    /// # Errors
    /// As [`KeepError`] says.
    pub fn show(&mut self) -> Result<(), KeepError> {
        self.unsearched = 0;
        Ok(self.search.refresh()?)
    }

    /// Notes where names are now.
    fn moved(&mut self, nodes: &[u64]) -> Moved {
        let mut moved = Moved::default();
        for node in nodes {
            let path = self.tree.path(*node);
            let was = self.links.path(*node);
            if path.as_ref().map(|(path, _)| &**path) == was {
                continue;
            }
            for name in path.iter().map(|(path, _)| &**path).chain(was) {
                let name = last(name).to_lowercase();
                let plain = ["", ".md", ".markdown"]
                    .map(|ending| name.strip_suffix(ending).unwrap_or(&name).to_owned());
                moved.keys.extend(plain);
            }
            moved.files.extend(path.iter().map(|(_, file)| *file));
            match path {
                Some((path, _)) => self.links.insert(*node, &path),
                None => drop(self.links.remove(*node)),
            }
        }
        moved
    }

    /// Sorts out which files are to be read.
    fn sorted(&mut self, files: &[u64], texts: &mut HashMap<u64, Text>, wants: &mut BTreeSet<u64>) -> Sorted {
        let mut sorted = Sorted::default();
        for file in files {
            let its = self.tree.paths(*file);
            let text = texts.remove(file);
            if let Some(known) = self.known.get_mut(file) {
                let format = format(&its, self.tree.kind(*file));
                let hash = match &text {
                    Some(Text::Bytes(bytes)) => Some(*blake3::hash(bytes).as_bytes()),
                    _ => None,
                };
                let names = names(&its);
                if known.names != names {
                    known.names = names;
                    known.is_stale = true;
                    sorted.renamed.insert(*file);
                }
                let same = format.is_some() && !known.is_stale && format.zip(hash) == known.read;
                match (format, text) {
                    // What is damaged is said so, whatever it is.
                    (None, Some(text @ Text::Failed(_))) => {
                        known.read = Some((Format::Text, [0; 32]));
                        sorted.jobs.push(Job {
                            file: *file,
                            format: Format::Text,
                            text,
                        });
                    }
                    (None, _) => {
                        if known.read.take().is_some() {
                            known.tags.clear();
                            sorted.unread.push(*file);
                        }
                    }
                    (Some(_), Some(_)) if same => {}
                    (Some(format), Some(text)) => {
                        known.read = Some((format, hash.unwrap_or_default()));
                        known.is_stale = false;
                        sorted.jobs.push(Job {
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
                sorted.unread.push(*file);
            }
            sorted.paths.insert(*file, its);
        }
        sorted
    }

    /// Reads files. Bodies that take the place of others add those to `gone`.
    fn texts(&mut self, jobs: Vec<Job>, unread: Vec<u64>, paths: &Paths, gone: &mut Vec<u64>) -> Change {
        let read = read::all(&jobs, &self.zone);
        drop(jobs);
        let mut change = Change::default();
        for file in &unread {
            if let Some(known) = self.known.get_mut(file) {
                gone.extend(known.body.take());
            }
        }
        change.texts_of = unread;
        for (file, mut extract) in read {
            change.texts_of.push(file);
            let note = paths.get(&file).and_then(|its| its.first());
            let note = note.map_or("", |(_, path)| path);
            let leads = extract.links.iter().map(|link| self.lead(note, link)).collect();
            let body = extract.note.as_ref().map(|note| self.texts.put(&note.body));
            if body == Some(None) {
                let reason = "The vault has more text than the index can keep: this one is searched, but not shown in the column body.";
                extract.problems.push(Problem {
                    line: None,
                    reason: reason.to_owned(),
                });
            }
            let body = body.flatten();
            if let Some(known) = self.known.get_mut(&file) {
                known.tags = tags(&extract);
                gone.extend(std::mem::replace(&mut known.body, body));
            }
            change.texts.push(TextRows {
                file,
                extract,
                body,
                leads,
            });
        }
        change
    }

    /// What searches may know of files.
    fn facts(&mut self, files: &[u64], paths: &Paths) -> Vec<(u64, Option<Entry>)> {
        let mut seen = Vec::with_capacity(files.len());
        for file in files {
            let its = paths.get(file).map_or(&[][..], |its| its);
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
            let entry = its.first().map(|(_, path)| Entry {
                path: path.as_str().into(),
                modified,
                kind: kinds::kind(last(path), is),
            });
            seen.push((*file, entry));
        }
        seen
    }

    /// A row for each name of these files.
    fn rows(&mut self, files: &[u64], paths: &Paths, change: &mut Change) {
        change.files.reserve(files.len());
        for file in files {
            let Some(its) = paths.get(file).filter(|its| !its.is_empty()) else {
                continue;
            };
            change.nodes.extend(its.iter().map(|(node, _)| *node));
            let Some(device) = self.known.get(file).map(|known| known.facts.device.clone()) else {
                continue;
            };
            let device = self.device(&device);
            let is = self.tree.kind(*file).unwrap_or(Kind::File);
            let Some(known) = self.known.get(file) else {
                continue;
            };
            for (node, path) in its {
                change.files.push(FileRow {
                    node: *node,
                    path: path.clone(),
                    kind: kinds::kind(last(path), is),
                    names: its.len() as u64,
                    device,
                    tags: known.tags.clone(),
                    facts: known.facts.clone(),
                });
            }
        }
        change.nodes = each_once(std::mem::take(&mut change.nodes));
    }

    /// How many files have the contents of which that changed.
    fn counted(&mut self, before: BTreeSet<[u8; 16]>, change: &mut Change) {
        let now = std::mem::take(&mut self.pending.counts);
        for content in before.into_iter().chain(now).collect::<BTreeSet<_>>() {
            let count = self.same.get(&content).copied().unwrap_or_default();
            if count == 0 {
                self.same.remove(&content);
            }
            change.same.push((content, count));
        }
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
        let mut firsts: BTreeMap<u64, String> = BTreeMap::new();
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
        files: &[u64],
        renamed: &HashSet<u64>,
        paths: &Paths,
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
            let (body, headings) = extract.map_or_else(Default::default, words);
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
}
