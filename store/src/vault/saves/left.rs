//! Names that a known file has just left, by being moved or removed: whoever makes a file of that
//! name anew is saving, perhaps. So for a moment the others are not told.
//!
//! It delays events only, never what the mount shows. After a crash it is known again from rows,
//! and holds a little longer: an editor that is started again may bring back what it had.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Process;
use crate::codec::{Malformed, Reader, Writer};
use crate::ids::{EntityId, EventRef, Ino, NodeId, NodeNo};
use crate::keys::Key;
use crate::record::{NAME_MAX, Told, valid_name};
use crate::tree::Known;

/// How long a name is held.
const GRACE: Duration = Duration::from_secs(2);
/// How long after a crash.
const GRACE_AFTER_CRASH: Duration = Duration::from_secs(60);
/// So many names are held at a time: the latest. Many at once are no save.
const HELD_MAX: usize = 64;

/// What became of the file that had the name.
pub(in crate::vault) enum How {
    /// It has another one, in this folder.
    Moved {
        /// The file.
        ino: Ino,
        /// Where its node is.
        folder: Ino,
    },
    /// It is gone.
    Removed {
        /// What the name stood for, with its key.
        entity: EntityId,
        /// Its key.
        key: Key,
        /// The versions that it showed.
        named_by: Vec<EventRef>,
    },
}

/// A name that was left.
pub(in crate::vault) struct Left {
    /// The node's number: where it was moved, its row still has it.
    pub(in crate::vault) node: NodeNo,
    /// The node as the others know it, and whether they know it by this name.
    pub(in crate::vault) known: Known,
    /// Who left it; none: it was found after a crash.
    pub(in crate::vault) who: Option<Process>,
    /// See [`How`].
    pub(in crate::vault) how: How,
    until: Instant,
}

impl Left {
    pub(in crate::vault) fn new(node: NodeNo, known: Known, who: Option<Process>, how: How) -> Left {
        let grace = if who.is_some() { GRACE } else { GRACE_AFTER_CRASH };
        Left {
            node,
            known,
            who,
            how,
            until: Instant::now() + grace,
        }
    }
}

type Place = (Ino, Box<[u8]>);

/// See the module.
#[derive(Default)]
pub(crate) struct LeftNames {
    names: HashMap<Place, Left>,
    order: VecDeque<Place>,
    /// Moved nodes that have a row which says so.
    rows: HashSet<NodeNo>,
    /// Nodes that may be a backup's, until when.
    backups: VecDeque<(NodeNo, Instant)>,
}

impl LeftNames {
    /// A name was left.
    pub(in crate::vault) fn put(&mut self, folder: Ino, name: &[u8], left: Left) {
        let place: Place = (folder, name.into());
        if self.names.insert(place.clone(), left).is_none() {
            self.order.push_back(place);
        }
        while self.names.len() > HELD_MAX {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.names.remove(&oldest);
        }
        if self.order.len() > 2 * HELD_MAX {
            let names = &self.names;
            self.order.retain(|place| names.contains_key(place));
        }
    }

    /// The name is taken again; whatever by, it is held no more.
    pub(in crate::vault) fn take(&mut self, folder: Ino, name: &[u8]) -> Option<Left> {
        if self.names.is_empty() {
            return None;
        }
        self.names.remove(&(folder, name.into()))
    }

    /// The removed ones among them.
    pub(in crate::vault) fn removed(&self) -> HashSet<NodeId> {
        let left = self.names.values();
        let removed = left.filter(|left| matches!(left.how, How::Removed { .. }));
        removed.map(|left| left.known.id).collect()
    }

    /// These nodes, and removed names of these entities, are held no more: they are to go for good, or
    /// to come back another way.
    pub(in crate::vault) fn forget(&mut self, nodes: &[NodeId], entities: &[EntityId]) {
        self.names.retain(|_, left| {
            let of_it = matches!(&left.how, How::Removed { entity, .. } if entities.contains(entity));
            !of_it && !nodes.contains(&left.known.id)
        });
    }

    /// A node was moved once more.
    pub(in crate::vault) fn moved(&mut self, node: NodeNo, to: Ino) {
        for left in self.names.values_mut().filter(|left| left.node == node) {
            if let How::Moved { folder, .. } = &mut left.how {
                *folder = to;
            }
        }
    }

    /// An event has told of an entity that was removed meanwhile.
    pub(in crate::vault) fn told_late(&mut self, of: EntityId, at: &[EventRef]) {
        for left in self.names.values_mut() {
            if let How::Removed { entity, named_by, .. } = &mut left.how
                && *entity == of
            {
                *named_by = at.to_vec();
            }
        }
    }

    /// Holds nothing any more.
    pub(in crate::vault) fn clear(&mut self) {
        self.names.clear();
        self.order.clear();
        self.backups.clear();
    }

    /// A file was given one more name, as some back it up before they save: that is held, too.
    pub(in crate::vault) fn hold(&mut self, node: NodeNo) {
        self.backups.push_back((node, Instant::now() + GRACE));
        if self.backups.len() > HELD_MAX {
            self.backups.pop_front();
        }
    }

    /// Lets go of what was held long enough; returns the nodes that are held still.
    pub(in crate::vault) fn held(&mut self) -> HashSet<NodeNo> {
        if self.names.is_empty() && self.backups.is_empty() {
            return HashSet::new();
        }
        let now = Instant::now();
        self.names.retain(|_, left| left.until > now);
        self.backups.retain(|(_, until)| *until > now);
        let backups = self.backups.iter().map(|(node, _)| *node);
        self.names.values().map(|left| left.node).chain(backups).collect()
    }

    /// Rows that a transaction is to write (their bytes, plain) and to remove.
    pub(in crate::vault) fn rows(&self) -> (Vec<(NodeNo, Vec<u8>)>, Vec<NodeNo>) {
        let moved = self
            .names
            .iter()
            .filter(|(_, left)| matches!(left.how, How::Moved { .. }));
        let wanted: HashMap<NodeNo, Vec<u8>> = moved
            .map(|(place, left)| (left.node, encode(place, left)))
            .collect();
        let gone = self
            .rows
            .iter()
            .filter(|no| !wanted.contains_key(no))
            .copied()
            .collect();
        let new = wanted
            .into_iter()
            .filter(|(no, _)| !self.rows.contains(no))
            .collect();
        (new, gone)
    }

    /// That transaction is through.
    pub(in crate::vault) fn rows_written(&mut self, new: &[NodeNo], gone: &[NodeNo]) {
        self.rows.extend(new);
        self.rows.retain(|no| !gone.contains(no));
    }

    /// A row was found on opening for a node that is not there: it is to go.
    pub(in crate::vault) fn stale(&mut self, node: NodeNo) {
        self.rows.insert(node);
    }

    /// A row that was found on opening. `ino` and `folder`: what the node stands for, and where.
    pub(in crate::vault) fn found(&mut self, node: NodeNo, row: LeftRow, ino: Ino, folder: Ino) {
        let how = How::Moved { ino, folder };
        let known = Known {
            id: row.id,
            told: row.told,
        };
        self.put(row.folder, &row.name, Left::new(node, known, None, how));
        self.rows.insert(node);
    }
}

fn encode(place: &Place, left: &Left) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(0)
        .u64(place.0)
        .raw(&left.known.id.0)
        .u8(left.known.told as u8);
    w.bytes(&place.1);
    w.0
}

/// The row of a name that a moved file left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftRow {
    pub(crate) folder: Ino,
    pub(crate) id: NodeId,
    pub(crate) told: Told,
    pub(crate) name: Vec<u8>,
}

impl LeftRow {
    /// From the row's bytes.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a row of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<LeftRow, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed(
                "the note of a name that was left of an unknown version",
            ));
        }
        let (folder, id, told) = (r.u64()?, NodeId(r.array()?), Told::from_byte(r.u8()?)?);
        let name = r.bytes(NAME_MAX)?.to_vec();
        r.end()?;
        if !valid_name(&name) {
            return Err(Malformed("a name that no file can have"));
        }
        Ok(LeftRow {
            folder,
            id,
            told,
            name,
        })
    }
}
