//! One comparison of two players, after one operation.

use super::{Changed, PIECE, WHOLE};
use crate::op::{Op, Slot};
use crate::play::{Outcome, Place, Player, Seen, View, Views, raw};
use coffer_fs::types::{Kind, Seek, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which places are one file, told by the first of them.
fn groups(views: &Views) -> BTreeMap<&Place, &Place> {
    let mut first: BTreeMap<u64, &Place> = BTreeMap::new();
    views
        .iter()
        .map(|(place, view)| (place, *first.entry(view.ino).or_insert(place)))
        .collect()
}

/// The first player, which is right, and another.
pub(super) struct Compare<'a, 'b> {
    pub(super) first: &'a mut (dyn Player + 'b),
    pub(super) other: &'a mut (dyn Player + 'b),
}

impl Compare<'_, '_> {
    fn differ<T>(&self, what: impl fmt::Debug, model: impl fmt::Debug, other: impl fmt::Debug) -> Seen<T> {
        let (first, second) = (self.first.name(), self.other.name());
        Err(format!(
            "{what:?}\n    {first}: {model:?}\n    {second}: {other:?}"
        ))
    }

    pub(super) fn outcomes(&mut self, op: &Op, model: &Outcome, other: &Outcome) -> Seen<()> {
        match (op, model, other) {
            (Op::Seek { slot, offset, seek }, ..) => self.seek(*slot, *offset, *seek, model, other),
            (_, Outcome::Broken(_), _) | (_, _, Outcome::Broken(_)) => self.differ(op, model, other),
            (_, Outcome::Bytes(model), Outcome::Bytes(other)) => {
                self.bytes(&format!("{op:?}"), 0, model, other)
            }
            _ if model == other => Ok(()),
            _ => self.differ(op, model, other),
        }
    }

    /// A file system may take zeros for data, but never data for a hole.
    fn seek(&mut self, slot: Slot, offset: u64, seek: Seek, model: &Outcome, other: &Outcome) -> Seen<()> {
        let what = format!("{seek:?} from {offset} in slot {slot}");
        let size = || Place::Open(slot);
        match (seek, model, other) {
            (_, Outcome::Found(model_at), Outcome::Found(at)) if seek == Seek::Data => {
                if *at < offset || at > model_at && !self.is_zero(&size(), *model_at, *at)? {
                    return self.differ(what, model, other);
                }
                Ok(())
            }
            (Seek::Hole, Outcome::Found(_), Outcome::Found(at)) => {
                let found = self.first.read(&size(), *at, 1)?;
                if *at < offset || found.iter().any(|byte| *byte != 0) {
                    return self.differ(what, model, other);
                }
                Ok(())
            }
            // No data behind: the other may have zeros there that it calls data, or the reverse.
            (Seek::Data, Outcome::Failed(libc::ENXIO), Outcome::Found(at)) => {
                match self.first.read(&size(), *at, 1)?.is_empty() {
                    true => self.differ(what, model, other),
                    false => Ok(()),
                }
            }
            (Seek::Data, Outcome::Found(at), Outcome::Failed(libc::ENXIO)) => {
                match self.is_zero(&size(), *at, u64::MAX)? {
                    true => Ok(()),
                    false => self.differ(what, model, other),
                }
            }
            _ if model == other => Ok(()),
            _ => self.differ(what, model, other),
        }
    }

    fn is_zero(&mut self, place: &Place, from: u64, to: u64) -> Seen<bool> {
        let mut at = from;
        while at < to {
            let bytes = self.first.read(place, at, PIECE.min(to - at))?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
        }
        Ok(true)
    }

    pub(super) fn views(&self, op: &Op, model: &Views, other: &Views, exact: &BTreeSet<Time>) -> Seen<()> {
        let missing: Vec<&Place> = model.keys().filter(|place| !other.contains_key(place)).collect();
        let extra: Vec<&Place> = other.keys().filter(|place| !model.contains_key(place)).collect();
        if !missing.is_empty() || !extra.is_empty() {
            return self.differ(
                "the tree",
                format!("alone has {missing:?}"),
                format!("alone has {extra:?}"),
            );
        }
        let (group, other_group) = (groups(model), groups(other));
        for (place, view) in model {
            let seen = &other[place];
            let plain = |view: &View| View {
                ino: 0,
                atime: EPOCH,
                mtime: EPOCH,
                ctime: EPOCH,
                ..view.clone()
            };
            if plain(view) != plain(seen) {
                return self.differ(place, view, seen);
            }
            if group[place] != other_group[place] {
                return self.differ(
                    place,
                    format!("is one file with {:?}", group[place]),
                    format!("is one file with {:?}", other_group[place]),
                );
            }
            let set = |time: Time| Some(time).filter(|time| exact.contains(time));
            if set(view.mtime) != set(seen.mtime) {
                return self.differ(format!("{place:?}: mtime"), view.mtime, seen.mtime);
            }
            // Reading moves atime as relatime says, so it is looked at only when it was just
            // set, and not of symlinks: looking at another name of it has read it.
            let just_set = matches!(place, Place::Named(names) if set_at(op).as_ref() == Some(names));
            if just_set && view.kind != Kind::Symlink && set(view.atime) != set(seen.atime) {
                return self.differ(format!("{place:?}: atime"), view.atime, seen.atime);
            }
        }
        Ok(())
    }

    pub(super) fn times(&self, model: &Views, changed: &[BTreeMap<Place, Changed>; 2]) -> Seen<()> {
        for place in model.keys() {
            let words = |changed: Changed| match changed {
                Some((mtime, ctime)) => {
                    format!("mtime {}, ctime {}", told(mtime), told(ctime))
                }
                None => "another inode".to_owned(),
            };
            let (model, other) = (changed[0][place], changed[1][place]);
            // A file that is new in the model may well reuse an inode number elsewhere.
            if model.is_some() && model != other {
                return self.differ(format!("{place:?}: times"), words(model), words(other));
            }
        }
        Ok(())
    }

    pub(super) fn xattrs(&mut self, place: &Place, view: &View) -> Seen<()> {
        let Place::Named(path) = place else { return Ok(()) };
        if !matches!(view.kind, Kind::File | Kind::Folder) {
            return Ok(());
        }
        let (model, other) = (self.first.xattrs(path)?, self.other.xattrs(path)?);
        if model != other {
            return self.differ(format!("{place:?}: extended attributes"), model, other);
        }
        Ok(())
    }

    pub(super) fn contents(&mut self, place: &Place, view: &View) -> Seen<()> {
        if view.kind != Kind::File {
            return Ok(());
        }
        let ranges = match view.size <= WHOLE {
            true => std::iter::once(0..view.size + 1).collect(),
            false => {
                let mut ranges = self.first.data(place, view.size)?;
                ranges.extend(self.other.data(place, view.size)?);
                // Also where both see holes: at the ends, and where 32 bits end.
                ranges.extend([
                    0..4096,
                    (1 << 32) - 4096..(1 << 32) + 4096,
                    view.size - 4096..view.size + 1,
                ]);
                ranges
            }
        };
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let len = PIECE.min(range.end - at);
                let (model, other) = (self.first.read(place, at, len)?, self.other.read(place, at, len)?);
                self.bytes(&format!("{place:?}: contents"), at, &model, &other)?;
                at += len;
            }
        }
        Ok(())
    }

    fn bytes(&self, what: &str, offset: u64, model: &[u8], other: &[u8]) -> Seen<()> {
        if model.len() != other.len() {
            let words = |bytes: &[u8]| format!("{} bytes from {offset}", bytes.len());
            return self.differ(what, words(model), words(other));
        }
        match model.iter().zip(other).position(|(model, other)| model != other) {
            None => Ok(()),
            Some(at) => {
                let words = |bytes: &[u8]| {
                    let show = &bytes[at..bytes.len().min(at + 8)];
                    format!("at {}: {show:02x?}", offset + at as u64)
                };
                self.differ(what, words(model), words(other))
            }
        }
    }
}

const EPOCH: Time = Time { sec: 0, nsec: 0 };

fn told(changed: bool) -> &'static str {
    if changed { "changed" } else { "stayed" }
}

/// Where the operation sets times.
fn set_at(op: &Op) -> Option<Vec<Vec<u8>>> {
    match op {
        Op::SetTimes { path, .. } => Some(raw(path)),
        _ => None,
    }
}
