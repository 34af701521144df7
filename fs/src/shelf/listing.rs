//! What the folders list.
//!
//! Guarantees: who goes on with a listing goes on where it was, however the folder changes; answers keep their order; an entry
//! counts as looked up only if it was taken. Where a walk comes in, only what is real is listed (see the module above).

use std::collections::HashSet;
use std::sync::Arc;

use super::answers::ERROR;
use super::entries::link;
use super::finding::{Found, HISTORY, NONE, SEARCH, TABLES, made_beside};
use super::place::Place;
use super::real::VIEWS;
use super::{NAME, Shelf};
use crate::types::{Attr, DirEntry, FileSystem, Ino, Kind, ROOT, Result};

/// Listings under way that are remembered, and entries of all of them: one is, whatever its length.
const LISTINGS: usize = 32;
const ENTRIES: usize = 200_000;

/// One entry.
pub(super) struct Entry {
    name: Vec<u8>,
    found: Found,
    kind: Kind,
}

/// All of a folder.
pub(super) type Listing = Arc<Vec<Entry>>;

fn ours(name: &[u8], place: Place, kind: Kind) -> Entry {
    Entry {
        name: name.to_vec(),
        found: Found::Ours(place),
        kind,
    }
}

impl Shelf {
    /// Everything in a folder, in order; `.` and `..` left out.
    fn entries(&self, place: &Place) -> Result<Vec<Entry>> {
        match place {
            Place::Top => self.in_top(),
            Place::Views => self
                .real
                .views()
                .map_or(Ok(Vec::new()), |real| self.in_real(real)),
            Place::Folder(real) => self.in_real(*real),
            Place::Tables => {
                let tables = self.tables.as_ref().ok_or(NONE)?;
                let names = tables.names().into_iter();
                let entry = |name: String| {
                    let number = tables.number(&name).ok()?;
                    Some(ours(name.as_bytes(), Place::Table(number), Kind::File))
                };
                Ok(names.filter_map(entry).collect())
            }
            // Every word is there.
            Place::Searches => Ok(Vec::new()),
            Place::Smart(..) | Place::Words(_) => {
                let (answer, depth) = self.answer(place)?;
                let folder = Arc::new(place.clone());
                let text = answer.error.iter().map(|text| {
                    let text = Place::Error(folder.clone(), text.clone());
                    ours(ERROR, text, Kind::File)
                });
                let links = answer.entries.iter().map(|entry| {
                    let link = Place::Link(folder.clone(), entry.name.clone(), link(depth, &entry.path));
                    ours(&entry.name, link, Kind::Symlink)
                });
                Ok(text.chain(links).collect())
            }
            Place::Past(past) => {
                let past = self.history.list(past)?.into_iter();
                Ok(past
                    .map(|(name, past, kind)| ours(&name, Place::Past(past), kind))
                    .collect())
            }
            Place::Link(..) | Place::Error(..) | Place::Table(_) => Err(crate::types::Errno(libc::ENOTDIR)),
        }
    }

    fn in_top(&self) -> Result<Vec<Entry>> {
        if let Some(top) = self.real.top() {
            let mut entries = Vec::new();
            self.each_real(top, &mut |ino, kind, name| {
                let found = match (kind, name) {
                    (Kind::Folder, VIEWS) => Found::Ours(Place::Views),
                    _ => Found::Real(ino),
                };
                let name = name.to_vec();
                entries.push(Entry { name, found, kind });
            })?;
            return Ok(entries);
        }
        let mut all = vec![(HISTORY, Place::history())];
        if self.answers.is_some() {
            all.extend([(SEARCH, Place::Searches), (TABLES, Place::Tables)]);
        }
        all.push((VIEWS, Place::Views));
        let all = all.into_iter();
        Ok(all.map(|(name, place)| ours(name, place, Kind::Folder)).collect())
    }

    /// A real folder of queries, with the folders that they make.
    fn in_real(&self, folder: Ino) -> Result<Vec<Entry>> {
        let (mut entries, mut names, mut made) = (Vec::new(), HashSet::new(), Vec::new());
        self.each_real(folder, &mut |ino, kind, name| {
            let found = match kind {
                Kind::Folder => Found::Ours(Place::Folder(ino)),
                _ => Found::Real(ino),
            };
            let name = name.to_vec();
            names.insert(name.clone());
            made.extend(made_beside(&name, kind).map(<[u8]>::to_vec));
            entries.push(Entry { name, found, kind });
        })?;
        made.retain(|name| self.answers.is_some() && !names.contains(name));
        let made = made.into_iter();
        entries.extend(made.map(|name| ours(&name.clone(), Place::Smart(folder, name), Kind::Folder)));
        Ok(entries)
    }

    /// Each entry of a real folder.
    pub(super) fn each_real(&self, folder: Ino, each: &mut dyn FnMut(Ino, Kind, &[u8])) -> Result<()> {
        self.inner.readdir(folder, 2, &mut |entry| {
            each(entry.ino, entry.kind, entry.name);
            true
        })
    }

    /// The entries of a folder, in an order that stays while somebody goes on listing it.
    fn listing(&self, ino: Ino, place: &Place, cookie: u64) -> Result<Listing> {
        let mut listings = self.listings.lock();
        if cookie > 0
            && let Some((_, listing)) = listings.iter().find(|(of, _)| *of == ino)
        {
            return Ok(listing.clone());
        }
        listings.retain(|(of, _)| *of != ino);
        drop(listings);
        let listing = Arc::new(self.entries(place)?);
        let mut listings = self.listings.lock();
        listings.push((ino, listing.clone()));
        let total = |all: &[(Ino, Listing)]| all.iter().map(|(_, one)| one.len()).sum::<usize>();
        while listings.len() > 1 && (listings.len() > LISTINGS || total(&listings) > ENTRIES) {
            listings.remove(0);
        }
        Ok(listing)
    }

    /// Lists a folder here; with each entry what it is, but for `.` and `..`.
    fn each(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, Option<&Found>) -> bool,
    ) -> Result<()> {
        let place = self.place(ino)?;
        let listing = self.listing(ino, &place, cookie)?;
        let above = self.above(&place).map_or(ROOT, |above| self.nodes.number(&above));
        for (dot, name, to) in [(1, &b"."[..], ino), (2, b"..", above)] {
            let entry = DirEntry {
                cookie: dot,
                ino: to,
                kind: Kind::Folder,
                name,
            };
            if cookie < dot && !each(entry, None) {
                return Ok(());
            }
        }
        let done = usize::try_from(cookie.saturating_sub(2)).unwrap_or(usize::MAX);
        for (at, entry) in listing.iter().enumerate().skip(done) {
            let shown = DirEntry {
                cookie: at as u64 + 3,
                ino: match &entry.found {
                    Found::Ours(place) => self.nodes.number(place),
                    Found::Real(ino) => *ino,
                },
                kind: entry.kind,
                name: &entry.name,
            };
            if !each(shown, Some(&entry.found)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lists a folder here.
    pub(super) fn list(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>) -> bool,
    ) -> Result<()> {
        self.each(ino, cookie, &mut |entry, _| each(entry))
    }

    /// The same with attributes; what `each` takes counts as looked up.
    pub(super) fn list_plus(
        &self,
        ino: Ino,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        let top = self.folder_attr(ino)?;
        self.each(ino, cookie, &mut |entry, found| {
            let held = match found {
                // Nobody keeps what is said of these two.
                None => {
                    return each(
                        entry,
                        &Attr {
                            ino: entry.ino,
                            ..top
                        },
                    );
                }
                Some(Found::Real(real)) => self.inner.hold(*real),
                Some(Found::Ours(place)) => {
                    let held = self.nodes.hold(place);
                    self.rights_of(held, place)
                        .inspect_err(|_| self.nodes.forget(held, 1))
                }
            };
            // One that went meanwhile is not listed.
            let Ok(attr) = held else { return true };
            let more = each(
                DirEntry {
                    ino: attr.ino,
                    ..entry
                },
                &attr,
            );
            if !more {
                self.forget(attr.ino, 1);
            }
            more
        })
    }

    /// Lists the root, where ours has a number of ours.
    pub(super) fn list_root(&self, cookie: u64, each: &mut dyn FnMut(DirEntry<'_>) -> bool) -> Result<()> {
        let top = self.nodes.number(&Place::Top);
        self.inner
            .readdir(ROOT, cookie, &mut |entry| match entry.name == NAME {
                true if entry.kind == Kind::Folder => each(DirEntry { ino: top, ..entry }),
                _ => each(entry),
            })
    }

    /// The same with attributes.
    pub(super) fn list_root_plus(
        &self,
        cookie: u64,
        each: &mut dyn FnMut(DirEntry<'_>, &Attr) -> bool,
    ) -> Result<()> {
        let top = self.nodes.hold(&Place::Top);
        self.inner.readdir_plus(ROOT, cookie, &mut |entry, attr| {
            if entry.name != NAME || entry.kind != Kind::Folder {
                return each(entry, attr);
            }
            // What is counted below is the real one, which the kernel does not get.
            let shown = self.attr(top, &Place::Top);
            let taken = shown.map(|shown| each(DirEntry { ino: top, ..entry }, &shown));
            if taken != Ok(false) {
                self.inner.forget(attr.ino, 1);
            }
            taken.unwrap_or(true)
        })
    }
}
