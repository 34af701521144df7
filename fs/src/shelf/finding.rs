//! What a name in a folder stands for.
//!
//! Guarantees: what is real goes before what is not. Only names in what queries and searches make are worked out first.

use std::sync::Arc;

use super::answers::{Answer, ERROR};
use super::entries::{SLASH, link};
use super::history::History;
use super::place::{Past, Place};
use super::real::{Query, Real, VIEWS};
use super::{NAME, Shelf};
use crate::types::{Attr, Errno, FileSystem, Ino, Kind, ROOT, Result};

/// The names of the folders that are no real ones.
pub(super) const HISTORY: &[u8] = b"history";
pub(super) const TABLES: &[u8] = b"tables";
pub(super) const SEARCH: &[u8] = b"search";
/// How deep the folder of a search lies below the root.
const SEARCH_DEPTH: usize = 3;

/// What a name stands for.
pub(super) enum Found {
    /// Something here.
    Ours(Place),
    /// Something of the vault.
    Real(Ino),
}

pub(super) const NONE: Errno = Errno(libc::ENOENT);

impl Shelf {
    /// Whether a name in a folder is that of ours.
    pub(super) fn is_ours(&self, parent: Ino, name: &[u8]) -> bool {
        parent == ROOT && name == NAME && !self.real.hides_all()
    }

    pub(super) fn place(&self, ino: Ino) -> Result<Place> {
        self.inner.touch();
        self.nodes.get(ino).ok_or(Errno(libc::ESTALE))
    }

    /// What a name stands for, counted as looked up.
    pub(super) fn look_up(&self, parent: Ino, name: &[u8]) -> Result<Attr> {
        let found = match parent {
            ROOT => Found::Ours(Place::Top),
            parent => {
                let folder = self.place(parent)?;
                match name {
                    b"." => Found::Ours(folder),
                    b".." => self.above(&folder).map_or(Found::Real(ROOT), Found::Ours),
                    name => self.find(&folder, name)?,
                }
            }
        };
        match found {
            Found::Real(ino) => self.inner.hold(ino),
            Found::Ours(place) => {
                let ino = self.nodes.hold(&place);
                let attr = self.attr(ino, &place);
                attr.inspect_err(|_| self.nodes.forget(ino, 1))
            }
        }
    }

    /// What a name in a folder here stands for.
    pub(super) fn find(&self, folder: &Place, name: &[u8]) -> Result<Found> {
        let ours = match folder {
            Place::Top => return self.find_in_top(name),
            Place::Views => return self.find_real(self.real.views().ok_or(NONE)?, name),
            Place::Folder(real) => return self.find_real(*real, name),
            Place::Tables => {
                let name = std::str::from_utf8(name).map_err(|_| NONE)?;
                Place::Table(self.tables.as_ref().ok_or(NONE)?.number(name)?)
            }
            Place::Searches => words(name).filter(|_| self.answers.is_some()).ok_or(NONE)?,
            Place::Smart(..) | Place::Words(_) => self.find_answer(folder, name)?,
            Place::Past(past) => Place::Past(self.history.lookup(past, name)?),
            Place::Link(..) | Place::Error(..) | Place::Table(_) => return Err(Errno(libc::ENOTDIR)),
        };
        Ok(Found::Ours(ours))
    }

    fn find_in_top(&self, name: &[u8]) -> Result<Found> {
        let real = self.real.top().and_then(|top| self.real.child(top, name));
        let place = match (real, name) {
            (Some((_, Kind::Folder)) | None, VIEWS) => Place::Views,
            (Some((ino, _)), _) => return Ok(Found::Real(ino)),
            (None, HISTORY) => Place::history(),
            (None, TABLES) if self.tables.is_some() => Place::Tables,
            (None, SEARCH) if self.answers.is_some() => Place::Searches,
            _ => return Err(NONE),
        };
        Ok(Found::Ours(place))
    }

    /// In a real folder of queries.
    fn find_real(&self, folder: Ino, name: &[u8]) -> Result<Found> {
        match self.real.child(folder, name) {
            Some((ino, Kind::Folder)) => Ok(Found::Ours(Place::Folder(ino))),
            Some((ino, _)) => Ok(Found::Real(ino)),
            None if self.is_smart(folder, name) => Ok(Found::Ours(Place::Smart(folder, name.to_vec()))),
            None => Err(NONE),
        }
    }

    /// Whether a query makes a folder of this name.
    pub(super) fn is_smart(&self, folder: Ino, name: &[u8]) -> bool {
        self.answers.is_some() && self.real.query(folder, name).is_some()
    }

    fn find_answer(&self, folder: &Place, name: &[u8]) -> Result<Place> {
        // Programs ask each folder for these: a query is not run for them.
        if name.first() == Some(&b'.') && !matches!(folder, Place::Smart(..)) {
            return Err(NONE);
        }
        let (answer, depth) = self.answer(folder)?;
        match (answer.entry(name), &answer.error) {
            (Some(entry), _) => Ok(Place::Link(
                Arc::new(folder.clone()),
                name.to_vec(),
                link(depth, &entry.path),
            )),
            (None, Some(text)) if name == ERROR => Ok(Place::Error(Arc::new(folder.clone()), text.clone())),
            _ => Err(NONE),
        }
    }

    /// The query of a smart folder, which is there as long as that; none of a search.
    pub(super) fn query(&self, folder: &Place) -> Result<Option<Query>> {
        match folder {
            Place::Smart(real, name) => self.real.query(*real, name).ok_or(NONE).map(Some),
            _ => Ok(None),
        }
    }

    /// What a smart folder or a search shows, and how deep it lies.
    pub(super) fn answer(&self, folder: &Place) -> Result<(Arc<Answer>, usize)> {
        let query = self.query(folder)?;
        let depth = match folder {
            Place::Smart(real, _) => self.real.depth(*real).ok_or(NONE)? + 1,
            _ => SEARCH_DEPTH,
        };
        let answers = self.answers.as_ref().ok_or(NONE)?;
        Ok((answers.answer(folder, query)?, depth))
    }

    /// The place above; the top's is the root.
    pub(super) fn above(&self, place: &Place) -> Option<Place> {
        let in_real = |folder: Ino| match self.real.views() {
            Some(views) if views == folder => Place::Views,
            _ => Place::Folder(folder),
        };
        match place {
            Place::Top => None,
            Place::Views | Place::Tables | Place::Searches => Some(Place::Top),
            Place::Folder(real) => Some(self.real.0.parent(*real).map_or(Place::Views, in_real)),
            Place::Smart(real, _) => Some(in_real(*real)),
            Place::Words(_) => Some(Place::Searches),
            Place::Table(_) => Some(Place::Tables),
            Place::Link(folder, ..) | Place::Error(folder, _) => Some(Place::clone(folder)),
            Place::Past(past @ Past::At(_)) => Some(History::above(past).map_or(Place::Top, Place::Past)),
            Place::Past(past) => History::above(past).map(Place::Past),
        }
    }

    /// The real folder that a folder here is; none if it is none, or not yet.
    pub(super) fn real_folder(&self, place: &Place) -> Option<Ino> {
        match place {
            Place::Views => self.real.views(),
            Place::Folder(real) => Some(*real),
            _ => None,
        }
    }
}

/// The search that a name is: what begins with a dot is none, since programs look for such names everywhere.
fn words(name: &[u8]) -> Option<Place> {
    let name = std::str::from_utf8(name).ok()?;
    (!name.starts_with('.')).then(|| Place::Words(name.replace(SLASH, "/")))
}

/// The name of the folder that a file makes beside it.
pub(super) fn made_beside(file: &[u8], kind: Kind) -> Option<&[u8]> {
    Real::smart_name(file).filter(|_| kind == Kind::File)
}
