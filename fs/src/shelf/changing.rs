//! Where a change goes that is asked for here: to a real folder of the vault, or nowhere (EROFS).
//!
//! Guarantees: a name that queries make is nobody's to take, and nothing is made in `.coffer` beside its folders, whose names
//! are kept for what may come. The real folders are made with the first thing that is saved in `views`, for the vault's owner
//! alone.

use super::nodes::Nodes;
use super::place::Place;
use super::real::VIEWS;
use super::{NAME, Shelf};
use crate::types::{Attr, Caller, Errno, FileSystem, Ino, Kind, NewNode, ROOT, Result};

pub(super) const FIXED: Errno = Errno(libc::EROFS);

impl Shelf {
    /// The real folder in which something is to be made at this name, or moved to it.
    pub(super) fn to_make(&self, parent: Ino, name: &[u8], who: Caller) -> Result<Ino> {
        if !Nodes::covers(parent) {
            return if self.is_ours(parent, name) {
                Err(FIXED)
            } else {
                Ok(parent)
            };
        }
        match self.place(parent)? {
            Place::Views if self.real.views().is_none() => self.make_views(who),
            place => self.to_take(&place, name),
        }
    }

    /// The real folder from which this name is to be taken.
    pub(super) fn to_remove(&self, parent: Ino, name: &[u8]) -> Result<Ino> {
        if Nodes::covers(parent) {
            return self.to_take(&self.place(parent)?, name);
        }
        match self.is_ours(parent, name) && self.real.top().is_none() {
            true => Err(FIXED),
            false => Ok(parent),
        }
    }

    fn to_take(&self, place: &Place, name: &[u8]) -> Result<Ino> {
        if *place == Place::Top {
            let top = self.real.top().ok_or(FIXED)?;
            return self.real.child(top, name).map(|_| top).ok_or(FIXED);
        }
        match self.real_folder(place) {
            Some(real) if !self.is_smart(real, name) => Ok(real),
            _ => Err(FIXED),
        }
    }

    /// The vault's own, for what concerns a thing itself and not its name.
    pub(super) fn to_change(&self, ino: Ino) -> Result<Ino> {
        match Nodes::covers(ino) {
            true => self.real_folder(&self.place(ino)?).ok_or(FIXED),
            false => Ok(ino),
        }
    }

    /// The folder of queries, made if it is not there.
    fn make_views(&self, who: Caller) -> Result<Ino> {
        let top = match self.real.top() {
            Some(top) => top,
            None => self.make_folder(ROOT, NAME, who)?,
        };
        match self.real.views() {
            Some(views) => Ok(views),
            None => self.make_folder(top, VIEWS, who),
        }
    }

    fn make_folder(&self, parent: Ino, name: &[u8], who: Caller) -> Result<Ino> {
        let owner = self.inner.getattr(ROOT)?;
        let who = Caller {
            uid: owner.uid,
            gid: owner.gid,
            ..who
        };
        match self.inner.make(who, parent, name, NewNode::Folder, 0o700) {
            Ok(made) => {
                self.inner.forget(made.ino, 1);
                Ok(made.ino)
            }
            // Somebody else was first.
            Err(Errno(libc::EEXIST)) => match self.real.child(parent, name) {
                Some((ino, Kind::Folder)) => Ok(ino),
                _ => Err(FIXED),
            },
            Err(error) => Err(error),
        }
    }

    /// What was made in this folder, as it is named to the kernel: a folder among the queries has a number of ours.
    pub(super) fn made(&self, parent: Ino, made: Attr) -> Result<Attr> {
        if made.kind != Kind::Folder || !Nodes::covers(parent) {
            return Ok(made);
        }
        self.inner.forget(made.ino, 1);
        let place = Place::Folder(made.ino);
        let ino = self.nodes.hold(&place);
        let attr = self.attr(ino, &place);
        attr.inspect_err(|_| self.nodes.forget(ino, 1))
    }
}
