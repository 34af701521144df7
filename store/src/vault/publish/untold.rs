//! What the other devices have not been told, and the notes of it that outlast a crash.

use std::collections::{HashMap, HashSet};

use crate::codec::{Malformed, Reader, Writer};
use crate::db::Table;
use crate::event::EventRef;
use crate::ids::{ChainId, EntityId, Ino, NodeId, NodeNo};
use crate::keys::{Key, seal};
use crate::record::GoneRecord;
use crate::vault::commit::{Work, pending_gone, pending_left};
use crate::vault::{GONE, LEFT, Vault, gone_aad};

/// Most versions that a file can show the merge of.
pub(in crate::vault) const SAW_MAX: u16 = 1024;

/// A node that is gone, and the versions that whoever removed it saw.
#[derive(Clone, Debug)]
pub(crate) struct GoneNode {
    pub(crate) id: NodeId,
    pub(crate) saw: Vec<EventRef>,
    /// The file that it named, while that is known.
    pub(crate) of: Option<Ino>,
}

impl GoneNode {
    /// The note's bytes: version, node, and the versions that were seen.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(0).raw(&self.id.0).u16(self.saw.len() as u16);
        for saw in &self.saw {
            w.raw(&saw.chain.0).u64(saw.seq);
        }
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a note of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<GoneNode, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 0 {
            return Err(Malformed("the note of a removal of an unknown version"));
        }
        let id = NodeId(r.array()?);
        let count = r.u16()?;
        if count > SAW_MAX {
            return Err(Malformed("the note of a removal contradicts itself"));
        }
        let saw = (0..count).map(|_| {
            Ok(EventRef {
                chain: ChainId(r.array()?),
                seq: r.u64()?,
            })
        });
        let saw = saw.collect::<Result<_, Malformed>>()?;
        r.end()?;
        Ok(GoneNode { id, saw, of: None })
    }
}

/// What the other devices have not been told.
#[derive(Default)]
pub(crate) struct Untold {
    pub(crate) inodes: HashSet<Ino>,
    /// Files that are to show newer versions; nothing of that is to be told.
    pub(crate) behind: HashSet<Ino>,
    /// Nodes, with the folder that they are in.
    pub(crate) nodes: HashMap<NodeNo, Ino>,
    pub(crate) gone: HashMap<NodeNo, GoneNode>,
    /// Those of `gone` that have a row.
    pub(crate) gone_rows: HashSet<NodeNo>,
    /// Removals that did not happen after all: the name was taken again. Their rows are to go.
    pub(crate) undone: Vec<NodeNo>,
    /// What is kept of names that are gone and has no row yet.
    pub(crate) removed: HashMap<NodeId, GoneRecord>,
    /// Keys of entities that have lost their last file here, and are not removed.
    pub(crate) awaited: Vec<(EntityId, Key)>,
    /// Removed nodes that came back, and still have one.
    pub(crate) revived: HashSet<NodeId>,
}

impl Untold {
    pub(crate) fn len(&self) -> usize {
        self.inodes.len() + self.nodes.len() + self.gone.len()
    }
}

impl Vault {
    /// Rows for removals that are not told yet, and none for those that are; and for names that are held for who may be saving.
    pub(in crate::vault) fn write_gone(&self, work: &mut Work, told: &HashSet<NodeNo>) {
        let rows = self.untold.lock().gone_rows.clone();
        for no in &work.undone {
            work.batch.delete(Table::Pending, pending_gone(*no));
        }
        for (no, gone) in &work.gone {
            // A name that came back and went again has its number still: its note is written anew.
            let noted = rows.contains(no) && !work.undone.contains(no);
            match (told.contains(no), noted) {
                (false, false) => {
                    let sealed = seal(&self.local, &gone_aad(*no, GONE), &gone.encode());
                    work.batch.put(Table::Pending, pending_gone(*no), sealed);
                    work.noted.push(*no);
                }
                (true, true) => work.batch.delete(Table::Pending, pending_gone(*no)),
                _ => {}
            }
        }
        let (new, old) = &work.left;
        for (no, plain) in new {
            let sealed = seal(&self.local, &gone_aad(*no, LEFT), plain);
            work.batch.put(Table::Pending, pending_left(*no), sealed);
        }
        for no in old {
            work.batch.delete(Table::Pending, pending_left(*no));
        }
    }
}
