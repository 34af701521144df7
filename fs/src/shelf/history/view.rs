//! What lies where in the folder of history: the vault's tree, with a folder of versions in each
//! file's place, and with what was removed at its old path.
//!
//! Reads the vault, and keeps what it read for a moment, since listing a folder asks for each of
//! its entries again. Never changes anything, and waits for no commit: what was saved is shown
//! once it is recorded, within some seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_store::vault::{Removed, Vault, VersionInfo};
use parking_lot::Mutex;

use super::super::place::{Past, Whose};
use super::names;
use crate::types::{Errno, Ino, Kind, ROOT, Result};

/// How old what is shown may be, at least.
const FRESH: Duration = Duration::from_millis(300);
/// How often, compared with the time that reading it takes, it is read anew.
const SELDOM: u32 = 10;
/// Files whose versions are kept for that moment.
const KEPT: usize = 16;

/// One entry of a folder.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) place: Past,
    pub(super) kind: Kind,
}

type Versions = Arc<Vec<VersionInfo>>;

/// Removed things by path, the latest first.
type Bin = Arc<BTreeMap<Vec<u8>, Vec<Removed>>>;

/// See the module.
pub(super) struct View {
    vault: Arc<Vault>,
    /// With the time until which it is current enough.
    versions: Mutex<Vec<(Whose, Instant, Versions)>>,
    removed: Mutex<Option<(Instant, Bin)>>,
}

/// Until when what was begun to be read then is current enough.
fn until(begun: Instant) -> Instant {
    let now = Instant::now();
    now + FRESH.max(now.duration_since(begun) * SELDOM)
}

/// What a path of the vault stands for.
struct There {
    /// What is there now.
    live: Option<(Ino, Kind)>,
    /// Removed files that lay there, the latest first.
    files: Vec<Removed>,
    /// Whether a removed folder lay there, or anything below it did.
    was_folder: bool,
}

impl There {
    /// Whose versions lie directly in its folder: what is there now, else the last that was.
    fn own(&self) -> Option<Whose> {
        match self.live {
            Some((ino, Kind::File | Kind::Symlink)) => Some(Whose::File(ino)),
            _ => self.files.first().map(|last| Whose::Removed(last.node)),
        }
    }

    /// Removed files beside that.
    fn earlier(&self) -> &[Removed] {
        match self.own() {
            Some(Whose::Removed(_)) => &self.files[1..],
            _ => &self.files,
        }
    }

    fn is_anything(&self) -> bool {
        let live = matches!(self.live, Some((_, Kind::File | Kind::Symlink | Kind::Folder)));
        live || !self.files.is_empty() || self.was_folder
    }
}

impl View {
    pub(super) fn new(vault: Arc<Vault>) -> View {
        View {
            vault,
            versions: Mutex::default(),
            removed: Mutex::default(),
        }
    }

    /// A file's versions whose bytes are kept, the oldest first.
    pub(super) fn versions(&self, whose: Whose) -> Result<Versions> {
        let begun = Instant::now();
        let mut kept = self.versions.lock();
        kept.retain(|(_, until, _)| begun < *until);
        if let Some((.., versions)) = kept.iter().find(|(of, ..)| *of == whose) {
            return Ok(versions.clone());
        }
        drop(kept);
        let found = self.vault.recorded_versions(whose.into());
        let mut found = found.map_err(|error| Errno(error.errno()))?;
        found.retain(|version| version.held);
        let found = Arc::new(found);
        let mut kept = self.versions.lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((whose, until(begun), found.clone()));
        Ok(found)
    }

    /// One of them.
    pub(super) fn version(&self, whose: Whose, number: u64) -> Result<VersionInfo> {
        let versions = self.versions(whose)?;
        let at = versions.binary_search_by_key(&number, |version| version.number);
        at.map(|at| versions[at].clone()).map_err(|_| Errno(libc::ENOENT))
    }

    fn bin(&self) -> Result<Bin> {
        let begun = Instant::now();
        let mut kept = self.removed.lock();
        if let Some((until, bin)) = &*kept
            && begun < *until
        {
            return Ok(bin.clone());
        }
        let removed = self.vault.recorded_removed();
        let removed = removed.map_err(|error| Errno(error.errno()))?;
        let mut bin: BTreeMap<Vec<u8>, Vec<Removed>> = BTreeMap::new();
        for gone in removed {
            bin.entry(gone.path.clone()).or_default().push(gone);
        }
        for of_path in bin.values_mut() {
            of_path.sort_by_key(|gone| std::cmp::Reverse(gone.removed));
        }
        let bin = Arc::new(bin);
        *kept = Some((until(begun), bin.clone()));
        Ok(bin)
    }

    /// What is at a path now.
    fn live(&self, path: &[u8]) -> Option<(Ino, Kind)> {
        let mut at = ROOT;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = self.vault.lookup(at, name).ok()?;
        }
        let stat = self.vault.stat(at).ok()?;
        Some((at, stat.meta.kind))
    }

    fn there(&self, path: &[u8]) -> Result<There> {
        let bin = self.bin()?;
        let of_path = bin.get(path).map(Vec::as_slice).unwrap_or_default();
        let files = of_path.iter().filter(|gone| gone.kind != Kind::Folder);
        Ok(There {
            live: self.live(path),
            files: files.cloned().collect(),
            was_folder: of_path.iter().any(|gone| gone.kind == Kind::Folder)
                || below(&bin, path).next().is_some(),
        })
    }

    /// What a name in a folder stands for.
    ///
    /// # Errors
    /// ENOENT for nothing, ENOTDIR in a version.
    pub(super) fn lookup(&self, folder: &Past, name: &[u8]) -> Result<(Past, Kind)> {
        let none = Err(Errno(libc::ENOENT));
        match folder {
            Past::Version(..) => Err(Errno(libc::ENOTDIR)),
            Past::Earlier(node, path) => self.named_version(Whose::Removed(*node), path, name),
            Past::At(path) => {
                let there = self.there(path)?;
                if let Some(own) = there.own()
                    && let Ok(found) = self.named_version(own, path, name)
                {
                    return Ok(found);
                }
                if names::is_earlier(name)
                    && let Some(entry) = earlier(&there, path).into_iter().find(|e| e.name == name)
                {
                    return Ok((entry.place, Kind::Folder));
                }
                let child = joined(path, name);
                match self.there(&child)?.is_anything() {
                    true => Ok((Past::At(child), Kind::Folder)),
                    false => none,
                }
            }
        }
    }

    /// The version of that name, however many zeros its number begins with: the more versions
    /// there are, the wider the numbers become.
    fn named_version(&self, whose: Whose, path: &[u8], name: &[u8]) -> Result<(Past, Kind)> {
        let none = Errno(libc::ENOENT);
        let number = names::number(name).ok_or(none)?;
        let version = self.version(whose, number)?;
        let width = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match names::version(number, width, version.recorded, last(path)) == name {
            true => Ok((Past::Version(whose, number), version.kind)),
            false => Err(none),
        }
    }

    /// Everything in a folder, in order; `.` and `..` left out.
    ///
    /// # Errors
    /// ENOENT if it is gone, ENOTDIR for a version.
    pub(super) fn list(&self, folder: &Past) -> Result<Vec<Entry>> {
        match folder {
            Past::Version(..) => Err(Errno(libc::ENOTDIR)),
            Past::Earlier(node, path) => self.list_versions(Whose::Removed(*node), path),
            Past::At(path) => {
                let there = self.there(path)?;
                if !path.is_empty() && !there.is_anything() {
                    return Err(Errno(libc::ENOENT));
                }
                let mut entries = match there.own() {
                    Some(own) => self.list_versions(own, path)?,
                    None => Vec::new(),
                };
                entries.extend(earlier(&there, path));
                entries.extend(self.children(path, &there)?);
                Ok(entries)
            }
        }
    }

    fn list_versions(&self, whose: Whose, path: &[u8]) -> Result<Vec<Entry>> {
        let versions = self.versions(whose)?;
        let width = names::width(versions.last().map_or(0, |last| last.number));
        let entries = versions.iter().map(|version| Entry {
            name: names::version(version.number, width, version.recorded, last(path)),
            place: Past::Version(whose, version.number),
            kind: version.kind,
        });
        Ok(entries.collect())
    }

    /// What lies in a folder of the vault, and what lay there.
    fn children(&self, path: &[u8], there: &There) -> Result<Vec<Entry>> {
        let bin = self.bin()?;
        let mut children: BTreeSet<Vec<u8>> = below(&bin, path).map(<[u8]>::to_vec).collect();
        if let Some((folder, Kind::Folder)) = there.live {
            let listed = self.vault.list(folder, 0, &mut |_, _, kind, name| {
                if matches!(kind, Kind::File | Kind::Symlink | Kind::Folder) {
                    children.insert(name.to_vec());
                }
                true
            });
            listed.map_err(|error| Errno(error.errno()))?;
        }
        let entries = children.into_iter().map(|name| Entry {
            place: Past::At(joined(path, &name)),
            kind: Kind::Folder,
            name,
        });
        Ok(entries.collect())
    }

    /// The place above; the root's is not in here.
    pub(super) fn above(place: &Past) -> Option<Past> {
        match place {
            Past::At(path) if path.is_empty() => None,
            Past::At(path) => {
                let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                Some(Past::At(path[..end].to_vec()))
            }
            Past::Earlier(_, path) => Some(Past::At(path.clone())),
            // Nobody asks: a version is no folder.
            Past::Version(..) => None,
        }
    }
}

/// Names directly below a path that something removed lay at or below.
fn below<'a>(bin: &'a Bin, path: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut prefix = path.to_vec();
    if !prefix.is_empty() {
        prefix.push(b'/');
    }
    let skip = prefix.len();
    bin.range(prefix.clone()..)
        .take_while(move |(other, _)| other.starts_with(&prefix))
        .filter_map(move |(other, _)| other[skip..].split(|byte| *byte == b'/').next())
        .filter(|name| !name.is_empty())
}

/// Folders of the removed files that lay at one path before the one whose versions it shows. Two
/// that were removed within one second are told apart by a number.
fn earlier(there: &There, path: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for gone in there.earlier().iter().rev() {
        let plain = names::earlier(gone.removed);
        let mut name = plain.clone();
        let mut count = 1;
        while entries.iter().any(|entry| entry.name == name) {
            count += 1;
            name = [&plain[..], format!(" ({count})").as_bytes()].concat();
        }
        entries.push(Entry {
            name,
            place: Past::Earlier(gone.node, path.to_vec()),
            kind: Kind::Folder,
        });
    }
    entries
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        b"" => name.to_vec(),
        path => [path, b"/", name].concat(),
    }
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}
